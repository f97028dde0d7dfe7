import type { RowEffect } from '../../commit/index.js'
import type { TableRow } from '../catalogue/table-row.js'
import { decodeItem, type ItemKey, keyBehindPrefix, parseItem } from '../items/item-row.js'
import { attributeOf, type Item, valuesEqual } from '../values/index.js'
import type { Index } from './definition.js'
import { entryKey, entryValue } from './entry.js'
import { entrySize, projectedNames } from './projection.js'

/** An item as a write leaves it: `value` is its row's. */
export interface AfterWrite {
  readonly item: Item
  readonly value: Buffer
}

/**
 * The entries that a write changes, in every index of the table. Pure; an entry that stays as it is makes no effect, also
 * when a backfill has not written it yet.
 */
export function indexEffects(
  row: TableRow,
  key: ItemKey,
  before: Item | undefined,
  after: AfterWrite | undefined,
): RowEffect[] {
  const effects: RowEffect[] = []
  for (const index of row.indexes ?? []) {
    const was = before && entryKey(row.id, index, before, key.encoded)
    const is = after && entryKey(row.id, index, after.item, key.encoded)
    const stays = was !== undefined && is !== undefined && was.equals(is)
    if (was && !stays) effects.push({ key: was, value: undefined })
    if (!is || !after || (stays && isSameEntry(row, index, before as Item, after.item))) continue
    effects.push({ key: is, value: entryValue(row, index, after.item, after.value) })
  }
  return effects
}

/** Whether an entry of the same key holds the same, of two items that differ. */
function isSameEntry(row: TableRow, index: Index, before: Item, after: Item): boolean {
  const names = projectedNames(row, index)
  if (names === undefined) return false
  for (const name of names) {
    const was = attributeOf(before, name)
    const is = attributeOf(after, name)
    if (was === undefined ? is !== undefined : is === undefined || !valuesEqual(was, is)) return false
  }
  return true
}

/** The entry of an item that was there before the index (a backfill's rows). */
export function deriveEntry(row: TableRow, id: string, key: Buffer, value: Buffer): readonly RowEffect[] {
  const index = row.indexes?.find((each) => each.id === Number(id))
  if (!index) return []
  const item = parseItem(decodeItem(value))
  const entry = entryKey(row.id, index, item, keyBehindPrefix(key))
  return entry ? [{ key: entry, value: entryValue(row, index, item, value) }] : []
}

/** Bytes written in one index, each to be rounded up for itself: an entry that moves is deleted and put. */
export function entryWrites(
  row: TableRow,
  index: Index,
  key: Buffer,
  before: { readonly item: Item; readonly size: number } | undefined,
  after: { readonly item: Item; readonly size: number } | undefined,
): readonly number[] {
  const was = before && entryKey(row.id, index, before.item, key)
  const is = after && entryKey(row.id, index, after.item, key)
  const oldSize = was ? entrySize(row, index, before.item, before.size) : 0
  const newSize = is ? entrySize(row, index, after.item, after.size) : 0
  if (was && is && was.equals(is))
    return isSameItem(row, index, before.item, after.item) ? [] : [Math.max(oldSize, newSize)]
  return [...(was ? [oldSize] : []), ...(is ? [newSize] : [])]
}

function isSameItem(row: TableRow, index: Index, before: Item, after: Item): boolean {
  if (projectedNames(row, index) !== undefined) return isSameEntry(row, index, before, after)
  const names = new Set([...Object.keys(before), ...Object.keys(after)])
  for (const name of names) {
    const was = attributeOf(before, name)
    const is = attributeOf(after, name)
    if (was === undefined || is === undefined || !valuesEqual(was, is)) return false
  }
  return true
}
