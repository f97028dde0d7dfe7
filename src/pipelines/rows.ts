import { createHash } from 'node:crypto'
import { Family, type RowEffect } from '../commit/index.js'
import type { Sequence, ShardId, StreamId } from '../log/index.js'
import type { NodeId, PlanDescription } from '../operators/index.js'
import type { CommittedFile } from '../sinks/index.js'
import { type PipelineRow1, upgraded } from './row-version-1.js'

/** Why a pipeline stopped. */
export interface Failure {
  readonly code: string
  readonly message: string
  readonly stack?: string | undefined
  /** Index of the step, where one is to blame. */
  readonly step?: number | undefined
  readonly sequence?: number | undefined
  readonly shard?: ShardId | undefined
  readonly at: number
}

/** Where a source of a pipeline reads. */
export interface SourceRow {
  /** The source node, or the `through` node whose stream is read. */
  readonly node: NodeId
  readonly group: string
  readonly stream: StreamId
  /** Name of the source table's partition key, kept because the table may be deleted before all of it is delivered. */
  readonly hashKeyName?: string | undefined
  /**
   * The stream is an internal one that a feed fills: with a table's items and the changes that were made meanwhile, before the
   * source of the same node reads on in the table's change log; with the lines of files; or with the messages of a Kafka topic.
   */
  readonly feed?: 'snapshot' | 'files' | 'kafka'
  /** Of files: their paths, in the order in which they are read. */
  readonly files?: readonly string[]
}

/** What a sink that goes outside has, see outboxes.ts. */
export interface OutboxRow {
  /** Its number among those of the pipeline: it keeps it for the pipeline's life. */
  readonly number: number
  /** Name of its stream, and of the group that delivers it. */
  readonly group: string
  readonly stream: StreamId
  readonly deadLetters: StreamId
}

/** The part of the sources that a bounded run reads, by sequence numbers. */
export interface Bounded {
  readonly from: Sequence
  /** The first one that it reads no more. */
  readonly until: Sequence
}

/** What a redeploy left behind: none of these numbers and names is given again before it is removed. */
export interface Dropped {
  /** Numbers of states. */
  readonly states: readonly number[]
  /** Names of groups. */
  readonly groups: readonly string[]
  readonly outboxes?: readonly OutboxRow[]
}

/** A pipeline beside another one whose place it may take. */
export interface ShadowRow {
  /** The pipeline that it is a shadow of. */
  readonly of: string
  /** Its plan with the targets that it gets when it takes the place. */
  readonly plan: PlanDescription
  /** Whether it began with the first records of its sources, of which nothing was trimmed. */
  readonly isWhole: boolean
}

/** What is left to be done of a swap before the pipeline begins: its tables take the items of those of the shadow. */
export interface TakeOver {
  /** `replace`: items go that the shadow has not. */
  readonly tables: readonly { readonly from: string; readonly into: string; readonly items: 'replace' | 'merge' }[]
  readonly gone: GoneTargets
}

/** Targets that nobody needs any more, by their names; a file with the names of those that it was rolled into. */
export interface GoneTargets {
  readonly tables: readonly string[]
  readonly streams: readonly string[]
  readonly files: readonly { readonly target: string; readonly rolled: number }[]
}

/** What a pipeline's row says. */
export interface PipelineRow {
  readonly id: number
  readonly plan: PlanDescription
  readonly module: string
  /** In the order of their nodes. */
  readonly sources: readonly SourceRow[]
  /** Numbers under which the state of steps is kept, by their names: a step keeps its number for the pipeline's life. */
  readonly states: Readonly<Record<string, number>>
  /** Numbers under which the files of sinks are kept, by the names of the sinks. */
  readonly files: Readonly<Record<string, number>>
  /** Outboxes of sinks that go outside, by the names of the sinks; absent in rows of earlier versions. */
  readonly outboxes?: Readonly<Record<string, OutboxRow>>
  /** Numbers under which rows wait, by the names of the places (park-places.ts). Rows of earlier versions have none yet. */
  readonly steps?: Readonly<Record<string, number>>
  readonly createdAt: number
  /** A run over a part of its sources, which ends. */
  readonly bounded?: Bounded
  readonly shadow?: ShadowRow
  readonly takeOver?: TakeOver
  /** How many modules it has had; 1 where nothing is said. */
  readonly revision?: number
  /** What steps and sources of earlier modules left behind, and is still being removed. */
  readonly dropped?: Dropped
  readonly state: 'running' | 'paused' | 'finished' | 'failed' | 'sourceDeleted' | 'deleting'
  readonly failure?: Failure
}

const version = 1
const pipelineVersion = 2
const encode = (value: unknown, of = version): Buffer =>
  Buffer.concat([Buffer.from([of]), Buffer.from(JSON.stringify(value))])

/** `pipeline`: family, pipeline u32be -> version u8 (2; 1 has a list of steps instead of a graph), JSON. */
export function pipelineRow(row: PipelineRow): RowEffect {
  return { key: numbered(Family.pipeline, row.id), value: encode(row, pipelineVersion) }
}

export const pipelineGone = (id: number): RowEffect => ({ key: numbered(Family.pipeline, id), value: undefined })

export function decodePipeline(value: Buffer): PipelineRow {
  const row: unknown = JSON.parse(value.toString('utf8', 1))
  return value[0] === version ? upgraded(row as PipelineRow1) : (row as PipelineRow)
}

/** `module`: family, SHA-256 of the text (32 bytes) -> text. */
export const moduleHash = (text: string): string => createHash('sha256').update(text).digest('hex')
export const moduleKey = (hash: string): Buffer =>
  Buffer.concat([Buffer.from([Family.module]), Buffer.from(hash, 'hex')])

/** `sinkFile`: family, pipeline u32be, number of the file u16be -> version u8, JSON. */
export function sinkFileKey(pipeline: number, file: number): Buffer {
  const key = Buffer.alloc(7)
  numbered(Family.sinkFile, pipeline).copy(key)
  key.writeUInt16BE(file, 5)
  return key
}

export const sinkFileRow = (pipeline: number, number: number, file: CommittedFile): RowEffect => ({
  key: sinkFileKey(pipeline, number),
  value: encode(file),
})
export const decodeSinkFile = (value: Buffer): CommittedFile => JSON.parse(value.toString('utf8', 1)) as CommittedFile

export function numbered(family: number, id: number): Buffer {
  const key = Buffer.allocUnsafe(5)
  key[0] = family
  key.writeUInt32BE(id, 1)
  return key
}

/** All rows of a family that belong to a pipeline. */
export const rowsWith = (family: number, pipeline: number): { readonly gte: Buffer; readonly lt: Buffer } => ({
  gte: numbered(family, pipeline),
  lt: numbered(family, pipeline + 1),
})

/** Bytes of a state's number behind that of the pipeline. */
const stateBytes = 4

/** Of these those of one state. */
export function rowsOfState(
  family: number,
  pipeline: number,
  state: number,
): { readonly gte: Buffer; readonly lt: Buffer } {
  const key = (of: number): Buffer => {
    const number = Buffer.alloc(stateBytes)
    number.writeUIntBE(of, 0, stateBytes)
    return Buffer.concat([numbered(family, pipeline), number])
  }
  return { gte: key(state), lt: key(state + 1) }
}

/** A pipeline's first source is its own group; each further one has the name of what it reads behind it. */
export const groupNameOf = (pipeline: string): string => `pipeline:${pipeline}`
