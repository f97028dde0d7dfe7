import type { TableRow } from '../catalogue/table-row.js'
import { itemKey } from '../items/item-row.js'
import type { Written } from '../items/writer.js'
import { type IndexUnits, writeUnits } from '../requests/capacity.js'
import type { Item } from '../values/index.js'
import { itemSize } from '../values/index.js'
import { entryWrites } from './effects.js'

/** What a write took in each index: nothing where the entry stayed as it was. Source: the developer guide's GSI and LSI. */
export function indexWriteUnits(row: TableRow, key: Item, written: Written): IndexUnits | undefined {
  if (!row.indexes) return undefined
  const { encoded } = itemKey(row.id, row.schema, key)
  const old = written.before.item()
  const before = old && { item: old, size: written.before.stored?.size ?? 0 }
  const after = written.after && { item: written.after, size: itemSize(written.after) }
  const units = { global: new Map<string, number>(), local: new Map<string, number>() }
  for (const index of row.indexes) {
    const writes = entryWrites(row, index, encoded, before, after)
    if (writes.length === 0) continue
    units[index.kind].set(
      index.name,
      writes.reduce((sum, size) => sum + writeUnits(size), 0),
    )
  }
  return units
}
