import type { Storage } from '../../storage/index.js'
import type { TableRow } from '../catalogue/table-row.js'
import { after, partitionStart } from '../items/item-row.js'
import { type Constraints, type Input, oneOf } from '../requests/request.js'
import { type AttributeValue, encodeKeyValue, type Item } from '../values/index.js'
import { localIndexes } from './definition.js'
import { entryPartition } from './entry.js'

const gigabyte = 2 ** 30

/** Whether a write is to show its item collection's size. */
export function showCollectionMetrics(input: Input, constraints: Constraints): boolean {
  const wanted = oneOf(
    input,
    'ReturnItemCollectionMetrics',
    'returnItemCollectionMetrics',
    ['SIZE', 'NONE'],
    constraints,
  )
  return wanted === 'SIZE'
}

/** The items of one partition key with their entries in local indexes. */
export class ItemCollections {
  readonly #storage: Storage

  constructor(storage: Storage) {
    this.#storage = storage
  }

  /** ItemCollectionMetrics of the collection that a key is in; undefined for a table without local indexes. */
  async of(row: TableRow, key: Item): Promise<object | undefined> {
    const locals = localIndexes(row)
    if (locals.length === 0) return undefined
    const { name } = row.schema.hash
    const value = key[name] as AttributeValue
    const partition = encodeKeyValue(value)
    const starts = [partitionStart(row.id, partition), ...locals.map(({ id }) => entryPartition(row.id, id, partition))]
    const sizes = await Promise.all(starts.map((start) => this.#storage.approximateSize(start, after(start))))
    const gigabytes = Math.floor(sizes.reduce((sum, size) => sum + size, 0) / gigabyte)
    return { ItemCollectionKey: { [name]: value }, SizeEstimateRangeGB: [gigabytes, gigabytes + 1] }
  }

  /**
   * ItemCollectionMetrics of each collection among written items, once each and by the name that its table is `named` by;
   * undefined when no table has any.
   */
  async ofMany(
    written: readonly { readonly named: string; readonly row: TableRow; readonly key: Item }[],
  ): Promise<object | undefined> {
    const metrics = new Map<string, object[]>()
    const seen = new Set<string>()
    for (const { named, row, key } of written) {
      const collection = JSON.stringify([named, key[row.schema.hash.name]])
      if (seen.has(collection)) continue
      seen.add(collection)
      const found = await this.of(row, key)
      if (found) metrics.set(named, [...(metrics.get(named) ?? []), found])
    }
    return metrics.size > 0 ? Object.fromEntries(metrics) : undefined
  }
}
