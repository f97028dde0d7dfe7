import { randomUUID } from 'node:crypto'
import type { CommitPath } from '../../commit/index.js'
import { asMillraceError, type Clock, type Logger, MillraceError } from '../../runtime/index.js'
import type { Storage } from '../../storage/index.js'
import type { FunctionCounts } from '../host/function-counts.js'
import type { FunctionLogs } from '../logs/function-logs.js'
import { numberOfWaitingCall, waitingCallKey, waitingCallRows } from '../rows.js'
import type { FunctionInvoker } from '../types.js'
import { FunctionQueue } from './function-queue.js'
import { decodeWaitingCall, payloadOf, type WaitingCall, waitingCallGone, waitingCallRow } from './waiting-call.js'

/** How long a call waits after its first failed attempt, and after its second, as on AWS; after the third it is given up, ms. */
export const retryDelaysMs: readonly number[] = [60_000, 120_000]
/** What could not even be called, for a reason that is not the handler's, is tried again after this time, ms. */
const troubleDelayMs = 60_000
/** A call that is older is given up, as on AWS: six hours. */
export const waitingMsMax = 6 * 60 * 60 * 1000
/** Characters of a lost event that the function's log keeps. */
const eventShownMax = 4096

export interface WaitingCallsOptions {
  readonly storage: Storage
  readonly commit: CommitPath
  readonly invoker: FunctionInvoker
  readonly logs: FunctionLogs
  readonly countsOf: (functionName: string) => FunctionCounts
  readonly clock: Clock
  readonly logger: Logger
  readonly limits: { readonly waitingCallsMax: number; readonly waitingBytesMax: number }
}

/**
 * Calls that nobody waits for (`Event` on AWS): each is a row of the store until its handler has taken it, or it was given up.
 * A crash in between makes it be called again: at least once, as on AWS.
 */
export class WaitingCalls {
  readonly #options: WaitingCallsOptions
  readonly #queues = new Map<string, FunctionQueue>()
  #nextNumber = 1
  #count = 0
  #bytes = 0
  #isRunning = false

  constructor(options: WaitingCallsOptions) {
    this.#options = options
  }

  /** Reads what was left. Nothing is called before `start`. */
  async load(): Promise<void> {
    const { storage } = this.#options
    for await (const { keys, values } of storage.scan({ ...waitingCallRows, bytesMax: 1 << 20 }))
      for (const [i, value] of values.entries()) {
        const number = numberOfWaitingCall(keys[i] as Buffer)
        const call = decodeWaitingCall(number, value)
        this.#nextNumber = number + 1
        this.#count++
        this.#bytes += call.bytes
        this.#wait(call)
      }
  }

