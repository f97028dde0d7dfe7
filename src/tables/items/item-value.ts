import { MillraceError } from '../../runtime/index.js'
import type { Item } from '../values/index.js'

/*
 * The value of an item row: version u8 (2), origin region u8 (0: this one, others by their place in the table's row), hybrid logical clock (48 bits of milliseconds in 7
 * bytes, 14 bits of a counter in 2), codec u8 (1: DynamoDB JSON in UTF-8), size by AWS's rules in 4 bytes, body.
 *
 * Every byte of the header has 7 bits, so a whole value is UTF-8 and a range of items comes from the store as strings: 0.75 µs
 * an item, where a Buffer takes 1.7 and one for its key as much again (npm run bench -- stored-form).
 *
 * Version 1, which older versions of Millrace wrote: version, flags u8, clock u64be, origin u8, codec u8, size u32be, body.
 */
const headerBytes = 16
const version = 2
const version1 = 1
const codecDynamoJson = 1
/** Most that the counter of a stamp may be. */
export const stampCounterMax = 0x3fff

/** A hybrid logical clock: milliseconds, and a counter within one. */
export interface Stamp {
  readonly ms: number
  readonly counter: number
}

export interface StoredItem {
  /** The item as DynamoDB JSON. */
  readonly json: Buffer
  readonly size: number
}

/** As StoredItem, of a value that was read as text. */
export interface StoredText {
  readonly json: string
  readonly size: number
}

/** When and where an item, or its deletion, was written; the region by its number in the table's row. */
export interface StoredVersion {
  readonly stamp: Stamp
  readonly origin: number
}

export function encodeItem(json: Buffer, size: number, stamp: Stamp, origin = 0): Buffer {
  const value = Buffer.allocUnsafe(headerBytes + json.length)
  writeHeader(value, size, stamp, origin)
  json.copy(value, headerBytes)
  return value
}

/** As encodeItem, of text: its bytes are written once. */
export function encodeItemText(json: string, size: number, stamp: Stamp): Buffer {
  const bytes = Buffer.byteLength(json)
  const value = Buffer.allocUnsafe(headerBytes + bytes)
  writeHeader(value, size, stamp, 0)
  // Where each character is one byte they are copied, and else encoded.
  value.write(json, headerBytes, bytes === json.length ? 'latin1' : 'utf8')
  return value
}

/** The DynamoDB JSON of a value that was encoded here. */
export const jsonOf = (value: Buffer): Buffer => value.subarray(headerBytes)

/** The version of an item row. One of version 1 has its clock in another form, and with it a larger counter. */
export function versionOfItem(value: Buffer): StoredVersion {
  if (value[0] === version1) {
    const counter = Math.min(value.readUInt16BE(8), stampCounterMax)
    return { stamp: { ms: value.readUIntBE(2, 6), counter }, origin: value[10] as number }
  }
  let ms = 0
  for (let i = 2; i <= 8; i++) ms = ms * 128 + (value[i] as number)
  return { stamp: { ms, counter: ((value[9] as number) << 7) | (value[10] as number) }, origin: value[1] as number }
}

function writeHeader(value: Buffer, size: number, stamp: Stamp, origin: number): void {
  value[0] = version
  value[1] = origin
  let ms = stamp.ms
  for (let i = 8; i >= 2; i--) {
    value[i] = ms % 128
    ms = Math.floor(ms / 128)
  }
  value[9] = stamp.counter >> 7
  value[10] = stamp.counter & 0x7f
  value[11] = codecDynamoJson
  writeSize(value, size)
}

/**
 * A value with the clock and origin of another, as an index keeps it for an item. Of one of version 1, which has its clock in
 * another form, it has none.
 */
export function encodeEntry(json: Buffer, size: number, like: Buffer): Buffer {
  const value = encodeItem(json, size, { ms: 0, counter: 0 })
  if (like[0] === version) like.copy(value, 0, 0, 12)
  return value
}

function writeSize(value: Buffer, size: number): void {
  value[12] = size >> 21
  value[13] = (size >> 14) & 0x7f
  value[14] = (size >> 7) & 0x7f
  value[15] = size & 0x7f
}

export function decodeItem(value: Buffer): StoredItem {
  const json = value.subarray(headerBytes)
  if (value[0] === version1 && value[11] === codecDynamoJson) return { json, size: value.readUInt32BE(12) }
  if (value[0] !== version || value[11] !== codecDynamoJson) throw unknown(value[0], value[11])
  const size =
    ((value[12] as number) << 21) | ((value[13] as number) << 14) | ((value[14] as number) << 7) | (value[15] as number)
  return { json, size }
}

/** Undefined for a value of version 1, which is no text: it must be read as bytes. */
export function decodeText(value: string): StoredText | undefined {
  if (value.charCodeAt(0) === version1) return undefined
  if (value.charCodeAt(0) !== version || value.charCodeAt(11) !== codecDynamoJson)
    throw unknown(value.charCodeAt(0), value.charCodeAt(11))
  const size =
    (value.charCodeAt(12) << 21) | (value.charCodeAt(13) << 14) | (value.charCodeAt(14) << 7) | value.charCodeAt(15)
  return { json: value.slice(headerBytes), size }
}

/** As decodeText, of any value whose bytes are the characters (latin1), and so are those of the JSON. */
export function decodeBytesText(value: string): StoredText {
  const stored = decodeText(value)
  if (stored) return stored
  const { json, size } = decodeItem(Buffer.from(value, 'latin1'))
  return { json: json.toString('latin1'), size }
}

const unknown = (found: number | undefined, codec: number | undefined): MillraceError =>
  new MillraceError(
    'DATA_DIR_NEWER',
    `An item row has version ${found} and codec ${codec}; this version of Millrace knows 1 and 2, and codec 1.`,
  )

export function parseItem(stored: StoredItem): Item {
  return JSON.parse(stored.json.toString()) as Item
}
