/**
 * The encoding of keys: the same bytes for what is the same key, so that their hash names its task and its state.
 *
 *   string  1, length u16, UTF-8 (6 and UTF-16LE where surrogates stand alone)   number  2, IEEE 754 big-endian; -0 is 0
 *   false 3, true 4     bigint  5, length u16, its decimal digits     binary  7, length u16, bytes
 *   array   8, count u16, values     object  9, count u16, for each member its name and value; names in order
 */
import { hashKey } from '../../runtime/hash.js'
import type { Hash64 } from '../../runtime/index.js'
import { isWellFormed } from '../state-value.js'

/** Levels of arrays and objects in a key. */
export const keyNestingMax = 8
/** Bytes of a key's encoding. */
export const keyBytesMax = 8192

const tag = { text: 1, number: 2, false: 3, true: 4, bigint: 5, wideText: 6, binary: 7, array: 8, object: 9 } as const

/** Keys are written here first: nothing is allocated for one whose hash alone is wanted. */
const scratch = Buffer.alloc(keyBytesMax + 16)
const view = new DataView(scratch.buffer, scratch.byteOffset, scratch.length)

/** The encoding of a key. Throws TypeError for what is none: it says what a key may be. */
export function encodeKey(key: unknown): Buffer {
  const end = write(key, 0, 0)
  return Buffer.from(scratch.subarray(0, end))
}

/** The hash of a key's encoding. Throws TypeError as `encodeKey` does. */
export function hashOfKey(key: unknown): Hash64 {
  return hashKey(scratch, 0, write(key, 0, 0))
}

/** The encoding of an array, object or binary as text whose characters are its bytes: a key of a Map. */
export function compositeText(key: unknown): string {
  return scratch.toString('latin1', 0, write(key, 0, 0))
}

/** Throws TypeError unless it may be a key; those that are no objects pass at once. */
export function checkKey(key: unknown): void {
  switch (typeof key) {
    case 'string':
      if (key.length * 3 > keyBytesMax) write(key, 0, 0)
      return
    case 'boolean':
      return
    case 'number':
      if (Number.isNaN(key)) throw notKey(key)
      return
    default:
      write(key, 0, 0)
  }
}

function write(key: unknown, at: number, depth: number): number {
  switch (typeof key) {
    case 'string':
      return writeText(key, at)
    case 'number':
      if (Number.isNaN(key)) throw notKey(key)
      fits(at + 9)
      scratch[at] = tag.number
      // -0 + 0 is 0.
      view.setFloat64(at + 1, key + 0)
      return at + 9
    case 'boolean':
      fits(at + 1)
      scratch[at] = key ? tag.true : tag.false
      return at + 1
    case 'bigint':
      return writeBytes(tag.bigint, Buffer.from(String(key)), at)
    case 'object':
      if (key !== null) return writeComposite(key, at, depth)
  }
  throw notKey(key)
}

function writeText(text: string, at: number): number {
  const { length } = text
  fits(at + 3 + length)
  const start = at + 3
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code > 127) return writeWideText(text, at)
    scratch[start + i] = code
  }
  return head(tag.text, length, at) + length
}

function writeWideText(text: string, at: number): number {
  return isWellFormed(text)
    ? writeBytes(tag.text, Buffer.from(text), at)
    : writeBytes(tag.wideText, Buffer.from(text, 'utf16le'), at)
}

function writeBytes(kind: number, bytes: Uint8Array, at: number): number {
  fits(at + 3 + bytes.length)
  scratch.set(bytes, at + 3)
  return head(kind, bytes.length, at) + bytes.length
}

/** Writes a tag and a length or count; returns where what it announces begins. */
function head(kind: number, count: number, at: number): number {
  scratch[at] = kind
  scratch[at + 1] = count >> 8
  scratch[at + 2] = count & 0xff
  return at + 3
}

function writeComposite(key: object, at: number, depth: number): number {
  if (key instanceof Uint8Array) return writeBytes(tag.binary, key, at)
  if (depth >= keyNestingMax) throw new TypeError(`A key is nested deeper than ${keyNestingMax} levels.`)
  if (Array.isArray(key)) {
    fits(at + 3 + key.length)
    let end = head(tag.array, key.length, at)
    for (const each of key) end = write(each, end, depth + 1)
    return end
  }
  const prototype: unknown = Object.getPrototypeOf(key)
  if (prototype !== Object.prototype && prototype !== null) throw notKey(key)
  const object = key as Readonly<Record<string, unknown>>
  const names = Object.keys(object).sort()
  fits(at + 3 + names.length)
  let end = head(tag.object, names.length, at)
  for (const name of names) end = write(object[name], writeText(name, end), depth + 1)
  return end
}

function fits(end: number): void {
  if (end > keyBytesMax) throw new TypeError(`A key is larger than ${keyBytesMax} bytes.`)
}

function notKey(key: unknown): TypeError {
  const what =
    key === null || key === undefined || typeof key === 'number'
      ? String(key)
      : typeof key === 'object'
        ? `an object of the class ${String((key.constructor as { name?: unknown } | undefined)?.name ?? '?')}`
        : `a ${typeof key}`
  return new TypeError(
    `A key is ${what}: it must be text, a number, a boolean, a bigint, a Uint8Array, or an array or plain object of those.`,
  )
}

/** The key of an encoding; members of objects come in order of their names. */
export function decodeKey(bytes: Uint8Array): unknown {
  return new KeyReader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)).read()
}

class KeyReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  read(): unknown {
    const kind = this.#bytes[this.#at++]
    switch (kind) {
      case tag.number:
        this.#at += 8
        return this.#bytes.readDoubleBE(this.#at - 8)
      case tag.false:
        return false
      case tag.true:
        return true
    }
    const count = this.#bytes.readUInt16BE(this.#at)
    this.#at += 2
    switch (kind) {
      case tag.array:
        return Array.from({ length: count }, () => this.read())
      case tag.object:
        return this.#object(count)
    }
    const bytes = this.#bytes.subarray(this.#at, this.#at + count)
    this.#at += count
    switch (kind) {
      case tag.text:
        return bytes.toString()
      case tag.wideText:
        return bytes.toString('utf16le')
      case tag.bigint:
        return BigInt(bytes.toString())
      case tag.binary:
        return new Uint8Array(bytes)
    }
    throw new TypeError(`A stored key has the unknown type ${kind}.`)
  }

  #object(count: number): object {
    const object: Record<string, unknown> = {}
    for (let i = 0; i < count; i++) {
      const name = this.read() as string
      // Assigning `__proto__` would set the prototype.
      Object.defineProperty(object, name, { value: this.read(), enumerable: true, configurable: true, writable: true })
    }
    return object
  }
}
