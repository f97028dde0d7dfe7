import type { Commit } from '../../commit/index.js'
import type { Page, Storage } from '../../storage/index.js'
import type { Throttle } from '../control/throttle.js'
import { type Condition, evaluateCondition, type Projection, project } from '../expressions/index.js'
import { isAt, itemRowOf, positionIn, positionOf, type Target } from '../indexes/index.js'
import { decodeItem, parseItem, type StoredItem, type StoredText } from '../items/item-row.js'
import { capacity, type IndexUnits, readUnits, type ShowCapacity } from '../requests/capacity.js'
import { doubleJson } from '../requests/double-json.js'
import { array, members } from '../requests/json-bytes.js'
import type { Item } from '../values/index.js'
import { type PageCache, type RangePage, rangeName } from './page-cache.js'
import { type Bounds, continueFrom } from './range-bounds.js'
import { readItems } from './stored-range.js'

/**
 * A page ends with the item that takes it to this many bytes by AWS's count, before filter and projection: a whole page of
 * small items is charged a little more than 1 MB there, 128.5 units where they are eventually consistent.
 */
const pageBytesMin = 1024 * 1024
/** Bytes of a local index's entries that are fetched from the store at once. */
const fetchBytesMax = 256 * 1024
/** Items of local entries that are fetched at once: each may have 400 KB. */
const fetchItemsMax = 32

export interface Reading {
  readonly target: Target
  readonly bounds: Bounds
  /** Where the rows of the hash key begin that a Query reads; undefined in a Scan. */
  readonly partition: Buffer | undefined
  readonly reverse: boolean
  readonly limit: number | undefined
  readonly filter: Condition | undefined
  readonly projection: Projection | undefined
  readonly countOnly: boolean
  readonly consistent: boolean
  readonly show: ShowCapacity
  /** The items of a local index's entries are read instead of these. */
  readonly fetches: boolean
}

/** Reads a page of a range of items, or of an index's entries, and answers with it. */
export class RangeReader {
  readonly #storage: Storage
  readonly #commit: Commit
  readonly #throttle: Throttle
  readonly #pages: PageCache

  constructor(storage: Storage, commit: Commit, throttle: Throttle, pages: PageCache) {
    this.#storage = storage
    this.#commit = commit
    this.#throttle = throttle
    this.#pages = pages
  }

  /** A page that is in memory is answered at once. */
  read(reading: Reading): Buffer | Promise<Buffer> {
    this.#throttle.admit(reading.target.row, 'read')
    if (reading.fetches) return this.#readItemsOfEntries(reading)
    const { bounds, partition, reverse, limit, filter, projection, countOnly } = reading
    if (partition === undefined || filter || projection || countOnly)
      return this.#found(reading).then((found) => this.#answer(reading, pageOf(found, countOnly)))
    const name = rangeName(bounds, reverse, limit)
    const page = this.#pages.get(name)
    if (page) return this.#answer(reading, page)
    const read = async () => pageOf(await this.#found(reading), false)
    return this.#pages.read(partition, name, read).then((read) => this.#answer(reading, read))
  }

  #found(reading: Reading): Promise<Found> {
    const { bounds, reverse, limit } = reading
    return readItems(this.#storage, { ...bounds, reverse, limit }, (pages) => foundIn(reading, pages))
  }

  #answer(reading: Reading, { answer, bytes }: RangePage): Buffer {
    this.#throttle.take(reading.target.row, 'read', readUnits(bytes, reading.consistent))
    const consumed = consumedBy(reading, { entries: bytes, fetched: 0 })
    if (!consumed) return answer
    return Buffer.concat([
      answer.subarray(0, answer.length - 1),
      Buffer.from(',"ConsumedCapacity":'),
      doubleJson(consumed),
      Buffer.from('}'),
    ])
  }

