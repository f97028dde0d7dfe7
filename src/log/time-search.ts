import type { Storage } from '../storage/index.js'
import { readChunkHeader } from './format.js'
import { chunkKey } from './keys.js'
import { type Mark, MarkReader } from './marks.js'
import type { Sequence, ShardId } from './types.js'

/** The part of a shard that may be read. */
export interface SearchedShard {
  readonly id: ShardId
  readonly indexFrom: number
  readonly lowWatermark: Sequence
  /** Its newest durable record. */
  readonly last: Sequence
}

/** Finds records by commit time: a binary search over the marks of a shard, then a walk over the chunks behind one. */
export class TimeSearch {
  readonly #storage: Storage
  readonly #marks: MarkReader

  constructor(storage: Storage) {
    this.#storage = storage
    this.#marks = new MarkReader(storage)
  }

  /**
   * The first chunk whose commit time is at or after `timeMs`: its first sequence number and the last one before it;
   * undefined when there is none.
   */
  async firstAt(shard: SearchedShard, timeMs: number): Promise<{ first: Sequence; previous: Sequence } | undefined> {
    const before = await this.#newestBefore(shard, timeMs)
    const next = await this.#markFrom(shard, before ? before.first + 1 : shard.indexFrom)
    // Before the first mark of the right time lie the chunks of the one before it, whose first is too old.
    const until = next ? ((next.first - 1) as Sequence) : shard.last
    const found = before && (await this.#walk(shard.id, before, until, timeMs))
    return found ?? next
  }

  /** The newest mark that is older than `timeMs`. Commit times never go back, so marks are in the order of both. */
  async #newestBefore(shard: SearchedShard, timeMs: number): Promise<Mark | undefined> {
    let found: Mark | undefined
    let low = shard.indexFrom
    let high: number = shard.last
    while (low <= high) {
      const middle = low + Math.floor((high - low) / 2)
      const mark = await this.#markUpTo(shard.id, low, middle)
      if (!mark) low = middle + 1
      else if (mark.time < timeMs) {
        found = mark
        low = middle + 1
      } else high = mark.first - 1
    }
    return found
  }

  async #markUpTo(shard: ShardId, from: number, at: number): Promise<Mark | undefined> {
    const row = await this.#marks.newest(shard, from, at)
    return row && (await this.#marks.marks(shard, [row]))[0]
  }

  async #markFrom({ id, last }: SearchedShard, from: number): Promise<Mark | undefined> {
    return (await this.#marks.marks(id, await this.#marks.oldest(id, from, last, 1)))[0]
  }

  async #walk(shard: ShardId, { segment, first }: Mark, until: Sequence, timeMs: number) {
    for (let from: number = first; from <= until; ) {
      const { values, more } = await this.#storage.page({
        gte: chunkKey(segment as number, shard, from),
        lte: chunkKey(segment as number, shard, until),
        limit: 1024,
        bytesMax: 1 << 20,
      })
      for (const chunk of values) {
        const header = readChunkHeader(chunk)
        if (header.commitTime >= timeMs) return { first: header.first, previous: header.previous }
        from = header.last + 1
      }
      if (!more) return undefined
    }
    return undefined
  }
}
