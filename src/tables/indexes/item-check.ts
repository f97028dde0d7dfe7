import {
  attributeOf,
  type Item,
  itemBytesMax,
  type KeyAttribute,
  type KeySchema,
  ValidationError,
} from '../values/index.js'
import { type Indexed, localIndexes } from './definition.js'
import { checkIndexKeys, checkUpdatedIndexKeys } from './key-check.js'
import { keyFaultOf, sizeFaultOf } from './key-fault.js'
import { entrySize } from './projection.js'

/*
 * Looks at items before they are written. Threads that make items for tables look at them in the same way, so nothing here
 * needs the store.
 */

/** What an item of a table is held against. */
export interface IndexedTable extends Pick<Indexed, 'indexes'> {
  readonly schema: KeySchema
}

/** A table's key and its indexes: what a thread knows that makes items for it. */
export interface TableKeys extends KeySchema, Pick<Indexed, 'indexes'> {}

/**
 * Refuses an item whose index keys cannot be, or that is too large with its local entries. `updated`: what an update
 * expression wrote of it; the rest may be as it was before the index. Throws ValidationError.
 */
export function checkIndexedItem(
  table: IndexedTable,
  { item, size, updated }: { readonly item: Item; readonly size: number; readonly updated?: readonly string[] },
): void {
  if (updated) checkUpdatedIndexKeys(table, item, updated)
  else checkIndexKeys(table, item)
  if (sizeWithLocalEntries(table, item, size) <= itemBytesMax) return
  throw new ValidationError(
    updated
      ? 'Item size to update has exceeded the maximum allowed size'
      : 'Item size has exceeded the maximum allowed size',
    'item',
  )
}

/** Bytes of an item and of its entries in local indexes, which together have an item's limit. */
function sizeWithLocalEntries(table: IndexedTable, item: Item, size: number): number {
  let sum = size
  for (const index of localIndexes(table)) if (hasRange(index, item)) sum += entrySize(table, index, item, size)
  return sum
}

/** Whether an item has an entry in a local index: its hash key is the item's own. */
function hasRange({ range }: { readonly range: readonly KeyAttribute[] }, item: Item): boolean {
  const values = range.map(({ name }) => attributeOf(item, name))
  if (values.some((value, i) => value === undefined || keyFaultOf(range[i] as KeyAttribute, value))) return false
  return sizeFaultOf('range', values as readonly NonNullable<(typeof values)[number]>[]) === undefined
}
