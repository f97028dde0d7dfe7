import type { ErrorDocument, ThreadStart } from '../host/protocol.js'
import { errorDocument, runtimeError } from './error-document.js'
import type { Handler } from './load-handler.js'

/** What the handler gave, or why it failed. */
export type Outcome =
  | { readonly kind: 'result'; readonly value: unknown }
  | { readonly kind: 'error'; readonly document: ErrorDocument }

/**
 * What an answer waits for:
 *
 *   emptyLoop  nothing that the handler began is under way, as Lambda has it for callbacks
 *   requests   its requests have ended, of a handler that failed, too; Lambda does not wait for them, and what they would have
 *              written is lost, or written during the next attempt
 *   nothing    it is given at once
 */
export type Wait = 'emptyLoop' | 'requests' | 'nothing'

export interface InvocationOptions {
  readonly start: ThreadStart
  readonly requestId: string
  readonly deadline: number
  /** Called once. */
  readonly settled: (outcome: Outcome, wait: Wait) => void
}

/** One call of a handler: its context, and the first answer of the many ways in which it may give one. */
export class Invocation {
  readonly #options: InvocationOptions
  readonly #context: Record<string, unknown>
  /** The handler gave a promise. */
  #isPromised = false
  isSettled = false

  constructor(options: InvocationOptions) {
    this.#options = options
    this.#context = this.#makeContext()
  }

  run(handler: Handler, event: unknown): void {
    let given: unknown
    try {
      given = handler(event, this.#context, (error, result) => this.#called(error, result))
    } catch (thrown) {
      return this.fail(thrown)
    }
    if (!isThenable(given)) return
    this.#isPromised = true
    given.then(
      (value) => this.#settle({ kind: 'result', value }, 'requests'),
      (thrown: unknown) => this.fail(thrown ?? handled),
    )
  }

  fail(thrown: unknown): void {
    this.#settle({ kind: 'error', document: errorDocument(thrown) }, 'requests')
  }

  /**
   * Nothing is under way and no answer was given: there is none. What was promised did not happen, and can happen no more: as
   * an answer it would be a success that a trigger takes for records that are done.
   */
  endWithout(): void {
    if (this.#isPromised) this.#settle({ kind: 'error', document: neverSettled() }, 'nothing')
    else this.#settle({ kind: 'result', value: null }, 'nothing')
  }

  #called(error: unknown, result: unknown): void {
    if (error !== undefined && error !== null) this.fail(error)
    else this.#settle({ kind: 'result', value: result }, 'emptyLoop')
  }

  #done(error: unknown, result: unknown): void {
    if (error !== undefined && error !== null) this.fail(error)
    else this.#settle({ kind: 'result', value: result }, 'requests')
  }

  #settle(outcome: Outcome, wait: Wait): void {
    if (this.isSettled) return
    this.isSettled = true
    const waits = this.#context.callbackWaitsForEmptyEventLoop !== false
    this.#options.settled(outcome, waits ? wait : 'nothing')
  }

  #makeContext(): Record<string, unknown> {
    const { start, requestId, deadline } = this.#options
    return {
      callbackWaitsForEmptyEventLoop: true,
      functionName: start.functionName,
      functionVersion: '$LATEST',
      invokedFunctionArn: start.functionArn,
      memoryLimitInMB: String(start.memoryMb),
      awsRequestId: requestId,
      logGroupName: start.logGroupName,
      logStreamName: start.logStreamName,
      identity: undefined,
      clientContext: undefined,
      getRemainingTimeInMillis: () => deadline - Date.now(),
      done: (error: unknown, result: unknown) => this.#done(error, result),
      succeed: (result: unknown) => this.#done(null, result),
      fail: (error: unknown) => this.fail(error ?? handled),
    }
  }
}

/** AWS's word for an error that is none. */
const handled = 'handled'

const neverSettled = (): ErrorDocument =>
  runtimeError(
    'Runtime.NodeJsExit',
    'The Lambda runtime client detected an unexpected Node.js exit code. This is most commonly caused by a Promise that was never settled. For more information, see https://nodejs.org/docs/latest/api/process.html#process_exit_codes',
  )

function isThenable(given: unknown): given is PromiseLike<unknown> {
  return typeof (given as { then?: unknown } | null | undefined)?.then === 'function'
}
