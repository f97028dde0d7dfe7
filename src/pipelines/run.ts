import type { LoadSink } from '../balance/index.js'
import { type Commit, effectSetBytes } from '../commit/index.js'
import type { Position } from '../groups/index.js'
import type { Sequence, ShardedLog, ShardId } from '../log/index.js'
import type { NodeId } from '../operators/index.js'
import type { Stages, TimerPage, TimerRequest } from '../operators/task/index.js'
import { asMillraceError, type Clock, killPoint, MillraceError, type Timer } from '../runtime/index.js'
import { barrierEffects, type FileSink, type Outbox, type SinkSurroundings } from '../sinks/index.js'
import type { Storage } from '../storage/index.js'
import type { TableKeys } from '../tables/index.js'
import type {
  PackedBarrier,
  Place,
  RowsOfPipeline,
  TaskListener,
  TaskWork,
  WireError,
  WorkerPool,
} from '../workers/index.js'
import {
  type BarrierPart,
  type BarrierRows,
  effectsOf,
  positionsOf,
  rowsOf,
  rowsOfPipeline,
  workOf,
} from './barrier-commit.js'
import type { EpochCommit } from './epoch-size.js'
import { EventTimes, type OwnedTimes } from './event-times.js'
import type { Feeder, FeedProgress } from './feeds/index.js'
import { type OnlyCause, onlyCauseOf } from './only-cause.js'
import type { PipelineRow } from './rows.js'
import type { RunParking } from './run-parking.js'
import { type OnlyRecord, type RunSource, type RunTask, RunTasks } from './run-tasks.js'
import type { StoredTimes } from './time-rows.js'
import { timerPage } from './timer-pages.js'

/** Barriers between two looks for the times of shards that nobody needs any more. */
const forgetEvery = 64
/** Longest time of a timer of the platform. */
const timerMsMax = 2 ** 31 - 1

/** Bounds of a run, from the configuration. */
export interface RunLimits {
  readonly barrierMs: number
  readonly backlogBarrierMs: number
  readonly barrierTimeoutMs: number
  readonly handoverBytes: number
  readonly handoversInFlightMax: number
  /** May change while the run is under way. */
  readonly epochBytesMax: number
  /** Records of each shard between two barriers; 1: of all shards. It may change too. Absent: they are not counted. */
  readonly recordsMax?: number | undefined
  /** About how much timers may make between two barriers; it may change too. Absent: all that they do. */
  readonly firedBytesMax?: number | undefined
  /** What one commit may hold. */
  readonly effectSetBytesMax: number
  readonly stateBytesMax: number
}

/** Why a run ended by itself. */
export interface RunFailure {
  readonly error: MillraceError
  readonly stack: string | undefined
  readonly place: Place
  readonly shard: ShardId | undefined
  /** The stage that user code was run in, where it is to blame. */
  readonly stage: number | undefined
  /** Whether this pipeline is to blame; a thread that another one took down is no attempt of ours. */
  readonly isCounted: boolean
  /** A thread took too much memory, and this pipeline may be why. */
  readonly isOfMemory?: boolean
  /** What makes too much for a commit by itself: nothing else was run since the last one. */
  readonly only?: OnlyCause | undefined
}

/** What the last commit left behind. */
export interface RunState {
  /** Whether it left no state and no timer at all. */
  readonly isNew: boolean
  readonly times: StoredTimes
}

export interface RunOptions {
  readonly row: PipelineRow
  readonly stages: Stages
  readonly state: RunState
  readonly sources: readonly RunSource[]
  /** The first sequence number that it reads no more, where it is to come to an end though it is no bounded run. */
  readonly until: Sequence | undefined
  /** What fills the streams of some of them. */
  readonly feeders: readonly Feeder[]
  readonly commit: Commit
  readonly storage: Pick<Storage, 'page'>
  readonly log: ShardedLog
  readonly workers: WorkerPool
  readonly load: LoadSink
  readonly sinks: SinkSurroundings
  readonly clock: Clock
  readonly limits: RunLimits
  /** The bundle, as workers load it. */
  readonly moduleFile: string
  /** The keys of the tables of table sinks, by their nodes. */
  readonly sinkKeys: Readonly<Record<NodeId, TableKeys>>
  /** Open files of file sinks, by their nodes. */
  readonly files: ReadonlyMap<NodeId, FileSink>
  /** Outboxes of sinks that go outside, by their nodes. */
  readonly outboxes: ReadonlyMap<NodeId, Outbox>
  readonly parking: RunParking
  /** A careful run has committed what failed, and nothing fails any more: an ordinary one may follow. */
  readonly onMended: () => void
  readonly onFailure: (failure: RunFailure) => void
  /** A barrier has committed. */
  readonly onCommitted: (positions: readonly Position[], seconds: number, epoch: EpochCommit) => void
  /** The sources are gone and everything of them has been delivered. */
  readonly onDrained: () => void
  /** A run that ends has come to its end. */
  readonly onFinished: () => void
  readonly onWork: (work: TaskWork) => void
  /** Results of a sink that is held back were dropped. */
  readonly onHeld: (sink: NodeId, records: number) => void
}

