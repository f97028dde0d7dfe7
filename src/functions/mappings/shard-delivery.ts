import type { CommitPath, CommitTime } from '../../commit/index.js'
import type { Position } from '../../groups/index.js'
import type { Log, ShardedLog } from '../../log/index.js'
import { asMillraceError, type Clock, killPoint, type MillraceError, Wake } from '../../runtime/index.js'
import { backOffMs } from '../../sinks/index.js'
import type { FunctionInvoker } from '../types.js'
import { outcomeOf } from './answer.js'
import type { BufferBudget } from './buffer-budget.js'
import {
  type Checkpoint,
  type DeliverySettings,
  type OpenWindow,
  type Outcome,
  ShardCore,
  type Step,
} from './core/index.js'
import type { MappingCounters } from './counters.js'
import { type Destination, documentOf } from './destinations/index.js'
import { type EventRecord, eventOf } from './event-records.js'
import type { RecordFilter } from './filters/index.js'
import type { FunctionTurns } from './function-turns.js'
import { ShardSource, type SourceFrame } from './shard-source.js'

/** A longer timer than Node's longest would fire at once. */
const waitMsMax = 2 ** 31 - 1

/** Waits between attempts to bring a document to its destination, ms. */
const destinationMs = 200
const destinationMsMax = 30_000

/** What the invocations of a mapping have come to, as its description says it. */
export type ProcessingResult = 'No records processed' | 'OK' | `PROBLEM: ${string}`

export interface ShardDeliveryOptions {
  readonly mapping: string
  readonly functionName: string
  readonly functionArn: string
  readonly position: Position
  readonly window: OpenWindow | undefined
  /** Its id as AWS shows it. */
  readonly shardId: string
  readonly settings: DeliverySettings
  /** The function may report the records that failed. */
  readonly reports: boolean
  readonly frame: SourceFrame
  readonly filter: RecordFilter
  readonly destination: Destination | undefined
  readonly log: Log & Pick<ShardedLog, 'lastSequence'>
  readonly commit: Pick<CommitPath, 'settled'> & { readonly time: CommitTime }
  readonly clock: Clock
  readonly random: () => number
  readonly invoker: FunctionInvoker
  readonly turns: FunctionTurns
  readonly budget: BufferBudget
  readonly counters: MappingCounters
  /** The number of a record by what the wire calls it; undefined: it is none. */
  readonly sequenceOf: (wire: string) => number | undefined
  readonly stop: AbortSignal
  readonly onCheckpoint: (checkpoint: Checkpoint) => void
  readonly onResult: (result: ProcessingResult, error?: MillraceError) => void
}

/**
 * Brings the records of one shard to a function. It reads, asks the core what is to be done, does it, and tells the core what
 * became of it; it waits for news of the log, for answers, and for the times that the core names.
 */
export class ShardDelivery {
  readonly #options: ShardDeliveryOptions
  readonly #core: ShardCore<EventRecord>
  readonly #source: ShardSource
  readonly #wake: Wake
  readonly #running = new Set<Promise<void>>()
  #heldBytes = 0
  /** Of the newest call; one that was not made is no problem. */
  #lastResult: ProcessingResult = 'OK'

