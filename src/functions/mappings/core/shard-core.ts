import { Lane } from './lane.js'
import { RecordQueue } from './record-queue.js'
import { TumblingWindow } from './tumbling-window.js'
import type { Checkpoint, DeliverySettings, OpenWindow, Outcome, PendingRecord, Step, Work } from './types.js'

/** Records between the oldest that is not done and the newest that was read: behind one that is stuck others go on, but not for ever. */
const spanMin = 10_000
/** Batches of each lane that are read ahead. */
const batchesAhead = 2

/**
 * What is done next with the records of one shard, what an answer means, when something is tried again, and where the
 * shard's position is: a state machine without clock, store or function, which is told the time with each question.
 *
 * Records go into lanes by the key of their item, and each lane has one batch with the function at a time: so records of
 * an item arrive in their order, whatever becomes of others. The position is the end of the contiguous prefix that is done.
 */
export class ShardCore<R extends PendingRecord> {
  readonly #settings: DeliverySettings
  readonly #lanes: readonly Lane<R>[]
  /** All that was read and does not lie in the prefix that is done. */
  readonly #order = new RecordQueue<R>()
  readonly #tumbling: TumblingWindow | undefined
  #readTo: number
  #isAtEnd = false
  #pending = 0
  #bytes = 0

  constructor(settings: DeliverySettings, start: { readonly next: number; readonly window?: OpenWindow | undefined }) {
    const isTumbling = settings.tumblingMs > 0
    this.#settings = settings
    this.#lanes = Array.from({ length: isTumbling ? 1 : settings.lanes }, (_, index) => new Lane<R>(index, settings))
    this.#tumbling = isTumbling ? new TumblingWindow(settings.tumblingMs, start.window) : undefined
    this.#readTo = start.next
  }

  /** Records that are not done. */
  get pending(): number {
    return this.#pending
  }

  /** Their bytes. */
  get bytes(): number {
    return this.#bytes
  }

  /** The next record to read. */
  get readTo(): number {
    return this.#readTo
  }

  get isAtEnd(): boolean {
    return this.#isAtEnd
  }

  /** Whether more records should be read. */
  get isHungry(): boolean {
    const { batchSize, lanes, payloadBytesMax } = this.#settings
    return (
      !this.#isAtEnd &&
      this.#pending < batchesAhead * batchSize * lanes &&
      this.#bytes < (lanes + 1) * payloadBytesMax &&
      this.#order.length < Math.max(spanMin, 2 * batchesAhead * batchSize * lanes)
    )
  }

  /** The end of the open tumbling window, while it is not known whether records of it are still to come. */
  get windowEnd(): number | undefined {
    return this.#tumbling?.unknownEnd
  }

  /** A record that was read; in the order of the shard. */
  add(record: R, now: number): void {
    const lane = this.#lanes[record.hash % this.#lanes.length] as Lane<R>
    this.#order.push(record)
    this.#pending++
    this.#bytes += record.bytes
    lane.add(record, now)
  }

  /** Everything below `next` was read, also what is filtered out; `isAtEnd`: the shard is sealed there. */
  read(next: number, isAtEnd: boolean): void {
    this.#readTo = next
    this.#isAtEnd = isAtEnd
  }

  /** All records with a commit time below this one were added. */
  completeTo(time: number): void {
    this.#tumbling?.completeTo(time)
  }

  /** What can be done now, or undefined. `isPressed`: batches go although they could wait for more records. */
  take(now: number, isPressed = false): Step<R> | undefined {
    for (const lane of this.#lanes) {
      if (lane.isBusy) continue
      const step = this.#takeOf(lane, now, isPressed)
      if (step) return step
    }
    return undefined
  }

  #takeOf(lane: Lane<R>, now: number, isPressed: boolean): Step<R> | undefined {
    const window = this.#tumbling
    if (!lane.top) {
      if (window?.isOver(lane.first?.time, this.#isAtEnd)) lane.finish()
      else lane.cut(now, isPressed || this.#isAtEnd, window)
    }
    if (!lane.top) return undefined
    lane.expire(now, window?.endOf)
    const work = lane.top
    if (work.givenUp) return { kind: 'discard', work: lane.begin(), window: window?.open }
    if (work.notBefore > now) return undefined
    return { kind: 'invoke', work: lane.begin(), window: window?.open }
  }

  answered(work: Work<R>, outcome: Outcome, now: number): void {
    const lane = this.#lanes[work.lane] as Lane<R>
    switch (outcome.kind) {
      case 'throttled':
        return lane.throttled(now)
      case 'failed':
        return lane.failed(outcome.last, now)
      case 'partial':
        this.#done(work.records.slice(0, outcome.from))
        this.#tumbling?.went(outcome.state)
        return lane.succeededTo(outcome.from, outcome.last, now)
      case 'succeeded':
        this.#leave(lane, work, outcome.state)
    }
  }

  /** Records that were given up are where they belong. */
  discarded(work: Work<R>): void {
    this.#leave(this.#lanes[work.lane] as Lane<R>, work, undefined)
  }

  #leave(lane: Lane<R>, work: Work<R>, state: string | undefined): void {
    lane.leave()
    this.#done(work.records)
    if (work.isFinal) this.#tumbling?.close()
    else this.#tumbling?.went(state)
  }

  #done(records: readonly R[]): void {
    for (const record of records) {
      record.done()
      this.#pending--
      this.#bytes -= record.bytes
    }
  }

  /** When to ask again although nothing has happened; undefined: only when something has. `windowEnd` is beside it. */
  get dueAt(): number | undefined {
    let due: number | undefined
    for (const lane of this.#lanes) {
      const at = lane.dueAt
      if (at !== undefined && (due === undefined || at < due)) due = at
    }
    return due
  }

  get checkpoint(): Checkpoint {
    const order = this.#order
    let done = 0
    while (done < order.length && order.at(done).isDone) done++
    if (done > 0) order.skip(done)
    const window = this.#tumbling?.open
    return {
      next: order.first?.sequence ?? this.#readTo,
      isEnded: this.#isAtEnd && order.length === 0 && window === undefined,
      window,
    }
  }
}
