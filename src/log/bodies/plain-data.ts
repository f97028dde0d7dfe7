import { keptMark } from './kept-mark.js'

/** Thrown for a value that only its JSON gives back as it was: it is stored as JSON then. */
export class UnfitError extends Error {}

/** What MessagePack's encoder takes for more than names of an object. */
const specialNames = new Set(['__proto__', 'constructor', 'toJSON'])

/** Deeper values are JSON's: a cycle ends there, too. */
const depthMax = 64

/**
 * A value as plain data: what `JSON.parse(JSON.stringify(value))` gives, but that bigints, bytes and every number (NaN, the
 * infinities) stay what they are, a Set is an array and a Map an object. Undefined stands for what JSON leaves out. Throws UnfitError.
 */
export function plainData(value: unknown, depth = 0): unknown {
  switch (typeof value) {
    case 'number':
    case 'boolean':
    case 'bigint':
      return value
    case 'string':
      if (!isWellFormed(value)) throw new UnfitError('A text has unpaired surrogates.')
      return value
    case 'object':
      return value === null ? null : plainObject(value, depth)
    default:
      return undefined
  }
}

function plainObject(value: object, depth: number): unknown {
  if (value instanceof Uint8Array) return value
  if (depth > depthMax) throw new UnfitError('A value is nested too deep.')
  const keep = (value as { readonly [keptMark]?: unknown })[keptMark]
  // A copy by spread of a row that is a view has its fields only so.
  if (typeof keep === 'function') return plainData(keep.call(value), depth + 1)
  const { toJSON } = value as { toJSON?: unknown }
  if (typeof toJSON === 'function') {
    const made: unknown = toJSON.call(value, '')
    return made === value ? copied(value, depth) : plainData(made, depth + 1)
  }
  return copied(value, depth)
}

function copied(value: object, depth: number): unknown {
  if (value instanceof Set) return copied([...value], depth)
  if (value instanceof Map) return copied(Object.fromEntries(value), depth)
  if (Array.isArray(value)) return value.map((each) => plainData(each, depth + 1) ?? null)
  if (value instanceof Number || value instanceof String || value instanceof Boolean)
    throw new UnfitError('A value is boxed.')
  const plain: Record<string, unknown> = {}
  for (const name of Object.keys(value)) {
    if (specialNames.has(name) || !isWellFormed(name)) throw new UnfitError('A name is not one of a plain object.')
    const member = plainData((value as Record<string, unknown>)[name], depth + 1)
    if (member !== undefined) plain[name] = member
  }
  return plain
}

/** Unpaired surrogates have no bytes of their own in UTF-8. */
export const isWellFormed = (text: string): boolean => !/\p{Surrogate}/u.test(text)

/** For JSON.stringify, of a value that rows would hold: bigints are their digits, bytes base64, sets lists, maps objects. */
export function jsonMember(this: unknown, name: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null) return value
  // Not what toJSON made of it: a Buffer has one of its own.
  const each = (this as Readonly<Record<string, unknown>>)[name]
  if (each instanceof Uint8Array) return base64(each)
  const keep = (value as { readonly [keptMark]?: unknown })[keptMark]
  if (typeof keep === 'function') return keep.call(value)
  if (value instanceof Set) return [...value]
  if (value instanceof Map) return Object.fromEntries(value)
  return value
}

const base64 = ({ buffer, byteOffset, length }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, length).toString('base64')

/**
 * A stored value as JSON can show it: a bigint is its digits in a string, bytes are base64. Throws UnfitError for what is
 * nested deeper than `depthMax`, which other programs may have stored.
 */
export function jsonReady(value: unknown, depthMax: number): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return base64(value)
  if (depthMax === 0) throw new UnfitError('A value is nested too deep.')
  if (Array.isArray(value)) return value.map((each) => jsonReady(each, depthMax - 1))
  if (Object.getPrototypeOf(value) !== Object.prototype) return value
  const ready: Record<string, unknown> = {}
  for (const [name, member] of Object.entries(value)) ready[name] = jsonReady(member, depthMax - 1)
  return ready
}
