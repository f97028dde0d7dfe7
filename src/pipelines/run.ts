import type { LoadSink } from '../balance/index.js'
import type { BatchEffect, Commit, RecordEffect, RowEffect } from '../commit/index.js'
import type { Group, Position } from '../groups/index.js'
import type { ShardedLog, ShardId } from '../log/index.js'
import type { CellKey, SinkBatch } from '../operators/task.js'
import { asMillraceError, type Clock, killPoint, MillraceError, type Timer } from '../runtime/index.js'
import {
  barrierEffects,
  type CommittedFile,
  type FileSink,
  type SinkSurroundings,
  type SinkWork,
} from '../sinks/index.js'
import type { KeySchema } from '../tables/index.js'
import type { Place, WireError, WorkerPool } from '../workers/index.js'
import { cellOfState, type PipelineRow, sinkFileRow, stateKey, stateValue } from './rows.js'
import { SourceTask, type TaskBarrier } from './source-task.js'

/** Bounds of a run, from the configuration. */
export interface RunLimits {
  readonly barrierMs: number
  readonly barrierTimeoutMs: number
  readonly handoverBytes: number
  readonly handoversInFlightMax: number
  readonly epochBytesMax: number
  readonly stateBytesMax: number
}

/** Why a run ended by itself. */
export interface RunFailure {
  readonly error: MillraceError
  readonly stack: string | undefined
  readonly place: Place
  readonly shard: ShardId | undefined
  /** Whether this pipeline is to blame; a thread that another one took down is no attempt of ours. */
  readonly isCounted: boolean
}

export interface RunOptions {
  readonly row: PipelineRow
  readonly group: Group
  readonly commit: Commit
  readonly log: ShardedLog
  readonly workers: WorkerPool
  readonly load: LoadSink
  readonly sinks: SinkSurroundings
  readonly clock: Clock
  readonly limits: RunLimits
  /** The bundle, as workers load it. */
  readonly moduleFile: string
  readonly hashKeyName: string | undefined
  /** The keys of the tables of table sinks, by the index of the step. */
  readonly sinkKeys: Readonly<Record<number, KeySchema>>
  /** Open files of file sinks, by the index of their step. */
  readonly files: ReadonlyMap<number, FileSink>
  readonly onFailure: (failure: RunFailure) => void
  /** A barrier has committed. */
  readonly onCommitted: (positions: readonly Position[], rows: number, seconds: number) => void
  /** The source is gone and everything of it has been delivered. */
  readonly onDrained: () => void
  readonly onRows: (rowsIn: readonly number[], seconds: number) => void
}

interface Barrier {
  readonly number: number
  readonly began: number
  readonly waiting: Set<SourceTask>
  readonly parts: TaskBarrier[]
  readonly timer: Timer
}

/**
 * One incarnation of a pipeline, from its last commit to its end or failure. Its commit is an aligned barrier: it follows
 * the chunks through every task, and when all have passed it one effect set carries every position, all state and all
 * outputs. One barrier is in flight; tasks go on into the next epoch meanwhile.
 */
export class PipelineRun {
  readonly #options: RunOptions
  readonly #tasks = new Map<ShardId, SourceTask>()
  readonly #stopListening: () => void
  #barrier: Barrier | undefined
  #committing: Promise<void> | undefined
  #number = 0
  #timer: Timer | undefined
  #lastBarrier = 0
  #isOver = false
  /** Bytes that were handed over since the last barrier. */
  #epochBytes = 0

  constructor(options: RunOptions) {
    this.#options = options
    this.#stopListening = options.log.onChange(options.row.stream, () => this.#wake())
    this.#openTasks()
  }

  /** The barrier that is under way: sent, or being committed. */
  get barrierInFlight(): boolean {
    return this.#barrier !== undefined || this.#committing !== undefined
  }

  get barriers(): number {
    return this.#number
  }

  get taskCount(): number {
    return this.#tasks.size
  }

  /** Tasks come and go only between a commit and the next barrier. */
  #openTasks(): void {
    const { group, log, row } = this.#options
    for (const position of group.readable()) {
      if (this.#tasks.has(position.shard)) continue
      this.#tasks.set(position.shard, this.#openTask(position))
    }
    const stream = log.stream(row.stream)
    if (this.#tasks.size === 0 && (!stream || stream.closedAt !== undefined)) {
      this.stop()
      this.#options.onDrained()
      return
    }
    this.#wake()
  }

