import type { LoadSink } from '../balance/index.js'
import { type Commit, Family, type RowEffect } from '../commit/index.js'
import type { Group, Position } from '../groups/index.js'
import type { ShardedLog } from '../log/index.js'
import { type NodeId, type PlanDescription, withoutSecrets } from '../operators/index.js'
import { stagesOf } from '../operators/task/index.js'
import { asMillraceError, type Clock, killPoint, type Logger, MillraceError, type Timer } from '../runtime/index.js'
import { type CommittedFile, FileSink, type Outbox, type OutboxView, type SinkSurroundings } from '../sinks/index.js'
import type { Storage } from '../storage/index.js'
import type { KeySchema } from '../tables/index.js'
import type { TaskWork, WorkerPool } from '../workers/index.js'
import {
  afterPipelineEvent,
  openedState,
  type PipelineEvent,
  type PipelineState,
  pipelineLifecycle,
  storedState,
} from './pipeline-lifecycle.js'
import { consumersOf, fileShape, sourceName, stepLabel, stepOf, stepsOf } from './plan-steps.js'
import { removeRows } from './removal.js'
import {
  type Bounded,
  type Dropped,
  type Failure,
  type OutboxRow,
  type PipelineRow,
  pipelineRow,
  rowsOfState,
} from './rows.js'
import { PipelineRun, type RunFailure, type RunLimits } from './run.js'
import { storedState as runState } from './run-state.js'
import type { RunSource } from './run-tasks.js'

export interface PipelineLimits extends RunLimits {
  readonly attemptsMax: number
  readonly retryMs: number
  readonly outboxBytesMax: number
}

export interface PipelineSurroundings {
  readonly commit: Commit
  readonly storage: Storage
  readonly log: ShardedLog
  readonly workers: WorkerPool
  /** Hears what the records of each shard cost. */
  readonly load: LoadSink
  readonly sinks: SinkSurroundings
  readonly clock: Clock
  readonly logger: Logger
  readonly limits: PipelineLimits
}

/** What belongs to one pipeline and is known at its opening. */
export interface PipelineParts {
  /** In the order of their nodes. */
  readonly sources: readonly RunSource[]
  /** How far a bounded run is. */
  readonly passed: () => { readonly passed: number; readonly all: number }
  readonly moduleFile: () => Promise<string>
  /** Deletes the group of a source that it reads no more. */
  readonly dropGroup: (name: string) => Promise<void>
  /** Removes the outbox of a sink that it has no more. */
  readonly dropOutbox: (outbox: OutboxRow) => Promise<void>
  readonly sinkKeys: () => Readonly<Record<NodeId, KeySchema>>
  /** Committed files of its file sinks, by their nodes. */
  readonly files: () => Promise<ReadonlyMap<NodeId, CommittedFile>>
  /** Outboxes of its sinks that go outside, by their nodes; `onRoom`: one that was full has room again. */
  readonly outboxes: (moduleFile: string, onRoom: () => void) => Promise<ReadonlyMap<NodeId, Outbox>>
}

/** What is shown of a pipeline. */
export interface PipelineView {
  readonly name: string
  /** The first of its sources. */
  readonly source: string
  readonly sources: readonly string[]
  readonly state: PipelineState
  readonly group: string
  readonly attempts: number
  readonly createdAt: number
  /** How many modules it has had. */
  readonly revision: number
  /** Of a bounded run: what it reads, and how many of these sequence numbers of all shards it has passed. */
  readonly bounded?: Bounded & { readonly passed: number; readonly all: number }
  readonly steps: readonly { readonly kind: string; readonly name?: string; readonly rowsIn: number }[]
  readonly barrier: { readonly inFlight: boolean; readonly committed: number; readonly secondsLast: number }
  readonly tasks: number
  /** How far event time is, milliseconds since 1970. */
  readonly watermark?: number
  readonly error: Failure | undefined
  /** What is on its way out, by sink. */
  readonly outboxes?: readonly ({ readonly sink: string } & OutboxView)[]
  readonly plan: PlanDescription
}

