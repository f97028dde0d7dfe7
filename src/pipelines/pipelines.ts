import { type Counters, Family, type RowEffect } from '../commit/index.js'
import type { Groups } from '../groups/index.js'
import type { StartPosition, StreamId } from '../log/index.js'
import type { NodeId, PlanDescription } from '../operators/index.js'
import { checkRedeploy } from '../operators/plan/index.js'
import { stagesOf } from '../operators/task/index.js'
import { asMillraceError, killPoint, MillraceError } from '../runtime/index.js'
import { type CommittedFile, FileSink, rowsOfOutbox, sinkPath, tableGone } from '../sinks/index.js'
import type { KeySchema } from '../tables/index.js'
import { fileNumber } from './barrier-commit.js'
import { attached, boundsOf, checkNotReserved, passedOf, type RunBounds, runPlan } from './bounded-run.js'
import { ModuleFiles } from './module-files.js'
import { closeOrphans, closeOutboxes, createOutboxes, type OutboxSurroundings, openOutboxes } from './outboxes.js'
import { numberedPlaces, placesOf } from './park-places.js'
import { ParkedIndex } from './parked-index.js'
import { Pipeline } from './pipeline.js'
import type { PipelineParts, PipelineSurroundings, PipelineView } from './pipeline-parts.js'
import { checkRunnable, sinksOf, writesToItsSource } from './plan-steps.js'
import { goneFiles, redeployedRow, timesOf } from './redeploy.js'
import { checkOutboxKinds, type RedeployedOutboxes, redeployOutboxes, undelivered } from './redeploy-outboxes.js'
import { checkParkedPlaces } from './redeploy-parked.js'
import { removeRows } from './removal.js'
import {
  type Bounded,
  decodePipeline,
  decodeSinkFile,
  moduleHash,
  moduleKey,
  type OutboxRow,
  type PipelineRow,
  pipelineGone,
  pipelineRow,
  rowsWith,
  type SourceRow,
  sinkFileKey,
  sinkFileRow,
} from './rows.js'
import { storedState } from './run-state.js'
import type { RunSource } from './run-tasks.js'
import { sourcesOf } from './sources.js'
import { cellOfKey, type ShownState, type StateQuery, stateOfKey } from './state-query.js'

export interface PipelinesOptions extends PipelineSurroundings {
  readonly counters: Counters
  readonly groups: Groups
  /** The event id of a sequence number. */
  readonly idOf: OutboxSurroundings['idOf']
  readonly random: () => number
  readonly tables: {
    schema(name: string): KeySchema | undefined
    changeLog(name: string): Promise<StreamId>
  }
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
  readonly start?: 'oldest' | 'newest'
}

/** A bounded run: of a module, or of that which a pipeline has. */
export interface RunRequest extends Partial<RunBounds> {
  readonly module: { readonly bundle: string } | { readonly pipeline: string }
}

/** What a redeploy puts in the place of an older module. */
interface NewModule extends Required<DeployRequest> {
  readonly module: string
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
  #isClosed = false

  private constructor(options: PipelinesOptions) {
    this.#options = options
    this.#modules = new ModuleFiles(options.modulesFolder)
  }

