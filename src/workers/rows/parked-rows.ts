import { type ParkedRow, packState, unpackState } from '../../operators/task/index.js'
import type { RowStart } from './state-rows.js'

/** A parked row by the number of its place. */
export interface ParkedRowKey {
  /** The number that the pipeline's row gives to the place: a step, or where rows come into a stage. */
  readonly step: number
  readonly hashHi: number
  readonly hashLo: number
  readonly key: Uint8Array
  /** Its number in the queue of its key: rows are tried in this order. */
  readonly number: number
}

const version = 1
const stepAt = 5
const hashAt = 9
const keyAt = 17
const numberBytes = 8

/** `parked`: family, pipeline u32be, step u32be, key hash (hi u32be, lo u32be), key, number u64be. */
export function parkedKey(start: RowStart, { step, hashHi, hashLo, key, number }: ParkedRowKey): Buffer {
  const row = Buffer.allocUnsafe(keyAt + key.length + numberBytes)
  row.set(start, 0)
  row.writeUInt32BE(step, stepAt)
  row.writeUInt32BE(hashHi, hashAt)
  row.writeUInt32BE(hashLo, hashAt + 4)
  row.set(key, keyAt)
  row.writeBigUInt64BE(BigInt(number), keyAt + key.length)
  return row
}

export function decodeParkedKey(row: Buffer): ParkedRowKey {
  const end = row.length - numberBytes
  return {
    step: row.readUInt32BE(stepAt),
    hashHi: row.readUInt32BE(hashAt),
    hashLo: row.readUInt32BE(hashAt + 4),
    key: Buffer.from(row.subarray(keyAt, end)),
    number: Number(row.readBigUInt64BE(end)),
  }
}

/** version u8, then MessagePack: an object with the members of `ParkedRow`, without those that are undefined. */
export function parkedValue({ tag, domain, error, ...row }: ParkedRow): Buffer {
  const { code, message, stack } = error ?? {}
  const packed = packState({
    ...row,
    ...(tag === undefined ? {} : { tag }),
    ...(domain === undefined ? {} : { domain }),
    ...(error ? { error: { code, message, ...(stack === undefined ? {} : { stack }) } } : {}),
  })
  return Buffer.concat([Buffer.from([version]), packed])
}

export const decodeParked = (value: Uint8Array): ParkedRow => unpackState(value.subarray(1)) as ParkedRow

/** What a parked row's step was to be given. */
export const parkedInput = ({ kind, value }: ParkedRow): unknown =>
  kind === 'timer' ? undefined : (unpackState(value) as unknown)
