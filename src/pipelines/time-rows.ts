import { Family } from '../commit/index.js'
import type { ShardId } from '../log/index.js'
import type { KeyRange, NodeWatermark } from '../operators/task/index.js'
import { numbered } from './rows.js'

/** Whose event time a row says: that of a source's shard, or that of all tasks of a keyed stage. */
export type TimeOwner =
  | { readonly kind: 'shard'; readonly root: number; readonly shard: ShardId }
  | { readonly kind: 'stage'; readonly stage: number }

const version = 1
const idleFlag = 1
const keysFlag = 2
const shardOwner = 1
const stageOwner = 2
const nowOwner = 0
const entryBytes = 11
const rangeBytes = 16

/**
 * `event time`: family, pipeline u32be, owner u8 (1 a shard, 2 a keyed stage), then the root of its stage u32be and the shard
 * u32be, or the stage u32be.
 */
export function timeKey(pipeline: number, owner: TimeOwner): Buffer {
  const row = Buffer.alloc(owner.kind === 'shard' ? 14 : 10)
  numbered(Family.eventTime, pipeline).copy(row)
  row[5] = owner.kind === 'shard' ? shardOwner : stageOwner
  row.writeUInt32BE(owner.kind === 'shard' ? owner.root : owner.stage, 6)
  if (owner.kind === 'shard') row.writeUInt32BE(owner.shard, 10)
  return row
}

/** The row of the latest processing time that a task saw: owner 0, nothing else. */
export function nowKey(pipeline: number): Buffer {
  const row = Buffer.alloc(6)
  numbered(Family.eventTime, pipeline).copy(row)
  row[5] = nowOwner
  return row
}

/**
 * version u8, then for each node: its number u16le, flags u8 (1 idle, 2 of some keys alone), its watermark as a double; with
 * flag 2 the lowest and the highest hash of the keys, each twice u32be.
 */
export function timeValue(watermarks: readonly NodeWatermark[]): Buffer {
  const bytes = watermarks.reduce((sum, { keys }) => sum + entryBytes + (keys ? rangeBytes : 0), 1)
  const row = Buffer.allocUnsafe(bytes)
  row[0] = version
  let at = 1
  for (const { node, watermark, isIdle, keys } of watermarks) {
    row.writeUInt16LE(node, at)
    row[at + 2] = (isIdle ? idleFlag : 0) | (keys ? keysFlag : 0)
    row.writeDoubleLE(watermark, at + 3)
    at += entryBytes
    for (const { hi, lo } of keys ? [keys.low, keys.high] : []) {
      row.writeUInt32BE(hi, at)
      at = row.writeUInt32BE(lo, at + 4)
    }
  }
  return row
}

/** version u8, milliseconds since 1970 as a double. */
export function nowValue(now: number): Buffer {
  const row = Buffer.allocUnsafe(9)
  row[0] = version
  row.writeDoubleLE(now, 1)
  return row
}

/** What the rows of a pipeline say. */
export interface StoredTimes {
  readonly times: readonly { readonly owner: TimeOwner; readonly watermarks: readonly NodeWatermark[] }[]
  /** The latest processing time that a task saw; 0 for none. */
  readonly now: number
}

export function decodeTimes(keys: readonly Buffer[], values: readonly Buffer[]): StoredTimes {
  let now = 0
  const times = keys.flatMap((key, i) => {
    const value = values[i] as Buffer
    if (key[5] === nowOwner) {
      now = value.readDoubleLE(1)
      return []
    }
    return [{ owner: ownerOf(key), watermarks: watermarksOf(value) }]
  })
  return { times, now }
}

function ownerOf(key: Buffer): TimeOwner {
  return key[5] === shardOwner
    ? { kind: 'shard', root: key.readUInt32BE(6), shard: key.readUInt32BE(10) as ShardId }
    : { kind: 'stage', stage: key.readUInt32BE(6) }
}

function watermarksOf(value: Buffer): NodeWatermark[] {
  const watermarks: NodeWatermark[] = []
  for (let at = 1; at < value.length; ) {
    const flags = value[at + 2] as number
    const mark = {
      node: value.readUInt16LE(at),
      isIdle: (flags & idleFlag) !== 0,
      watermark: value.readDoubleLE(at + 3),
    }
    at += entryBytes
    watermarks.push((flags & keysFlag) === 0 ? mark : { ...mark, keys: rangeAt(value, at) })
    if ((flags & keysFlag) !== 0) at += rangeBytes
  }
  return watermarks
}

function rangeAt(value: Buffer, at: number): KeyRange {
  const hashAt = (from: number) => ({ hi: value.readUInt32BE(from), lo: value.readUInt32BE(from + 4) })
  return { low: hashAt(at), high: hashAt(at + 8) }
}
