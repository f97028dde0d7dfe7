import type { CellName, StoredCell } from '../../operators/task/index.js'
import { decodeName, encodeName } from './cell-names.js'
import { copyInto } from './row-buffer.js'

/** Rows of one family and pipeline begin with these five bytes: family, pipeline u32be. */
export type RowStart = Uint8Array

/** A cell by the number of its step's state. */
export interface StoredCellKey {
  readonly state: number
  readonly hashHi: number
  readonly hashLo: number
  readonly key: Uint8Array
  readonly name: CellName | undefined
}

/** Set in the number of a state: what follows is a named cell, so that no key can be taken for another with a name. */
const namedBit = 0x80000000

const plainVersion = 1
const versionedVersion = 2

/**
 * `state`: family, pipeline u32be, state u32be, key hash (hi u32be, lo u32be), key. A named cell has the highest bit of its
 * state set, and behind the hash the key's length u16be, the key, the name.
 */
export function stateKey(start: RowStart, cell: StoredCellKey): Buffer {
  const name = nameBytesOf(cell)
  const row = Buffer.allocUnsafe(stateKeyBytes(cell, name))
  writeStateKey(row, 0, start, cell.state, cell, name)
  return row
}

/** The encoded name of a cell; undefined for one without. */
export const nameBytesOf = ({ name }: Pick<StoredCellKey, 'name'>): Buffer | undefined =>
  name === undefined ? undefined : encodeName(name)

export const stateKeyBytes = ({ key }: Pick<StoredCellKey, 'key'>, name: Buffer | undefined): number =>
  name === undefined ? 17 + key.length : 19 + key.length + name.length

/** Writes the key of a cell's row, whose name is given encoded. */
export function writeStateKey(
  row: Buffer,
  at: number,
  start: RowStart,
  state: number,
  { hashHi, hashLo, key }: Pick<StoredCellKey, 'hashHi' | 'hashLo' | 'key'>,
  name: Buffer | undefined,
): void {
  copyInto(row, start, at)
  row.writeUInt32BE(name === undefined ? state : state + namedBit, at + 5)
  row.writeUInt32BE(hashHi, at + 9)
  row.writeUInt32BE(hashLo, at + 13)
  if (name === undefined) return copyInto(row, key, at + 17)
  row.writeUInt16BE(key.length, at + 17)
  copyInto(row, key, at + 19)
  copyInto(row, name, at + 19 + key.length)
}

/** What the rows of all named cells of a key begin with. */
export function namedCellsOf(start: RowStart, cell: Omit<StoredCellKey, 'name'>): Buffer {
  const row = Buffer.allocUnsafe(stateKeyBytes(cell, nothing))
  writeStateKey(row, 0, start, cell.state, cell, nothing)
  return row
}

const nothing = Buffer.alloc(0)

/** The name in the row of a cell that begins with `namedCellsOf`. */
export const nameOfCell = (row: Buffer, startBytes: number): CellName | undefined =>
  decodeName(row.subarray(startBytes))

export const stateValueBytes = ({ value, version }: StoredCell): number => (version === 1 ? 1 : 5) + value.length

/** The value of a cell: 1 and MessagePack; or 2, the version of the step's state u32le, MessagePack. */
export function writeStateValue(row: Buffer, at: number, { value, version }: StoredCell): void {
  row[at] = version === 1 ? plainVersion : versionedVersion
  if (version !== 1) row.writeUInt32LE(version, at + 1)
  copyInto(row, value, at + (version === 1 ? 1 : 5))
}

export function stateValue(cell: StoredCell): Buffer {
  const row = Buffer.allocUnsafe(stateValueBytes(cell))
  writeStateValue(row, 0, cell)
  return row
}

export function cellOfState(row: Buffer): StoredCell {
  return row[0] === plainVersion
    ? { value: row.subarray(1), version: 1 }
    : { value: row.subarray(5), version: row.readUInt32LE(1) }
}
