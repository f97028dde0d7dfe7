import { setMaxListeners } from 'node:events'
import type { CommitPath, CommitTime, RowEffect } from '../../commit/index.js'
import { type DurableGroup, lagRecords, lagSeconds, type Position } from '../../groups/index.js'
import type { Shard, ShardedLog, ShardId } from '../../log/index.js'
import { asMillraceError, type Clock, type Logger, MillraceError, type Timer } from '../../runtime/index.js'
import { backOffMs } from '../../sinks/index.js'
import { type FollowedStream, wireShardId } from '../../tables/index.js'
import type { FunctionInvoker } from '../types.js'
import type { BufferBudget } from './buffer-budget.js'
import { Checkpoints } from './checkpoints.js'
import type { DeliverySettings, OpenWindow } from './core/index.js'
import { MappingCounters, type MappingCounts } from './counters.js'
import type { Destination } from './destinations/index.js'
import { RecordFilter } from './filters/index.js'
import type { FunctionTurns } from './function-turns.js'
import { goneParents } from './gone-shards.js'
import { type MappingEvent, type MappingState, mappingLifecycle } from './mapping-lifecycle.js'
import { type MappingRow, type MappingSettings, mappingEffect } from './mapping-row.js'
import { type ProcessingResult, ShardDelivery } from './shard-delivery.js'

/** What AWS hands to a function at most. */
const eventBytesMax = 6 * 1024 * 1024
/** Beside its records an event has brackets and, in a tumbling window, up to as much state as a window ends with. */
const frameBytes = 4096
/** Waits between attempts of a function, ms. */
const retryMs = 100
const retryMsMax = 30_000
/** Before a shard that could not be read is read again, ms. */
const rereadMs = 1000
/** How long a closing daemon waits for functions that are called. */
const closeMsMax = 5000

/** What a mapping needs of the daemon. */
export interface MappingSurroundings {
  readonly log: ShardedLog
  readonly commit: CommitPath & { readonly time: CommitTime }
  readonly clock: Clock
  readonly logger: Logger
  readonly random: () => number
  readonly region: string
  readonly accountId: string
  /** Of an event id, what stands before the digits of its sequence number. */
  readonly eventIdPrefix: (sequence: number) => string
  readonly eventIdOf: (sequence: number) => string
  readonly invoker: FunctionInvoker
  readonly turns: FunctionTurns
  readonly budget: BufferBudget
  readonly tables: { awsStream(arn: string): FollowedStream | undefined }
  readonly openDestination: (place: string, mapping: string) => Destination
}

export interface MappingStatistics extends MappingCounts {
  /** An upper bound of the records of its stream that it has not passed. */
  readonly lagRecords: number
  /** Age of the oldest of them; 0 when there is none. */
  readonly lagSeconds: number
}

/** One run of a mapping, between a start and a stop. */
interface Run {
  readonly stop: AbortController
  readonly shards: Map<ShardId, ShardDelivery>
  readonly ends: Set<Promise<void>>
  readonly checkpoints: Checkpoints
  readonly destination: Destination | undefined
  readonly unsubscribe: () => void
  readonly timers: Set<Timer>
  /** Shards that are gone are being passed over. */
  isPassing: boolean
}

/** Brings the records of a table's stream to a function: a delivery for each shard that may be read, parents first. */
export class Mapping {
  #row: MappingRow
  #state: MappingState
  /** Changes that are stored, or about to be, and hold when what is under way has come to its end. */
  #promised: Partial<MappingRow> = {}
  readonly #around: MappingSurroundings
  readonly #group: DurableGroup | undefined
  readonly #windows: Map<ShardId, OpenWindow>
  readonly #finish: (mapping: Mapping) => Promise<void>
  readonly #counters = new MappingCounters()
  #run: Run | undefined
  #savedResult: string
  #error: MillraceError | undefined

  /**
   * @param group undefined: the stream has come to its end
   * @param windows tumbling windows that are open in its shards
   * @param finish makes durable that the stream has come to its end
   */
  constructor(
    row: MappingRow,
    group: DurableGroup | undefined,
    windows: Map<ShardId, OpenWindow>,
    around: MappingSurroundings,
    finish: (mapping: Mapping) => Promise<void>,
  ) {
    this.#row = row
    this.#state = row.isDeleting ? 'Deleting' : 'Creating'
    this.#savedResult = row.lastResult
    this.#group = group
    this.#windows = windows
    this.#around = around
    this.#finish = finish
  }

