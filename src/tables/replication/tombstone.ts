import { Family } from '../../commit/index.js'
import { MillraceError } from '../../runtime/index.js'
import type { Stamp, StoredVersion } from '../items/item-value.js'

/*
 * `tombstone`: the key of the item's row under another family. Value: version u8 (1), origin region u8, milliseconds u48be and
 * counter u16be of its stamp, commit time u48be at which it was written here. No read of items meets one, since they lie
 * elsewhere; a writer of a table with replicas looks for one where there is no item.
 */
const version = 1
const valueBytes = 16

export interface Tombstone extends StoredVersion {
  /** When it was written here, milliseconds since 1970. */
  readonly at: number
}

export function tombstoneKey(itemRow: Buffer): Buffer {
  const key = Buffer.from(itemRow)
  key[0] = Family.tombstone
  return key
}

/** The key of the item's row that a tombstone stands for. */
export function itemRowOf(tombstone: Buffer): Buffer {
  const key = Buffer.from(tombstone)
  key[0] = Family.item
  return key
}

export function encodeTombstone(stamp: Stamp, origin: number, at: number): Buffer {
  const value = Buffer.allocUnsafe(valueBytes)
  value[0] = version
  value[1] = origin
  value.writeUIntBE(stamp.ms, 2, 6)
  value.writeUInt16BE(stamp.counter, 8)
  value.writeUIntBE(at, 10, 6)
  return value
}

export function decodeTombstone(value: Buffer): Tombstone {
  if (value[0] !== version)
    throw new MillraceError('DATA_DIR_NEWER', `A tombstone has version ${value[0]}; this version of Millrace knows 1.`)
  return {
    origin: value[1] as number,
    stamp: { ms: value.readUIntBE(2, 6), counter: value.readUInt16BE(8) },
    at: value.readUIntBE(10, 6),
  }
}