/** What a step has seen. */
export interface StepCount {
  /** The name of its state, or its place and kind. */
  readonly label: string
  readonly kind: string
  readonly rowsIn: number
  /** undefined where nothing follows. */
  readonly rowsOut: number | undefined
  readonly failures: number
  readonly events: ReadonlyMap<string, number>
}

/** Longest wait before another attempt. */
const retryMsMax = 30_000
const epochBytesLeast = 64 * 1024

/** The life of one pipeline: its runs, its attempts, its end. */
export class Pipeline {
  #row: PipelineRow
  readonly #parts: PipelineParts
  readonly #around: PipelineSurroundings
  #state: PipelineState
  #run: PipelineRun | undefined
  #files = new Map<NodeId, FileSink>()
  /** Undefined until they are open; what lies in them is delivered also while the pipeline itself has failed. */
  #outboxes: Promise<ReadonlyMap<NodeId, Outbox>> | undefined
  #openOutboxes: ReadonlyMap<NodeId, Outbox> = new Map()
  #retry: Timer | undefined
  #attempts = 0
  #lastFailure: Failure | undefined
  #epochBytesMax: number
  /** Beginnings, failures and ends under way: a stop waits for them, so that none writes after it. */
  #working: Promise<void> = Promise.resolve()
  #removal: { isHalted: boolean; done: Promise<void> } | undefined
  #committed = 0
  #secondsLast = 0
  /** By node. */
  readonly rowsIn: number[]
  /** What steps counted, such as `late`, by node and event. */
  readonly events = new Map<NodeId, Map<string, number>>()
  /** Seconds of worker time. */
  seconds = 0
  failures = 0
  /** The same by node, where it is known. */
  readonly failuresOf: number[]

  constructor(row: PipelineRow, parts: PipelineParts, around: PipelineSurroundings) {
    this.#row = row
    this.#parts = parts
    this.#around = around
    this.#epochBytesMax = around.limits.epochBytesMax
    this.rowsIn = row.plan.nodes.map(() => 0)
    this.failuresOf = row.plan.nodes.map(() => 0)
    this.#state = row.state === 'deleting' ? 'stopped' : openedState[row.state]
    this.#lastFailure = row.failure
  }

  get row(): PipelineRow {
    return this.#row
  }

  get state(): PipelineState {
    return this.#state
  }

