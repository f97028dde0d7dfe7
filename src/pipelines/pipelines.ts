import { type Counters, Family, type RowEffect } from '../commit/index.js'
import type { Groups } from '../groups/index.js'
import type { StreamId } from '../log/index.js'
import type { NodeId, PlanDescription } from '../operators/index.js'
import { stagesOf } from '../operators/task/index.js'
import { asMillraceError, MillraceError } from '../runtime/index.js'
import { type CommittedFile, FileSink, sinkPath, tableGone } from '../sinks/index.js'
import type { KeySchema } from '../tables/index.js'
import { fileNumber } from './barrier-commit.js'
import { ModuleFiles } from './module-files.js'
import { numberedPlaces, placesOf } from './park-places.js'
import { Pipeline, type PipelineParts, type PipelineSurroundings, type PipelineView } from './pipeline.js'
import { checkRunnable, sinksOf, sourceName } from './plan-steps.js'
import {
  decodePipeline,
  decodeSinkFile,
  groupNameOf,
  moduleHash,
  moduleKey,
  type PipelineRow,
  pipelineGone,
  pipelineRow,
  rowsWith,
  type SourceRow,
  sinkFileKey,
  sinkFileRow,
} from './rows.js'
import type { RunSource } from './run-tasks.js'
import { type ShownState, stateOfKey } from './state-query.js'

