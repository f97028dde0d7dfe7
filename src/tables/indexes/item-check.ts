import type { TableRow } from '../catalogue.js'
import { type Item, itemBytesMax, ValidationError } from '../values/index.js'
import { sizeWithLocalEntries } from './effects.js'
import { checkIndexKeys, checkUpdatedIndexKeys } from './key-check.js'

/** Refuses an item whose index keys cannot be, or that is too large with its local entries. Throws ValidationError. */
export function checkIndexedItem(
  row: TableRow,
  { item, size, isUpdate }: { readonly item: Item; readonly size: number; readonly isUpdate?: boolean },
  before: Item | undefined,
): void {
  if (isUpdate) checkUpdatedIndexKeys(row, item, before)
  else checkIndexKeys(row, item)
  if (sizeWithLocalEntries(row, item, size) <= itemBytesMax) return
  throw new ValidationError(
    isUpdate
      ? 'Item size to update has exceeded the maximum allowed size'
      : 'Item size has exceeded the maximum allowed size',
  )
}
