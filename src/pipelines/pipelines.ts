import { type Counters, Family, type RowEffect } from '../commit/index.js'
import type { Groups } from '../groups/index.js'
import type { StartPosition, StreamId } from '../log/index.js'
import type { PlanDescription, StateQuestion } from '../operators/index.js'
import { checkRedeploy } from '../operators/plan/index.js'
import { stagesOf } from '../operators/task/index.js'
import { asMillraceError, killPoint, MillraceError } from '../runtime/index.js'
import type { KeySchema, TableKeys } from '../tables/index.js'
import { fileNumber } from './barrier-commit.js'
import { behindOf, isWhole } from './behind.js'
import { attached, boundsOf, checkRange, type RunBound, type RunBounds, runPlan } from './bounded-run.js'
import { closeFeeds, createFeeds, type FeedRooms, newGroupsOf } from './feeds/index.js'
import { forget } from './forget.js'
import { inspect, type PipelineInspection, stateBytesOf } from './inspection.js'
import { ModuleFiles } from './module-files.js'
import { closeOrphans, closeOutboxes, createOutboxes, type OutboxSurroundings, outboxGroupsOf } from './outboxes.js'
import { numberedPlaces, placesOf } from './park-places.js'
import { ParkedIndex } from './parked-index.js'
import { partsOf } from './parts-of.js'
import { Pipeline } from './pipeline.js'
import type { PipelineSurroundings, PipelineView } from './pipeline-parts.js'
import { checkRunnable, isFed, sinksOf, writesToItsSource } from './plan-steps.js'
import { redeployedRow } from './redeploy.js'
import { commitRedeploy, type NewModule } from './redeploy-commit.js'
import { checkOutboxKinds, redeployOutboxes, undelivered } from './redeploy-outboxes.js'
import { checkParkedPlaces } from './redeploy-parked.js'
import { checkNotReserved } from './reserved-names.js'
import { decodePipeline, moduleHash, moduleKey, type PipelineRow, pipelineRow, sinkFileRow } from './rows.js'
import { shadowName, shadowPlan } from './shadow-plan.js'
import { type ShadowRooms, ShadowTargets } from './shadow-targets.js'
import { SinkTargets } from './sink-targets.js'
import { sourcesOf } from './sources.js'
import { cellOfKey, type ShownState, stateOfKey } from './state-query.js'
import { checkSwap } from './swap.js'
import { type SwapRequest, swapPipelines } from './swap-run.js'

export interface PipelinesOptions extends PipelineSurroundings {
  readonly counters: Counters
  readonly groups: Groups
  /** The event id of a sequence number. */
  readonly idOf: OutboxSurroundings['idOf']
  readonly kafka: OutboxSurroundings['kafka']
  readonly random: () => number
  readonly tables: {
    schema(name: string): KeySchema | undefined
    keys(name: string): TableKeys | undefined
    changeLog(name: string): Promise<StreamId>
  } & ShadowRooms['tables'] &
    FeedRooms['tables']
  readonly pipelinesMax: number
  readonly moduleBytesMax: number
  /** Where file sinks write, and whether they may write elsewhere. */
  readonly filesFolder: string
  readonly filesOutside: boolean
  /** Where bundles lie for the workers to load. */
  readonly modulesFolder: string
}

export interface DeployRequest {
  /** The text of the bundled module. */
  readonly bundle: string
  /** Where in the source it begins; `oldest` by default. */
  readonly start?: 'oldest' | 'newest' | RunBound
  /** As a shadow of the pipeline of its name, which goes on. */
  readonly isShadow?: boolean
}

/** A bounded run: of a module, or of that which a pipeline has. */
export interface RunRequest extends Partial<RunBounds> {
  readonly module: { readonly bundle: string } | { readonly pipeline: string }
}

/** A deploy under way; its plan once that is known. */
interface Deploy {
  readonly module: string
  plan: PlanDescription | undefined
}

/** All pipelines of the daemon: remembered in the store, begun at its opening. */
export class Pipelines {
  readonly #options: PipelinesOptions
  readonly #pipelines = new Map<string, Pipeline>()
  /** What is being deployed has its name, its files and its place among `pipelinesMax` already. */
  readonly #deploys = new Set<Deploy>()
  /** Names of those that a request is changing. */
  readonly #changing = new Set<string>()
  readonly #modules: ModuleFiles
  readonly #targets: SinkTargets
  readonly #shadows: ShadowTargets
  /** Removals beside everything else. */
  readonly #forgetting = new Set<Promise<void>>()
  #isClosed = false

