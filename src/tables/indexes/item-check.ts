import type { TableRow } from '../catalogue/table-row.js'
import { type Item, itemBytesMax, ValidationError } from '../values/index.js'
import { sizeWithLocalEntries } from './effects.js'
import { checkIndexKeys, checkUpdatedIndexKeys } from './key-check.js'

/**
 * Refuses an item whose index keys cannot be, or that is too large with its local entries. `updated`: what an update
 * expression wrote of it; the rest may be as it was before the index. Throws ValidationError.
 */
export function checkIndexedItem(
  row: TableRow,
  { item, size, updated }: { readonly item: Item; readonly size: number; readonly updated?: readonly string[] },
): void {
  if (updated) checkUpdatedIndexKeys(row, item, updated)
  else checkIndexKeys(row, item)
  if (sizeWithLocalEntries(row, item, size) <= itemBytesMax) return
  throw new ValidationError(
    updated
      ? 'Item size to update has exceeded the maximum allowed size'
      : 'Item size has exceeded the maximum allowed size',
    'item',
  )
}
