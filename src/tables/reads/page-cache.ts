import { LRUCache } from 'lru-cache'
import { Family, type RowEffect } from '../../commit/index.js'
import { entryAttributesAt } from '../indexes/entry.js'
import { itemAttributesAt } from '../items/item-row.js'
import type { Bounds } from './range-bounds.js'

/** What a Query reads of a range of rows: up to its limit, or to 1 MB. */
export interface RangePage {
  /** The whole answer of a request that asks for the items alone. */
  readonly answer: Buffer
  /** Bytes of the items by AWS's count. */
  readonly bytes: number
}

interface Kept {
  readonly page: RangePage
  readonly partition: string
}

/** Reads of one partition that began since a commit of its rows returned. */
interface Reading {
  running: number
  /** Set when a commit of its rows returned since: what they read may be older than what was acknowledged. */
  isStale: boolean
}

/** What a page costs beside its bytes: entries of maps, and the memory of a Buffer of its own. */
const pageOverheadBytes = 500
/** A page may take this part of the cache at most, so that a few great ones do not drive out all others. */
const pageShareMax = 8

/**
 * Answers of Queries, within a bound of bytes, the least recently used going first. As the row cache it only ever holds what
 * was read from the store while no commit of the same partition returned: a page goes with the first commit that returns
 * with a row of its partition, before anyone is answered for that.
 */
export class PageCache {
  readonly #pages: LRUCache<string, Kept>
  /** The pages of each partition that has any. */
  readonly #names = new Map<string, Set<string>>()
  readonly #readings = new Map<string, Reading>()
  /** Looks for a page, by whether it was there. */
  readonly reads = { cache: 0, store: 0 }

  constructor(bytesMax: number) {
    this.#pages = new LRUCache({
      // The library takes 0 for no bound; no page fits into 1.
      maxSize: Math.max(1, bytesMax),
      maxEntrySize: Math.max(1, Math.floor(bytesMax / pageShareMax)),
      sizeCalculation: ({ page }, name) => page.answer.length + name.length + pageOverheadBytes,
      dispose: ({ partition }, name) => this.#forget(partition, name),
    })
  }

  get(name: string): RangePage | undefined {
    const page = this.#pages.get(name)?.page
    if (page) this.reads.cache++
    else this.reads.store++
    return page
  }

  /** What the pages take, with what each costs beside its bytes. */
  get bytes(): number {
    return this.#pages.calculatedSize
  }

  /** Reads a page, and keeps it when no commit of its partition returned meanwhile. `row`: any key of the partition. */
  async read(row: Buffer, name: string, read: () => Promise<RangePage>): Promise<RangePage> {
    const partition = partitionName(row)
    const reading = this.#readings.get(partition) ?? { running: 0, isStale: false }
    this.#readings.set(partition, reading)
    reading.running++
    try {
      const page = await read()
      if (!reading.isStale) this.#keep(partition, name, page)
      return page
    } finally {
      reading.running--
      if (reading.running === 0 && this.#readings.get(partition) === reading) this.#readings.delete(partition)
    }
  }

  /** A commit with these rows has returned. */
  returned(rows: readonly RowEffect[]): void {
    if (this.#names.size === 0 && this.#readings.size === 0) return
    for (const { key } of rows) {
      if (key[0] !== Family.item && key[0] !== Family.index) continue
      const partition = partitionName(key)
      const reading = this.#readings.get(partition)
      if (reading) {
        reading.isStale = true
        this.#readings.delete(partition)
      }
      for (const name of this.#names.get(partition) ?? []) this.#pages.delete(name)
    }
  }

  #keep(partition: string, name: string, page: RangePage): void {
    this.#pages.set(name, { page: { ...page, answer: ownMemory(page.answer) }, partition })
    if (!this.#pages.has(name)) return
    const names = this.#names.get(partition)
    if (names) names.add(name)
    else this.#names.set(partition, new Set([name]))
  }

  #forget(partition: string, name: string): void {
    const names = this.#names.get(partition)
    names?.delete(name)
    if (names?.size === 0) this.#names.delete(partition)
  }
}

/** A range with how it is read; its bounds name the table or index and the partition. */
export function rangeName({ gte, gt, lt, lte }: Bounds, reverse: boolean, limit: number | undefined): string {
  const parts = [gte, gt, lt, lte].map((key) => (key ? `${key.length} ${key.toString('latin1')}` : ''))
  return `${reverse ? 'down' : 'up'} ${limit ?? ''} ${parts.join()}`
}

/** Rows of one hash key of a table or index have it in common, and few others: it ends with the hash of that key. */
function partitionName(row: Buffer): string {
  return row.toString('latin1', 0, row[0] === Family.index ? entryAttributesAt : itemAttributesAt)
}

/** A small Buffer keeps all of the pool that it was cut from. */
function ownMemory(bytes: Buffer): Buffer {
  if (bytes.length >= Buffer.poolSize >>> 1) return bytes
  const own = Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(own)
  return own
}
