import { MillraceError } from '../../runtime/index.js'
import { base64Bytes } from './binary.js'
import { numberExponentMin } from './decimal.js'
import type { AttributeValue } from './types.js'

/*
 * The order-preserving bytes of a key value: memcmp of two encodings of one type is DynamoDB's order of the values, and
 * an encoding ends itself, so that several can follow each other in one key. docs/formats.md has the picture and
 * the test vectors.
 */

const textTag = 0x53
const numberTag = 0x4e
const binaryTag = 0x42

const negativeClass = 0x40
const zeroClass = 0x80
const positiveClass = 0xc0

/** Tag, class, exponent, 19 pairs of digits, end. */
const numberBytesMax = 23

export function encodeKeyValue(value: AttributeValue): Buffer {
  if ('S' in value) return value.S.includes('\0') ? escaped(textTag, Buffer.from(value.S)) : plainText(value.S)
  if ('N' in value) return encodeNumber(value.N)
  if ('B' in value) return escaped(binaryTag, base64Bytes(value.B))
  throw new TypeError('only S, N and B can be a key')
}

function plainText(text: string): Buffer {
  const size = Buffer.byteLength(text)
  const bytes = Buffer.allocUnsafe(size + 3)
  bytes[0] = textTag
  bytes.write(text, 1)
  bytes[size + 1] = 0
  bytes[size + 2] = 0
  return bytes
}

/** Each 00 becomes 00 FF, and 00 00 ends: an end is below every continuation, so a prefix comes first. */
function escaped(tag: number, content: Buffer): Buffer {
  let zeros = 0
  for (let i = content.indexOf(0); i !== -1; i = content.indexOf(0, i + 1)) zeros++
  const bytes = Buffer.allocUnsafe(content.length + zeros + 3)
  bytes[0] = tag
  let to = 1
  let from = 0
  for (let i = content.indexOf(0); i !== -1; i = content.indexOf(0, from)) {
    content.copy(bytes, to, from, i + 1)
    to += i + 1 - from
    bytes[to++] = 0xff
    from = i + 1
  }
  content.copy(bytes, to, from)
  bytes[bytes.length - 2] = 0
  bytes[bytes.length - 1] = 0
  return bytes
}

/** From canonical text: class, biased exponent, pairs of digits as 1 to 100, end; all but the class inverted below zero. */
function encodeNumber(text: string): Buffer {
  if (text === '0') return Buffer.from([numberTag, zeroClass])
  const bytes = Buffer.allocUnsafe(numberBytesMax)
  const negative = text.charCodeAt(0) === 45
  const invert = negative ? 0xff : 0
  bytes[0] = numberTag
  bytes[1] = negative ? negativeClass : positiveClass
  const start = negative ? 1 : 0
  const length = text.length
  const point = text.indexOf('.')
  let first = start
  while (text.charCodeAt(first) === 48 || first === point) first++
  let last = length - 1
  while (text.charCodeAt(last) === 48) last--
  const end = point === -1 ? length : point
  const exponent = first < end ? end - first - 1 : end - first
  bytes[2] = (exponent - numberExponentMin) ^ invert
  let to = 3
  let tens = -1
  for (let i = first; i <= last; i++) {
    if (i === point) continue
    const digit = text.charCodeAt(i) - 48
    if (tens === -1) {
      tens = digit
    } else {
      bytes[to++] = (tens * 10 + digit + 1) ^ invert
      tens = -1
    }
  }
  if (tens !== -1) bytes[to++] = (tens * 10 + 1) ^ invert
  bytes[to++] = invert
  return bytes.subarray(0, to)
}

/** The value whose encoding begins at `at`, and where it ends. */
export function decodeKeyValue(bytes: Buffer, at: number): { value: AttributeValue; next: number } {
  const tag = bytes[at]
  if (tag === numberTag) return decodeNumber(bytes, at + 1)
  if (tag !== textTag && tag !== binaryTag) throw damaged(at)
  let zeros = 0
  let end = bytes.indexOf(0, at + 1)
  while (end !== -1 && bytes[end + 1] === 0xff) {
    zeros++
    end = bytes.indexOf(0, end + 2)
  }
  if (end === -1 || bytes[end + 1] !== 0) throw damaged(at)
  const content = zeros === 0 ? bytes.subarray(at + 1, end) : unescaped(bytes, at + 1, end, zeros)
  const value = tag === textTag ? { S: content.toString() } : { B: content.toString('base64') }
  return { value, next: end + 2 }
}

function unescaped(bytes: Buffer, from: number, end: number, zeros: number): Buffer {
  const content = Buffer.allocUnsafe(end - from - zeros)
  let to = 0
  for (let i = from; i < end; i++) {
    const byte = bytes[i] as number
    content[to++] = byte
    if (byte === 0) i++
  }
  return content
}

function decodeNumber(bytes: Buffer, at: number): { value: AttributeValue; next: number } {
  const kind = bytes[at]
  if (kind === zeroClass) return { value: { N: '0' }, next: at + 1 }
  if (kind !== negativeClass && kind !== positiveClass) throw damaged(at)
  const invert = kind === negativeClass ? 0xff : 0
  const exponent = ((bytes[at + 1] as number) ^ invert) + numberExponentMin
  let digits = ''
  let next = at + 2
  for (; ; next++) {
    const byte = bytes[next]
    if (byte === undefined) throw damaged(at)
    const pair = (byte ^ invert) - 1
    if (pair < 0) break
    if (pair > 99) throw damaged(at)
    digits += pair < 10 ? `0${pair}` : pair
  }
  if (digits === '') throw damaged(at)
  if (digits.endsWith('0')) digits = digits.slice(0, -1)
  return { value: { N: plainDecimal(kind === negativeClass, digits, exponent + 1) }, next: next + 1 }
}

function plainDecimal(negative: boolean, digits: string, point: number): string {
  const sign = negative ? '-' : ''
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  if (point >= digits.length) return sign + digits + '0'.repeat(point - digits.length)
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
}

function damaged(at: number): MillraceError {
  return new MillraceError('STORE_CORRUPT', `The bytes at ${at} of a stored key are not a key value.`)
}
