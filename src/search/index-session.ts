import { ChunkCursor } from '../log/format.js'
import type { Sequence } from '../log/types.js'
import { decodeChange } from '../tables/streams/change.js'
import { packedItems } from './packed-items.js'
import type { Found, IndexBatch, IndexSettings, IndexSize, SearchQuery } from './protocol.js'
import { TextIndex } from './text-index.js'

/** A search waits for so much indexing at most; between two slices whatever came in has its turn. */
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
    let until = this.#now() + sliceMs
    for (const { key, body } of batch.kind === 'items' ? packedItems(batch.items) : changesOf(batch)) {
      const id = key.toString('latin1')
      const { keys, newImage } = decodeChange(body)
      if (newImage) this.#index.put(id, keys.toString(), newImage.toString())
      else this.#index.remove(id)
      changes++
      if (changes % changesPerLook !== 0 || this.#now() < until) continue
      await new Promise((resolve) => setImmediate(resolve))
      until = this.#now() + sliceMs
    }
    return { size: this.#index.size, changes }
  }

  async search(query: SearchQuery): Promise<Found> {
    return this.#index.search(query)
  }

  async close(): Promise<void> {}
}

function* changesOf({ from, chunks }: Extract<IndexBatch, { kind: 'changes' }>) {
  for (const bytes of chunks) {
    const cursor = new ChunkCursor(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
    while (cursor.next()) if (cursor.sequence >= (from as Sequence)) yield cursor
  }
}
