import { Family } from '../../../src/commit/index.js'
import type { TableRow } from '../../../src/tables/catalogue/table-row.js'
import { expiryEffects } from '../../../src/tables/expiry/expiry-row.js'
import { entryKey, entryValue } from '../../../src/tables/indexes/entry.js'
import { decodeItem, keyBehindPrefix, parseItem } from '../../../src/tables/items/item-row.js'
import type { MemoryStorage } from '../../memory-storage.js'

const rowsOf = (storage: MemoryStorage, family: Family) =>
  [...storage.rows].filter(([key]) => key.charCodeAt(0) === family)

export const tableRows = (storage: MemoryStorage): readonly TableRow[] =>
  rowsOf(storage, Family.table).map(([, value]) => JSON.parse(value.toString('utf8', 1)) as TableRow)

/** Attributes have no order: an entry stays as it is when only that of its item changes. */
const jsonOf = (value: Buffer): string => JSON.stringify(Object.entries(parseItem(decodeItem(value))).sort())

const inOrder = (rows: ReadonlyMap<string, string>): (readonly [string, string])[] =>
  [...rows].map(([key, json]) => [Buffer.from(key, 'latin1').toString('hex'), json] as const).sort()

/** Entries of indexes and times of expiry, key and JSON, as they must be for the items that there are. */
export function expectedRows(storage: MemoryStorage): (readonly [string, string])[] {
  const tables = new Map(tableRows(storage).map((row) => [row.id, row]))
  const expected = new Map<string, string>()
  for (const [name, value] of rowsOf(storage, Family.item)) {
    const key = Buffer.from(name, 'latin1')
    const row = tables.get(key.readUInt32BE(1))
    if (!row) throw new Error(`the item ${key.toString('hex')} has no table`)
    const item = parseItem(decodeItem(value))
    for (const index of row.indexes ?? []) {
      const entry = entryKey(row.id, index, item, keyBehindPrefix(key))
      const json = entry && jsonOf(entryValue(row, index, item, value))
      if (entry && json !== undefined) expected.set(entry.toString('latin1'), json)
    }
    for (const effect of expiryEffects(row, { row: key }, undefined, item))
      expected.set(effect.key.toString('latin1'), '')
  }
  return inOrder(expected)
}

/** As they are. */
export function derivedRows(storage: MemoryStorage): (readonly [string, string])[] {
  const entries = rowsOf(storage, Family.index).map(([key, value]) => [key, jsonOf(value)] as const)
  const times = rowsOf(storage, Family.expiry).map(([key]) => [key, ''] as const)
  return inOrder(new Map([...entries, ...times]))
}