interface Barrier {
  readonly number: number
  readonly began: number
  readonly waiting: Set<RunTask>
  readonly parts: Map<RunTask, BarrierPart>
  readonly timer: Timer
}

/**
 * One incarnation of a pipeline, from its last commit to its end or failure. Its commit is an aligned barrier: it follows
 * the records through every task, and when all have passed it one effect set carries every position, all state, timers and
 * event time, and all outputs. One barrier is in flight; tasks go on into the next epoch meanwhile.
 */
export class PipelineRun {
  readonly #options: RunOptions
  readonly #tasks: RunTasks
  readonly #times: EventTimes
  readonly #rows: RowsOfPipeline
  readonly #stopListening: (() => void)[]
  #barrier: Barrier | undefined
  #committing: Promise<void> | undefined
  #number = 0
  #timer: Timer | undefined
  #filesTimer: Timer | undefined
  #lastBarrier = 0
  /** From when the last barrier was sent until it had committed. */
  #barrierTookMs = 0
  #sentAt = 0
  /** When the next one is sent, where that is planned. */
  #barrierDue = 0
  #isOver = false
  /** Bytes that were handed over since the last barrier. */
  #epochBytes = 0
  /** What was read since the last commit, where that is one record. */
  #only: OnlyRecord | undefined
  /** Timers have fired since the last barrier. */
  #hasTicked = false
  /** Some wait for the next one. */
  #hasHeld = false
  /** Tasks where event time waits for timers: nothing is read before they have fired. */
  readonly #behind = new Set<RunTask>()
  #isNew: boolean
  /** Reads nothing more, and stops after the last barrier. */
  #isFinishing = false
  #hasSentLast = false
  #onOver: (() => void) | undefined
  readonly #until: Sequence | undefined