  private constructor(options: PipelinesOptions) {
    this.#options = options
    this.#modules = new ModuleFiles(options.modulesFolder)
    this.#targets = new SinkTargets(options)
    this.#shadows = new ShadowTargets(options, this.#targets)
  }

  static async open(options: PipelinesOptions): Promise<Pipelines> {
    const pipelines = new Pipelines(options)
    const range = { gte: Buffer.from([Family.pipeline]), lt: Buffer.from([Family.pipeline + 1]), bytesMax: 1 << 20 }
    const rows: PipelineRow[] = []
    for await (const page of options.storage.scan(range)) rows.push(...page.values.map(decodePipeline))
    for (const row of rows) if (row.state !== 'deleting') pipelines.#pipelines.set(row.plan.name, pipelines.#make(row))
    for (const row of rows) if (row.state === 'deleting') await pipelines.#forget(row)
    await closeOrphans(options.log, rows)
    options.workers.answerState = (question) => pipelines.#answerState(question)
    pipelines.#modules.keepOnly(rows.map((row) => row.module))
    return pipelines
  }

  start(): void {
    for (const pipeline of this.#pipelines.values()) {
      pipeline.start()
      pipeline.forgetDropped()
    }
  }

  list(): readonly PipelineView[] {
    return [...this.#pipelines.values()].map((pipeline) => pipeline.view())
  }

  /** For the metrics. */
  all(): Iterable<Pipeline> {
    return this.#pipelines.values()
  }

  /** One of them, with everything that has to be looked up. Throws NOT_FOUND. */
  async inspect(name: string): Promise<PipelineInspection> {
    const pipeline = this.#pipeline(name)
    const { row } = pipeline
    const older = row.shadow && this.#pipelines.get(row.shadow.of)?.row
    const behind = older && (await behindOf(row, older, this.#options, this.#options.clock.now()))
    const { shadow, ...inspected } = await inspect(pipeline, this.#options)
    return shadow ? { ...inspected, shadow: { ...shadow, ...(behind ? { behind } : {}) } } : inspected
  }

  /** About how many bytes of the store the state and timers of each pipeline take; what was written last may not count. */
  async stateBytes(): Promise<ReadonlyMap<string, number>> {
    const { storage } = this.#options
    const sizes = new Map<string, number>()
    for (const { row } of this.#pipelines.values()) sizes.set(row.plan.name, await stateBytesOf(row.id, storage))
    return sizes
  }

  /** What the steps of a pipeline have committed for a key, see `stateOfKey`. Throws NOT_FOUND. */
  state(name: string, key: string, step?: string): Promise<ShownState[]> {
    const { commit, storage } = this.#options
    const { row } = this.#pipeline(name)
    return stateOfKey({ row, stages: stagesOf(row.plan.nodes), commit, storage }, key, step)
  }

  /** The same of one cell, for user code that asks (`stateOf`). */
  async #answerState({ pipeline, ...question }: StateQuestion): Promise<Buffer | undefined> {
    const { commit, storage } = this.#options
    const { row } = this.#pipeline(pipeline)
    return cellOfKey({ row, stages: stagesOf(row.plan.nodes), commit, storage }, question)
  }

  /**
   * Reads the module's plan in a worker, checks it against what is there, and runs it. Nothing is left behind when it is
   * refused: MODULE_INVALID, PIPELINE_INVALID, ALREADY_EXISTS, NOT_FOUND, SINK_FILE_TAKEN.
   */
  async deploy({ bundle, start: place = 'oldest', isShadow = false }: DeployRequest): Promise<PipelineView> {
    const start = place as StartPosition
    this.#checkBundle(bundle)
    const deploy: Deploy = { module: moduleHash(bundle), plan: undefined }
    this.#deploys.add(deploy)
    try {
      const own = await this.#options.workers.describe(this.#modules.put(deploy.module, bundle))
      checkNotReserved(own.name)
      const plan = isShadow ? shadowPlan(own) : own
      const present = this.#pipelines.get(plan.name)
      this.#checkName(plan.name)
      // The same module again is no change: a deploy whose answer was lost may be repeated.
      if (present?.row.module === deploy.module) return present.view()
      checkRunnable(plan, { isBounded: false, ...this.#options.kafka })
      if (isShadow) {
        this.#checkShadow(own, plan)
        deploy.plan = plan
        const isAll = start === 'oldest' && isWhole(await sourcesOf(plan, this.#options), this.#options)
        const shadow = { of: own.name, plan: own, isWhole: isAll }
        return await this.#deploy(plan, deploy.module, bundle, start, { shadow })
      }
      if (present) {
        deploy.plan = plan
        return await this.#redeploy(present, plan, { module: deploy.module, bundle, start })
      }
      this.#checkRoom(plan)
      deploy.plan = plan
      return await this.#deploy(plan, deploy.module, bundle, start)
    } finally {
      this.#deploys.delete(deploy)
      if (!this.#uses(deploy.module)) this.#modules.drop(deploy.module)
    }
  }

  /** Throws TOO_BUSY, NOT_FOUND, SINK_FILE_TAKEN. */
  #checkRoom(plan: PlanDescription): void {
    const { pipelinesMax } = this.#options
    if (this.#pipelines.size + this.#planned().length >= pipelinesMax)
      throw new MillraceError('TOO_BUSY', `There are ${pipelinesMax} pipelines already (pipelines.pipelinesMax).`)
    this.#checkTargets(plan)
  }

  /** Whether a module may run as a shadow; `plan` is that of the shadow. Throws CONFLICT, and what `deploy` throws. */
  #checkShadow(own: PlanDescription, plan: PlanDescription): void {
    if (this.#pipelines.has(plan.name))
      throw new MillraceError('CONFLICT', `${plan.name} is there with another module.`, {
        remedy: `Delete it first: millrace pipelines delete ${plan.name}`,
      })
    const older = this.#pipelines.get(own.name)
    if (!older)
      throw new MillraceError('NOT_FOUND', `There is no pipeline named ${own.name} to be the shadow of.`, {
        remedy: 'Deploy it without --shadow.',
      })
    if (older.row.takeOver)
      throw new MillraceError('CONFLICT', `${own.name} is still taking over the tables of its last shadow.`, {
        remedy: `Wait until millrace pipelines show ${own.name} says nothing of it any more.`,
      })
    // What is left of a feed cannot pass from one pipeline to another.
    for (const { plan: each } of [older.row, { plan: own }])
      if (isFed(each))
        throw new MillraceError(
          'PIPELINE_INVALID',
          `${each.name} reads a snapshot of a table or a Kafka topic, and such a pipeline has no shadow.`,
          { remedy: 'Leave that out of both modules, or deploy the newer one under another name.' },
        )
    checkSwap(older.row.plan, own)
    this.#checkRoom(own)
    this.#checkFiles(plan)
    this.#shadows.checkFree(own)
  }

  /**
   * Runs a pipeline over a part of its sources, as one named NAME.run with a state of its own, to its end. The same again is
   * no change while it runs; one that has finished goes before. Throws what `deploy` throws, and BAD_REQUEST.
   */
  async run({ module, ...bounds }: RunRequest): Promise<PipelineView> {
    const { workers } = this.#options
    const bundle =
      'bundle' in module ? module.bundle : await this.#storedModule(this.#pipeline(module.pipeline).row.module)
    this.#checkBundle(bundle)
    const deploy: Deploy = { module: moduleHash(bundle), plan: undefined }
    this.#deploys.add(deploy)
    try {
      const plan = runPlan(await workers.describe(this.#modules.put(deploy.module, bundle)))
      this.#checkName(plan.name)
      const present = this.#pipelines.get(plan.name)
      if (present && present.state !== 'finished') return attached(present, deploy.module, bounds).view()
      checkRunnable(plan, { isBounded: true, ...this.#options.kafka })
      checkRange(plan, bounds)
      if (present) await this.#deleteFinished(present)
      this.#checkRoom(plan)
      deploy.plan = plan
      const sources = await sourcesOf(plan, this.#options)
      const bounded = await boundsOf(
        bounds,
        sources.map(({ stream }) => stream),
        this.#options.log,
      )
      return await this.#deploy(plan, deploy.module, bundle, { sequence: bounded.from }, { bounded })
    } finally {
      this.#deploys.delete(deploy)
      if (!this.#uses(deploy.module)) this.#modules.drop(deploy.module)
    }
  }

  /** The one before goes, unless a sink has not taken all of it yet. Throws CONFLICT. */
  async #deleteFinished({ row }: Pipeline): Promise<void> {
    const { name } = row.plan
    const { storage, limits } = this.#options
    const parked = (await ParkedIndex.load(storage, row.id, limits)).count
    if (parked > 0)
      throw new MillraceError('CONFLICT', `${parked} records of the ${name} before are parked.`, {
        remedy: `Look at them (millrace parked list --pipeline ${name}), then delete it: millrace pipelines delete ${name}`,
      })
    const waiting = await undelivered(storage, row)
    if (waiting > 0)
      throw new MillraceError('CONFLICT', `${waiting} results of the ${name} before wait for their delivery.`, {
        remedy: `Wait until its outboxes are empty, or delete it: millrace pipelines delete ${name}`,
      })
    await this.delete(name)
  }

  /** Throws TOO_LARGE. */
  #checkBundle(bundle: string): void {
    const { moduleBytesMax } = this.#options
    if (Buffer.byteLength(bundle) > moduleBytesMax)
      throw new MillraceError('TOO_LARGE', `The bundle is larger than pipelines.moduleBytesMax (${moduleBytesMax}).`)
  }

  #planned(): PlanDescription[] {
    return [...this.#deploys].flatMap(({ plan }) => plan ?? [])
  }

  /** Whether a deploy, or a pipeline but one, has a module. */
  #uses(module: string, but?: number): boolean {
    for (const deploy of this.#deploys) if (deploy.module === module) return true
    for (const { row } of this.#pipelines.values()) if (row.module === module && row.id !== but) return true
    return false
  }

  #checkName(name: string): void {
    if (this.#changing.has(name) || this.#planned().some((plan) => plan.name === name))
      throw new MillraceError('CONFLICT', `The pipeline ${name} is being changed by another request.`)
  }

  /** One change of a pipeline at a time. Throws CONFLICT. */
  async #change<T>(name: string, change: () => Promise<T>): Promise<T> {
    this.#checkName(name)
    this.#changing.add(name)
    try {
      return await change()
    } finally {
      this.#changing.delete(name)
    }
  }

  /** Has a pipeline commit what is under way and stand still, also over restarts. Throws NOT_FOUND, CONFLICT. */
  async pause(name: string): Promise<PipelineView> {
    const pipeline = this.#pipeline(name)
    await this.#change(name, () => pipeline.pause())
    return pipeline.view()
  }

  /** Has a paused pipeline go on where it stood, or a failed one try again. Throws NOT_FOUND, CONFLICT. */
  async resume(name: string): Promise<PipelineView> {
    const pipeline = this.#pipeline(name)
    await this.#change(name, () => pipeline.resume())
    return pipeline.view()
  }

  /**
   * Puts a newer module in the place of an older one: after the last barrier of the older, one commit changes module, plan,
   * sources and the numbers of states, and the newer goes on where the older stood. Whatever refuses it leaves the older.
   */
  async #redeploy(older: Pipeline, plan: PlanDescription, newer: NewModule): Promise<PipelineView> {
    const { name } = plan
    if (older.state === 'sourceDeleted')
      throw new MillraceError('CONFLICT', `The source of the pipeline ${name} was deleted: nothing follows.`, {
        remedy: 'Delete the pipeline and deploy it anew.',
      })
    checkRedeploy(older.row.plan, plan)
    checkOutboxKinds(older.row.plan, plan)
    this.#checkTargets(plan)
    const carried = await sourcesOf(plan, this.#options, older.row)
    const isRunning = older.state !== 'paused' && older.state !== 'failed'
    this.#changing.add(name)
    try {
      if (isRunning) await older.pause({ quietly: true })
      await older.haltRemoval()
      killPoint('pipeline:redeploying')
      await this.#checkParked(older.row, plan)
      const outboxes = await redeployOutboxes(older.row, plan, this.#options)
      const feeds = await createFeeds(this.#options, plan, carried, older.row)
      const row = redeployedRow(older.row, plan, newer.module, [...carried, ...feeds], outboxes)
      const isUsed = (module: string) => this.#uses(module, older.row.id)
      await commitRedeploy(older.row, row, newer, outboxes, { ...this.#options, targets: this.#targets, isUsed })
      killPoint('pipeline:redeployed')
      await older.stop()
      const pipeline = this.#reopen(row, older)
      if (!this.#uses(older.row.module)) this.#modules.drop(older.row.module)
      return pipeline.view()
    } catch (error) {
      if (this.#pipelines.get(name) === older) {
        if (isRunning) older.resumeQuietly()
        older.forgetDropped()
      }
      throw error
    } finally {
      this.#changing.delete(name)
    }
  }

  /** Puts the shadow of a pipeline in its place, see swap-run.ts. Throws NOT_FOUND, CONFLICT, PIPELINE_INVALID. */
  async swap(name: string, request: SwapRequest = {}): Promise<PipelineView> {
    const older = this.#pipeline(name)
    const shadow = this.#shadowOf(name)
    return this.#change(name, () =>
      this.#change(shadow.row.plan.name, async () => {
        const rows = [...this.#pipelines.values()].map(({ row }) => row)
        const others = rows.filter(({ id }) => id !== older.row.id && id !== shadow.row.id).map(({ plan }) => plan)
        try {
          const run = { older, shadow, others, request, targets: this.#targets }
          const { row, gone } = await swapPipelines(run, this.#options)
          this.#pipelines.delete(shadow.row.plan.name)
          const pipeline = this.#reopen(row, shadow)
          this.#forgetLater(gone)
          return pipeline.view()
        } catch (error) {
          for (const pipeline of [older, shadow]) this.#goOn(pipeline)
          throw error
        }
      }),
    )
  }

  /** Has a pipeline that was to be changed be as it was before. */
  #goOn(pipeline: Pipeline): void {
    if (pipeline.state === 'stopped') return void this.#reopen(pipeline.row, pipeline)
    if (pipeline.row.state === 'running') pipeline.resumeQuietly()
    pipeline.forgetDropped()
  }

  /** Throws NOT_FOUND. */
  #shadowOf(name: string): Pipeline {
    const shadow = this.#pipelines.get(shadowName(name))
    if (shadow) return shadow
    throw new MillraceError('NOT_FOUND', `The pipeline ${name} has no shadow.`, {
      remedy: 'Deploy one: millrace pipelines deploy FILE --shadow',
    })
  }

  /** A pipeline anew, as its row says. What waited in it as it was waits on. */
  #reopen(row: PipelineRow, { parked }: Pipeline): Pipeline {
    const pipeline = this.#make(row)
    pipeline.parked.index = parked.index
    this.#pipelines.set(row.plan.name, pipeline)
    if (!this.#isClosed) pipeline.start()
    pipeline.forgetDropped()
    return pipeline
  }

  /** The store is asked: an index may not be there yet. Throws CONFLICT. */
  async #checkParked(older: PipelineRow, plan: PlanDescription): Promise<void> {
    const { storage, limits } = this.#options
    checkParkedPlaces(older, plan, (await ParkedIndex.load(storage, older.id, limits)).counts())
  }

  async #deploy(
    plan: PlanDescription,
    module: string,
    bundle: string,
    start: StartPosition,
    more: Pick<PipelineRow, 'bounded' | 'shadow'> = {},
  ): Promise<PipelineView> {
    const { counters, groups, commit, logger, log } = this.#options
    const read = await sourcesOf(plan, this.#options)
    const id = counters.take('pipeline')
    const files = await this.#targets.createFiles(plan)
    const outboxes = await createOutboxes(log, plan)
    const feeds = await createFeeds(this.#options, plan, read)
    const sources = [...read, ...feeds]
    const row: PipelineRow = {
      id,
      plan,
      module,
      sources,
      states: numbersOf(plan.nodes.flatMap((node) => (node.kind === 'keyed' ? [node.name] : []))),
      files: numbersOf(sinksOf(plan).flatMap(({ kind, name }) => (kind === 'file' ? [name] : []))),
      ...(Object.keys(outboxes).length === 0 ? {} : { outboxes }),
      steps: numberedPlaces(placesOf(plan, stagesOf(plan.nodes))),
      createdAt: commit.time.next(),
      ...more,
      state: 'running',
    }
    const rows: RowEffect[] = [
      { key: moduleKey(module), value: Buffer.from(bundle) },
      pipelineRow(row),
      ...[...files].map(([node, file]) => sinkFileRow(id, fileNumber(row, node), file)),
    ]
    const wanted = [...newGroupsOf(sources, start), ...outboxGroupsOf(outboxes)]
    try {
      await groups.createAll(wanted, { kind: 'pipeline', rows })
    } catch (error) {
      await closeOutboxes(log, Object.values(outboxes))
      await closeFeeds(log, feeds)
      throw error
    }
    if (row.shadow) killPoint('pipeline:shadowed')
    const pipeline = this.#make(row)
    this.#pipelines.set(plan.name, pipeline)
    // What cannot be made now is tried again by the pipeline itself, and shown with it.
    if (row.shadow) await this.#shadows.make(row.shadow.plan).catch(() => {})
    if (writesToItsSource(plan))
      logger.warn(
        { pipeline: plan.name },
        'a pipeline writes to its own source: it never ends unless it leaves out what it wrote itself',
      )
    // These rooms were closed meanwhile: the next opening finds the pipeline and begins it.
    if (!this.#isClosed) pipeline.start()
    return pipeline.view()
  }

  #checkTargets(plan: PlanDescription): void {
    this.#targets.checkThere(plan)
    this.#checkFiles(plan)
  }

  /** `but`: the pipelines that may have them. */
  #checkFiles(plan: PlanDescription, but: readonly string[] = [plan.name]): void {
    const plans = [...[...this.#pipelines.values()].map(({ row }) => row.plan), ...this.#planned()]
    this.#targets.checkFiles(
      plan,
      plans.filter(({ name }) => !but.includes(name)),
    )
  }

  #make(row: PipelineRow): Pipeline {
    const rooms = { ...this.#options, targets: this.#targets, shadows: this.#shadows }
    const moduleFile = async () => this.#modules.put(row.module, await this.#storedModule(row.module))
    return new Pipeline(row, partsOf(row, moduleFile, rooms), this.#options)
  }

  async #storedModule(hash: string): Promise<string> {
    const value = await this.#options.storage.get(moduleKey(hash))
    if (!value || moduleHash(value.toString()) !== hash)
      throw new MillraceError('STORE_CORRUPT', `The module ${hash} is missing or not what was stored.`)
    return value.toString()
  }

  /** Stops a pipeline; its positions and its state go. What it wrote stays. Throws NOT_FOUND. */
  async delete(name: string): Promise<void> {
    const { commit } = this.#options
    const pipeline = this.#pipeline(name)
    await this.#change(name, async () => {
      await pipeline.stop()
      this.#pipelines.delete(name)
      const row: PipelineRow = { ...pipeline.row, state: 'deleting' }
      await commit.submit({ rows: [pipelineRow(row)], essential: true })
      await this.#forget(row)
    })
  }

  /** Removes what a deleted pipeline has; begun again at a start when cut off. */
  async #forget(row: PipelineRow): Promise<void> {
    const isUsed = (module: string) => this.#uses(module)
    await forget(row, { ...this.#options, shadows: this.#shadows, isUsed }, () => !this.#isClosed)
    if (!this.#uses(row.module)) this.#modules.drop(row.module)
  }

  /** The same beside everything else. */
  #forgetLater(row: PipelineRow): void {
    const { logger } = this.#options
    const work = this.#forget(row).catch((error: unknown) =>
      logger.warn(
        { pipeline: row.plan.name },
        `what a pipeline left stays until the next start: ${asMillraceError(error).message}`,
      ),
    )
    this.#forgetting.add(work)
    void work.then(() => this.#forgetting.delete(work))
  }

  /** A pipeline by its name. Throws NOT_FOUND. */
  get(name: string): Pipeline {
    return this.#pipeline(name)
  }

  #pipeline(name: string): Pipeline {
    const pipeline = this.#pipelines.get(name)
    if (!pipeline) throw new MillraceError('NOT_FOUND', `There is no pipeline named ${name}.`)
    return pipeline
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#options.workers.answerState = undefined
    await Promise.all(this.#forgetting)
    await Promise.all(
      [...this.#pipelines.values()].map((pipeline) =>
        pipeline
          .stop()
          .catch((error: unknown) =>
            this.#options.logger.warn({ pipeline: pipeline.row.plan.name }, asMillraceError(error).message),
          ),
      ),
    )
  }
}

/** Numbers under which rows of these names are kept. */
const numbersOf = (names: readonly string[]): Record<string, number> =>
  Object.fromEntries(names.map((name, i) => [name, i]))
