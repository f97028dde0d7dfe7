/** One call of a function. */
export interface FunctionCall {
  readonly functionName: string
  /** The event as JSON text in UTF-8; given away (its memory may be transferred). */
  readonly payload: Uint8Array
  /** Where the call comes from: invocations of mappings are retried by the mapping, those of clients by the client. */
  readonly source: 'mapping' | 'client'
  /** What the handler's context and the answer say; made up when it is not given. */
  readonly requestId?: string
}

/** What became of a call that reached its handler. */
export interface FunctionAnswer {
  readonly requestId: string
  /** What the handler gave, as JSON text (`null` when it gave nothing); with `functionError`, AWS's error document. */
  readonly payload: string
  /** As on AWS, whether the handler gave the error or it befell it. */
  readonly functionError?: 'Unhandled'
  readonly durationMs: number
  /** The last 4 KB of what the call wrote into the function's log. */
  readonly logTail: string
}

/** Runs functions. What lies behind it (threads, code, logs) is the host's. */
export interface FunctionInvoker {
  /**
   * Rejects with FUNCTION_NOT_FOUND, FUNCTION_BUSY (all its threads are taken: throttled, no attempt) and FUNCTION_STOPPED
   * (the daemon closes). A handler that throws, times out or exits is an answer with `functionError`.
   */
  invoke(call: FunctionCall): Promise<FunctionAnswer>
  /** Calls of this function that can run now without waiting; 0 for one that there is not. */
  free(functionName: string): number
}