export interface PipelinesOptions extends PipelineSurroundings {
  readonly counters: Counters
  readonly groups: Groups
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

const goneRowsMax = 1000

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
  readonly #deleting = new Set<string>()
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
    pipelines.#modules.keepOnly(rows.map((row) => row.module))
    return pipelines
  }

  start(): void {
    for (const pipeline of this.#pipelines.values()) pipeline.start()
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
    const { commit, storage } = this.#options
    const { row } = this.#pipeline(name)
    return stateOfKey({ row, stages: stagesOf(row.plan.nodes), commit, storage }, key, step)
  }

  /**
   * Reads the module's plan in a worker, checks it against what is there, and runs it. Nothing is left behind when it is
   * refused: MODULE_INVALID, PIPELINE_INVALID, ALREADY_EXISTS, NOT_FOUND, SINK_FILE_TAKEN.
   */
  async deploy({ bundle, start = 'oldest' }: DeployRequest): Promise<PipelineView> {
    const { pipelinesMax, moduleBytesMax, workers } = this.#options
    if (Buffer.byteLength(bundle) > moduleBytesMax)
      throw new MillraceError('TOO_LARGE', `The bundle is larger than pipelines.moduleBytesMax (${moduleBytesMax}).`)
    const deploy: Deploy = { module: moduleHash(bundle), plan: undefined }
    this.#deploys.add(deploy)
    try {
      const plan = await workers.describe(this.#modules.put(deploy.module, bundle))
      const present = this.#pipelines.get(plan.name)
      this.#checkName(plan.name, present, deploy.module)
      if (present) return present.view()
      checkRunnable(plan)
      if (this.#pipelines.size + this.#planned().length >= pipelinesMax)
        throw new MillraceError('TOO_BUSY', `There are ${pipelinesMax} pipelines already (pipelines.pipelinesMax).`)
      this.#checkTargets(plan)
      deploy.plan = plan
      return await this.#deploy(plan, deploy.module, bundle, start)
    } finally {
      this.#deploys.delete(deploy)
      if (!this.#uses(deploy.module)) this.#modules.drop(deploy.module)
    }
  }

  #planned(): PlanDescription[] {
    return [...this.#deploys].flatMap(({ plan }) => plan ?? [])
  }

  #uses(module: string): boolean {
    for (const deploy of this.#deploys) if (deploy.module === module) return true
    for (const pipeline of this.#pipelines.values()) if (pipeline.row.module === module) return true
    return false
  }

  #checkName(name: string, present: Pipeline | undefined, module: string): void {
    if (this.#deleting.has(name) || this.#planned().some((plan) => plan.name === name))
      throw new MillraceError('CONFLICT', `The pipeline ${name} is being changed by another request.`)
    // The same module again is no change: a deploy whose answer was lost may be repeated.
    if (!present || present.row.module === module) return
    throw new MillraceError('ALREADY_EXISTS', `A pipeline named ${name} runs another module.`, {
      remedy: 'Delete it first; its state goes with it. Redeploying with state comes later.',
    })
  }

  async #deploy(
    plan: PlanDescription,
    module: string,
    bundle: string,
    start: 'oldest' | 'newest',
  ): Promise<PipelineView> {
    const { counters, groups, commit, logger } = this.#options
    const sources = await this.#sourcesOf(plan)
    const id = counters.take('pipeline')
    const files = await this.#createFiles(plan)
    const row: PipelineRow = {
      id,
      plan,
      module,
      sources,
      states: numbersOf(plan.nodes.flatMap((node) => (node.kind === 'keyed' ? [node.name] : []))),
      files: numbersOf(sinksOf(plan).flatMap(({ kind, name }) => (kind === 'file' ? [name] : []))),
      steps: numberedPlaces(placesOf(plan, stagesOf(plan.nodes))),
      createdAt: commit.time.next(),
      state: 'running',
    }
    const rows: RowEffect[] = [
      { key: moduleKey(module), value: Buffer.from(bundle) },
      pipelineRow(row),
      ...[...files].map(([node, file]) => sinkFileRow(id, fileNumber(row, node), file)),
    ]
    const wanted = sources.map(({ group, stream }) => ({ name: group, stream, start }))
    await groups.createAll(wanted, { kind: 'pipeline', rows })
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

  async #sourcesOf(plan: PlanDescription): Promise<SourceRow[]> {
    const sources: SourceRow[] = []
    const names = new Set<string>()
    for (const [node, { kind }] of plan.nodes.entries()) {
      if (kind !== 'source' && kind !== 'through') continue
      const name = sources.length === 0 ? groupNameOf(plan.name) : furtherGroup(plan, node, names)
      names.add(name)
      sources.push({ node, group: name, ...(await this.#sourceOf(plan, node)) })
    }
    return sources
  }

  async #sourceOf(plan: PlanDescription, id: NodeId): Promise<{ stream: StreamId; hashKeyName: string | undefined }> {
    const { log, tables } = this.#options
    const node = plan.nodes[id]
    if (node?.kind === 'source' && node.source.kind === 'table') {
      const { name } = node.source
      const schema = tables.schema(name)
      if (!schema)
        throw new MillraceError('NOT_FOUND', `The pipeline ${plan.name} reads the table ${name}, which is not there.`, {
          remedy: 'Create the table first.',
        })
      return { stream: await tables.changeLog(name), hashKeyName: schema.hash.name }
    }
    const name = sourceName(plan, id)
    const stream = log.streamNamed(name)
    if (stream?.kind !== 'plain')
      throw new MillraceError('NOT_FOUND', `The pipeline ${plan.name} reads the stream ${name}, which is not there.`, {
        remedy: `Make it with: millrace streams create ${name}`,
      })
    return { stream: stream.id, hashKeyName: undefined }
  }

  #checkTargets(plan: PlanDescription): void {
    const { tables, log } = this.#options
    const others = [...[...this.#pipelines.values()].map(({ row }) => row.plan), ...this.#planned()]
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

  async #createFiles(plan: PlanDescription): Promise<Map<NodeId, CommittedFile>> {
    const files = new Map<NodeId, CommittedFile>()
    for (const { node, path } of this.#sinksOf(plan))
      if (path !== undefined) files.set(node, await FileSink.create(path))
    return files
  }

  #make(row: PipelineRow): Pipeline {
    const parts: PipelineParts = {
      sources: row.sources.map((source) => this.#runSource(row.plan, source)),
      moduleFile: async () => this.#modules.put(row.module, await this.#storedModule(row.module)),
      sinkKeys: () => this.#sinkKeys(row.plan),
      files: () => this.#committedFiles(row),
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
    if (this.#deleting.has(name))
      throw new MillraceError('CONFLICT', `The pipeline ${name} is being changed by another request.`)
    this.#deleting.add(name)
    try {
      await pipeline.stop()
      this.#pipelines.delete(name)
      const row: PipelineRow = { ...pipeline.row, state: 'deleting' }
      await commit.submit({ rows: [pipelineRow(row)], essential: true })
      await this.#forget(row)
    } finally {
      this.#deleting.delete(name)
    }
  }

  /** Removes the state of a deleted pipeline in bounded commits, then its row; begun again at a start when cut off. */
  async #forget(row: PipelineRow): Promise<void> {
    const { storage, commit, groups } = this.#options
    for (const { group } of row.sources) if (groups.group(group)) await groups.delete(group)
    for (const family of [Family.state, Family.timer, Family.eventTime, Family.parked])
      for (;;) {
        const { keys } = await storage.page({
          ...rowsWith(family, row.id),
          limit: goneRowsMax,
          bytesMax: 1 << 20,
          values: false,
        })
        if (keys.length === 0) break
        await commit.submit({ rows: keys.map((key) => ({ key, value: undefined })), essential: true })
      }
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

/** The group of a source that is not the pipeline's first; two that read the same have a number, too. */
function furtherGroup(plan: PlanDescription, node: NodeId, names: ReadonlySet<string>): string {
  const name = `${groupNameOf(plan.name)}:${sourceName(plan, node)}`
  for (let i = 2; ; i++) {
    const each = i === 2 && !names.has(name) ? name : `${name}#${i}`
    if (!names.has(each)) return each
  }
}

function writesToItsSource(plan: PlanDescription): boolean {
  const sources = plan.nodes.flatMap((node) =>
    node.kind === 'source' && node.source.kind !== 'files' ? [`${node.source.kind} ${node.source.name}`] : [],
  )
  return sinksOf(plan).some(({ kind, target }) => sources.includes(`${kind} ${target}`))
}
