import type { CellName, StoredCell } from '../../operators/task/index.js'
import { decodeName, encodeName } from './cell-names.js'

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
export function stateKey(start: RowStart, { state, hashHi, hashLo, key, name }: StoredCellKey): Buffer {
  if (name === undefined) {
    const row = Buffer.allocUnsafe(17 + key.length)
    writeHead(row, start, state, hashHi, hashLo)
    row.set(key, 17)
    return row
  }
  return Buffer.concat([namedCellsOf(start, { state, hashHi, hashLo, key }), encodeName(name)])
}

/** What the rows of all named cells of a key begin with. */
export function namedCellsOf(start: RowStart, { state, hashHi, hashLo, key }: Omit<StoredCellKey, 'name'>): Buffer {
  const row = Buffer.allocUnsafe(19 + key.length)
  writeHead(row, start, state + namedBit, hashHi, hashLo)
  row.writeUInt16BE(key.length, 17)
  row.set(key, 19)
  return row
}

/** The name in the row of a cell that begins with `namedCellsOf`. */
export const nameOfCell = (row: Buffer, startBytes: number): CellName | undefined =>
  decodeName(row.subarray(startBytes))

function writeHead(row: Buffer, start: RowStart, state: number, hashHi: number, hashLo: number): void {
  row.set(start, 0)
  row.writeUInt32BE(state, 5)
  row.writeUInt32BE(hashHi, 9)
  row.writeUInt32BE(hashLo, 13)
}

/** The value of a cell: 1 and MessagePack; or 2, the version of the step's state u32le, MessagePack. */
export function stateValue({ value, version }: StoredCell): Buffer {
  const head = version === 1 ? 1 : 5
  const row = Buffer.allocUnsafe(head + value.length)
  row[0] = version === 1 ? plainVersion : versionedVersion
  if (version !== 1) row.writeUInt32LE(version, 1)
  row.set(value, head)
  return row
}

export function cellOfState(row: Buffer): StoredCell {
  return row[0] === plainVersion
    ? { value: row.subarray(1), version: 1 }
    : { value: row.subarray(5), version: row.readUInt32LE(1) }
}
