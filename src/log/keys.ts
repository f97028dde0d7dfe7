import { Family } from '../commit/index.js'
import type { Sequence, ShardId, StreamId } from './types.js'

/** `stream`: family, stream u32be. */
export function streamKey(stream: StreamId): Buffer {
  const key = Buffer.allocUnsafe(5)
  key[0] = Family.stream
  key.writeUInt32BE(stream, 1)
  return key
}

/** `shard`: family, stream u32be, shard u32be. */
export function shardKey(stream: StreamId, shard: ShardId): Buffer {
  const key = Buffer.allocUnsafe(9)
  key[0] = Family.shard
  key.writeUInt32BE(stream, 1)
  key.writeUInt32BE(shard, 5)
  return key
}

/** `shape`: family, stream u32be, shape u32be. */
export function shapeKey(stream: StreamId, shape: number): Buffer {
  const key = Buffer.allocUnsafe(9)
  key[0] = Family.shape
  key.writeUInt32BE(stream, 1)
  key.writeUInt32BE(shape, 5)
  return key
}

/**
 * `chunk`: family, segment u32be, shard u32be, last sequence number u64be. The segment comes first so that what is
 * written together lies together (bench/chunk-key.mjs: twice the throughput over 64 shards); the last number rather than
 * the first, so that a seek to a position finds the chunk that holds it.
 */
export function chunkKey(segment: number, shard: ShardId, last: number): Buffer {
  const key = Buffer.allocUnsafe(17)
  key[0] = Family.chunk
  key.writeUInt32BE(segment, 1)
  key.writeUInt32BE(shard, 5)
  writeU64BE(key, last, 9)
  return key
}

/** Below every chunk of a segment, and above every one of the segment before it. */
export function segmentKey(segment: number): Buffer {
  const key = Buffer.allocUnsafe(5)
  key[0] = Family.chunk
  key.writeUInt32BE(segment, 1)
  return key
}

/** `chunkIndex`: family, shard u32be, first sequence number u64be of a chunk -> mark (marks.ts). */
export function chunkIndexKey(shard: ShardId, first: number): Buffer {
  const key = Buffer.allocUnsafe(13)
  key[0] = Family.chunkIndex
  key.writeUInt32BE(shard, 1)
  writeU64BE(key, first, 5)
  return key
}

function writeU64BE(buffer: Buffer, value: number, at: number): void {
  buffer.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at)
  buffer.writeUInt32BE(value >>> 0, at + 4)
}

export function firstOfIndexKey(key: Buffer): Sequence {
  return (key.readUInt32BE(5) * 0x1_0000_0000 + key.readUInt32BE(9)) as Sequence
}

/** Above every sequence number. */
export const sequenceMax = Number.MAX_SAFE_INTEGER
