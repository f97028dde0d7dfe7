import { MillraceError } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import { chunkIsWhole, readChunkHeader } from './format.js'
import { chunkKey, sequenceMax } from './keys.js'
import { type IndexRow, MarkReader } from './marks.js'
import type { Sequence, ShardId, ShardRecords } from './types.js'

/** The records of a chunk have numbers without a gap. */
const recordsOfChunk = (chunk: Buffer): number => {
  const { first, last } = readChunkHeader(chunk)
  return last - first + 1
}

const pageChunksMax = 4096
/** Shards of which the place where the newest read ended is remembered. */
const placesMax = 256

/** A shard as its reader must know it. */
export interface ReadableShard {
  readonly id: ShardId
  /** The oldest row of the chunk index that is kept is not below this number. */
  readonly indexFrom: number
}

/** Where a read ended. */
interface Place {
  readonly next: Sequence
  /** The row of the chunk index in whose segment the newest chunk lies that was read. */
  readonly row: IndexRow
}

/** Reads a shard's chunks from the store, segment after segment, and checks that none is missing or damaged. */
export class ChunkReader {
  readonly #storage: Storage
  readonly #marks: MarkReader
  /** By shard. Most reads go on where one ended, and need not look for their segment in the index, which is half of all seeks. */
  readonly #places = new Map<ShardId, Place>()

  constructor(storage: Storage) {
    this.#storage = storage
    this.#marks = new MarkReader(storage)
  }

  /**
   * The chunks from the one that holds `from` on, up to `bytesMax` (at least one when there is one at or below `until`).
   * Throws LOG_DAMAGED where a chunk is missing or not what was written.
   */
  async read(
    { id, indexFrom }: ReadableShard,
    from: Sequence,
    until: Sequence,
    bytesMax: number,
  ): Promise<{ chunks: Buffer[]; last: Sequence }> {
    const chunks: Buffer[] = []
    let bytes = 0
    let next = from
    const place = this.#places.get(id)
    let row = place?.next === from ? place.row : await this.#rowAt(id, indexFrom, from)
    while (row && next <= until && bytes < bytesMax) {
      const page = await this.#storage.page({
        gte: chunkKey(row.segment, id, next),
        lte: chunkKey(row.segment, id, sequenceMax),
        limit: pageChunksMax,
        bytesMax: bytesMax - bytes,
        isLoose: true,
      })
      for (const chunk of page.values) {
        const last = this.#check(id, chunk, next, chunks.length > 0)
        // What another commit added since must not be shown before it has returned.
        if (last > until) return { chunks, last: (next - 1) as Sequence }
        chunks.push(chunk)
        bytes += chunk.length
        next = (last + 1) as Sequence
      }
      // The segment is read to its end: its other rows are behind, the next one leads to another segment.
      if (chunks.length > 0) this.#remember(id, { next, row })
      if (!page.more) row = await this.#rowFrom(id, Math.max(next, row.first + 1))
    }
    if (chunks.length === 0 && from <= until) throw this.#damaged(id, from, until, 'no chunk holds them')
    return { chunks, last: (next - 1) as Sequence }
  }

  /** How far the stored records of a shard reach, and undefined when it has no chunk. */
  async endOf({ id, indexFrom }: ReadableShard): Promise<ShardRecords | undefined> {
    const row = await this.#marks.newest(id, indexFrom, sequenceMax)
    if (!row) return undefined
    // Format 1 does not say what lies before its rows: nothing is counted for them but the newest chunk.
    const bounds = {
      gte: chunkKey(row.segment, id, row.mark ? row.first : 0),
      lte: chunkKey(row.segment, id, sequenceMax),
    }
    let bytes = row.mark?.bytes ?? 0
    let count = row.mark?.records
    let newest: Buffer | undefined
    if (row.mark) {
      for await (const { values } of this.#storage.scan({ ...bounds, bytesMax: 1 << 20 })) {
        for (const value of values) {
          bytes += value.length
          if (count !== undefined) count += recordsOfChunk(value)
        }
        newest = values[values.length - 1]
      }
    } else {
      newest = (await this.#storage.page({ ...bounds, reverse: true, limit: 1, bytesMax: 1 })).values[0]
      bytes += newest?.length ?? 0
    }
    if (!newest) throw this.#damaged(id, row.first, row.first, 'their segment is empty')
    if (!chunkIsWhole(newest))
      throw this.#damaged(id, row.first, row.first, 'the newest chunk does not match its checksum')
    const { last, commitTime } = readChunkHeader(newest)
    return { last, bytes, time: commitTime, ...(count === undefined ? {} : { count }) }
  }

  /** How many records of a shard lie before a sequence number; undefined where they were not counted. */
  async recordsBefore({ id, indexFrom }: ReadableShard, sequence: Sequence): Promise<number | undefined> {
    const row = await this.#marks.newest(id, indexFrom, sequence)
    let count = row?.mark?.records
    if (!row || count === undefined) return undefined
    const bounds = { gte: chunkKey(row.segment, id, row.first), lte: chunkKey(row.segment, id, sequenceMax) }
    for await (const { values } of this.#storage.scan({ ...bounds, bytesMax: 1 << 20 })) {
      for (const chunk of values) {
        const { first, last } = readChunkHeader(chunk)
        if (first >= sequence) return count
        count += Math.min(last + 1, sequence) - first
        // The next mark may lie in this segment too: what is behind the number needs no look.
        if (last >= sequence) return count
      }
    }
    return count
  }

  #remember(shard: ShardId, place: Place): void {
    this.#places.delete(shard)
    this.#places.set(shard, place)
    if (this.#places.size > placesMax) this.#places.delete(this.#places.keys().next().value as ShardId)
  }

  /** The row in whose segment the chunk with `from` lies, or the first row behind it. */
  async #rowAt(shard: ShardId, indexFrom: number, from: Sequence): Promise<IndexRow | undefined> {
    return (await this.#marks.newest(shard, indexFrom, from)) ?? this.#rowFrom(shard, Math.max(from, indexFrom))
  }

  async #rowFrom(shard: ShardId, from: number): Promise<IndexRow | undefined> {
    return (await this.#marks.oldest(shard, from, sequenceMax, 1))[0]
  }

  #check(shard: ShardId, chunk: Buffer, next: Sequence, follows: boolean): Sequence {
    if (!chunkIsWhole(chunk)) throw this.#damaged(shard, next, next, 'their chunk does not match its checksum')
    const header = readChunkHeader(chunk)
    if (header.shard !== shard || header.last < next)
      throw this.#damaged(shard, next, next, 'another chunk lies in their place')
    const whole = follows ? header.previous === next - 1 : header.previous < next
    if (!whole) throw this.#damaged(shard, next, header.previous, `the chunk before commit ${header.commit} is missing`)
    return header.last
  }

  #damaged(shard: ShardId, from: number, to: number, why: string): MillraceError {
    return new MillraceError(
      'LOG_DAMAGED',
      `Records of shard ${shard} from sequence number ${from} on cannot be read: ${why}.`,
      {
        details: { shard, from, to },
      },
    )
  }
}