  #openTask(position: Position): SourceTask {
    const { workers, load, moduleFile, row, hashKeyName, sinkKeys, limits, log } = this.#options
    const task: SourceTask = new SourceTask({
      position,
      stream: row.stream,
      log,
      handoverBytes: Math.min(limits.handoverBytes, limits.epochBytesMax),
      handoversInFlightMax: limits.handoversInFlightMax,
      mayRead: () => !this.#isOver && this.#epochBytes < limits.epochBytesMax,
      onRead: (bytes) => {
        this.#epochBytes += bytes
        this.#schedule()
      },
      onError: (error) =>
        this.#fail({
          error: asMillraceError(error),
          stack: undefined,
          place: nowhere,
          shard: position.shard,
          isCounted: true,
        }),
      onIdle: () => this.#schedule(),
    })
    task.handle = workers.open(
      { file: moduleFile, label: row.plan.name, hashKeyName, sinkKeys, stateBytesMax: limits.stateBytesMax },
      {
        done: (buffer, rowsIn, seconds) => {
          if (this.#isOver) return
          this.#options.onRows(rowsIn, seconds)
          load.spent(position.shard, row.plan.name, rowsIn[0] ?? 0, seconds * 1000)
          task.done(buffer)
        },
        barrier: (number, result) => this.#passed(task, number, result),
        fetch: (cells) => this.#fetch(cells, position.shard),
        failed: (error, place) =>
          this.#fail({ error: thrown(error), stack: error.stack, place, shard: position.shard, isCounted: true }),
        lost: (error, place, isCulprit) =>
          this.#fail({
            error,
            stack: undefined,
            place: isCulprit ? place : nowhere,
            shard: position.shard,
            isCounted: isCulprit,
          }),
      },
    )
    return task
  }

  #wake(): void {
    if (this.#isOver) return
    for (const task of this.#tasks.values()) task.pump()
  }

  async #fetch(cells: readonly CellKey[], shard: ShardId): Promise<readonly (Buffer | undefined)[]> {
    const { commit, row } = this.#options
    try {
      const values = await commit.readDurableMany(cells.map((cell) => stateKey(row.id, cell)))
      return values.map((value) => value && cellOfState(value))
    } catch (error) {
      this.#fail({ error: asMillraceError(error), stack: undefined, place: nowhere, shard, isCounted: true })
      throw error
    }
  }

  /** Sends a barrier when there is something to commit, as soon as the last one returned and `barrierMs` are over. */
  #schedule(): void {
    if (this.#isOver || this.#barrier || this.#committing || this.#timer) return
    if (![...this.#tasks.values()].some((task) => task.hasProgress)) return
    const { clock, limits } = this.#options
    const wait =
      this.#epochBytes >= limits.epochBytesMax
        ? 0
        : Math.max(0, this.#lastBarrier + limits.barrierMs - clock.monotonic())
    this.#timer = clock.setTimeout(() => {
      this.#timer = undefined
      this.#sendBarrier()
    }, wait)
  }

  #sendBarrier(): void {
    if (this.#isOver) return
    const { clock, limits, row } = this.#options
    const number = ++this.#number
    const waiting = new Set(this.#tasks.values())
    const timer = clock.setTimeout(() => {
      const late = [...waiting].map((task) => task.shard).join(', ')
      const error = new MillraceError(
        'STEP_TIMEOUT',
        `A barrier of ${row.plan.name} waits for the task of shard ${late} for more than ${limits.barrierTimeoutMs} ms (pipelines.barrierTimeoutMs).`,
      )
      this.#fail({ error, stack: undefined, place: nowhere, shard: undefined, isCounted: true })
    }, limits.barrierTimeoutMs)
    this.#barrier = { number, began: performance.now(), waiting, parts: [], timer }
    this.#epochBytes = 0
    for (const task of waiting) task.sendBarrier(number)
    this.#wake()
  }

  #passed(task: SourceTask, number: number, result: TaskBarrier['result']): void {
    const barrier = this.#barrier
    if (this.#isOver || barrier?.number !== number) return
    barrier.waiting.delete(task)
    barrier.parts.push({ task, result, position: task.barrierPosition(number) })
    if (barrier.waiting.size > 0) return
    barrier.timer.cancel()
    this.#barrier = undefined
    this.#committing = this.#commitBarrier(barrier)
      .catch((error: unknown) => this.#failCommit(error))
      .finally(() => {
        this.#committing = undefined
        this.#schedule()
      })
  }

  async #commitBarrier(barrier: Barrier): Promise<void> {
    const { commit, group, row, sinks, clock } = this.#options
    // In the order of shards, so that the outputs of one barrier come in an order that can be repeated.
    const parts = barrier.parts.sort((a, b) => a.task.shard - b.task.shard)
    killPoint('pipeline:barrier')
    const effects = await barrierEffects(this.#workOf(parts), sinks, clock.now())
    killPoint('pipeline:effects')
    let submitted: Promise<unknown>
    const positions = parts.map((part) => part.position)
    let cells = 0
    try {
      const rows: RowEffect[] = [...group.rowsFor(positions), ...effects.rows]
      for (const { result } of parts) {
        cells += result.cells.length
        for (const cell of result.cells) rows.push({ key: stateKey(row.id, cell), value: stateValue(cell.value) })
      }
      for (const [step, file] of effects.files) rows.push(sinkFileRow(row.id, step, file as CommittedFile))
      const records: readonly (RecordEffect | BatchEffect)[] = effects.records
      // A run that was stopped while its sinks wrote must not move the group any more.
      if (this.#isOver) return
      submitted = commit.submit({
        rows,
        records,
        ...effects.shapes,
        ...(isPositionOnly(effects.rows, records, cells) ? { essential: true } : {}),
      })
    } finally {
      effects.release()
    }
    await submitted
    killPoint('pipeline:committed')
    group.moved(positions)
    this.#lastBarrier = clock.monotonic()
    this.#options.onCommitted(positions, cells, (performance.now() - barrier.began) / 1000)
    if (this.#isOver) return
    for (const { task, position } of parts) {
      task.handle?.committed(barrier.number)
      if (!position.ended) continue
      task.stop()
      this.#tasks.delete(task.shard)
    }
    this.#openTasks()
  }

  #workOf(parts: readonly TaskBarrier[]): SinkWork[] {
    const gathered = new Map<number, { entries: string[]; batches: SinkBatch[] }>()
    for (const { result } of parts) {
      for (const { sink, entries, batch } of result.outputs) {
        const all = gathered.get(sink) ?? { entries: [], batches: [] }
        gathered.set(sink, all)
        for (const entry of entries) all.entries.push(entry)
        if (batch) all.batches.push(batch)
      }
    }
    return [...gathered].map(([index, { entries, batches }]): SinkWork => {
      const step = this.#options.row.plan.steps[index]
      if (step?.kind !== 'sink') throw new MillraceError('INTERNAL', `Step ${index} is no sink.`)
      const { kind, target } = step.sink
      if (kind === 'stream') return { kind, name: target, batches }
      if (kind === 'table') return { kind, name: target, schema: this.#options.sinkKeys[index] as KeySchema, entries }
      return { kind, index, file: this.#options.files.get(index) as FileSink, entries }
    })
  }

  #failCommit(thrownError: unknown): void {
    const error = asMillraceError(thrownError)
    // A store that failed takes every room down with it: the daemon opens them again.
    if (error.code === 'STORE_FAILED') return this.stop()
    const isPassing = error.code === 'STORAGE_FULL' || error.code === 'TOO_BUSY'
    this.#fail({ error, stack: error.stack, place: nowhere, shard: undefined, isCounted: !isPassing })
  }

  #fail(failure: RunFailure): void {
    if (this.#isOver) return
    this.stop()
    this.#options.onFailure(failure)
  }

  /** Discards everything that has not been committed. */
  stop(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#stopListening()
    this.#timer?.cancel()
    this.#barrier?.timer.cancel()
    this.#barrier = undefined
    for (const task of this.#tasks.values()) task.stop()
    this.#tasks.clear()
  }

  /** Resolves when nothing of this run is on its way into the store or a file any more. */
  async ended(): Promise<void> {
    await this.#committing
  }
}

const nowhere: Place = { step: undefined, sequence: undefined }

const isPositionOnly = (rows: readonly unknown[], records: readonly unknown[], cells: number): boolean =>
  rows.length === 0 && records.length === 0 && cells === 0

function thrown({ code, message }: WireError): MillraceError {
  return new MillraceError(code === 'EFFECT_TOO_LARGE' ? code : 'PIPELINE_FAILED', message)
}
