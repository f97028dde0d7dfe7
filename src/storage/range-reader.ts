import type { Binding, Database, NativeIterator } from './binding.js'
import type { Page, RangeOptions } from './types.js'

const empty = Buffer.alloc(0)
/** What one call of the native iterator reads at most, besides the entry that passes it. */
const readAheadBytesMax = 4 * 1024 * 1024
const noop = (): void => {}

/** One native iterator: a range of one moment, read in pages. */
export class RangeReader {
  readonly #binding: Binding
  readonly #bytesMax: number
  readonly #values: boolean
  readonly #isLoose: boolean
  #iterator: NativeIterator | undefined
  /** As the binding gives it: value, key, value, key, ... with the next entry at the end. */
  #cache: (Buffer | string)[] = []
  #finished = false

  /** The database must be open. `limit` -1 reads all. With `asText` only `texts` may be called, else only `page`. */
  constructor(binding: Binding, database: Database, range: RangeOptions, asText = false) {
    this.#binding = binding
    this.#bytesMax = range.bytesMax
    this.#values = range.values !== false
    this.#isLoose = range.isLoose === true
    // The binding reads an empty bound as none: right for gte and gt of nothing, and below nothing is nothing.
    const below = range.lt ?? range.lte
    if (below && below.length === 0) {
      this.#finished = true
      return
    }
    this.#iterator = binding.iterator_init(database, {
      gte: range.gte,
      gt: range.gt,
      lt: range.lt,
      lte: range.lte,
      reverse: range.reverse === true,
      keys: !asText,
      values: this.#values,
      keyAsBuffer: !asText,
      valueAsBuffer: this.#values && !asText,
      limit: range.limit,
      // A page of `bytesMax` comes with as few calls as can be and is seldom read too far. The first call gives one entry.
      highWaterMark: Math.max(0, Math.min(range.bytesMax, readAheadBytesMax) >> (this.#isLoose ? 1 : 0)),
      fillCache: false,
    })
  }

  /** The next page; entries past `limit` or `bytesMax` stay for the one after it. Rejects with RocksDB's own error. */
  async page(limit: number): Promise<Page> {
    const keys: Buffer[] = []
    const values: Buffer[] = []
    let bytes = 0
    for (;;) {
      const cache = this.#cache
      while (cache.length > 0 && keys.length < limit && bytes <= this.#bytesMax) {
        const key = cache.pop() as Buffer
        const value = cache.pop() as Buffer
        keys.push(key)
        values.push(this.#values ? value : empty)
        bytes += key.length + value.length
      }
      if (cache.length > 0) return { keys, values, more: true }
      if (this.#isLoose && (keys.length >= limit || bytes > this.#bytesMax)) return { keys, values, more: true }
      if (this.#finished) return { keys, values, more: false }
      await this.#next()
    }
  }

  /** The next values, about `bytesMax` of them; `more` is false at the end of the range. */
  async texts(): Promise<{ values: string[]; more: boolean }> {
    if (!this.#finished) await this.#next()
    const cache = this.#cache
    const values: string[] = []
    for (let i = cache.length - 2; i >= 0; i -= 2) values.push(cache[i] as string)
    this.#cache = []
    return { values, more: !this.#finished }
  }

  #next(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#binding.iterator_next(this.#iterator as NativeIterator, (error, entries, finished) => {
        if (error) {
          reject(error)
          return
        }
        this.#cache = entries
        this.#finished = finished
        resolve()
      })
    })
  }

  /** Gives the snapshot back. Nobody waits for it: closing the database does. */
  end(): void {
    const iterator = this.#iterator
    this.#iterator = undefined
    this.#finished = true
    this.#cache = []
    if (iterator) this.#binding.iterator_end(iterator, noop)
  }
}
