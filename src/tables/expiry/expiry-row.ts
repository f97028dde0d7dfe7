import { Family, type RowEffect } from '../../commit/index.js'
import type { Derive } from '../catalogue/backfill.js'
import type { TableRow } from '../catalogue/table-row.js'
import { decodeItem, type ItemKey, parseItem } from '../items/item-row.js'
import { type AttributeValue, attributeOf, type Item } from '../values/index.js'

/**
 * `expiry`: family, table u32be, seconds since 1970 u48be, then the item row's key behind its table. The value is empty.
 * There is a row exactly when the table has a time to live and the item one that a clock may reach.
 */
const secondsAt = 5
const itemAt = 11
const itemPrefixBytes = 5

/** The end of the year 9999: what is later, such as a time in milliseconds, never expires. */
export const expirySecondsMax = 253_402_300_799

/**
 * When an item with this attribute expires, whole seconds since 1970; undefined when it never does. Only numbers count;
 * a fraction is cut off. Numbers are in plain decimal notation here.
 */
export function expirySecondsOf(value: AttributeValue | undefined): number | undefined {
  if (value === undefined || !('N' in value)) return undefined
  const seconds = Math.trunc(Number(value.N))
  return seconds > 0 && seconds <= expirySecondsMax ? seconds : undefined
}

/** Where the rows of a table begin that expire at a time or later. */
export function expiryStart(table: number, seconds: number): Buffer {
  const start = Buffer.allocUnsafe(itemAt)
  start[0] = Family.expiry
  start.writeUInt32BE(table, 1)
  start.writeUIntBE(seconds, secondsAt, 6)
  return start
}

export function expiryKey(table: number, seconds: number, itemRow: Buffer): Buffer {
  return Buffer.concat([expiryStart(table, seconds), itemRow.subarray(itemPrefixBytes)])
}

/** The time in an expiry row's key, and the key of the item row that it stands for. */
export function decodeExpiryKey(key: Buffer): { readonly seconds: number; readonly itemRow: Buffer } {
  const prefix = Buffer.from(key.subarray(0, itemPrefixBytes))
  prefix[0] = Family.item
  return { seconds: key.readUIntBE(secondsAt, 6), itemRow: Buffer.concat([prefix, key.subarray(itemAt)]) }
}

const empty = Buffer.alloc(0)

/** What becomes of an item's expiry row when the item changes. Pure; nothing when its time stays. */
export function expiryEffects(
  { id, expiry }: Pick<TableRow, 'id' | 'expiry'>,
  key: Pick<ItemKey, 'row'>,
  before: Item | undefined,
  after: Item | undefined,
): readonly RowEffect[] {
  const attribute = expiry?.attribute
  if (attribute === undefined) return []
  const was = before && expirySecondsOf(attributeOf(before, attribute))
  const is = after && expirySecondsOf(attributeOf(after, attribute))
  if (was === is) return []
  return [
    ...(was === undefined ? [] : [{ key: expiryKey(id, was, key.row), value: undefined }]),
    ...(is === undefined ? [] : [{ key: expiryKey(id, is, key.row), value: empty }]),
  ]
}

const jobStart = 'expiry:'

/** The name of the job that makes the expiry rows of the items that there are. */
export const expiryJob = (attribute: string): string => jobStart + attribute

/** The row of an item that was there before its table had a time to live. */
export const deriveExpiry: Derive = (row, attribute, key, value) =>
  row.expiry?.attribute === attribute ? expiryEffects(row, { row: key }, undefined, parseItem(decodeItem(value))) : []
