import type { RowEffect } from '../commit/index.js'
import type { Group, Position } from '../groups/index.js'
import type { Sequence } from '../log/index.js'
import type { NodeId } from '../operators/index.js'
import { stagesOf } from '../operators/task/index.js'
import { asMillraceError, killPoint, MillraceError, type Timer } from '../runtime/index.js'
import type { FileSink, Outbox } from '../sinks/index.js'
import type { TaskWork } from '../workers/index.js'
import { Cut } from './cut.js'
import { Delivering } from './delivering.js'
import { DroppedRemoval } from './dropped-removal.js'
import { type EpochCommit, EpochSize } from './epoch-size.js'
import type { OwnedTimes } from './event-times.js'
import { failureOf } from './failure-of.js'
import { openFiles } from './open-files.js'
import { numberedPlaces, placesOf } from './park-places.js'
import { ParkedControl } from './parked-control.js'
import {
  afterPipelineEvent,
  openedState,
  type PipelineEvent,
  type PipelineState,
  pipelineLifecycle,
  storedState,
} from './pipeline-lifecycle.js'
import type { PipelineParts, PipelineSurroundings, PipelineView } from './pipeline-parts.js'
import { pipelineView } from './pipeline-view.js'
import { stepOf } from './plan-steps.js'
import { Retries } from './retries.js'
import { type Failure, type PipelineRow, pipelineRow } from './rows.js'
import { PipelineRun, type RunFailure } from './run.js'
import { type CarefulRun, RunParking } from './run-parking.js'
import { storedState as runState } from './run-state.js'
import type { RunSource } from './run-tasks.js'
import { NodeMeter, type StepCount, stepCountsOf } from './step-counts.js'
import { Suspects } from './suspects.js'

/** Longest wait before another attempt. */
const retryMsMax = 30_000
/** What another attempt cannot mend; what was trimmed does not come back. */
const lastingErrors = new Set([
  'SINK_FILE_CHANGED',
  'SOURCE_FILE_CHANGED',
  'SOURCE_FILE_INVALID',
  'KAFKA_REFUSED',
  'TRIMMED',
])

/** How a run ends by itself. */
type End = 'drained' | 'finished' | 'arrived'

/** The life of one pipeline: its runs, its attempts, its end. */
export class Pipeline {
  #row: PipelineRow
  readonly #parts: PipelineParts
  readonly #around: PipelineSurroundings
  #state: PipelineState
  #run: PipelineRun | undefined
  #files = new Map<NodeId, FileSink>()
  readonly #delivering: Delivering
  #retry: Timer | undefined
  #attempts = 0
  #lastFailure: Failure | undefined
  readonly #epoch: EpochSize
  /** Records under which runs ended: while there are any, a run is careful. */
  readonly #suspects: Suspects
  /** The next run is careful. */
  #isCareful = false
  readonly #retries = new Retries()
  /** What waits in it. */
  readonly parked: ParkedControl
  /** Beginnings, failures and ends under way: a stop waits for them, so that none writes after it. */
  #working: Promise<void> = Promise.resolve()
  readonly #removal: DroppedRemoval
  /** Where it is to come to a stand by itself. */
  #cut: Cut | undefined
  /** Results that were dropped, by sink. */
  readonly #held = new Map<NodeId, number>()
  #committed = 0
  #secondsLast = 0
  readonly #meter: NodeMeter
  /** Seconds of worker time. */
  seconds = 0
  failures = 0

  constructor(row: PipelineRow, parts: PipelineParts, around: PipelineSurroundings) {
    this.#row = row
    this.#parts = parts
    this.#around = around
    this.#epoch = new EpochSize(around.limits)
    this.#suspects = new Suspects(around.limits.attemptsMax)
    this.parked = new ParkedControl(
      {
        pipeline: this,
        retries: this.#retries,
        hasRun: () => this.#run !== undefined,
        alone: (run) => this.#alone(run),
        restart: (change) => this.#restart(change),
      },
      around,
    )
    this.#meter = new NodeMeter(row.plan, around.clock)
    this.#state = row.state === 'deleting' ? 'stopped' : openedState[row.state]
    this.#lastFailure = row.failure
    this.#removal = new DroppedRemoval(this, parts, around)
    this.#delivering = new Delivering(async () => parts.outboxes(await parts.moduleFile(), () => this.#run?.roomMade()))
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
    else if (this.#state !== 'stopped') {
      this.#work(this.#deliver())
      // Of one that does not run, what waits is shown and may be given up.
      this.#work(this.parked.look())
    }
  }

