import type { ChunkMemory } from './chunk-memory.js'
import type { Sequence, ShardId } from './types.js'

interface CachedChunk {
  readonly shard: ShardId
  readonly chunk: Buffer
  readonly previous: Sequence
  readonly last: Sequence
  /** Readers that hold it. */
  readers: number
  isEvicted: boolean
}

/** A queue in an array: taking from its front costs no move of the rest. */
class Queue<T> {
  items: (T | undefined)[] = []
  head = 0

  shift(): T {
    const item = this.items[this.head] as T
    // What was taken must not be kept alive until the array is cut: with chunks of 1 MiB that was 1 GiB.
    this.items[this.head++] = undefined
    if (this.head > 1024 && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head)
      this.head = 0
    }
    return item
  }

  get length(): number {
    return this.items.length - this.head
  }
}

/** Chunks of the cache as a reader has them. */
export interface TailPage {
  readonly chunks: readonly Buffer[]
  readonly last: Sequence
  /** See LogPage. */
  readonly release: () => void
}

/**
 * The newest chunks of all shards, for readers at the tail: first in, first out, within a bound of bytes. It owns their
 * memory, and gives it back when a chunk has left it and no reader holds it; a chunk that a reader never released is left
 * to the garbage collector.
 */
export class TailCache {
  readonly #bytesMax: number
  readonly #memory: ChunkMemory
  readonly #shards = new Map<ShardId, Queue<CachedChunk>>()
  readonly #order = new Queue<CachedChunk>()
  #bytes = 0
  /** Reads that it answered, and those that it could not. */
  hits = 0
  misses = 0

  constructor(bytesMax: number, memory: ChunkMemory) {
    this.#bytesMax = bytesMax
    this.#memory = memory
  }

  get bytes(): number {
    return this.#bytes
  }

  add(shard: ShardId, chunk: Buffer, previous: Sequence, last: Sequence): void {
    const entry: CachedChunk = { shard, chunk, previous, last, readers: 0, isEvicted: false }
    let list = this.#shards.get(shard)
    if (!list) {
      list = new Queue()
      this.#shards.set(shard, list)
    }
    list.items.push(entry)
    this.#order.items.push(entry)
    this.#bytes += chunk.buffer.byteLength
    while (this.#bytes > this.#bytesMax && this.#order.length > 0) this.#evict()
  }

  #evict(): void {
    const oldest = this.#order.shift()
    this.#bytes -= oldest.chunk.buffer.byteLength
    const list = this.#shards.get(oldest.shard) as Queue<CachedChunk>
    list.shift()
    if (list.length === 0) this.#shards.delete(oldest.shard)
    oldest.isEvicted = true
    this.#reuse(oldest)
  }

  #reuse(entry: CachedChunk): void {
    if (entry.isEvicted && entry.readers === 0) this.#memory.giveBack(entry.chunk)
  }

  /**
   * The chunks from the one that holds `from` on, up to `bytesMax` (at least one); undefined when the cache does not
   * reach back that far.
   */
  read(shard: ShardId, from: Sequence, bytesMax: number): TailPage | undefined {
    const found = this.#find(shard, from, bytesMax)
    if (found) this.hits++
    else this.misses++
    return found
  }

  #find(shard: ShardId, from: Sequence, bytesMax: number): TailPage | undefined {
    const list = this.#shards.get(shard)
    if (!list) return undefined
    const { items, head } = list
    if (from <= (items[head] as CachedChunk).previous) return undefined
    let low = head
    let high = items.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((items[middle] as CachedChunk).last < from) low = middle + 1
      else high = middle
    }
    const entries: CachedChunk[] = []
    let bytes = 0
    let last = from
    for (let i = low; i < items.length && (entries.length === 0 || bytes < bytesMax); i++) {
      const entry = items[i] as CachedChunk
      entries.push(entry)
      entry.readers++
      bytes += entry.chunk.length
      last = entry.last
    }
    if (entries.length === 0) return undefined
    return { chunks: entries.map(({ chunk }) => chunk), last, release: this.#releaseOf(entries) }
  }

  #releaseOf(entries: readonly CachedChunk[]): () => void {
    let isReleased = false
    return () => {
      if (isReleased) return
      isReleased = true
      for (const entry of entries) {
        entry.readers--
        this.#reuse(entry)
      }
    }
  }
}