  get id(): string {
    return this.#row.id
  }

  get row(): MappingRow {
    return this.#row
  }

  get state(): MappingState {
    return this.#state
  }

  get counts(): MappingCounts {
    return this.#counters
  }

  /** What its last problem was, for people. */
  get lastError(): MillraceError | undefined {
    return this.#error
  }

  /** Shards in which a tumbling window is stored. */
  get windowShards(): Iterable<ShardId> {
    return this.#windows.keys()
  }

  /** Whether a user may ask for this now. */
  takes(event: MappingEvent): boolean {
    return mappingLifecycle[this.#state][event] !== undefined
  }

  met(event: MappingEvent): void {
    this.#state = mappingLifecycle[this.#state][event] ?? this.#state
  }

  /** The row to store with changes that will hold; commits of positions that come behind it keep them. */
  promised(changes: Partial<MappingRow>): MappingRow {
    this.#promised = changes
    return this.#rowToStore()
  }

  /** The changes could not be stored. */
  refused(): void {
    this.#promised = {}
    this.met(this.#run ? 'started' : 'stopped')
  }

  /** From now on it goes by the changes that were promised. */
  changed(): void {
    this.#row = { ...this.#row, ...this.#promised }
    this.#promised = {}
  }

  #rowToStore(): MappingRow {
    this.#savedResult = this.#row.lastResult
    return { ...this.#row, ...this.#promised }
  }

  /** An upper bound of the records that it has not passed, from what is in memory. */
  get lagRecords(): number {
    const { log } = this.#around
    return this.#group && log.stream(this.#group.stream) ? lagRecords(log, this.#group) : 0
  }

  async measured(): Promise<MappingStatistics> {
    const { log, clock } = this.#around
    const records = this.lagRecords
    const age = this.#group && records > 0 ? await lagSeconds(log, this.#group, clock.now()).catch(() => 0) : 0
    return { ...countsOf(this.#counters), lagRecords: records, lagSeconds: Math.max(0, age) }
  }

  /** Begins to read where it stands. Returns at once. */
  start(): void {
    if (this.#run) return
    const group = this.#group
    if (!this.#row.enabled || this.#row.isOver || !group) return this.met('stopped')
    const { log, openDestination, commit, clock } = this.#around
    const { onFailure } = this.#row.settings
    let destination: Destination | undefined
    try {
      destination = onFailure === undefined ? undefined : openDestination(onFailure, this.id)
    } catch (error) {
      // The configuration has changed since. Without its destination it must give nothing up.
      this.#problem('PROBLEM: The on-failure destination cannot be opened', asMillraceError(error))
      return this.met('stopped')
    }
    const stop = new AbortController()
    setMaxListeners(0, stop.signal)
    const checkpoints = new Checkpoints({
      mapping: this.id,
      group,
      commit,
      clock,
      windows: this.#windows,
      rows: () => this.#changedRow(),
      onEnded: () => this.#open(),
      onFailure: (error) => this.#problem('PROBLEM: The position cannot be written', asMillraceError(error)),
    })
    // A stream that is gone has no news; what it had is read.
    const unsubscribe = log.stream(group.stream) ? log.onChange(group.stream, () => this.#noticed()) : () => {}
    this.#run = {
      stop,
      shards: new Map(),
      ends: new Set(),
      checkpoints,
      destination,
      unsubscribe,
      timers: new Set(),
      isPassing: false,
    }
    this.met('started')
    this.#open()
  }

  /** Resolves when no invocation is under way, and its positions are durable. */
  async stop(): Promise<void> {
    const run = this.#run
    if (!run) return
    run.unsubscribe()
    run.stop.abort()
    for (const timer of run.timers) timer.cancel()
    await Promise.all(run.ends)
    await run.checkpoints.flush()
    await run.destination?.close()
    if (this.#run === run) this.#run = undefined
  }

  /** As `stop`, for a daemon that closes: functions that do not answer are left to themselves, and called again. */
  async close(): Promise<void> {
    const { clock } = this.#around
    const run = this.#run
    let timer: Timer | undefined
    const late = new Promise<void>((resolve) => {
      timer = clock.setTimeout(resolve, closeMsMax)
    })
    await Promise.race([this.stop(), late])
    timer?.cancel()
    await run?.checkpoints.flush()
    run?.checkpoints.close()
  }

  #noticed(): void {
    const run = this.#run
    if (!run) return
    for (const shard of run.shards.values()) shard.noticed()
  }

  /** Opens the shards that may be read by now; where there is none left the stream has come to its end. */
  #open(): void {
    const { log } = this.#around
    const run = this.#run
    if (!run || run.stop.signal.aborted) return
    this.#learnEnd()
    // A shard that is done to its end has nothing more to be told.
    for (const id of run.shards.keys()) if (this.#group?.position(id)?.ended) run.shards.delete(id)
    const { last = Number.POSITIVE_INFINITY } = this.#row.source
    let isReading = false
    for (const position of (this.#group as DurableGroup).readable()) {
      const shard = log.shard(position.shard)
      if (!shard || shard.firstSequence > last) continue
      isReading = true
      if (!run.shards.has(shard.id)) this.#read(run, shard, position)
    }
    const gone = goneParents(log, this.#group as DurableGroup, last)
    if (gone.length > 0) this.#passOver(run, gone)
    else if (!isReading && this.#isClosed) void this.#end()
  }

  /** Shards were removed with records that it had not read: that is told, and their children are read. */
  #passOver(run: Run, gone: readonly Position[]): void {
    if (run.isPassing) return
    run.isPassing = true
    const group = this.#group as DurableGroup
    this.#counters.lost += gone.length
    const text = 'Shards were trimmed and removed before they were read; what follows them is.'
    this.#problem('PROBLEM: Records were trimmed before they were processed', new MillraceError('TRIMMED', text))
    const end = this.#around.commit
      .submit({ rows: group.rowsFor(gone), essential: true })
      .then(
        () => {
          group.moved(gone)
          run.isPassing = false
          this.#open()
        },
        (error: unknown) => {
          this.#problem('PROBLEM: The position cannot be written', asMillraceError(error))
          this.#later(run, () => {
            run.isPassing = false
            this.#open()
          })
        },
      )
      .finally(() => run.ends.delete(end))
    run.ends.add(end)
  }

  #later(run: Run, then: () => void): void {
    if (run.stop.signal.aborted) return
    const timer = this.#around.clock.setTimeout(() => {
      run.timers.delete(timer)
      then()
    }, rereadMs)
    run.timers.add(timer)
  }

  get #isClosed(): boolean {
    const { last, arn } = this.#row.source
    return last !== undefined || this.#around.tables.awsStream(arn) === undefined
  }

  /** A look from time to time: at a stream that was switched off, and whether what was to be read is being read. */
  look(): void {
    this.#learnEnd()
    if (this.#state === 'Enabled') this.start()
  }

  /** Remembers the end of its window over a change log that may go on for others: a day later nobody else knows it. */
  #learnEnd(): void {
    const { source } = this.#row
    // In the other states somebody else is about to write the row.
    if (source.last !== undefined || (this.#state !== 'Enabled' && this.#state !== 'Disabled')) return
    const last = this.#around.tables.awsStream(source.arn)?.last
    if (last === undefined) return
    this.#row = { ...this.#row, source: { ...source, last } }
    this.#around.commit
      .submit({ rows: [mappingEffect(this.#row)], essential: true })
      .catch((error: unknown) => this.#problem('PROBLEM: The stream has ended', asMillraceError(error)))
  }

  #read(run: Run, shard: Shard, position: Position): void {
    const delivery = this.#delivery(run, shard, position)
    run.shards.set(shard.id, delivery)
    const end = delivery
      .run()
      .catch((thrown: unknown) => this.#failed(run, shard, asMillraceError(thrown)))
      .finally(() => run.ends.delete(end))
    run.ends.add(end)
  }

  #failed(run: Run, { id }: Shard, error: MillraceError): void {
    this.#problem(`PROBLEM: A shard cannot be read (${error.code})`, error)
    this.#later(run, () => {
      run.shards.delete(id)
      this.#open()
    })
  }

  #delivery(run: Run, shard: Shard, position: Position): ShardDelivery {
    const { settings, functionName, source } = this.#row
    const { region, eventIdPrefix, eventIdOf, random } = this.#around
    const { view, arn } = source
    return new ShardDelivery({
      ...this.#around,
      mapping: this.id,
      functionName,
      functionArn: functionArnOf(this.#row, this.#around),
      position,
      window: this.#windows.get(shard.id),
      shardId: wireShardId(shard),
      settings: deliverySettings(settings, random),
      reports: settings.functionResponseTypes.includes('ReportBatchItemFailures'),
      frame: { view, region, eventIdPrefix, eventSourceArn: arn },
      filter: new RecordFilter(settings.filters ?? [], { view, region, arn, eventIdOf }),
      destination: run.destination,
      counters: this.#counters,
      sequenceOf,
      stop: run.stop.signal,
      onCheckpoint: (checkpoint) => run.checkpoints.moved(shard.id, checkpoint),
      onResult: (result, error) => this.#result(result, error),
    })
  }

  #result(result: ProcessingResult, error: MillraceError | undefined): void {
    if (error) this.#problem(result, error)
    else if (result !== this.#row.lastResult) this.#row = { ...this.#row, lastResult: result }
  }

  #problem(lastResult: string, error: MillraceError): void {
    const isNew = this.#row.lastResult !== lastResult
    this.#row = { ...this.#row, lastResult }
    this.#error = error
    if (!isNew) return
    const { functionName, source } = this.#row
    const about = { mapping: this.id, function: functionName, table: source.tableName, code: error.code }
    this.#around.logger.warn(about, `${lastResult.replace('PROBLEM: ', '')}: ${error.message}`)
  }

  /** For the commit of a position: what the last invocation came to is remembered with it. */
  #changedRow(): readonly RowEffect[] {
    if (this.#row.lastResult === this.#savedResult) return []
    return [mappingEffect(this.#rowToStore())]
  }

  /** Everything of a stream that was switched off is done. */
  async #end(): Promise<void> {
    await this.stop()
    if (this.#state !== 'Enabled') return
    this.met('ended')
    try {
      await this.#finish(this)
      this.met('stopped')
    } catch (error) {
      // The next look begins it again, which finds the end again.
      this.#promised = {}
      this.met('started')
      this.#problem('PROBLEM: The end of the stream cannot be written', asMillraceError(error))
    }
  }
}

const countsOf = (counts: MappingCounts): MappingCounts => ({ ...counts })

/** The sequence number that the wire shows as 1 and 20 digits. */
export function sequenceOf(wire: string): number | undefined {
  if (!/^1\d{20}$/.test(wire)) return undefined
  const sequence = Number(wire.slice(1))
  return Number.isSafeInteger(sequence) ? sequence : undefined
}

export function functionArnOf(
  { functionName, qualifier }: Pick<MappingRow, 'functionName' | 'qualifier'>,
  { region, accountId }: { readonly region: string; readonly accountId: string },
): string {
  const arn = `arn:aws:lambda:${region}:${accountId}:function:${functionName}`
  return qualifier === undefined ? arn : `${arn}:${qualifier}`
}

export function deliverySettings(settings: MappingSettings, random: () => number): DeliverySettings {
  const { maximumRetryAttempts, maximumRecordAgeInSeconds, tumblingWindowInSeconds } = settings
  return {
    batchSize: settings.batchSize,
    windowMs: settings.maximumBatchingWindowInSeconds * 1000,
    lanes: settings.parallelizationFactor,
    attemptsMax: maximumRetryAttempts < 0 ? Number.POSITIVE_INFINITY : maximumRetryAttempts + 1,
    ageMsMax: maximumRecordAgeInSeconds < 0 ? Number.POSITIVE_INFINITY : maximumRecordAgeInSeconds * 1000,
    bisects: settings.bisectBatchOnFunctionError,
    tumblingMs: tumblingWindowInSeconds * 1000,
    payloadBytesMax: eventBytesMax - frameBytes - (tumblingWindowInSeconds > 0 ? 1024 * 1024 : 0),
    backOff: (failures) => Math.round(backOffMs(failures, retryMs, retryMsMax, random)),
  }
}