  #met(event: PipelineEvent): PipelineState {
    this.#state = afterPipelineEvent(this.#state, event)
    return this.#state
  }

  /** Begins, unless it had failed or drained before. */
  start(): void {
    if (this.#state === 'starting') this.#work(this.#begin())
    else if (this.#state !== 'stopped') this.#work(this.#deliver())
  }

  /** Opens the outboxes and has them deliver. */
  async #deliver(): Promise<ReadonlyMap<NodeId, Outbox>> {
    this.#outboxes ??= this.#parts.moduleFile().then((file) => this.#parts.outboxes(file, () => this.#run?.roomMade()))
    try {
      this.#openOutboxes = await this.#outboxes
    } catch (error) {
      this.#outboxes = undefined
      throw error
    }
    if (this.#state !== 'stopped') for (const outbox of this.#openOutboxes.values()) outbox.start()
    return this.#openOutboxes
  }

  /** The names of the sinks that go outside, with their outboxes. */
  outboxes(): readonly { readonly sink: string; readonly outbox: Outbox }[] {
    return [...this.#openOutboxes].map(([id, outbox]) => {
      const node = this.#row.plan.nodes[id]
      return { sink: node?.kind === 'sink' ? node.name : '', outbox }
    })
  }

  #work(work: Promise<unknown>): void {
    const before = this.#working
    const guarded = work.catch((error: unknown) =>
      this.#around.logger.error({ pipeline: this.#row.plan.name }, asMillraceError(error).message),
    )
    this.#working = before.then(async () => {
      await guarded
    })
  }

  async #begin(): Promise<void> {
    const { log, commit, storage, workers, load, sinks, clock, logger, limits } = this.#around
    try {
      const moduleFile = await this.#parts.moduleFile()
      const outboxes = await this.#deliver()
      const state = await runState(storage, this.#row.id)
      for (const [node, file] of await this.#parts.files()) {
        const sink = await FileSink.open(file, fileShape(this.#row.plan, node))
        this.#files.set(node, sink)
        const { cutBytes } = sink
        if (cutBytes > 0)
          logger.info(
            { pipeline: this.#row.plan.name, path: file.path, cutBytes },
            'a barrier was in flight at the last stop: what it wrote to the file and did not commit is cut off',
          )
      }
      if (this.#met('prepared') !== 'running') return await this.#closeFiles()
      let ended: 'drained' | 'finished' | undefined
      const end = (event: 'drained' | 'finished') => {
        ended = event
        if (this.#run) this.#work(this.#end(event))
      }
      const run = new PipelineRun({
        row: this.#row,
        stages: stagesOf(this.#row.plan.nodes),
        state,
        sources: this.#parts.sources,
        commit,
        storage,
        log,
        workers,
        load,
        sinks,
        clock,
        limits: { ...limits, epochBytesMax: this.#epochBytesMax },
        moduleFile,
        sinkKeys: this.#parts.sinkKeys(),
        files: this.#files,
        outboxes,
        onFailure: (failure) => this.#work(this.#failed(failure)),
        onCommitted: (positions, seconds) => this.#passed(positions, seconds),
        onDrained: () => end('drained'),
        onFinished: () => end('finished'),
        onWork: (work) => this.#worked(work),
      })
      this.#run = run
      if (ended) await this.#end(ended)
    } catch (error) {
      const known = asMillraceError(error)
      await this.#failed({
        error: known,
        stack: known.stack,
        place: { node: undefined, sequence: undefined },
        shard: undefined,
        isCounted: true,
      })
    }
  }

  #worked({ counters, seconds }: TaskWork): void {
    this.seconds += seconds
    // Nodes that were put in between to send rows are behind those of the plan.
    for (let i = 0; i < this.rowsIn.length; i++) this.rowsIn[i] = (this.rowsIn[i] as number) + (counters.rowsIn[i] ?? 0)
    for (const { node, event, by } of counters.events) {
      const events = this.events.get(node) ?? new Map<string, number>()
      this.events.set(node, events.set(event, (events.get(event) ?? 0) + by))
    }
  }

  /** Attempts are forgotten once the position has passed the record that failed. */
  #passed(positions: readonly Position[], seconds: number): void {
    this.#committed++
    this.#secondsLast = seconds
    const failed = this.#lastFailure
    if (!failed || this.#attempts === 0) return
    const isPast =
      failed.sequence === undefined ||
      positions.some((position) => position.shard === failed.shard && position.next > (failed.sequence as number))
    if (!isPast) return
    this.#attempts = 0
    this.#lastFailure = undefined
    this.#epochBytesMax = this.#around.limits.epochBytesMax
  }

  async #failed({ error, stack, place, shard, isCounted }: RunFailure): Promise<void> {
    const { clock, logger, limits } = this.#around
    const name = this.#row.plan.name
    await this.#run?.ended()
    this.#run = undefined
    await this.#closeFiles()
    if (this.#state === 'stopped') return
    const { node } = place
    const step = node === undefined ? undefined : stepOf(node)
    const failure: Failure = {
      code: error.code,
      message: error.message,
      stack,
      step,
      sequence: place.sequence,
      shard,
      at: clock.now(),
    }
    // Too much for one effect set: the next run commits after less. No attempt, while there is less to try.
    const isTooMuch = error.code === 'EFFECT_TOO_LARGE' && this.#epochBytesMax > epochBytesLeast
    if (isTooMuch) this.#epochBytesMax = Math.max(epochBytesLeast, Math.floor(this.#epochBytesMax / 2))
    const isAttempt = isCounted && !isTooMuch
    if (isAttempt) {
      this.#attempts++
      this.failures++
      if (node !== undefined) this.failuresOf[node] = (this.failuresOf[node] ?? 0) + 1
      this.#lastFailure = failure
      logger.warn(
        { pipeline: name, attempt: this.#attempts, step, sequence: place.sequence, code: error.code },
        `a pipeline failed: ${error.message}`,
      )
    }
    const isFinal =
      error.code === 'SINK_FILE_CHANGED' ||
      // What was trimmed does not come back.
      error.code === 'TRIMMED' ||
      (isAttempt && this.#attempts >= limits.attemptsMax)
    if (isFinal) {
      logger.error(
        { pipeline: name, step, sequence: place.sequence, code: error.code },
        `a pipeline is stopped as failed: ${error.message}`,
      )
      await this.#end('failedForGood', failure)
      return
    }
    if (this.#met('failedOnce') !== 'retrying') return
    const wait = isAttempt ? Math.min(retryMsMax, limits.retryMs * 2 ** (this.#attempts - 1)) : limits.retryMs
    this.#retry = clock.setTimeout(() => {
      this.#met('retryDue')
      this.start()
    }, wait)
  }

  /** Stops for good, and remembers it. */
  async #end(event: 'failedForGood' | 'drained' | 'finished', failure?: Failure): Promise<void> {
    const state = storedState[this.#met(event)]
    if (state === undefined) return
    this.#lastFailure = failure ?? this.#lastFailure
    await this.#run?.ended()
    this.#run = undefined
    await this.#closeFiles()
    // Deleted meanwhile: its row must not come back.
    if (this.#state === 'stopped') return
    try {
      await this.store({ state, failure: this.#lastFailure })
    } catch (error) {
      // The store is gone or going; the next opening finds the pipeline before its failure and meets it again.
      this.#around.logger.warn(
        { pipeline: this.#row.plan.name },
        `the end of a pipeline could not be stored: ${asMillraceError(error).message}`,
      )
    }
  }

  /** Changes the pipeline's row. What is asked one after the other is written so: each begins with what the one before made. */
  async store(change: Partial<PipelineRow>, rows: readonly RowEffect[] = []): Promise<void> {
    this.#row = { ...this.#row, ...change }
    await this.#around.commit.submit({ rows: [pipelineRow(this.#row), ...rows], essential: true })
  }

  /**
   * Commits what is under way with a last barrier and stands still; remembered over restarts, unless only `quietly`.
   * Throws CONFLICT where it has stopped for good.
   */
  async pause({ quietly = false }: { readonly quietly?: boolean } = {}): Promise<void> {
    const { name } = this.#row.plan
    if (pipelineLifecycle[this.#state].pause === undefined)
      throw new MillraceError('CONFLICT', `The pipeline ${name} is ${this.#state}: it does not run.`)
    const run = this.#run
    this.#retry?.cancel()
    if (this.#met('pause') === 'pausing' && run) {
      killPoint('pipeline:lastBarrier')
      await run.finish()
      await this.#working
      // Neither failed nor drained on its way.
      if (this.#state === 'pausing') this.#met('passed')
    }
    await this.#working
    this.#run = undefined
    await this.#closeFiles()
    if (this.#state !== 'paused' || quietly || this.#row.state === 'paused') return
    try {
      await this.store({ state: 'paused', failure: this.#lastFailure })
    } catch (error) {
      this.#row = { ...this.#row, state: 'running' }
      this.resumeQuietly()
      throw error
    }
  }

  /** Goes on after a pause, or after it had failed for good. Throws CONFLICT where there is nothing to go on with. */
  async resume(): Promise<void> {
    if (pipelineLifecycle[this.#state].resume === undefined)
      throw new MillraceError('CONFLICT', `The pipeline ${this.#row.plan.name} is ${this.#state}: it cannot go on.`)
    if (this.#state !== 'paused' && this.#state !== 'failed') return
    await this.store({ state: 'running', failure: undefined })
    this.#attempts = 0
    this.#lastFailure = undefined
    this.#met('resume')
    this.start()
  }

  /** Goes on after a pause that was not remembered. */
  resumeQuietly(): void {
    if (this.#state !== 'paused') return
    this.#met('resume')
    this.start()
  }

  /** Removes what steps and sources of earlier modules left, beside everything else; begun again at a start when cut off. */
  forgetDropped(): void {
    const { dropped } = this.#row
    if (!dropped || this.#removal || this.#state === 'stopped') return
    const removal = { isHalted: false, done: Promise.resolve() }
    this.#removal = removal
    removal.done = this.#forgetDropped(dropped, () => !removal.isHalted).catch((error: unknown) =>
      this.#around.logger.warn({ pipeline: this.#row.plan.name }, asMillraceError(error).message),
    )
  }

  async #forgetDropped({ states, groups, outboxes = [] }: Dropped, isWanted: () => boolean): Promise<void> {
    for (const state of states)
      for (const family of [Family.state, Family.timer])
        await removeRows(rowsOfState(family, this.#row.id, state), this.#around, isWanted)
    for (const group of groups) if (isWanted()) await this.#parts.dropGroup(group)
    for (const outbox of outboxes) if (isWanted()) await this.#parts.dropOutbox(outbox)
    if (isWanted()) await this.store({ dropped: undefined })
  }

  /** Until `forgetDropped` is called again. Afterwards nothing but what is asked for changes the pipeline's row. */
  async haltRemoval(): Promise<void> {
    const removal = this.#removal
    if (!removal) return
    removal.isHalted = true
    await removal.done
    this.#removal = undefined
  }

  async #closeFiles(): Promise<void> {
    const files = [...this.#files.values()]
    this.#files = new Map()
    await Promise.all(files.map((file) => file.close().catch(() => {})))
  }

  /** Ends what runs, without a last barrier: what is not committed is read again at the next start. */
  async stop(): Promise<void> {
    if (this.#state === 'stopped') return
    this.#met('stop')
    this.#retry?.cancel()
    this.#run?.stop()
    await this.haltRemoval()
    await this.#working
    await this.#run?.ended()
    this.#run = undefined
    await this.#closeFiles()
    await Promise.all([...this.#openOutboxes.values()].map((outbox) => outbox.stop()))
  }

  /** What its steps have seen, for the metrics. */
  stepCounts(): readonly StepCount[] {
    const { nodes } = this.#row.plan
    const consumers = consumersOf(nodes)
    return stepsOf(this.#row.plan).map((node, step) => {
      const id = step + 1
      const next = consumers[id] as readonly NodeId[]
      // A branch gives each value to one of its outputs, any other step to all that follow it.
      const rowsOut = next.map((each) => this.rowsIn[each] as number)
      return {
        label: stepLabel(node, step),
        kind: node.kind,
        rowsIn: this.rowsIn[id] as number,
        rowsOut:
          next.length === 0
            ? undefined
            : node.kind === 'branch'
              ? rowsOut.reduce((sum, rows) => sum + rows, 0)
              : Math.max(...rowsOut),
        failures: this.failuresOf[id] as number,
        events: this.events.get(id) ?? new Map<string, number>(),
      }
    })
  }

  /** The groups of its sources. */
  get groups(): readonly Group[] {
    return this.#parts.sources.map(({ group }) => group)
  }

  /** How far event time is, milliseconds since 1970; undefined where nothing asks for it, or nothing is known yet. */
  get watermark(): number | undefined {
    return this.#run?.watermark
  }

  view(): PipelineView {
    const { plan, createdAt, sources, revision = 1, bounded } = this.#row
    const names = sources.map(({ node }) => sourceName(plan, node))
    return {
      name: plan.name,
      source: names[0] as string,
      sources: names,
      state: this.#state,
      group: this.#parts.sources[0]?.group.name as string,
      attempts: this.#attempts,
      createdAt,
      revision,
      ...(bounded ? { bounded: { ...bounded, ...this.#parts.passed() } } : {}),
      steps: stepsOf(plan).map((node, i) => ({
        kind: node.kind === 'keyed' ? node.operator : node.kind,
        ...(node.kind === 'keyed' ? { name: node.name } : {}),
        rowsIn: this.rowsIn[i + 1] as number,
      })),
      barrier: {
        inFlight: this.#run?.barrierInFlight ?? false,
        committed: this.#committed,
        secondsLast: this.#secondsLast,
      },
      tasks: this.#run?.taskCount ?? 0,
      ...(this.watermark === undefined ? {} : { watermark: this.watermark }),
      error: this.#lastFailure,
      ...(this.#openOutboxes.size === 0
        ? {}
        : { outboxes: this.outboxes().map(({ sink, outbox }) => ({ sink, ...outbox.view() })) }),
      plan: withoutSecrets(plan),
    }
  }
}
