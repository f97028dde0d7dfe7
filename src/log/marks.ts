import type { Storage } from '../storage/index.js'
import { readChunkHeader, readU64, writeU64 } from './format.js'
import { chunkIndexKey, chunkKey, firstOfIndexKey, sequenceMax } from './keys.js'
import type { Sequence, ShardId } from './types.js'

/**
 * A place in a shard where a row of the chunk index stands: what lies before it is counted, so that bytes and times of
 * a shard are known without reading its chunks. What is between two marks is trimmed as one.
 */
export interface Mark {
  /** First sequence number of its first chunk; behind the newest record for the end of a shard. */
  readonly first: Sequence
  /** Last sequence number before it (that of the shard's making when nothing is). */
  readonly previous: Sequence
  /** Commit time of its first chunk; of the newest chunk for the end of a shard. */
  readonly time: number
  /** Commit time of the newest chunk before it; for the end of a sealed shard the time of its sealing. */
  readonly timeBefore: number
  /** Bytes of the shard's chunks before it, since the shard was made. */
  readonly bytes: number
  /** Records before it, since the shard was made; undefined where a shard began before they were counted. */
  readonly records?: number | undefined
  /** Where its chunks lie; undefined for the end of a shard. */
  readonly segment: number | undefined
}

/** Written by format 1: a segment alone. */
const oldValueBytes = 4
/** Without records, of a shard that began before they were counted. */
const uncountedBytes = 40
const valueBytes = 48

/**
 * Chunk index value: segment u32be, flags u32 (0), time, bytes before, last number before, time before, records before (u64
 * each; the last one only where they are known).
 */
export function markValue(segment: number, mark: Omit<Mark, 'first' | 'segment'>): Buffer {
  const { records } = mark
  const value = Buffer.alloc(records === undefined ? uncountedBytes : valueBytes)
  value.writeUInt32BE(segment, 0)
  writeU64(value, mark.time, 8)
  writeU64(value, mark.bytes, 16)
  writeU64(value, mark.previous, 24)
  writeU64(value, mark.timeBefore, 32)
  if (records !== undefined) writeU64(value, records, 40)
  return value
}

/** A row of the chunk index; one of format 1 says nothing of times and bytes. */
export interface IndexRow {
  readonly key: Buffer
  readonly first: Sequence
  readonly segment: number
  readonly mark: Mark | undefined
}

function decode(key: Buffer, value: Buffer): IndexRow {
  const first = firstOfIndexKey(key)
  const segment = value.readUInt32BE(0)
  if (value.length === oldValueBytes) return { key, first, segment, mark: undefined }
  const mark = {
    first,
    segment,
    time: readU64(value, 8),
    bytes: readU64(value, 16),
    previous: readU64(value, 24) as Sequence,
    timeBefore: readU64(value, 32),
    records: value.length < valueBytes ? undefined : readU64(value, 40),
  }
  return { key, first, segment, mark }
}

/** Reads the chunk index of shards. Every seek is bounded below by the oldest row that is kept, so none walks over deleted ones. */
export class MarkReader {
  readonly #storage: Storage

  constructor(storage: Storage) {
    this.#storage = storage
  }

  /** The newest row from `from` to `at`. */
  async newest(shard: ShardId, from: number, at: number): Promise<IndexRow | undefined> {
    if (at < from) return undefined
    const { keys, values } = await this.#storage.page({
      gte: chunkIndexKey(shard, from),
      lte: chunkIndexKey(shard, at),
      reverse: true,
      limit: 1,
      bytesMax: 1,
      isLoose: true,
    })
    return keys[0] && values[0] ? decode(keys[0], values[0]) : undefined
  }

  /** The oldest rows from `from` on, up to `until`. */
  async oldest(shard: ShardId, from: number, until: number, limit: number): Promise<IndexRow[]> {
    if (until < from) return []
    const { keys, values } = await this.#storage.page({
      gte: chunkIndexKey(shard, from),
      lte: chunkIndexKey(shard, until),
      limit,
      bytesMax: 1 << 20,
    })
    return keys.map((key, i) => decode(key, values[i] as Buffer))
  }

  /** Marks of rows; what a row of format 1 does not say is looked up in its first chunk, and nothing counts as before it. */
  marks(shard: ShardId, rows: readonly IndexRow[]): Promise<Mark[]> {
    return Promise.all(rows.map((row) => row.mark ?? this.#oldMark(shard, row)))
  }

  async #oldMark(shard: ShardId, { first, segment }: IndexRow): Promise<Mark> {
    const { values } = await this.#storage.page({
      gte: chunkKey(segment, shard, first),
      lte: chunkKey(segment, shard, sequenceMax),
      limit: 1,
      bytesMax: 1,
    })
    const header = values[0] && readChunkHeader(values[0])
    const time = header?.commitTime ?? 0
    // What lies before is no younger than this.
    return { first, segment, previous: header?.previous ?? ((first - 1) as Sequence), time, timeBefore: time, bytes: 0 }
  }
}
