import type { Commit } from '../commit/index.js'
import type { ShardedLog } from '../log/index.js'
import type { NodeId, PlanDescription } from '../operators/index.js'
import { MillraceError } from '../runtime/index.js'
import { type CommittedFile, FileSink, sinkPath, tableGone } from '../sinks/index.js'
import type { KeySchema, TableKeys } from '../tables/index.js'
import { fileNumber } from './barrier-commit.js'
import { sinksOf } from './plan-steps.js'
import { decodeSinkFile, type PipelineRow, sinkFileKey } from './rows.js'

export interface TargetRooms {
  readonly tables: { schema(name: string): KeySchema | undefined; keys(name: string): TableKeys | undefined }
  readonly log: Pick<ShardedLog, 'streamNamed'>
  readonly commit: Pick<Commit, 'readDurable'>
  /** Where file sinks write, and whether they may write elsewhere. */
  readonly filesFolder: string
  readonly filesOutside: boolean
}

/** A sink of a plan; `path` where it writes to a file. */
interface SinkTarget {
  readonly node: NodeId
  readonly kind: string
  readonly target: string
  readonly path: string | undefined
}

/** What the sinks of pipelines write to: tables, streams and files. */
export class SinkTargets {
  readonly #rooms: TargetRooms

  constructor(rooms: TargetRooms) {
    this.#rooms = rooms
  }

  /** Throws PIPELINE_INVALID for a file outside of the folder. */
  of(plan: PlanDescription): SinkTarget[] {
    return sinksOf(plan).map(({ node, kind, target }) => {
      const path = kind === 'file' ? this.path(target) : undefined
      return { node, kind, target, path }
    })
  }

  path(target: string): string {
    const { filesFolder, filesOutside } = this.#rooms
    return sinkPath(target, filesFolder, filesOutside)
  }

  /** Throws NOT_FOUND where a table or stream is missing. */
  checkThere(plan: PlanDescription): void {
    const { tables, log } = this.#rooms
    for (const { kind, target } of this.of(plan)) {
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
    }
  }

  /** Throws SINK_FILE_TAKEN where a file is another pipeline's, or two sinks write to it. */
  checkFiles(plan: PlanDescription, others: readonly PlanDescription[]): void {
    const paths = this.#paths(plan)
    for (const path of paths) {
      const taken = others.find((other) => this.#paths(other).includes(path))
      if (taken) throw new MillraceError('SINK_FILE_TAKEN', `The file ${path} belongs to the pipeline ${taken.name}.`)
    }
    if (new Set(paths).size !== paths.length)
      throw new MillraceError('SINK_FILE_TAKEN', `Two sinks of ${plan.name} write to one file.`)
  }

  #paths(plan: PlanDescription): string[] {
    return this.of(plan).flatMap(({ path }) => path ?? [])
  }

  /** Throws ALREADY_EXISTS where something is in the file. */
  async createFiles(
    plan: PlanDescription,
    isNew: (node: NodeId) => boolean = () => true,
  ): Promise<Map<NodeId, CommittedFile>> {
    const files = new Map<NodeId, CommittedFile>()
    for (const { node, path } of this.of(plan))
      if (path !== undefined && isNew(node)) files.set(node, await FileSink.create(path))
    return files
  }

  /** The keys of the tables of table sinks. Throws NOT_FOUND. */
  keys(plan: PlanDescription): Record<NodeId, TableKeys> {
    const keys: Record<NodeId, TableKeys> = {}
    for (const { node, kind, target } of this.of(plan)) {
      if (kind !== 'table') continue
      const found = this.#rooms.tables.keys(target)
      if (!found) throw tableGone(target)
      keys[node] = found
    }
    return keys
  }

  /** The files of a pipeline as its last commit left them. */
  async committedFiles(row: PipelineRow): Promise<Map<NodeId, CommittedFile>> {
    const files = new Map<NodeId, CommittedFile>()
    for (const { node, path } of this.of(row.plan)) {
      if (path === undefined) continue
      const value = await this.#rooms.commit.readDurable(sinkFileKey(row.id, fileNumber(row, node)))
      // The path of today: a data directory may have been moved.
      files.set(node, value ? { ...decodeSinkFile(value), path } : { path, length: 0, checksum: 0 })
    }
    return files
  }
}
