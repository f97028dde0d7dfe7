/** What was counted of one function since the daemon began. */
export interface FunctionCounts {
  invocations: number
  errors: number
  throttles: number
  /** Calls that succeeded although requests of the AWS SDK in them had failed. */
  unhandledSdkErrors: number
  failedSdkRequests: number
  /** Attempts after the first of calls that nobody waits for. */
  retries: number
  /** Calls that nobody waits for and that were given up: their events are lost. */
  dropped: number
  /** Of handlers, without the loading of their modules. */
  durationSeconds: number
}

export const newCounts = (): FunctionCounts => ({
  invocations: 0,
  errors: 0,
  throttles: 0,
  unhandledSdkErrors: 0,
  failedSdkRequests: 0,
  retries: 0,
  dropped: 0,
  durationSeconds: 0,
})

/** Is told of each call that has ended, with the time of its handler. */
export type CallObserver = (functionName: string, seconds: number) => void
