import { ValidationError } from './types.js'

const invalid = 255
const sextets = new Uint8Array(128).fill(invalid)
for (const [value, character] of [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'].entries()) {
  sextets[character.charCodeAt(0)] = value
}

const sextetOf = (code: number): number => (code < 128 ? (sextets[code] as number) : invalid)

/** The number of bytes that a base64 text stands for; anything but canonical, padded base64 is an error. */
export function base64Size(text: string): number {
  const length = text.length
  if (length % 4 !== 0) {
    throw new ValidationError(
      `Base64 encoded length is expected a multiple of 4 bytes but found: ${length}`,
      'serialization',
    )
  }
  if (length === 0) return 0
  let padding = 0
  if (text.charCodeAt(length - 1) === 61) padding = text.charCodeAt(length - 2) === 61 ? 2 : 1
  const end = length - padding
  // The bits that the last character has too many are looked at first, as on AWS. The misspelling is AWS's.
  const unused = padding === 2 ? 15 : padding === 1 ? 3 : 0
  const last = sextetOf(text.charCodeAt(end - 1))
  if (last !== invalid && (last & unused) !== 0)
    throw new ValidationError('Invalid last non-pad Base64 character dectected', 'serialization')
  for (let i = 0; i < end; i++) {
    if (sextetOf(text.charCodeAt(i)) === invalid)
      throw new ValidationError('Invalid Base64 character detected', 'serialization')
  }
  return (length / 4) * 3 - padding
}

export function base64Bytes(text: string): Buffer {
  return Buffer.from(text, 'base64')
}

/** Order of two binaries by their unsigned bytes. */
export function compareBinary(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(base64Bytes(a), base64Bytes(b))
}

/** Binaries in that order. Each is decoded once, to a string whose characters are its bytes: such compare fast. */
export function sortBinaries(texts: readonly string[]): string[] {
  const decoded = texts.map((text) => ({ text, bytes: base64Bytes(text).toString('latin1') }))
  decoded.sort((a, b) => (a.bytes < b.bytes ? -1 : a.bytes > b.bytes ? 1 : 0))
  return decoded.map(({ text }) => text)
}
