import { createHash } from 'node:crypto'
import { Family, type RowEffect } from '../commit/index.js'
import type { ShardId, StreamId } from '../log/index.js'
import type { PlanDescription } from '../operators/index.js'
import type { CellKey } from '../operators/task.js'
import type { CommittedFile } from '../sinks/index.js'

/** Why a pipeline stopped. */
export interface Failure {
  readonly code: string
  readonly message: string
  readonly stack?: string | undefined
  /** Index and kind of the step, where one is to blame. */
  readonly step?: number | undefined
  readonly sequence?: number | undefined
  readonly shard?: ShardId | undefined
  readonly at: number
}

/** What a pipeline's row says. */
export interface PipelineRow {
  readonly id: number
  readonly plan: PlanDescription
  readonly module: string
  readonly stream: StreamId
  /** Name of the source table's partition key, kept because the table may be deleted before all of it is delivered. */
  readonly hashKeyName?: string | undefined
  readonly createdAt: number
  readonly state: 'running' | 'failed' | 'sourceDeleted' | 'deleting'
  readonly failure?: Failure
}

const version = 1
const encode = (value: unknown): Buffer => Buffer.concat([Buffer.from([version]), Buffer.from(JSON.stringify(value))])

/** `pipeline`: family, pipeline u32be -> version u8, JSON. */
export function pipelineRow(row: PipelineRow): RowEffect {
  return { key: numbered(Family.pipeline, row.id), value: encode(row) }
}

export const pipelineGone = (id: number): RowEffect => ({ key: numbered(Family.pipeline, id), value: undefined })
export const decodePipeline = (value: Buffer): PipelineRow => JSON.parse(value.toString('utf8', 1)) as PipelineRow

/** `module`: family, SHA-256 of the text (32 bytes) -> text. */
export const moduleHash = (text: string): string => createHash('sha256').update(text).digest('hex')
export const moduleKey = (hash: string): Buffer =>
  Buffer.concat([Buffer.from([Family.module]), Buffer.from(hash, 'hex')])

/** `sinkFile`: family, pipeline u32be, step u16be -> version u8, JSON. */
export function sinkFileKey(pipeline: number, step: number): Buffer {
  const key = Buffer.alloc(7)
  numbered(Family.sinkFile, pipeline).copy(key)
  key.writeUInt16BE(step, 5)
  return key
}

export const sinkFileRow = (pipeline: number, step: number, file: CommittedFile): RowEffect => ({
  key: sinkFileKey(pipeline, step),
  value: encode(file),
})
export const decodeSinkFile = (value: Buffer): CommittedFile => JSON.parse(value.toString('utf8', 1)) as CommittedFile

/** `state`: family, pipeline u32be, step u32be, key hash (hi u32be, lo u32be), the record's partition key. */
export function stateKey(pipeline: number, cell: CellKey): Buffer {
  const key = Buffer.allocUnsafe(17 + cell.key.length)
  numbered(Family.state, pipeline).copy(key)
  key.writeUInt32BE(cell.step, 5)
  key.writeUInt32BE(cell.hashHi, 9)
  key.writeUInt32BE(cell.hashLo, 13)
  key.set(cell.key, 17)
  return key
}

/** The value of a cell: version u8, MessagePack. */
export const stateValue = (value: Uint8Array): Buffer => Buffer.concat([Buffer.from([version]), value])
export const cellOfState = (value: Buffer): Buffer => value.subarray(1)

export function numbered(family: number, id: number): Buffer {
  const key = Buffer.allocUnsafe(5)
  key[0] = family
  key.writeUInt32BE(id, 1)
  return key
}

export const groupNameOf = (pipeline: string): string => `pipeline:${pipeline}`
