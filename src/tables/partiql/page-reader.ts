import type { Commit } from '../../commit/index.js'
import type { Page, Storage } from '../../storage/index.js'
import { type Condition, evaluateCondition } from '../expressions/index.js'
import { isAt, itemRowOf, type Target } from '../indexes/index.js'
import { decodeItem, parseItem, type StoredItem } from '../items/item-row.js'
import { readUnits } from '../requests/capacity.js'
import type { Position } from './next-token.js'
import type { RowRange } from './read-source.js'

/** A page ends with the item that takes it to this many bytes by AWS's count, before filter and projection. */
const pageBytesMin = 1024 * 1024
/** Rows and bytes that are fetched from the store at once. */
const fetchRowsMax = 1000
const fetchBytesMax = 256 * 1024
/** Items of local entries that are fetched at once: each may have 400 KB. */
const fetchItemsMax = 32
/** Ranges of one statement that a page reads: of IN, AWS answers for so many values at once. */
const pageRangesMax = 10

/** A range of rows, and what must hold of those that are answered with. */
export interface Segment extends RowRange {
  readonly filter: Condition | undefined
}

export interface PageOptions {
  readonly target: Target
  readonly segments: readonly Segment[]
  readonly isReverse: boolean
  /** Items that are looked at, before the filter. */
  readonly limit: number | undefined
  readonly consistent: boolean
  /** The items of a local index's entries are answered with instead of these. */
  readonly fetches: boolean
}

export interface ReadPage {
  /** What the filters let through. */
  readonly found: readonly StoredItem[]
  /** Bytes of the rows that were looked at, by AWS's count. */
  readonly bytes: number
  /** Units of the items that were fetched. */
  readonly fetchedUnits: number
  /** Where the next page begins; undefined at the end. */
  readonly next: Position | undefined
  /** The row that was looked at last. */
  readonly last: Buffer | undefined
}

/** Reads a page of several ranges, one after the other. */
export async function readPage(
  storage: Storage,
  commit: Commit,
  options: PageOptions,
  from: Position | undefined,
): Promise<ReadPage> {
  const page = new PageReader(storage, commit, options)
  const first = from?.range ?? 0
  for (let range = first; range < options.segments.length; range++) {
    if (range === first + pageRangesMax) return page.end({ range, row: undefined })
    const behind = range === first ? from?.row : undefined
    const end = await page.readSegment(options.segments[range] as Segment, behind)
    if (end) return page.end({ range, row: end })
  }
  return page.end(undefined)
}

class PageReader {
  private readonly found: StoredItem[] = []
  private scanned = 0
  private bytes = 0
  /** Bytes that a page is measured by: of the items, where these are fetched. */
  private shownBytes = 0
  private fetchedUnits = 0
  private last: Buffer | undefined

  constructor(
    private readonly storage: Storage,
    private readonly commit: Commit,
    private readonly options: PageOptions,
  ) {}

  end(next: Position | undefined): ReadPage {
    return { found: this.found, bytes: this.bytes, fetchedUnits: this.fetchedUnits, next, last: this.last }
  }

  /** Reads on behind a row. When the page is full, gives the row that it ends with. */
  async readSegment(segment: Segment, behind: Buffer | undefined): Promise<Buffer | undefined> {
    const { isReverse: reverse, limit, fetches } = this.options
    const rowsMax = fetches ? fetchItemsMax : fetchRowsMax
    let row = behind
    for (;;) {
      const wanted = limit === undefined ? rowsMax : Math.min(rowsMax, limit - this.scanned)
      const bounds = rest(segment, row, reverse)
      const page = await this.storage.page({ ...bounds, reverse, limit: wanted, bytesMax: fetchBytesMax })
      const items = fetches ? await this.fetch(page) : undefined
      for (let i = 0; i < page.keys.length; i++) {
        const entry = decodeItem(page.values[i] as Buffer)
        const shown = items ? items[i] : entry
        row = page.keys[i] as Buffer
        // The item went, or moved in the index, after its entry was read: as if it had done so before.
        if (shown) this.add(row, entry, shown, segment.filter)
        if (this.shownBytes >= pageBytesMin) return row
      }
      // As on AWS, a page that ends with its limit goes on even when nothing follows.
      if (limit !== undefined && this.scanned >= limit) return row
      if (!page.more) return undefined
    }
  }

  /** A filter sees what the index holds. */
  private add(row: Buffer, entry: StoredItem, shown: StoredItem, filter: Condition | undefined): void {
    this.last = row
    this.scanned++
    this.bytes += entry.size
    this.shownBytes += shown.size
    if (this.options.fetches) this.fetchedUnits += readUnits(shown.size, this.options.consistent)
    if (!filter || evaluateCondition(filter, parseItem(entry))) this.found.push(shown)
  }

  private async fetch({ keys }: Page): Promise<(StoredItem | undefined)[]> {
    const { target } = this.options
    const rows = keys.map((entry) => itemRowOf(target, entry))
    const values = await this.commit.readDurableMany(rows)
    return values.map((value, i) => {
      const stored = value && decodeItem(value)
      return stored && isAt(target, keys[i] as Buffer, parseItem(stored), rows[i] as Buffer) ? stored : undefined
    })
  }
}

/** What is left of a range behind a row in it. */
function rest({ gte, lt }: RowRange, row: Buffer | undefined, isReverse: boolean) {
  if (!row) return { gte, lt }
  return isReverse ? { gte, lt: row } : { gt: row, lt }
}