  constructor(options: ShardDeliveryOptions) {
    const { settings, position, window, log, frame, filter, counters, onResult, clock, stop } = options
    this.#options = options
    this.#core = new ShardCore(settings, { next: position.next, window })
    this.#wake = new Wake(clock, stop)
    this.#source = new ShardSource({
      log,
      shard: position.shard,
      frame,
      filter,
      onFiltered: (records) => {
        counters.filtered += records
      },
      onLost: (error) => {
        counters.lost++
        onResult('PROBLEM: Records were trimmed before they were processed', error)
      },
    })
  }

  /** The stream has news. It is called while a commit returns: it only notes that. */
  noticed(): void {
    const { log, position } = this.#options
    const shard = log.shard(position.shard)
    // Other shards of the stream have news, too.
    if (!shard || shard.state === 'sealed' || log.lastSequence(shard.id) >= this.#core.readTo) this.#wake.raise()
  }

  /** Resolves when the shard is done to its end, or after the stop, when no call is under way. Rejects when it cannot be read. */
  async run(): Promise<void> {
    const { stop } = this.#options
    try {
      while (!stop.aborted) {
        const { version } = this.#wake
        this.#act()
        if (this.#tell().isEnded) return
        if (await this.#readMore()) continue
        await this.#wake.news(version, this.#waitMs())
      }
    } finally {
      await Promise.all(this.#running)
      this.#tell()
      this.#hold(0)
    }
  }

  #act(): void {
    const now = this.#now()
    const isPressed = this.#options.budget.isSpent
    for (;;) {
      const step = this.#core.take(now, isPressed)
      if (!step) return
      const work = step.kind === 'invoke' ? this.#invoke(step) : this.#discard(step)
      const running = work.finally(() => {
        this.#running.delete(running)
        this.#wake.raise()
      })
      this.#running.add(running)
    }
  }

  #tell(): Checkpoint {
    const { checkpoint } = this.#core
    this.#options.onCheckpoint(checkpoint)
    return checkpoint
  }

  async #readMore(): Promise<boolean> {
    const core = this.#core
    if (!this.#mayRead) return false
    // A tumbling window is over when everything that was queued before its end can be read.
    const end = core.windowEnd
    const isOver = end !== undefined && this.#now() >= end
    if (isOver) await this.#options.commit.settled()
    const hasMore = await this.#source.read(core, () => this.#now())
    this.#hold(this.#source.heldBytes)
    if (hasMore || !isOver) return hasMore
    core.completeTo(end)
    return true
  }

  get #mayRead(): boolean {
    const core = this.#core
    return core.isHungry && (core.pending === 0 || !this.#options.budget.isSpent)
  }

  #hold(bytes: number): void {
    this.#options.budget.changed(bytes - this.#heldBytes)
    this.#heldBytes = bytes
  }

  #waitMs(): number | undefined {
    const due = this.#core.dueAt ?? Number.POSITIVE_INFINITY
    const end = (this.#mayRead ? this.#core.windowEnd : undefined) ?? Number.POSITIVE_INFINITY
    const at = Math.min(due, end)
    return at === Number.POSITIVE_INFINITY ? undefined : Math.max(1, Math.min(at - this.#now(), waitMsMax))
  }

  /** The time of commits, which is the time of records, and never goes back. */
  #now(): number {
    return this.#options.commit.time.next()
  }

  async #invoke(step: Step<EventRecord>): Promise<void> {
    const { work } = step
    const { counters } = this.#options
    const outcome = await this.#call(step)
    if (!outcome) return
    if (outcome.kind === 'throttled') counters.throttles++
    else {
      counters.batches++
      if (outcome.kind !== 'succeeded') counters.failures++
      if (outcome.kind === 'succeeded') counters.records += work.records.length
      if (outcome.kind === 'partial') counters.records += outcome.from
      killPoint('mapping:answered')
      this.#lastResult = outcome.kind === 'succeeded' ? 'OK' : 'PROBLEM: Function call failed'
      this.#options.onResult(this.#lastResult)
    }
    this.#core.answered(work, outcome, this.#now())
    this.#hold(this.#source.heldBytes)
  }

  /** undefined: it was stopped, and nothing is known. */
  async #call({ work, window }: Step<EventRecord>): Promise<Outcome | undefined> {
    const { functionName, turns, invoker, stop, settings, reports } = this.#options
    if (!(await turns.take(functionName, stop))) return undefined
    turns.began(functionName)
    try {
      const { records } = work
      // The wait may have been long.
      const oldest = records[0]
      if (oldest && oldest.time < this.#now() - settings.ageMsMax) return { kind: 'throttled' }
      const members = window && { ...this.#members(window), isFinal: work.isFinal }
      const payload = eventOf(records, members)
      const answer = await invoker.invoke({ functionName, payload, source: 'mapping' })
      return outcomeOf(answer, {
        placeOf: (identifier) => this.#placeOf(records, identifier),
        reports,
        isAggregating: window !== undefined && !work.isFinal,
      })
    } catch (thrown) {
      const error = asMillraceError(thrown)
      if (error.code === 'FUNCTION_STOPPED') return undefined
      if (error.code !== 'FUNCTION_BUSY') this.#options.onResult(`PROBLEM: ${error.message}`, error)
      return { kind: 'throttled' }
    } finally {
      turns.ended(functionName)
    }
  }

  #members(window: OpenWindow) {
    const { settings, shardId, frame } = this.#options
    return { window, ms: settings.tumblingMs, shardId, streamArn: frame.eventSourceArn }
  }

  #placeOf(records: readonly EventRecord[], identifier: string): number | undefined {
    const sequence = this.#options.sequenceOf(identifier)
    return sequence === undefined ? undefined : placeOf(records, sequence)
  }

  async #discard({ work, window }: Step<EventRecord>): Promise<void> {
    const { counters, destination, clock } = this.#options
    if (destination) {
      const { mapping, functionArn, shardId, frame, settings } = this.#options
      const about = { mapping, functionArn, shardId, streamArn: frame.eventSourceArn, tumblingMs: settings.tumblingMs }
      const document = documentOf(work, window, { ...about, next: this.#core.checkpoint.next }, clock.now())
      if (!(await this.#bring(destination, document))) return
      killPoint('mapping:discarded')
    }
    counters.discarded += work.records.length
    this.#core.discarded(work)
    this.#hold(this.#source.heldBytes)
  }

  /** Until it is there: a document is not lost because its destination is away. False at the stop. */
  async #bring(destination: Destination, document: ReturnType<typeof documentOf>): Promise<boolean> {
    const { stop, counters, onResult, random } = this.#options
    for (let attempt = 1; !stop.aborted; attempt++) {
      try {
        await destination.deliver(document, stop)
        // It can be reached again.
        if (attempt > 1) onResult(this.#lastResult)
        return true
      } catch (thrown) {
        if (stop.aborted) return false
        counters.destinationFailures++
        const error = asMillraceError(thrown)
        onResult('PROBLEM: The on-failure destination cannot be reached', error)
        await this.#wake.pause(backOffMs(attempt, destinationMs, destinationMsMax, random))
      }
    }
    return false
  }
}

/**
 * The place of a record among records in the order of their sequence numbers; undefined: it is none of them. By halves: an
 * answer may name as many as it likes.
 */
export function placeOf(records: readonly { readonly sequence: number }[], sequence: number): number | undefined {
  let low = 0
  let high = records.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((records[middle] as { sequence: number }).sequence < sequence) low = middle + 1
    else high = middle
  }
  return records[low]?.sequence === sequence ? low : undefined
}
