import type { CellName, TimeDomain } from '../../operators/task/index.js'
import { decodeName, encodeName } from './cell-names.js'
import { copyInto } from './row-buffer.js'
import type { RowStart } from './state-rows.js'

/** A timer by the number of its step's state. */
export interface TimerKey {
  readonly state: number
  readonly hashHi: number
  readonly hashLo: number
  readonly key: Uint8Array
  readonly domain: TimeDomain
  /** Milliseconds since 1970, whole. */
  readonly time: number
  readonly tag: CellName | undefined
}

/** A timer of which the row says everything. */
const version = 1
export const timerValue = Buffer.from([version])

const groupAt = 9
const domainAt = 10
const timeAt = 11
const hashAt = 19
const lengthAt = 27
const keyAt = 29

/**
 * `timer`: family, pipeline u32be, state u32be, key group u8, domain u8 (0 event, 1 processing), time, key hash (hi u32be,
 * lo u32be), key length u16be, key, tag. Times are written with their sign turned, so that they sort.
 */
export function timerKey(start: RowStart, timer: TimerKey): Buffer {
  const tag = encodeName(timer.tag)
  const row = Buffer.allocUnsafe(timerKeyBytes(timer, tag))
  writeTimerKey(row, 0, start, timer.state, timer, tag)
  return row
}

export const timerKeyBytes = ({ key }: Pick<TimerKey, 'key'>, tag: Buffer): number => keyAt + key.length + tag.length

/** Writes the key of a timer's row, whose tag is given encoded. */
export function writeTimerKey(
  row: Buffer,
  at: number,
  start: RowStart,
  state: number,
  { hashHi, hashLo, key, domain, time }: Omit<TimerKey, 'state' | 'tag'>,
  tag: Buffer,
): void {
  writeStart(row, at, start, state, hashHi >>> 24, domain)
  writeTime(row, at, time)
  row.writeUInt32BE(hashHi, at + hashAt)
  row.writeUInt32BE(hashLo, at + hashAt + 4)
  row.writeUInt16BE(key.length, at + lengthAt)
  copyInto(row, key, at + keyAt)
  copyInto(row, tag, at + keyAt + key.length)
}

export function decodeTimer(row: Buffer): TimerKey {
  const end = keyAt + row.readUInt16BE(lengthAt)
  return {
    state: row.readUInt32BE(5),
    hashHi: row.readUInt32BE(hashAt),
    hashLo: row.readUInt32BE(hashAt + 4),
    key: Buffer.from(row.subarray(keyAt, end)),
    domain: row[domainAt] === 0 ? 'event' : 'processing',
    time: (row.readUInt32BE(timeAt) - halfRange) * 2 ** 32 + row.readUInt32BE(timeAt + 4),
    tag: decodeName(row.subarray(end)),
  }
}

/** The timers of a state, key group and domain from a time on; -Infinity is the first one. */
export function timersFrom(
  start: RowStart,
  { state, group, domain, from }: TimerRange,
): { readonly gte: Buffer; readonly lt: Buffer } {
  const gte = Buffer.alloc(hashAt)
  writeStart(gte, 0, start, state, group, domain)
  const lt = Buffer.alloc(timeAt, gte)
  lt[domainAt] = (lt[domainAt] as number) + 1
  if (from > -Infinity) writeTime(gte, 0, from)
  return { gte, lt }
}

export interface TimerRange {
  readonly state: number
  readonly group: number
  readonly domain: TimeDomain
  readonly from: number
}

/** All timers of a state in the key groups from `first` to `last`. */
export function timersOfGroups(
  start: RowStart,
  state: number,
  first: number,
  last: number,
): { readonly gte: Buffer; readonly lt: Buffer } {
  const gte = Buffer.alloc(domainAt)
  gte.set(start, 0)
  gte.writeUInt32BE(state, 5)
  const lt = Buffer.from(gte)
  gte[groupAt] = first
  if (last < 255) lt[groupAt] = last + 1
  else lt.writeUInt32BE(state + 1, 5)
  return { gte, lt }
}

function writeStart(row: Buffer, at: number, start: RowStart, state: number, group: number, domain: TimeDomain): void {
  copyInto(row, start, at)
  row.writeUInt32BE(state, at + 5)
  row[at + groupAt] = group
  row[at + domainAt] = domain === 'event' ? 0 : 1
}

const halfRange = 2 ** 31

function writeTime(row: Buffer, at: number, time: number): void {
  const high = Math.floor(time / 2 ** 32)
  row.writeUInt32BE(high + halfRange, at + timeAt)
  row.writeUInt32BE(time - high * 2 ** 32, at + timeAt + 4)
}