  start(): void {
    this.#isRunning = true
    for (const queue of this.#queues.values()) queue.start()
  }

  /** What is under way is not waited for; where its end is not seen any more, it is called again. */
  close(): void {
    this.#isRunning = false
    for (const queue of this.#queues.values()) queue.close()
  }

  countOf(functionName: string): number {
    return this.#queues.get(functionName)?.count ?? 0
  }

  /** Takes a call of a function that there is; it is durable when this resolves. Throws TOO_BUSY. */
  async add(functionName: string, payload: Uint8Array): Promise<{ readonly requestId: string }> {
    const { commit, clock, limits } = this.#options
    const { waitingCallsMax, waitingBytesMax } = limits
    if (this.#count >= waitingCallsMax) throw full(`${waitingCallsMax} calls`, 'waitingCallsMax')
    const bytes = payload.length
    if (this.#bytes + bytes > waitingBytesMax) throw full(`${waitingBytesMax} bytes of calls`, 'waitingBytesMax')
    const now = clock.now()
    const requestId = randomUUID()
    const number = this.#nextNumber++
    const call = { number, functionName, requestId, createdAt: now, attempts: 0, dueAt: now, bytes }
    this.#count++
    this.#bytes += bytes
    try {
      await commit.submit({ rows: [waitingCallRow(call, payload)] })
    } catch (error) {
      this.#forget(call)
      throw error
    }
    this.#wait(call)
    return { requestId }
  }

  /** The function is gone, and its calls with it. */
  async remove(functionName: string): Promise<void> {
    const queue = this.#queues.get(functionName)
    if (!queue) return
    this.#queues.delete(functionName)
    const calls = queue.take()
    for (const call of calls) this.#forget(call)
    if (calls.length > 0) await this.#options.commit.submit({ rows: calls.map(waitingCallGone), essential: true })
  }

  #wait(call: WaitingCall): void {
    const { clock, invoker } = this.#options
    const { functionName } = call
    let queue = this.#queues.get(functionName)
    if (!queue) {
      queue = new FunctionQueue({ functionName, clock, invoker, run: (...attempt) => this.#run(...attempt) })
      if (this.#isRunning) queue.start()
      this.#queues.set(functionName, queue)
    }
    queue.put(call)
  }

  #forget({ bytes }: WaitingCall): void {
    this.#count--
    this.#bytes -= bytes
  }

  /** Makes one attempt. Never throws. */
  async #run(call: WaitingCall, queue: FunctionQueue, begun: () => void): Promise<void> {
    const { commit, invoker, clock, countsOf } = this.#options
    const { functionName, requestId, attempts, createdAt } = call
    try {
      const value = await commit.readDurable(waitingCallKey(call.number))
      if (!value || !this.#isRunning) return
      const payload = payloadOf(value)
      if (clock.now() - createdAt > waitingMsMax) return await this.#drop(call, payload, 'it has waited for six hours')
      // The call takes its memory away; a retry is written from what was read.
      const answering = invoker.invoke({ functionName, payload: payload.slice(), source: 'client', requestId })
      begun()
      const answer = await answering
      if (attempts > 0) countsOf(functionName).retries++
      if (!this.#isRunning) return
      // Deleted meanwhile; there may be another one of this name.
      const isGone = this.#queues.get(functionName) !== queue
      if (answer.functionError === undefined || isGone) return await this.#done(call)
      const delay = retryDelaysMs[attempts]
      if (delay === undefined) return await this.#drop(call, payload, `all of its ${attempts + 1} attempts have failed`)
      await this.#again({ ...call, attempts: attempts + 1, dueAt: clock.now() + delay }, payload)
    } catch (thrown) {
      await this.#trouble(call, queue, asMillraceError(thrown))
    }
  }

  async #done(call: WaitingCall): Promise<void> {
    // Also on a full disk: it gives room back.
    await this.#options.commit.submit({ rows: [waitingCallGone(call)], essential: true })
    this.#forget(call)
  }

  async #again(call: WaitingCall, payload: Uint8Array): Promise<void> {
    await this.#options.commit.submit({ rows: [waitingCallRow(call, payload)] })
    this.#wait(call)
  }

  async #drop(call: WaitingCall, payload: Uint8Array, why: string): Promise<void> {
    const { countsOf, logs, clock, logger } = this.#options
    const { functionName, requestId } = call
    const told = `The call is given up, its event is lost: ${why}.`
    const event = Buffer.from(payload).toString('utf8', 0, eventShownMax)
    logs
      .of(functionName)
      .append(`${new Date(clock.now()).toISOString()}\t${requestId}\tERROR\t${told} ${event.replaceAll('\n', ' ')}\n`)
    logger.warn({ function: functionName, requestId }, told)
    countsOf(functionName).dropped++
    await this.#done(call)
  }

  /** It was not called, or nobody knows: it stays as it is. */
  async #trouble(call: WaitingCall, queue: FunctionQueue, { code, message }: MillraceError): Promise<void> {
    const { clock, logger } = this.#options
    if (!this.#isRunning || code === 'FUNCTION_STOPPED' || code === 'STORE_FAILED') return
    if (code === 'FUNCTION_NOT_FOUND' || this.#queues.get(call.functionName) !== queue)
      return this.#done(call).catch(() => {})
    if (code === 'FUNCTION_BUSY') return queue.putFirst(call)
    logger.warn({ function: call.functionName, code }, `A call that waits could not be made: ${message}`)
    this.#wait({ ...call, dueAt: clock.now() + troubleDelayMs })
  }
}

const full = (what: string, limit: string): MillraceError =>
  new MillraceError('TOO_BUSY', `${what} of functions wait already (functionHost.${limit}).`)
