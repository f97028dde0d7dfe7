/**
 * The slots of a row, 8 bytes each, little-endian:
 *
 *   number   the double
 *   string   offset from the start of the body u32, bytes u32; its highest bit says that they are ASCII
 *   any      a double, or a mark that no double made here has: ffff as its upper half word, the tag below it, and in the
 *            lower word the offset of a cell (bytes u32, then these), for the tags that have one
 *
 * Behind the slots lie the texts and cells.
 */
import { MillraceError } from '../../runtime/errors.js'
import { type BodyBuffer, packed, type TextBuffer, unpacked } from './body-buffer.js'
import { isWellFormed, plainData, UnfitError } from './plain-data.js'

export const slotBytes = 8
/** In the upper word of a string's slot. */
const asciiBit = 0x8000_0000
const bytesMask = 0x7fff_ffff
const tagMark = 0xffff_0000
const canonicalNaN = 0x7ff8_0000

const Tag = { undefined: 1, null: 2, false: 3, true: 4, ascii: 5, utf8: 6, bytes: 7, msgpack: 8 } as const

/** Where rows lie: one for each chunk, shared by its views. */
export interface RowBytes {
  readonly view: DataView
  readonly bytes: TextBuffer
}

/** The text of a string's slot. */
export function readText({ view, bytes }: RowBytes, at: number, slot: number): string {
  const start = at + view.getUint32(at + slot, true)
  const size = view.getUint32(at + slot + 4, true)
  // Bytes that came from outside may say anything: what lies behind the chunk is not there.
  return size & asciiBit ? bytes.latin1Slice(start, start + (size & bytesMask)) : bytes.utf8Slice(start, start + size)
}

/**
 * The texts of a row in one piece, for who reads all of them: a slice for each costs twice as much. They lie from the first
 * slot's to the last one's, as rows are written here; where they do not, the piece is empty.
 */
export function readTexts({ view, bytes }: RowBytes, at: number, first: number, last: number): string {
  const start = view.getUint32(at + first, true)
  const end = view.getUint32(at + last, true) + (view.getUint32(at + last + 4, true) & bytesMask)
  return end <= start || end - start > textsBytesMax ? '' : bytes.latin1Slice(at + start, at + end)
}

/** Of a row with longer texts each is sliced alone, so that a short one that is kept does not keep a long one. */
const textsBytesMax = 4096

/** The text of a string's slot, of a row whose texts begin at the slot `first`. */
export function textWithin(source: RowBytes, at: number, slot: number, texts: string, first: number): string {
  const { view } = source
  const start = view.getUint32(at + slot, true) - view.getUint32(at + first, true)
  const size = view.getUint32(at + slot + 4, true)
  const end = start + (size & bytesMask)
  return size & asciiBit && start >= 0 && end <= texts.length ? texts.substring(start, end) : readText(source, at, slot)
}

export function writeText(
  out: BodyBuffer,
  at: number,
  slot: number,
  start: number,
  bytes: number,
  isAscii: boolean,
): void {
  out.view.setUint32(at + slot, start - at, true)
  out.view.setUint32(at + slot + 4, isAscii ? (bytes | asciiBit) >>> 0 : bytes, true)
}

/** The value of an `any` slot. Throws FORMAT_INVALID. */
export function readAny({ view, bytes }: RowBytes, at: number, slot: number): unknown {
  const number = view.getFloat64(at + slot, true)
  if (!Number.isNaN(number)) return number
  const upper = view.getUint32(at + slot + 4, true)
  if (upper < tagMark) return number
  const tag = upper - tagMark
  switch (tag) {
    case Tag.undefined:
      return undefined
    case Tag.null:
      return null
    case Tag.false:
      return false
    case Tag.true:
      return true
  }
  const cell = at + view.getUint32(at + slot, true)
  const start = cell + 4
  const end = start + view.getUint32(cell, true)
  if (end > bytes.length) throw damaged('a cell that lies outside of its chunk')
  switch (tag) {
    case Tag.ascii:
      return bytes.latin1Slice(start, end)
    case Tag.utf8:
      return bytes.utf8Slice(start, end)
    case Tag.bytes:
      return new Uint8Array(bytes.subarray(start, end))
    case Tag.msgpack:
      return unpacked(bytes.subarray(start, end))
    default:
      throw damaged(`a cell of the unknown tag ${tag}`)
  }
}

const damaged = (what: string): MillraceError => new MillraceError('FORMAT_INVALID', `A row has ${what}.`)

/** Writes the value of an `any` slot, its cell behind the end. Throws UnfitError. */
export function writeAny(out: BodyBuffer, at: number, slot: number, value: unknown): void {
  switch (typeof value) {
    case 'number':
      if (Number.isNaN(value)) return writeWords(out, at + slot, 0, canonicalNaN)
      return out.view.setFloat64(at + slot, value, true)
    case 'boolean':
      return writeTag(out, at, slot, value ? Tag.true : Tag.false, 0)
    case 'string':
      return writeString(out, at, slot, value)
    case 'object':
      if (value === null) return writeTag(out, at, slot, Tag.null, 0)
      if (value instanceof Uint8Array) return writeCell(out, at, slot, Tag.bytes, value)
  }
  const plain = plainData(value)
  if (plain === undefined) return writeTag(out, at, slot, Tag.undefined, 0)
  // What toJSON made may fit without MessagePack.
  if (typeof plain !== 'object' && typeof plain !== 'bigint') return writeAny(out, at, slot, plain)
  writeCell(out, at, slot, Tag.msgpack, packed(plain))
}

function writeString(out: BodyBuffer, at: number, slot: number, value: string): void {
  const cell = out.end
  out.reserve(4 + value.length * 3)
  out.end += 4
  const written = out.appendText(value)
  if (written !== value.length && !isWellFormed(value)) throw new UnfitError('A text has unpaired surrogates.')
  out.view.setUint32(cell, written, true)
  writeTag(out, at, slot, written === value.length ? Tag.ascii : Tag.utf8, cell - at)
}

function writeCell(out: BodyBuffer, at: number, slot: number, tag: number, bytes: Uint8Array): void {
  const cell = out.end
  out.reserve(4 + bytes.length)
  out.view.setUint32(cell, bytes.length, true)
  out.end += 4
  out.append(bytes)
  writeTag(out, at, slot, tag, cell - at)
}

const writeTag = (out: BodyBuffer, at: number, slot: number, tag: number, offset: number): void =>
  writeWords(out, at + slot, offset, (tagMark | tag) >>> 0)

function writeWords({ view }: BodyBuffer, at: number, lower: number, upper: number): void {
  view.setUint32(at, lower, true)
  view.setUint32(at + 4, upper, true)
}
