import { MillraceError } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import { chunkIsWhole, readChunkHeader } from './format.js'
import { chunkIndexKey, chunkKey, firstOfIndexKey, sequenceMax } from './keys.js'
import type { Sequence, ShardId } from './types.js'

const pageChunksMax = 4096

/** Reads a shard's chunks from the store, segment after segment, and checks that none is missing or damaged. */
export class ChunkReader {
  readonly #storage: Storage

  constructor(storage: Storage) {
    this.#storage = storage
  }

  /**
   * The chunks from the one that holds `from` on, up to `bytesMax` (at least one when there is one at or below `until`).
   * Throws LOG_DAMAGED where a chunk is missing or not what was written.
   */
  async read(
    shard: ShardId,
    from: Sequence,
    until: Sequence,
    bytesMax: number,
  ): Promise<{ chunks: Buffer[]; last: Sequence }> {
    const chunks: Buffer[] = []
    let bytes = 0
    let next = from
    let entry = (await this.#indexEntry(shard, from, true)) ?? (await this.#indexEntry(shard, from, false))
    while (entry && next <= until && bytes < bytesMax) {
      const page = await this.#storage.page({
        gte: chunkKey(entry.segment, shard, next),
        lte: chunkKey(entry.segment, shard, sequenceMax),
        limit: pageChunksMax,
        bytesMax: bytesMax - bytes,
      })
      for (const chunk of page.values) {
        const last = this.#check(shard, chunk, next, chunks.length > 0)
        // What another commit added since must not be shown before it has returned.
        if (last > until) return { chunks, last: (next - 1) as Sequence }
        chunks.push(chunk)
        bytes += chunk.length
        next = (last + 1) as Sequence
      }
      if (!page.more) entry = await this.#indexEntry(shard, (entry.first + 1) as Sequence, false)
    }
    if (chunks.length === 0 && from <= until) throw this.#damaged(shard, from, until, 'no chunk holds them')
    return { chunks, last: (next - 1) as Sequence }
  }

  /** The last sequence number that is stored for a shard, and undefined when it has no chunk. */
  async lastOf(shard: ShardId): Promise<Sequence | undefined> {
    const entry = await this.#indexEntry(shard, sequenceMax as Sequence, true)
    if (!entry) return undefined
    const page = await this.#storage.page({
      gte: chunkKey(entry.segment, shard, 0),
      lte: chunkKey(entry.segment, shard, sequenceMax),
      reverse: true,
      limit: 1,
      bytesMax: 1,
    })
    const chunk = page.values[0]
    if (!chunk) throw this.#damaged(shard, entry.first, entry.first, 'their segment is empty')
    if (!chunkIsWhole(chunk))
      throw this.#damaged(shard, entry.first, entry.first, 'the newest chunk does not match its checksum')
    return readChunkHeader(chunk).last
  }

  async #indexEntry(
    shard: ShardId,
    at: Sequence,
    backward: boolean,
  ): Promise<{ segment: number; first: Sequence } | undefined> {
    const page = await this.#storage.page(
      backward
        ? { gte: chunkIndexKey(shard, 0), lte: chunkIndexKey(shard, at), reverse: true, limit: 1, bytesMax: 1 }
        : { gte: chunkIndexKey(shard, at), lte: chunkIndexKey(shard, sequenceMax), limit: 1, bytesMax: 1 },
    )
    const [key, value] = [page.keys[0], page.values[0]]
    return key && value ? { segment: value.readUInt32BE(0), first: firstOfIndexKey(key) } : undefined
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