  async #readItemsOfEntries(reading: Reading): Promise<Buffer> {
    const { reverse, limit, filter, projection, countOnly } = reading
    const items: Buffer[] = []
    const used = { entries: 0, fetched: 0 }
    let count = 0
    let scanned = 0
    let bytes = 0
    let last: Buffer | undefined
    let bounds = reading.bounds
    let isOpen = true
    let isFull = false
    while (isOpen && !isFull) {
      const wanted = Math.min(fetchItemsMax, limit === undefined ? fetchItemsMax : limit - scanned)
      const page = await this.#storage.page({ ...bounds, reverse, limit: wanted, bytesMax: fetchBytesMax })
      const fetched = await this.#fetch(reading, page)
      for (let i = 0; i < page.keys.length; i++) {
        const entry = decodeItem(page.values[i] as Buffer)
        const stored = fetched[i]
        last = page.keys[i] as Buffer
        // The item went, or moved in the index, after its entry was read: as if it had done so before.
        if (!stored) continue
        scanned++
        bytes += stored.size
        used.entries += entry.size
        used.fetched += readUnits(stored.size, reading.consistent)
        const item = filter || projection ? parseItem(stored) : undefined
        if (!filter || evaluateCondition(filter, item as Item)) {
          count++
          if (!countOnly)
            items.push(projection ? Buffer.from(JSON.stringify(project(projection, item as Item))) : stored.json)
        }
        if (bytes >= pageBytesMin) {
          isFull = true
          break
        }
      }
      isOpen = page.more
      if (limit !== undefined && scanned >= limit) {
        // As on AWS, a page that ends with its limit names a last key even when nothing follows.
        isFull = true
      }
      if (last) bounds = continueFrom(reading.bounds, last, reverse)
    }
    const next = isFull && last ? Buffer.from(JSON.stringify(positionOf(reading.target, last))) : undefined
    this.#throttle.take(reading.target.row, 'read', readUnits(used.entries, reading.consistent) + used.fetched)
    const consumed = consumedBy(reading, used)
    return members([
      ['Items', countOnly ? undefined : array(items)],
      ['Count', Buffer.from(String(count))],
      ['ScannedCount', Buffer.from(String(scanned))],
      ['LastEvaluatedKey', next],
      ['ConsumedCapacity', consumed && doubleJson(consumed)],
    ])
  }

  /** The items of a page of a local index's entries; undefined for one that is not there any more. */
  async #fetch({ target }: Reading, page: Page): Promise<(StoredItem | undefined)[]> {
    const rows = page.keys.map((entry) => itemRowOf(target, entry))
    const values = await this.#commit.readDurableMany(rows)
    return values.map((value, i) => {
      if (!value) return undefined
      const stored = decodeItem(value)
      return isAt(target, page.keys[i] as Buffer, parseItem(stored), rows[i] as Buffer) ? stored : undefined
    })
  }
}

/** What a range has for a request. */
interface Found {
  /** The JSON of the items, with commas between them. */
  readonly items: string
  readonly count: number
  readonly scanned: number
  readonly bytes: number
  /** LastEvaluatedKey. */
  readonly next: Item | undefined
}

/** One page as AWS cuts it: at the limit, or behind the item that takes it to 1 MB. */
async function foundIn(reading: Reading, pages: AsyncIterable<readonly StoredText[]>): Promise<Found> {
  const { target, limit, filter, projection, countOnly } = reading
  let items = ''
  let count = 0
  let scanned = 0
  let bytes = 0
  let last: StoredText | undefined
  let isFull = false
  for await (const page of pages) {
    for (const stored of page) {
      scanned++
      bytes += stored.size
      last = stored
      const item = filter || projection ? (JSON.parse(stored.json) as Item) : undefined
      if (!filter || evaluateCondition(filter, item as Item)) {
        count++
        if (!countOnly) {
          if (count > 1) items += ','
          items += projection ? JSON.stringify(project(projection, item as Item)) : stored.json
        }
      }
      if (bytes >= pageBytesMin) {
        isFull = true
        break
      }
    }
    // As on AWS, a page that ends with its limit names a last key even when nothing follows.
    if (limit !== undefined && scanned >= limit) isFull = true
    if (isFull) break
  }
  const next = isFull && last ? positionIn(target, JSON.parse(last.json) as Item) : undefined
  return { items, count, scanned, bytes, next }
}

function pageOf({ items, count, scanned, bytes, next }: Found, countOnly: boolean): RangePage {
  const answer = Buffer.from(
    `{${countOnly ? '' : `"Items":[${items}],`}"Count":${count},"ScannedCount":${scanned}` +
      `${next ? `,"LastEvaluatedKey":${JSON.stringify(next)}` : ''}}`,
  )
  return { answer, bytes }
}

function consumedBy(
  { target: { row, index }, show, consistent }: Reading,
  used: { readonly entries: number; readonly fetched: number },
): object | undefined {
  const units = readUnits(used.entries, consistent)
  if (!index) return capacity(show, row.name, units)
  const named = new Map([[index.name, units]])
  const none = new Map<string, number>()
  const indexes: IndexUnits = index.kind === 'global' ? { global: named, local: none } : { global: none, local: named }
  return capacity(show, row.name, used.fetched, indexes)
}
