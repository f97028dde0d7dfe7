import type { Sequence, ShardId } from './types.js'

interface CachedChunk {
  readonly shard: ShardId
  readonly chunk: Buffer
  readonly previous: Sequence
  readonly last: Sequence
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

/** The newest chunks of all shards, for readers at the tail: first in, first out, within a bound of bytes. */
export class TailCache {
  readonly #bytesMax: number
  readonly #shards = new Map<ShardId, Queue<CachedChunk>>()
  readonly #order = new Queue<CachedChunk>()
  #bytes = 0
  /** Reads that it answered, and those that it could not. */
  hits = 0
  misses = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  add(shard: ShardId, chunk: Buffer, previous: Sequence, last: Sequence): void {
    const entry = { shard, chunk, previous, last }
    let list = this.#shards.get(shard)
    if (!list) {
      list = new Queue()
      this.#shards.set(shard, list)
    }
    list.items.push(entry)
    this.#order.items.push(entry)
    this.#bytes += chunk.length
    while (this.#bytes > this.#bytesMax && this.#order.length > 0) this.#evict()
  }

  #evict(): void {
    const oldest = this.#order.shift()
    this.#bytes -= oldest.chunk.length
    const list = this.#shards.get(oldest.shard) as Queue<CachedChunk>
    list.shift()
    if (list.length === 0) this.#shards.delete(oldest.shard)
  }

  /**
   * The chunks from the one that holds `from` on, up to `bytesMax` (at least one); undefined when the cache does not
   * reach back that far.
   */
  read(shard: ShardId, from: Sequence, bytesMax: number): { chunks: Buffer[]; last: Sequence } | undefined {
    const found = this.#find(shard, from, bytesMax)
    if (found) this.hits++
    else this.misses++
    return found
  }

  #find(shard: ShardId, from: Sequence, bytesMax: number): { chunks: Buffer[]; last: Sequence } | undefined {
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
    const chunks: Buffer[] = []
    let bytes = 0
    let last = from
    for (let i = low; i < items.length && (chunks.length === 0 || bytes < bytesMax); i++) {
      const entry = items[i] as CachedChunk
      chunks.push(entry.chunk)
      bytes += entry.chunk.length
      last = entry.last
    }
    return chunks.length > 0 ? { chunks, last } : undefined
  }
}
