import { Family } from '../../commit/index.js'
import { type Hash64, hashKey, MillraceError } from '../../runtime/index.js'
import {
  type AttributeValue,
  decodeKeyValue,
  encodeKeyValue,
  type Item,
  type KeySchema,
  setAttribute,
} from '../values/index.js'

/**
 * `item`: family, table u32be, key hash (hi u32be, lo u32be), encoded partition key, encoded sort key. The hash comes
 * first so that a table's items lie spread and a segment of a Scan is a range.
 */
export interface ItemKey {
  readonly row: Buffer
  readonly hash: Hash64
  /** Encoded partition key and sort key: the key of the item's change records. */
  readonly encoded: Buffer
}

/** Where the attributes of an item row's key begin. */
export const itemAttributesAt = 13

export function itemKey(table: number, schema: KeySchema, key: Item): ItemKey {
  const partition = encodeKeyValue(key[schema.hash.name] as AttributeValue)
  const hash = hashKey(partition)
  const row = Buffer.concat([
    partitionPrefix(table, hash),
    partition,
    ...(schema.range ? [encodeKeyValue(key[schema.range.name] as AttributeValue)] : []),
  ])
  return { row, hash, encoded: row.subarray(itemAttributesAt) }
}

/** The encoded partition key and sort key of an item row. */
export const keyBehindPrefix = (row: Buffer): Buffer => row.subarray(itemAttributesAt)

/** Where the items of one partition key begin. */
export function partitionStart(table: number, partition: Buffer): Buffer {
  return Buffer.concat([partitionPrefix(table, hashKey(partition)), partition])
}

function partitionPrefix(table: number, hash: Hash64): Buffer {
  const prefix = Buffer.allocUnsafe(itemAttributesAt)
  prefix[0] = Family.item
  prefix.writeUInt32BE(table, 1)
  prefix.writeUInt32BE(hash.hi, 5)
  prefix.writeUInt32BE(hash.lo, 9)
  return prefix
}

/** The rows behind a prefix whose key hash, which follows it, lies in a segment: lower bound inclusive, upper exclusive. */
export function segmentRange(prefix: Buffer, segment: number, total: number): { gte: Buffer; lt: Buffer } {
  const bound = (index: number): Buffer => {
    if (index === total) return after(prefix)
    const key = Buffer.concat([prefix, Buffer.alloc(8)])
    key.writeBigUInt64BE(((1n << 64n) * BigInt(index)) / BigInt(total), prefix.length)
    return key
  }
  return { gte: bound(segment), lt: bound(segment + 1) }
}

/** Where the rows of a table begin, by default its items. */
export function tablePrefix(table: number, family: Family = Family.item): Buffer {
  const prefix = Buffer.allocUnsafe(5)
  prefix[0] = family
  prefix.writeUInt32BE(table, 1)
  return prefix
}

/** The first key behind all keys with a prefix. */
export function after(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix)
  for (let i = end.length - 1; i >= 0; i--) {
    if (end[i] !== 0xff) {
      end[i] = (end[i] as number) + 1
      return end.subarray(0, i + 1)
    }
  }
  throw new MillraceError('INTERNAL', 'No key lies behind this prefix.')
}

/** The key attributes of an item row, from its key alone. */
export function keyAttributesOf(row: Buffer, schema: KeySchema): Item {
  const partition = decodeKeyValue(row, itemAttributesAt)
  const key: Item = { [schema.hash.name]: partition.value }
  if (schema.range) setAttribute(key, schema.range.name, decodeKeyValue(row, partition.next).value)
  return key
}

export * from './item-value.js'