  /** Opens the outboxes and has them deliver. */
  #deliver(): Promise<ReadonlyMap<NodeId, Outbox>> {
    return this.#delivering.begin(() => this.#state !== 'stopped')
  }

  /** The names of the sinks that go outside, with their outboxes. */
  outboxes(): readonly { readonly sink: string; readonly outbox: Outbox }[] {
    return this.#delivering.named(this.#row.plan)
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
      if (!(await this.#isPrepared())) return void this.#met('prepared')
      const moduleFile = await this.#parts.moduleFile()
      const outboxes = await this.#deliver()
      await this.#numberPlaces()
      const state = await runState(storage, this.#row.id)
      await this.parked.load()
      const careful = await this.#careful()
      await openFiles(this.#row.plan, await this.#parts.files(), this.#files, logger)
      if (this.#met('prepared') !== 'running') return await this.#closeFiles()
      let ended: End | undefined
      const end = (event: End) => {
        ended = event
        if (this.#run) this.#work(this.#over(event))
      }
      const cut = this.#cut
      const stages = stagesOf(this.#row.plan.nodes)
      const parking = new RunParking({
        row: this.#row,
        stages,
        index: this.parked.index,
        careful,
        attemptsMax: limits.attemptsMax,
        awaitMsMax: limits.barrierTimeoutMs / 2,
        later: this.#retries,
        onReached: () => void this.#alone(() => this.#restart(async () => {})),
      })
      const run = new PipelineRun({
        row: this.#row,
        stages,
        state,
        parking,
        onMended: () => this.#work(this.#mended(parking)),
        sources: this.#parts.sources,
        feeders: this.#parts.feeders(),
        commit,
        storage,
        log,
        workers,
        load,
        sinks,
        clock,
        limits: this.#epoch.within(limits),
        moduleFile,
        sinkKeys: this.#parts.sinkKeys(),
        files: this.#files,
        outboxes,
        onFailure: (failure) => this.#work(this.#failed(failure)),
        onCommitted: (positions, seconds, epoch) => this.#passed(parking, positions, seconds, epoch),
        onDrained: () => end('drained'),
        onFinished: () => end(cut ? 'arrived' : 'finished'),
        onWork: (work) => this.#worked(work),
        onHeld: (sink, records) => this.#held.set(sink, (this.#held.get(sink) ?? 0) + records),
        until: cut?.until,
      })
      this.#run = run
      if (ended) await this.#over(ended)
    } catch (error) {
      const known = asMillraceError(error)
      await this.#failed({
        error: known,
        stack: known.stack,
        place: { node: undefined, sequence: undefined },
        shard: undefined,
        stage: undefined,
        isCounted: true,
      })
    }
  }

  /** Makes the targets of a shadow, or takes over those of one: false where the pipeline was told otherwise meanwhile. */
  async #isPrepared(): Promise<boolean> {
    const isWanted = () => this.#state === 'starting'
    if (!this.#row.shadow && !this.#row.takeOver) return true
    const isDone = await this.#parts.prepare(this.#row, isWanted)
    if (!isDone || !isWanted()) return false
    if (this.#row.takeOver) await this.store({ takeOver: undefined })
    return isWanted()
  }

  /** Gives numbers to places that have none: before anything of them is stored. */
  async #numberPlaces(): Promise<void> {
    const places = placesOf(this.#row.plan, stagesOf(this.#row.plan.nodes))
    if (this.#row.steps && places.every(({ label }) => label in (this.#row.steps ?? {}))) return
    await this.store({ steps: numberedPlaces(places, this.#row.steps) })
  }

  /** How careful the next run has to be; undefined: not at all. */
  async #careful(): Promise<CarefulRun | undefined> {
    // What was too much for one commit is tried in smaller parts.
    const bytesMax = this.#epoch.recordsMax === 1 ? 1 : this.#around.limits.effectSetBytesMax * this.#epoch.share
    const retries = await this.#retries.next(this.parked.rows(), bytesMax)
    if (!this.#isCareful && retries.length === 0) return undefined
    const { until, recordsMax } = this.#suspects
    return { until, poison: this.#suspects.poison(), retries, recordsMax }
  }

  /** What failed is parked or done: the next run is an ordinary one. */
  async #mended(parking: RunParking): Promise<void> {
    this.#retries.leave(parking.untried)
    this.#isCareful = false
    this.#suspects.clear()
    this.#lastFailure = undefined
    this.#attempts = 0
    await this.#run?.ended()
    this.#run = undefined
    await this.#closeFiles()
    this.#beginAgain()
  }

  #beginAgain(): void {
    if (this.#state !== 'running') return
    this.#met('failedOnce')
    this.#met('retryDue')
    this.start()
  }

  /** Runs something when no beginning, failure or end is under way, and lets none begin meanwhile. */
  async #alone<Result>(run: () => Promise<Result>): Promise<Result> {
    for (let before: Promise<void> | undefined; before !== this.#working; ) {
      before = this.#working
      await before
    }
    const done = run()
    this.#work(
      done.then(
        () => {},
        () => {},
      ),
    )
    return done
  }

  /** Does something while no run writes; then the next run begins. */
  async #restart(change: () => Promise<void>): Promise<void> {
    const run = this.#run
    run?.stop()
    await run?.ended()
    const isRunning = run !== undefined && this.#state === 'running'
    if (isRunning) this.#run = undefined
    try {
      await change()
    } finally {
      if (isRunning) {
        await this.#closeFiles()
        this.#beginAgain()
      }
    }
  }

  #worked({ counters, seconds }: TaskWork): void {
    this.seconds += seconds
    this.#meter.worked(counters)
  }

  /** Attempts are forgotten once the position has passed the record that failed. */
  #passed(parking: RunParking, positions: readonly Position[], seconds: number, epoch: EpochCommit): void {
    this.#retries.tried(parking.takeTried())
    this.#epoch.committed(epoch)
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
  }

  /** Whether what fails is parked; else it stops the pipeline. */
  get #parks(): boolean {
    return (this.#row.plan.onError ?? this.#around.limits.onError) === 'park'
  }

  async #failed(failed: RunFailure): Promise<void> {
    const { error, stack, isCounted, isOfMemory = false, only } = failed
    // Of what is too large for a commit, no place is to blame but what was alone in it.
    const isTooLarge = error.code === 'EFFECT_TOO_LARGE'
    const { place, shard, stage } = only ?? (isTooLarge ? { ...failed, stage: undefined } : failed)
    const { clock, logger, limits } = this.#around
    const name = this.#row.plan.name
    await this.#run?.ended()
    this.#run = undefined
    await this.#closeFiles()
    if (this.#state === 'stopped') return
    const { node } = place
    const step = node === undefined ? undefined : stepOf(node)
    const failure = failureOf({ error, stack, place, shard }, clock.now())
    // Too much for one effect set: the next run commits after less. No attempt, while there is less to try.
    const isTooMuch = isTooLarge && this.#epoch.halve()
    // What took the memory is searched for first, in quarantine.
    const isCertain = !isOfMemory || this.#suspects.recordsMax === 1
    const isSearched = this.#parks && isOfMemory && this.#suspects.narrow()
    if (isSearched) this.#isCareful = true
    const isAttempt = (isCounted || (isOfMemory && this.#parks)) && !isTooMuch && !isSearched
    // What a record is to blame for is parked in the end, however often it takes the run down: that is no attempt of the pipeline.
    const isOfRecord =
      this.#parks && (isAttempt || isSearched) && this.#suspects.accuse({ error, stack, place, stage, isCertain })
    if (isOfRecord && only) this.#epoch.reset()
    if (this.#parks && isAttempt) this.#isCareful = true
    if (isAttempt) {
      if (!isOfRecord) this.#attempts++
      this.failures++
      this.#meter.failed(node)
      this.#lastFailure = failure
      logger.warn(
        { pipeline: name, attempt: this.#attempts, step, sequence: place.sequence, code: error.code },
        `a pipeline failed: ${error.message}`,
      )
    }
    const isFinal = lastingErrors.has(error.code) || (isAttempt && !isOfRecord && this.#attempts >= limits.attemptsMax)
    if (isFinal) {
      logger.error(
        { pipeline: name, step, sequence: place.sequence, code: error.code },
        `a pipeline is stopped as failed: ${error.message}`,
      )
      // It must not fail by them again as soon as it goes on.
      this.#retries.clear()
      await this.#end('failedForGood', failure)
      return
    }
    if (this.#met('failedOnce') !== 'retrying') return
    const wait =
      isAttempt && !isOfRecord ? Math.min(retryMsMax, limits.retryMs * 2 ** (this.#attempts - 1)) : limits.retryMs
    const retry = clock.setTimeout(() => {
      // Something may be under way that no run must see half done.
      void this.#alone(async () => {
        if (this.#retry !== retry || this.#state !== 'retrying') return
        this.#met('retryDue')
        this.start()
      })
    }, wait)
    this.#retry = retry
  }

  async #over(event: End): Promise<void> {
    return event === 'arrived' ? this.#arrived() : this.#end(event)
  }

  /** It stands where it was to stand. */
  async #arrived(): Promise<void> {
    await this.#run?.ended()
    this.#run = undefined
    await this.#closeFiles()
    if (this.#state !== 'running') return
    this.#met('pause')
    this.#met('passed')
    this.#cut?.over(true)
  }

  /**
   * From a quiet pause: reads up to a sequence number, commits that, and stands still again. Throws CONFLICT when it does
   * not come so far within a time, ms; it then stands somewhere before, or has failed.
   */
  async runTo(until: Sequence, withinMs: number): Promise<void> {
    const { name } = this.#row.plan
    const cut = new Cut(until, withinMs, this.#around.clock)
    this.#cut = cut
    this.resumeQuietly()
    if (this.#state !== 'starting') cut.over(false)
    const hasArrived = await cut.arrived
    this.#cut = undefined
    if (hasArrived) return
    if (pipelineLifecycle[this.#state].pause !== undefined) await this.pause({ quietly: true })
    throw new MillraceError('CONFLICT', `The pipeline ${name} did not come to ${until} within ${withinMs} ms.`, {
      remedy: `Look at it: millrace pipelines show ${name}. Then ask again.`,
    })
  }

  /** Stops for good, and remembers it. */
  async #end(event: 'failedForGood' | 'drained' | 'finished', failure?: Failure): Promise<void> {
    const state = storedState[this.#met(event)]
    this.#cut?.over(false)
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
    if (this.#met('pause') === 'pausing') {
      killPoint('pipeline:lastBarrier')
      // There is none between a careful run and the one that follows it.
      await run?.finish()
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
    if (this.#state !== 'stopped') this.#removal.begin()
  }

  /** Until `forgetDropped` is called again. Afterwards nothing but what is asked for changes the pipeline's row. */
  haltRemoval(): Promise<void> {
    return this.#removal.halt()
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
    await this.#delivering.stop()
  }

  /** What its steps have seen, for the metrics. */
  stepCounts(): readonly StepCount[] {
    return stepCountsOf(this.#row.plan, this.#meter)
  }

  /** How many records wait at each place. */
  parkedByPlace(): ReadonlyMap<string, number> {
    const labels = new Map(Object.entries(this.#row.steps ?? {}).map(([label, number]) => [number, label]))
    return new Map([...this.parked.index.counts()].map(([step, count]) => [labels.get(step) ?? `${step}`, count]))
  }

  /** Whether it is alone in a thread, since one of its records took too much memory. */
  get isQuarantined(): boolean {
    return this.#suspects.recordsMax !== undefined
  }

  get isParkedFull(): boolean {
    return this.parked.index.isFull
  }

  /** In the order of their nodes. */
  get sources(): readonly RunSource[] {
    return this.#parts.sources
  }

  /** The groups of its sources. */
  get groups(): readonly Group[] {
    return this.sources.map(({ group }) => group)
  }

  /** How far event time is, milliseconds since 1970; undefined where nothing asks for it, or nothing is known yet. */
  get watermark(): number | undefined {
    return this.#run?.watermark
  }

  /** How far event time is in each part of the run that goes on; undefined while none does. */
  get eventTimes(): readonly OwnedTimes[] | undefined {
    return this.#run?.eventTimes
  }

  /** What was counted at its nodes. */
  get meter(): NodeMeter {
    return this.#meter
  }

  view(): PipelineView {
    return pipelineView({
      row: this.#row,
      state: this.#state,
      parts: this.#parts,
      run: this.#run,
      attempts: this.#attempts,
      committed: this.#committed,
      secondsLast: this.#secondsLast,
      rowsIn: this.#meter.rowsIn,
      rates: this.#meter.rates,
      failure: this.#lastFailure,
      outboxes: this.outboxes(),
      onError: this.#parks ? 'park' : 'stop',
      parked: this.parked.index,
      held: this.#held,
    })
  }
}
