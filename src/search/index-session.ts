import { ChunkCursor } from '../log/format.js'
import type { Sequence } from '../log/types.js'
import { decodeChange } from '../tables/streams/change.js'
import { packedItems } from './packed-items.js'
import type { Found, IndexBatch, IndexSettings, IndexSize, SearchQuery } from './protocol.js'
import { TextIndex } from './text-index.js'

/** A search waits for so much indexing at most; between two slices one search has its turn. */
const sliceMs = 5
/** Changes between two looks at the clock. */
const changesPerLook = 32

/** Who takes batches into an index and searches it; in the daemon a thread (index-thread.ts). */
export interface IndexHost {
  /** Batches are applied in the order of the calls. Rejects with SEARCH_FULL, SEARCH_FAILED. */
  apply(batch: IndexBatch): Promise<{ readonly size: IndexSize; readonly changes: number }>
  /** Rejects with SEARCH_FAILED. */
  search(query: SearchQuery): Promise<Found>
  close(): Promise<void>
}

/** An index in this thread. */
export class IndexSession implements IndexHost {
  readonly #index: TextIndex
  readonly #now: () => number
  #applied: Promise<unknown> = Promise.resolve()
  /** Searches that wait for their turn, oldest first. */
  readonly #waiting: (() => void)[] = []
  /** How long the last search took. */
  #searchMs = 0

  constructor(settings: IndexSettings, now: () => number = () => performance.now()) {
    this.#index = new TextIndex(settings)
    this.#now = now
  }

  apply(batch: IndexBatch): Promise<{ size: IndexSize; changes: number }> {
    const applied = this.#applied.then(() => this.#apply(batch))
    // What failed has its own answer; the next batch does not rest on it.
    this.#applied = applied.catch(() => {})
    return applied
  }

  async #apply(batch: IndexBatch): Promise<{ size: IndexSize; changes: number }> {
    let changes = 0
    let until = this.#sliceEnd()
    for (const { key, body } of batch.kind === 'items' ? packedItems(batch.items) : changesOf(batch)) {
      const id = key.toString('latin1')
      const { keys, newImage } = decodeChange(body)
      if (newImage) this.#index.put(id, keys.toString(), newImage.toString())
      else this.#index.remove(id)
      changes++
      if (changes % changesPerLook !== 0 || this.#now() < until) continue
      await new Promise((resolve) => setImmediate(resolve))
      until = this.#sliceEnd()
    }
    return { size: this.#index.size, changes }
  }

  /** Behind a long search as much is indexed: however many wait, the index comes on with half of its thread. */
  #sliceEnd(): number {
    return this.#now() + Math.max(sliceMs, this.#searchMs)
  }

  /**
   * One in each turn of the event loop, and a slice of a batch that is being applied in the same one. All that have come at once
   * would hold up the changes for the sum of their times, and many of them want to see just those.
   */
  search(query: SearchQuery): Promise<Found> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => {
        const began = this.#now()
        try {
          resolve(this.#index.search(query))
        } catch (error) {
          reject(error)
        }
        this.#searchMs = this.#now() - began
      })
      if (this.#waiting.length === 1) this.#searchSoon()
    })
  }

  #searchSoon(): void {
    setImmediate(() => {
      this.#waiting.shift()?.()
      if (this.#waiting.length > 0) this.#searchSoon()
      else this.#searchMs = 0
    })
  }

  async close(): Promise<void> {}
}

function* changesOf({ from, chunks }: Extract<IndexBatch, { kind: 'changes' }>) {
  for (const bytes of chunks) {
    const cursor = new ChunkCursor(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
    while (cursor.next()) if (cursor.sequence >= (from as Sequence)) yield cursor
  }
}