  static async open(options: PipelinesOptions): Promise<Pipelines> {
    const pipelines = new Pipelines(options)
    const range = { gte: Buffer.from([Family.pipeline]), lt: Buffer.from([Family.pipeline + 1]), bytesMax: 1 << 20 }
    const rows: PipelineRow[] = []
    for await (const page of options.storage.scan(range)) rows.push(...page.values.map(decodePipeline))
    for (const row of rows) if (row.state !== 'deleting') pipelines.#pipelines.set(row.plan.name, pipelines.#make(row))
    for (const row of rows) if (row.state === 'deleting') await pipelines.#forget(row)
    await closeOrphans(options.log, rows)
    // User code asks with `stateOf`.
    options.workers.answerState = async (question) => cellOfKey(pipelines.#stateQuery(question.pipeline), question)
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

  /** Throws NOT_FOUND. */
  show(name: string): PipelineView {
    return this.#pipeline(name).view()
  }

  /** About how many bytes of the store the state and timers of each pipeline take; what was written last may not count. */
  async stateBytes(): Promise<ReadonlyMap<string, number>> {
    const { storage } = this.#options
    const sizes = new Map<string, number>()
    for (const { row } of this.#pipelines.values()) {
      let bytes = 0
      for (const family of [Family.state, Family.timer]) {
        const { gte, lt } = rowsWith(family, row.id)
        bytes += await storage.approximateSize(gte, lt)
      }
      sizes.set(row.plan.name, bytes)
    }
    return sizes
  }

  /** What the steps of a pipeline have committed for a key, see `stateOfKey`. Throws NOT_FOUND. */
  state(name: string, key: string, step?: string): Promise<ShownState[]> {
    return stateOfKey(this.#stateQuery(name), key, step)
  }

  #stateQuery(name: string): StateQuery {
    const { commit, storage } = this.#options
    const { row } = this.#pipeline(name)
    return { row, stages: stagesOf(row.plan.nodes), commit, storage }
  }

  /**
   * Reads the module's plan in a worker, checks it against what is there, and runs it. Nothing is left behind when it is
   * refused: MODULE_INVALID, PIPELINE_INVALID, ALREADY_EXISTS, NOT_FOUND, SINK_FILE_TAKEN.
   */
  async deploy({ bundle, start = 'oldest' }: DeployRequest): Promise<PipelineView> {
    const { workers } = this.#options
    this.#checkBundle(bundle)
    const deploy: Deploy = { module: moduleHash(bundle), plan: undefined }
    this.#deploys.add(deploy)
    try {
      const plan = await workers.describe(this.#modules.put(deploy.module, bundle))
      const present = this.#pipelines.get(plan.name)
      this.#checkName(plan.name)
      checkNotReserved(plan.name)
      // The same module again is no change: a deploy whose answer was lost may be repeated.
      if (present?.row.module === deploy.module) return present.view()
      checkRunnable(plan)
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
      checkRunnable(plan)
      if (present) await this.#deleteFinished(present)
      this.#checkRoom(plan)
      deploy.plan = plan
      const sources = await sourcesOf(plan, this.#options)
      const bounded = await boundsOf(
        bounds,
        sources.map(({ stream }) => stream),
        this.#options.log,
      )
      return await this.#deploy(plan, deploy.module, bundle, { sequence: bounded.from }, bounded)
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

  #uses(module: string): boolean {
    for (const deploy of this.#deploys) if (deploy.module === module) return true
    for (const pipeline of this.#pipelines.values()) if (pipeline.row.module === module) return true
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
    const sources = await sourcesOf(plan, this.#options, older.row)
    const isRunning = older.state !== 'paused' && older.state !== 'failed'
    this.#changing.add(name)
    try {
      if (isRunning) await older.pause({ quietly: true })
      await older.haltRemoval()
      killPoint('pipeline:redeploying')
      await this.#checkParked(older.row, plan)
      const outboxes = await redeployOutboxes(older.row, plan, this.#options)
      const row = redeployedRow(older.row, plan, newer.module, sources, outboxes)
      await this.#storeRedeploy(older.row, row, newer, outboxes)
      killPoint('pipeline:redeployed')
      await older.stop()
      const pipeline = this.#make(row)
      this.#pipelines.set(name, pipeline)
      if (!this.#uses(older.row.module)) this.#modules.drop(older.row.module)
      if (!this.#isClosed) pipeline.start()
      pipeline.forgetDropped()
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

  /** The store is asked: an index may not be there yet. Throws CONFLICT. */
  async #checkParked(older: PipelineRow, plan: PlanDescription): Promise<void> {
    const { storage, limits } = this.#options
    checkParkedPlaces(older, plan, (await ParkedIndex.load(storage, older.id, limits)).counts())
  }

  /** The one commit of a redeploy. Files that are new are made before it. */
  async #storeRedeploy(
    older: PipelineRow,
    newer: PipelineRow,
    { module, bundle, start }: NewModule,
    { added }: RedeployedOutboxes,
  ): Promise<void> {
    const { groups, commit, storage, log } = this.#options
    const known = new Set(Object.values(older.files))
    const files = await this.#createFiles(newer.plan, (node) => !known.has(fileNumber(newer, node)))
    const { times } = await storedState(storage, newer.id)
    const isOldUsed = [...this.#pipelines.values()].some(
      ({ row }) => row.id !== older.id && row.module === older.module,
    )
    const isOldPlanned = [...this.#deploys].some((deploy) => deploy.module === older.module)
    const rows: RowEffect[] = [
      ...(isOldUsed || isOldPlanned ? [] : [{ key: moduleKey(older.module), value: undefined }]),
      { key: moduleKey(module), value: Buffer.from(bundle) },
      pipelineRow(newer),
      ...[...files].map(([node, file]) => sinkFileRow(newer.id, fileNumber(newer, node), file)),
      ...goneFiles(older, newer),
      ...timesOf(older, newer, times),
    ]
    const before = new Set(older.sources.map(({ group }) => group))
    const newSources = newer.sources.filter(({ group }) => !before.has(group))
    const wanted = [...newSources.map(({ group, stream }) => ({ name: group, stream, start })), ...groupsOf(added)]
    try {
      if (wanted.length > 0) await groups.createAll(wanted, { kind: 'pipeline', rows })
      else await commit.submit({ rows, essential: true })
    } catch (error) {
      await closeOutboxes(log, Object.values(added))
      throw error
    }
  }

  async #deploy(
    plan: PlanDescription,
    module: string,
    bundle: string,
    start: StartPosition,
    bounded?: Bounded,
  ): Promise<PipelineView> {
    const { counters, groups, commit, logger, log } = this.#options
    const sources = await sourcesOf(plan, this.#options)
    const id = counters.take('pipeline')
    const files = await this.#createFiles(plan)
    const outboxes = await createOutboxes(log, plan)
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
      ...(bounded ? { bounded } : {}),
      state: 'running',
    }
    const rows: RowEffect[] = [
      { key: moduleKey(module), value: Buffer.from(bundle) },
      pipelineRow(row),
      ...[...files].map(([node, file]) => sinkFileRow(id, fileNumber(row, node), file)),
    ]
    const wanted = [...sources.map(({ group, stream }) => ({ name: group, stream, start })), ...groupsOf(outboxes)]
    try {
      await groups.createAll(wanted, { kind: 'pipeline', rows })
    } catch (error) {
      await closeOutboxes(log, Object.values(outboxes))
      throw error
    }
    const pipeline = this.#make(row)
    this.#pipelines.set(plan.name, pipeline)
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
    const { tables, log } = this.#options
    const others = [...[...this.#pipelines.values()].map(({ row }) => row.plan), ...this.#planned()].filter(
      // Its own older version.
      ({ name }) => name !== plan.name,
    )
    for (const { kind, target, path } of this.#sinksOf(plan)) {
      if (kind === 'table' && !tables.schema(target))
        throw new MillraceError(
          'NOT_FOUND',
          `The pipeline ${plan.name} writes to the table ${target}, which is not there.`,
          { remedy: 'Create the table first.' },
        )
      if (kind === 'stream' && log.streamNamed(target)?.kind !== 'plain')
        throw new MillraceError(
          'NOT_FOUND',
          `The pipeline ${plan.name} writes to the stream ${target}, which is not there.`,
          { remedy: `Make it with: millrace streams create ${target}` },
        )
      if (path === undefined) continue
      const taken = others.find((other) => this.#sinksOf(other).some((sink) => sink.path === path))
      if (taken) throw new MillraceError('SINK_FILE_TAKEN', `The file ${path} belongs to the pipeline ${taken.name}.`)
    }
    const paths = this.#sinksOf(plan).flatMap(({ path }) => (path === undefined ? [] : [path]))
    if (new Set(paths).size !== paths.length)
      throw new MillraceError('SINK_FILE_TAKEN', `Two sinks of ${plan.name} write to one file.`)
  }

  #sinksOf(plan: PlanDescription): { node: NodeId; kind: string; target: string; path: string | undefined }[] {
    const { filesFolder, filesOutside } = this.#options
    return sinksOf(plan).map(({ node, kind, target }) => {
      const path = kind === 'file' ? sinkPath(target, filesFolder, filesOutside) : undefined
      return { node, kind, target, path }
    })
  }

  async #createFiles(
    plan: PlanDescription,
    isNew: (node: NodeId) => boolean = () => true,
  ): Promise<Map<NodeId, CommittedFile>> {
    const files = new Map<NodeId, CommittedFile>()
    for (const { node, path } of this.#sinksOf(plan))
      if (path !== undefined && isNew(node)) files.set(node, await FileSink.create(path))
    return files
  }

  #make(row: PipelineRow): Pipeline {
    const parts: PipelineParts = {
      sources: row.sources.map((source) => this.#runSource(row.plan, source)),
      moduleFile: async () => this.#modules.put(row.module, await this.#storedModule(row.module)),
      passed: () => passedOf(row, this.#options),
      dropGroup: async (name) => {
        const { groups } = this.#options
        if (groups.group(name)) await groups.delete(name)
      },
      dropOutbox: async (outbox) => {
        const { groups, log } = this.#options
        if (groups.group(outbox.group)) await groups.delete(outbox.group)
        await closeOutboxes(log, [outbox])
        await removeRows(rowsOfOutbox(row.id, outbox.number), this.#options)
      },
      sinkKeys: () => this.#sinkKeys(row.plan),
      files: () => this.#committedFiles(row),
      outboxes: (moduleFile, onRoom) => openOutboxes(row, this.#options, moduleFile, onRoom),
    }
    return new Pipeline(row, parts, this.#options)
  }

  #runSource(plan: PlanDescription, source: SourceRow): RunSource {
    const { groups, tables } = this.#options
    const group = groups.group(source.group)
    if (!group)
      throw new MillraceError('STORE_CORRUPT', `The pipeline ${plan.name} is stored without its group ${source.group}.`)
    const node = plan.nodes[source.node]
    if (node?.kind !== 'source' || node.source.kind !== 'table') return { row: source, group }
    // A pipeline of an earlier version has it not: the source may be deleted by now, and its key is shown as `key` then.
    const hashKeyName = source.hashKeyName ?? tables.schema(node.source.name)?.hash.name ?? 'key'
    return { row: { ...source, hashKeyName }, group }
  }

  #sinkKeys(plan: PlanDescription): Record<NodeId, KeySchema> {
    const keys: Record<NodeId, KeySchema> = {}
    for (const { node, kind, target } of this.#sinksOf(plan)) {
      if (kind !== 'table') continue
      const schema = this.#options.tables.schema(target)
      if (!schema) throw tableGone(target)
      keys[node] = schema
    }
    return keys
  }

  async #committedFiles(row: PipelineRow): Promise<Map<NodeId, CommittedFile>> {
    const files = new Map<NodeId, CommittedFile>()
    for (const { node, path } of this.#sinksOf(row.plan)) {
      if (path === undefined) continue
      const value = await this.#options.commit.readDurable(sinkFileKey(row.id, fileNumber(row, node)))
      // The path of today: a data directory may have been moved.
      files.set(node, value ? { ...decodeSinkFile(value), path } : { path, length: 0, checksum: 0 })
    }
    return files
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

  /** Removes the state of a deleted pipeline in bounded commits, then its row; begun again at a start when cut off. */
  async #forget(row: PipelineRow): Promise<void> {
    const { storage, commit, groups, log } = this.#options
    const outboxes = [...Object.values(row.outboxes ?? {}), ...(row.dropped?.outboxes ?? [])]
    const names = [...[...row.sources, ...outboxes].map(({ group }) => group), ...(row.dropped?.groups ?? [])]
    for (const group of names) if (groups.group(group)) await groups.delete(group)
    await closeOutboxes(log, outboxes)
    for (const family of [Family.state, Family.timer, Family.eventTime, Family.outbox, Family.parked])
      await removeRows(rowsWith(family, row.id), { storage, commit })
    const files = Object.values(row.files).map((file) => ({ key: sinkFileKey(row.id, file), value: undefined }))
    const isUsed = this.#uses(row.module)
    const module = isUsed ? [] : [{ key: moduleKey(row.module), value: undefined }]
    await commit.submit({ rows: [pipelineGone(row.id), ...files, ...module], essential: true })
    if (!this.#uses(row.module)) this.#modules.drop(row.module)
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

/** The groups that deliver outboxes, as they are made. */
const groupsOf = (outboxes: Readonly<Record<string, OutboxRow>>) =>
  Object.values(outboxes).map(({ group, stream }) => ({ name: group, stream, start: 'oldest' as const }))
