import type { FunctionSettings } from '../../config/index.js'
import type { FunctionLog } from '../logs/function-log.js'
import type { FunctionAnswer } from '../types.js'
import type { FunctionCounts } from './function-counts.js'
import type { FailedRequests } from './protocol.js'

/** Characters of a call's log that its answer brings, as on AWS. */
const tailMax = 4096

export interface CallEnd {
  readonly durationMs: number
  readonly memoryBytes: number
  readonly payload: string
  /** Present when it is an error. */
  readonly document?: unknown
}

/** What one call leaves in the log of its function, with the lines around it that Lambda writes. */
export class CallLog {
  readonly #log: FunctionLog
  readonly #requestId: string
  readonly #settings: FunctionSettings
  readonly #counts: FunctionCounts
  #initMs: number | undefined
  #text = ''

  constructor(log: FunctionLog, requestId: string, settings: FunctionSettings, counts: FunctionCounts) {
    this.#log = log
    this.#requestId = requestId
    this.#settings = settings
    this.#counts = counts
  }

  /** @param initMs time that the module took to load, when this call had to wait for it */
  start(initMs: number | undefined): void {
    this.#initMs = initMs
    this.write(`START RequestId: ${this.#requestId} Version: $LATEST\n`)
  }

  write(text: string): void {
    this.#log.append(text)
    this.#text = (this.#text + text).slice(-tailMax)
  }

  countFailed({ count }: FailedRequests): void {
    this.#counts.failedSdkRequests += count
  }

  /** Says loudly that the call is about to succeed although requests in it have failed. */
  warn({ count, examples }: FailedRequests): string {
    this.#counts.unhandledSdkErrors++
    const what = count === 1 ? '1 request of the AWS SDK has failed' : `${count} requests of the AWS SDK have failed`
    const told = `The call succeeded although ${what} in it: what it wrote may be missing. ${examples.join('; ')}`
    this.write(`${new Date().toISOString()}\t${this.#requestId}\tWARN\t${told}\n`)
    return told
  }

  end({ durationMs, memoryBytes, payload, document }: CallEnd): FunctionAnswer {
    const counts = this.#counts
    counts.invocations++
    counts.durationSeconds += durationMs / 1000
    if (document !== undefined) counts.errors++
    const id = this.#requestId
    const init = this.#initMs === undefined ? '' : `\tInit Duration: ${this.#initMs.toFixed(2)} ms`
    const used = Math.ceil(memoryBytes / 2 ** 20)
    this.write(
      `END RequestId: ${id}\nREPORT RequestId: ${id}\tDuration: ${durationMs.toFixed(2)} ms\tBilled Duration: ${Math.ceil(durationMs)} ms\tMemory Size: ${this.#settings.memoryMb} MB\tMax Memory Used: ${used} MB${init}\t\n`,
    )
    return {
      requestId: id,
      payload,
      ...(document === undefined ? {} : { functionError: 'Unhandled' as const }),
      durationMs,
      logTail: this.#text,
    }
  }
}
