import { Family, rowName } from '../../commit/index.js'
import { type Hash64, hashKey, MillraceError } from '../../runtime/index.js'
import {
  type AttributeValue,
  decodeKeyValue,
  encodeKeyValue,
  type Item,
  type KeySchema,
  setAttribute,
} from '../values/index.js'

/** Where the attributes of an item row's key begin. */
export const itemAttributesAt = 13

/**
 * `item`: family, table u32be, key hash (hi u32be, lo u32be), encoded partition key, encoded sort key. The hash comes
 * first so that a table's items lie spread and a segment of a Scan is a range.
 */
export class ItemKey {
  readonly row: Buffer
  readonly hash: Hash64
  #name: string | undefined
  #encoded: Buffer | undefined

  constructor(row: Buffer, hash: Hash64) {
    this.row = row
    this.hash = hash
  }

  /** The row as the commit path knows it. */
  get name(): string {
    this.#name ??= rowName(this.row)
    return this.#name
  }

  /** Encoded partition key and sort key: the key of the item's change records. */
  get encoded(): Buffer {
    this.#encoded ??= this.row.subarray(itemAttributesAt)
    return this.#encoded
  }
}

export function itemKey(table: number, schema: KeySchema, key: Item): ItemKey {
  const partition = encodeKeyValue(key[schema.hash.name] as AttributeValue)
  const sort = schema.range && encodeKeyValue(key[schema.range.name] as AttributeValue)
  const hash = hashKey(partition)
  const row = Buffer.allocUnsafe(itemAttributesAt + partition.length + (sort?.length ?? 0))
  writePrefix(row, table, hash)
  partition.copy(row, itemAttributesAt)
  sort?.copy(row, itemAttributesAt + partition.length)
  return new ItemKey(row, hash)
}

/** The encoded partition key and sort key of an item row. */
export const keyBehindPrefix = (row: Buffer): Buffer => row.subarray(itemAttributesAt)

/** Where the items of one partition key begin. */
export function partitionStart(table: number, partition: Buffer): Buffer {
  const row = Buffer.allocUnsafe(itemAttributesAt + partition.length)
  writePrefix(row, table, hashKey(partition))
  partition.copy(row, itemAttributesAt)
  return row
}

function writePrefix(row: Buffer, table: number, hash: Hash64): void {
  row[0] = Family.item
  row.writeUInt32BE(table, 1)
  row.writeUInt32BE(hash.hi, 5)
  row.writeUInt32BE(hash.lo, 9)
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
