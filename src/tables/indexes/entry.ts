import { Family } from '../../commit/index.js'
import { type Hash64, hashKey } from '../../runtime/index.js'
import type { TableRow } from '../catalogue/table-row.js'
import { encodeEntry } from '../items/item-row.js'
import {
  type AttributeValue,
  attributeOf,
  encodeKeyValue,
  type Item,
  itemSize,
  type KeyAttribute,
} from '../values/index.js'
import type { Index } from './definition.js'
import { keyFaultOf, sizeFaultOf } from './key-fault.js'
import { projectedNames, projectItem } from './projection.js'

/*
 * `index`: family, table u32be, index u32be, hash (hi u32be, lo u32be) of the encoded hash attributes, the encoded hash
 * attributes, the encoded range attributes, then the item's encoded partition key and sort key. So entries of one hash key
 * lie in the order of their range keys, equal ones in that of their items, and a segment of a Scan is a range.
 */
const indexPrefixBytes = 9
const entryPrefixBytes = 17

/** Where the entries of an index begin. */
export function indexPrefix(table: number, index: number): Buffer {
  const prefix = Buffer.allocUnsafe(indexPrefixBytes)
  prefix[0] = Family.index
  prefix.writeUInt32BE(table, 1)
  prefix.writeUInt32BE(index, 5)
  return prefix
}

export function hashPrefix(table: number, index: number, hash: Hash64): Buffer {
  const prefix = Buffer.allocUnsafe(entryPrefixBytes)
  prefix[0] = Family.index
  prefix.writeUInt32BE(table, 1)
  prefix.writeUInt32BE(index, 5)
  prefix.writeUInt32BE(hash.hi, 9)
  prefix.writeUInt32BE(hash.lo, 13)
  return prefix
}

/** Where the entries of one hash key begin, given its encoded attributes. */
export function entryPartition(table: number, index: number, hash: Buffer): Buffer {
  return Buffer.concat([hashPrefix(table, index, hashKey(hash)), hash])
}

/** Where the attributes of an entry's key begin. */
export const entryAttributesAt = entryPrefixBytes

/** The encoded attributes of an item, in order; undefined when one is missing or cannot be in a key. */
function encodeAttributes(kind: 'hash' | 'range', attributes: readonly KeyAttribute[], item: Item): Buffer | undefined {
  const values: AttributeValue[] = []
  for (const attribute of attributes) {
    const value = attributeOf(item, attribute.name)
    if (value === undefined || keyFaultOf(attribute, value)) return undefined
    values.push(value)
  }
  if (sizeFaultOf(kind, values)) return undefined
  const [only] = values
  return values.length === 1 ? encodeKeyValue(only as AttributeValue) : Buffer.concat(values.map(encodeKeyValue))
}

/** The key of an item's entry; undefined when the item is not in the index. `encoded` is the item's own key. */
export function entryKey(table: number, index: Index, item: Item, encoded: Buffer): Buffer | undefined {
  const hash = encodeAttributes('hash', index.hash, item)
  if (!hash) return undefined
  const range = encodeAttributes('range', index.range, item)
  if (!range) return undefined
  return Buffer.concat([entryPartition(table, index.id, hash), range, encoded])
}

/** The value of an entry: that of the item's row with the projected attributes, so that a Query copies bytes. */
export function entryValue(row: Pick<TableRow, 'schema'>, index: Index, item: Item, itemValue: Buffer): Buffer {
  const names = projectedNames(row, index)
  if (names === undefined) return itemValue
  const projected = projectItem(names, item)
  return encodeEntry(Buffer.from(JSON.stringify(projected)), itemSize(projected), itemValue)
}
