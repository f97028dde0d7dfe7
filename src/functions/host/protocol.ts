import type { MessagePort } from 'node:worker_threads'

/** What AWS answers of a call that failed. */
export interface ErrorDocument {
  readonly errorType: string
  readonly errorMessage: string
  readonly trace?: readonly string[]
  readonly [more: string]: unknown
}

/** What a thread is started with. */
export interface ThreadStart {
  readonly port: MessagePort
  /** Of the log ring (log-ring.ts). */
  readonly log: SharedArrayBuffer
  /** Of the memory gauge (memory-gauge.ts). */
  readonly memory: SharedArrayBuffer
  /** The folder of the code. */
  readonly root: string
  readonly handler: string
  readonly functionName: string
  readonly functionArn: string
  readonly memoryMb: number
  readonly logGroupName: string
  readonly logStreamName: string
  /** URL of the daemon. */
  readonly endpoint: string
}

/** Requests of the AWS SDK that failed in a call and were not a condition that was not met. */
export interface FailedRequests {
  readonly count: number
  /** The first ones in words. */
  readonly examples: readonly string[]
}

/** One call. */
export interface ToThread {
  readonly requestId: string
  readonly payload: Uint8Array
  /** Milliseconds since 1970. */
  readonly deadline: number
}

export type FromThread =
  | { readonly kind: 'ready' }
  | { readonly kind: 'initFailed'; readonly document: ErrorDocument }
  | {
      readonly kind: 'answer'
      readonly requestId: string
      readonly payload: string
      readonly isError: boolean
      readonly failed: FailedRequests | undefined
      readonly memoryBytes: number
    }
  /** What the ring had no room for. */
  | { readonly kind: 'log'; readonly text: string }
  /** The handler ends its process. */
  | { readonly kind: 'exit'; readonly code: number }
  /** Something was thrown that nobody caught: the thread ends. */
  | { readonly kind: 'broken'; readonly document: ErrorDocument }
