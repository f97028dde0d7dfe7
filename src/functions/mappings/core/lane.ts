import { RecordQueue } from './record-queue.js'
import type { TumblingWindow } from './tumbling-window.js'
import type { DeliverySettings, GivenUp, LastAnswer, PendingRecord, Work } from './types.js'

/**
 * The records of some items of a shard: those that wait for a batch, and the batch that is with the function or waits to
 * be tried again, in the parts that it has fallen into. One part is under way at a time, the first one.
 */
export class Lane<R extends PendingRecord> {
  readonly #index: number
  readonly #settings: DeliverySettings
  readonly #waiting = new RecordQueue<R>()
  /** Bytes of those that wait, with a comma each. */
  #bytes = 0
  /** Since when the first of them waits for more. */
  #since = 0
  /** The parts of the batch, the next one last. */
  readonly #parts: Work<R>[] = []
  #isBusy = false

  constructor(index: number, settings: DeliverySettings) {
    this.#index = index
    this.#settings = settings
  }

  get isBusy(): boolean {
    return this.#isBusy
  }

  get top(): Work<R> | undefined {
    return this.#parts[this.#parts.length - 1]
  }

  /** The first record that waits for a batch. */
  get first(): R | undefined {
    return this.#waiting.first
  }

  add(record: R, now: number): void {
    if (this.#waiting.length === 0) this.#since = now
    this.#waiting.push(record)
    this.#bytes += record.bytes + 1
  }

  /** Makes a batch of those that wait, unless it may wait for more. */
  cut(now: number, isPressed: boolean, window: TumblingWindow | undefined): void {
    const { batchSize, windowMs, payloadBytesMax } = this.#settings
    const waiting = this.#waiting
    const { first, last } = waiting
    if (!first || !last) return
    const end = window ? window.endFor(first.time) : Number.POSITIVE_INFINITY
    const isFull = waiting.length >= batchSize || this.#bytes > payloadBytesMax || last.time >= end
    const isDue = isPressed || now >= this.#since + windowMs || (window?.isComplete(end) ?? false)
    if (!isFull && !isDue) return
    let count = 0
    let bytes = 0
    for (; count < waiting.length && count < batchSize; count++) {
      const record = waiting.at(count)
      if (record.time >= end) break
      if (count > 0 && bytes + record.bytes > payloadBytesMax) break
      bytes += record.bytes + 1
    }
    window?.begin(first.time)
    this.#bytes -= bytes
    this.#since = now
    this.#push(waiting.take(count))
  }

  /** The last invocation of a window, which has no records. */
  finish(): void {
    this.#parts.push({ ...this.#part([]), isFinal: true })
  }

  #push(records: readonly R[], notBefore = 0, last?: LastAnswer): void {
    this.#parts.push({ ...this.#part(records), notBefore, last })
  }

  #part(records: readonly R[]): Work<R> {
    return {
      lane: this.#index,
      records,
      isFinal: false,
      attempts: 0,
      throttles: 0,
      notBefore: 0,
      givenUp: undefined,
      last: undefined,
    }
  }

  /** Parts off, to be given up, what has become too old; `windowEnd` is the age of a last invocation. */
  expire(now: number, windowEnd: number | undefined): void {
    const { ageMsMax } = this.#settings
    const work = this.top
    if (!work || work.givenUp || ageMsMax === Number.POSITIVE_INFINITY) return
    const oldest = now - ageMsMax
    if (work.isFinal) {
      if (windowEnd !== undefined && windowEnd < oldest) work.givenUp = 'RecordAgeExceeded'
      return
    }
    const { records } = work
    let expired = 0
    while (expired < records.length && (records[expired] as R).time < oldest) expired++
    if (expired === 0) return
    this.#parts.pop()
    if (expired < records.length) this.#parts.push({ ...work, records: records.slice(expired) })
    this.#parts.push({ ...work, records: records.slice(0, expired), givenUp: 'RecordAgeExceeded' })
  }

  /** The first part is under way. */
  begin(): Work<R> {
    this.#isBusy = true
    return this.top as Work<R>
  }

  throttled(now: number): void {
    const work = this.#end()
    work.throttles++
    work.notBefore = now + this.#settings.backOff(work.throttles)
    this.#parts.push(work)
  }

  failed(last: LastAnswer, now: number): void {
    const { attemptsMax, bisects, backOff } = this.#settings
    const work = this.#end()
    const { records } = work
    if (bisects && records.length > 1) {
      // Halving is no attempt: each half begins anew.
      const half = (records.length + 1) >> 1
      this.#push(records.slice(half), 0, last)
      this.#push(records.slice(0, half), 0, last)
      return
    }
    work.attempts++
    work.throttles = 0
    work.last = last
    if (work.attempts >= attemptsMax) work.givenUp = 'RetryAttemptsExhausted' satisfies GivenUp
    else work.notBefore = now + backOff(work.attempts)
    this.#parts.push(work)
  }

  /** The records before `from` are done; the rest begins anew. */
  succeededTo(from: number, last: LastAnswer, now: number): void {
    const { records } = this.#end()
    this.#push(records.slice(from), now, last)
  }

  /** The part under way is done. */
  leave(): void {
    this.#end()
  }

  #end(): Work<R> {
    this.#isBusy = false
    return this.#parts.pop() as Work<R>
  }

  /** When to look again although nothing has happened. */
  get dueAt(): number | undefined {
    if (this.#isBusy) return undefined
    const work = this.top
    if (!work) return this.#waiting.length === 0 ? undefined : this.#since + this.#settings.windowMs
    const first = work.records[0]
    const expiry = first ? first.time + this.#settings.ageMsMax + 1 : Number.POSITIVE_INFINITY
    return Math.min(work.notBefore, expiry)
  }
}