  constructor(options: RunOptions) {
    this.#options = options
    this.#isNew = options.state.isNew
    this.#times = new EventTimes(options.row.id, options.state.times)
    this.#rows = rowsOfPipeline(options.row)
    this.#until = options.row.bounded?.until ?? options.until
    this.#tasks = new RunTasks({
      ...options,
      until: this.#until,
      times: this.#times,
      rows: this.#rows,
      isNew: () => this.#isNew,
      mayRead: () => this.#mayRead,
      onRead: (bytes, only) => {
        this.#epochBytes += bytes
        this.#only = only
        this.#schedule()
      },
      onError: (error, shard) => this.#failAs(asMillraceError(error), shard),
      onCaughtUp: () => this.#schedule(),
      listen: (task) => this.#listener(task),
    })
    this.#stopListening = options.sources.map(({ row }) => options.log.onChange(row.stream, () => this.#pump()))
    this.#follow()
    void this.#awaitFiles()
    for (const feeder of options.feeders) feeder.start((error) => this.#failCommit(error))
  }

  /** The barrier that is under way: sent, or being committed. */
  get barrierInFlight(): boolean {
    return this.#barrier !== undefined || this.#committing !== undefined
  }

  /** Whether the sources wait until more has been delivered. */
  get hasFullOutbox(): boolean {
    for (const outbox of this.#options.outboxes.values()) if (outbox.isFull) return true
    return false
  }

  /** An outbox has room again. */
  roomMade(): void {
    this.#pump()
  }

  /** A careful run is likely to be over with its barrier: what it read behind that would be read again. */
  get #mayRead(): boolean {
    const { limits, parking } = this.#options
    if (
      this.#isOver ||
      this.#isFinishing ||
      this.hasFullOutbox ||
      parking.isFull ||
      this.#behind.size > 0 ||
      (parking.careful && this.barrierInFlight)
    )
      return false
    // One record between two commits: neither one that is under way nor another record, also one that is tried again.
    if (limits.recordsMax === 1 && (this.barrierInFlight || this.#only || parking.retried)) return false
    return this.#epochBytes < limits.epochBytesMax
  }

  /** Bytes of its source files that were read, and all; undefined where there are none, or nothing is known yet. */
  get files(): FeedProgress | undefined {
    const known = this.#options.feeders.flatMap(({ progress }) => progress ?? [])
    if (known.length === 0) return undefined
    return { read: known.reduce((sum, { read }) => sum + read, 0), all: known.reduce((sum, { all }) => sum + all, 0) }
  }

  get taskCount(): number {
    return this.#tasks.count
  }

  /** How far the event time of the slowest task is, milliseconds since 1970; undefined where nothing asks for it. */
  get watermark(): number | undefined {
    return this.#times.lowest((root, shard) => this.#tasks.isReading(root, shard))
  }

  /** How far event time is in each shard that is read and each keyed stage; empty where nothing asks for it. */
  get eventTimes(): readonly OwnedTimes[] {
    return this.#times
      .all()
      .filter(({ owner }) => owner.kind === 'stage' || this.#tasks.isReading(owner.root, owner.shard))
  }

  /** Tasks come and go only between a commit and the next barrier. */
  #follow(): void {
    this.#tasks.follow()
    const { onFinished, onDrained } = this.#options
    const isEnding = this.#until !== undefined
    const isThrough = isEnding ? this.#tasks.isFinished : this.#tasks.isDrained
    if (isThrough && this.#behind.size === 0) {
      this.stop()
      return isEnding ? onFinished() : onDrained()
    }
    this.#pump()
  }

  #pump(): void {
    if (!this.#isOver) this.#tasks.pump()
  }

  #listener(task: () => RunTask): TaskListener {
    const shardOf = ({ owner }: RunTask): ShardId | undefined => (owner.kind === 'shard' ? owner.shard : undefined)
    return {
      done: (buffer, work) => {
        if (this.#isOver) return
        this.#work(task(), work)
        task().source?.task.done(buffer)
      },
      barrier: (number, result, work) => {
        if (this.#isOver) return
        this.#work(task(), work)
        this.#passed(task(), number, result)
      },
      ticked: () => {
        this.#hasTicked = true
        this.#schedule()
      },
      held: (isBehind) => {
        if (isBehind) this.#behind.add(task())
        this.#hasHeld = true
        this.#hasTicked = true
        this.#schedule()
      },
      fetchCells: (keys) => this.#fetchCells(keys, shardOf(task())),
      fetchTimers: (wanted) => this.#fetchTimers(wanted, task()),
      failed: (error, place) =>
        this.#fail({
          error: thrown(error),
          stack: error.stack,
          place,
          shard: shardOf(task()),
          stage: task().stage,
          isCounted: true,
        }),
      lost: (error, { place, isCulprit, isOfMemory }) =>
        this.#fail({
          error,
          stack: undefined,
          place: isCulprit ? place : nowhere,
          shard: shardOf(task()),
          stage: task().stage,
          isCounted: isCulprit,
          isOfMemory,
        }),
    }
  }

  /** Only what a shard itself costs is told to the balancer: what it sends to keyed tasks is the same for any cut of it. */
  #work({ owner }: RunTask, work: TaskWork): void {
    this.#options.onWork(work)
    if (owner.kind !== 'shard') return
    const { load, row } = this.#options
    const records = Math.max(0, ...work.counters.rowsIn)
    load.spent(owner.shard, row.plan.name, records, work.seconds * 1000)
  }

  async #fetchCells(keys: readonly Buffer[], shard: ShardId | undefined): Promise<readonly (Buffer | undefined)[]> {
    try {
      return await this.#options.commit.readDurableMany(keys)
    } catch (error) {
      this.#failAs(asMillraceError(error), shard)
      throw error
    }
  }

  async #fetchTimers({ node, ...wanted }: TimerRequest, { range, owner }: RunTask): Promise<TimerPage> {
    try {
      const state = this.#rows.numbers[node] as number
      const { timers, next } = await timerPage(
        this.#options.storage,
        { ...wanted, start: this.#rows.timer, state },
        range,
      )
      return {
        timers: timers.map(({ state: _state, key, ...timer }) => ({ ...timer, key: Buffer.from(key), node })),
        next,
      }
    } catch (error) {
      this.#failAs(asMillraceError(error), owner.kind === 'shard' ? owner.shard : undefined)
      throw error
    }
  }

  /** Sends a barrier when there is something to commit, as soon as the last one returned and the pause behind it is over. */
  #schedule(): void {
    if (this.#isOver || this.#barrier || this.#committing) return
    if (this.#isFinishing) return this.#finish()
    if (!this.#hasTicked && !this.#tasks.hasProgress) return
    const { clock } = this.#options
    const due = this.#lastBarrier + this.#pauseMs
    if (this.#timer) {
      if (due >= this.#barrierDue) return
      this.#timer.cancel()
    }
    this.#barrierDue = due
    this.#timer = clock.setTimeout(
      () => {
        this.#timer = undefined
        this.#sendBarrier()
      },
      Math.max(0, due - clock.monotonic()),
    )
  }

  /**
   * Behind a backlog nobody waits for the newest result, and what changes often is written once a commit: there it commits when
   * the epoch is full, or after `backlogBarrierMs`. Where it keeps up, waiting gains nothing but fewer commits: half as long as
   * the last one took is enough for the thread to do other things, too.
   */
  get #pauseMs(): number {
    const { limits, parking } = this.#options
    if (this.#hasHeld || this.#epochBytes >= limits.epochBytesMax || limits.recordsMax !== undefined) return 0
    if (parking.careful) return limits.barrierMs
    return this.#tasks.keepsUp ? Math.min(limits.barrierMs, this.#barrierTookMs / 2) : limits.backlogBarrierMs
  }

  /** Has a barrier sent when a file is to be rolled though nothing is written to it. */
  async #awaitFiles(): Promise<void> {
    const { clock, files } = this.#options
    for (const file of files.values()) await file.settled()
    this.#filesTimer?.cancel()
    const due = [...files.values()].flatMap(({ dueAt }) => dueAt ?? [])
    if (due.length === 0 || this.#isOver) return
    const ms = Math.min(timerMsMax, Math.max(0, Math.min(...due) - clock.now()))
    this.#filesTimer = clock.setTimeout(() => {
      this.#hasTicked = true
      this.#schedule()
      // A wait that is longer than a timer's longest is not over yet: the barrier that follows looks again.
    }, ms)
  }

  /**
   * Reads nothing more, commits what was read with a last barrier, and stops. Resolves when the run is over, also where it
   * fails instead.
   */
  async finish(): Promise<void> {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#isFinishing = true
    const over = new Promise<void>((resolve) => {
      this.#onOver = resolve
    })
    this.#schedule()
    if (!this.#isOver) await over
    await this.ended()
  }

  #finish(): void {
    if (this.#hasSentLast || !(this.#hasTicked || this.#tasks.hasProgress)) return this.stop()
    this.#hasSentLast = true
    this.#sendBarrier()
  }

  #sendBarrier(): void {
    if (this.#isOver) return
    const { clock, limits, row } = this.#options
    const number = ++this.#number
    this.#sentAt = clock.monotonic()
    const waiting = new Set(this.#tasks.all())
    const timer = clock.setTimeout(() => {
      const late = [...waiting].map((task) => task.label).join(', ')
      const error = new MillraceError(
        'STEP_TIMEOUT',
        `A barrier of ${row.plan.name} waits for ${late} for more than ${limits.barrierTimeoutMs} ms (pipelines.barrierTimeoutMs).`,
      )
      this.#failAs(error, undefined)
    }, limits.barrierTimeoutMs)
    this.#barrier = { number, began: performance.now(), waiting, parts: new Map(), timer }
    this.#epochBytes = 0
    this.#hasTicked = false
    this.#hasHeld = false
    for (const { source, handle } of waiting)
      if (source) source.task.sendBarrier(number)
      else handle.barrier(number, false)
    this.#pump()
  }

  #passed(task: RunTask, number: number, result: PackedBarrier): void {
    const barrier = this.#barrier
    if (barrier?.number !== number || !barrier.waiting.delete(task)) return
    const { isBehind } = result
    barrier.parts.set(task, { task, result, position: task.source?.task.barrierPosition(number, isBehind) })
    if (isBehind) {
      this.#behind.add(task)
      // It goes on with them at once.
      this.#hasHeld = true
      this.#hasTicked = true
    } else this.#behind.delete(task)
    if (barrier.waiting.size > 0) return
    barrier.timer.cancel()
    this.#barrier = undefined
    this.#committing = this.#commitBarrier(barrier)
      .catch((error: unknown) => this.#failCommit(error))
      .finally(() => {
        this.#committing = undefined
        // A careful run reads nothing while a barrier is in flight.
        this.#pump()
        this.#schedule()
        void this.#awaitFiles()
      })
  }

  async #commitBarrier(barrier: Barrier): Promise<void> {
    const { commit, row, sinks, clock, sinkKeys, files, outboxes } = this.#options
    const parts = this.#tasks.all().map((task) => barrier.parts.get(task) as BarrierPart)
    killPoint('pipeline:barrier')
    const now = clock.now()
    const { work, held } = workOf(parts, { row, sinkKeys, files, outboxes }, now)
    const effects = await barrierEffects(work, sinks, now)
    killPoint('pipeline:effects')
    let submitted: Promise<unknown>
    let epoch: EpochCommit
    const positions = positionsOf(parts)
    try {
      // A run that was stopped while its sinks wrote must not move its groups any more.
      if (this.#isOver) return
      const rows = this.#rowsOf(parts)
      const set = effectsOf(positions, rows, effects, row)
      submitted = commit.submit(set)
      epoch = { bytes: effectSetBytes(set), changes: rows.changes, isBehind: !this.#tasks.keepsUp }
      // Before whoever looks sees the new positions.
      if (parts.some(({ result }) => result.isBehind)) this.#tellDueTimers(true)
    } finally {
      effects.release()
    }
    await submitted
    killPoint('pipeline:committed')
    this.#only = undefined
    effects.committed()
    for (const [{ group }, ofSource] of positions) group.moved(ofSource)
    this.#tellDueTimers(this.#behind.size > 0)
    for (const feeder of this.#options.feeders) feeder.moved()
    const { parking } = this.#options
    const isClean = parking.committed(parts)
    this.#lastBarrier = clock.monotonic()
    this.#barrierTookMs = this.#lastBarrier - this.#sentAt
    for (const { sink, records } of held) this.#options.onHeld(sink, records)
    this.#options.onCommitted([...positions.values()].flat(), (performance.now() - barrier.began) / 1000, epoch)
    if (this.#isOver) return
    if (parking.careful && isClean && this.#tasks.hasPassed(parking.careful.until)) {
      this.stop()
      return this.#options.onMended()
    }
    // Another barrier, in which nothing fails, ends the careful run.
    if (parking.careful && !isClean) this.#hasTicked = true
    for (const { task } of parts) task.handle.committed(barrier.number)
    if (this.#isFinishing) return
    this.#tasks.awaitIdleness()
    this.#follow()
  }

  /** Whether windows of what was read fire in commits that follow. */
  #tellDueTimers(hasDueTimers: boolean): void {
    for (const { group } of this.#options.sources) group.hasDueTimers = hasDueTimers
  }

  #rowsOf(parts: readonly BarrierPart[]): BarrierRows {
    const { rows, changes, stateChanges } = rowsOf(parts, this.#times)
    if (stateChanges > 0) this.#isNew = false
    if (this.#number % forgetEvery !== 1) return { rows, changes, stateChanges }
    const gone = this.#times.forget((root, shard) => this.#tasks.hasHeirs(root, shard))
    return { rows: [...rows, ...gone], changes, stateChanges }
  }

  #failCommit(thrownError: unknown): void {
    const error = asMillraceError(thrownError)
    // A store that failed takes every room down with it: the daemon opens them again.
    if (error.code === 'STORE_FAILED') return this.stop()
    const isPassing = error.code === 'STORAGE_FULL' || error.code === 'TOO_BUSY'
    this.#fail({ error, stack: error.stack, place: nowhere, shard: undefined, stage: undefined, isCounted: !isPassing })
  }

  #failAs(error: MillraceError, shard: ShardId | undefined): void {
    this.#fail({ error, stack: undefined, place: nowhere, shard, stage: undefined, isCounted: true })
  }

  #fail(failure: RunFailure): void {
    if (this.#isOver) return
    const { limits, parking } = this.#options
    const isAlone = failure.error.code === 'EFFECT_TOO_LARGE' && limits.recordsMax === 1
    const only = isAlone ? onlyCauseOf(failure.error, parking.retried, this.#only) : undefined
    this.stop()
    this.#options.onFailure({ ...failure, only })
  }

  /** Discards everything that has not been committed. */
  stop(): void {
    if (this.#isOver) return
    this.#isOver = true
    for (const stopListening of this.#stopListening) stopListening()
    this.#timer?.cancel()
    this.#filesTimer?.cancel()
    this.#barrier?.timer.cancel()
    this.#barrier = undefined
    this.#tasks.stop()
    for (const feeder of this.#options.feeders) feeder.stop()
    this.#onOver?.()
  }

  /** Resolves when nothing of this run is on its way into the store or a file any more. */
  async ended(): Promise<void> {
    await this.#committing
    for (const feeder of this.#options.feeders) await feeder.ended()
  }
}

const nowhere: Place = { node: undefined, sequence: undefined }

function thrown({ code, message }: WireError): MillraceError {
  return new MillraceError(code === 'EFFECT_TOO_LARGE' ? code : 'PIPELINE_FAILED', message)
}
