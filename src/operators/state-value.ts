import { isFleeting } from './kept.js'
import { isChange } from './records.js'

/** What MessagePack's encoder and decoder take for more than names of an object. */
const specialNames = new Set(['__proto__', 'constructor', 'toJSON'])

/** Levels of nesting that a state may have. */
export const stateNestingMax = 100

/** A Map on its way into MessagePack, whose own maps stand for plain objects. */
export class PackedMap {
  constructor(readonly entries: readonly (readonly [unknown, unknown])[]) {}
}

/** A text in which surrogates stand alone: it has no UTF-8. */
export class PackedText {
  constructor(readonly text: string) {}
}

/** A plain object with a name that MessagePack's decoder would change. */
export class PackedObject {
  constructor(readonly entries: readonly (readonly [unknown, unknown])[]) {}
}

/** The number -0, which MessagePack would write as the integer 0. */
export class PackedNegativeZero {}
const negativeZero = new PackedNegativeZero()

/**
 * A state as it can be packed: itself, or a copy in which is marked what MessagePack would change. Throws TypeError for what
 * would come back from the store as something else than what it is in memory.
 */
export function packable(value: unknown, depth = 0): unknown {
  if (typeof value === 'number') return value === 0 && Object.is(value, -0) ? negativeZero : value
  if (typeof value === 'string') return isWellFormed(value) ? value : new PackedText(value)
  if (typeof value === 'function' || typeof value === 'symbol')
    throw new TypeError(`A value to be stored holds a ${typeof value}, which cannot be stored.`)
  if (typeof value !== 'object' || value === null) return value
  if (depth > stateNestingMax)
    throw new TypeError(`A value to be stored is nested deeper than ${stateNestingMax} levels, or holds itself.`)
  if (Array.isArray(value)) return packableArray(value, depth)
  if (value instanceof Map)
    return new PackedMap([...value].map(([key, each]) => [packable(key, depth + 1), packable(each, depth + 1)]))
  if (value instanceof Set) return new Set(packableArray([...value], depth))
  if (value instanceof Date || ArrayBuffer.isView(value)) return value
  const prototype: unknown = Object.getPrototypeOf(value)
  // Also a copy of a row that was made with spread, which sees none of its fields.
  if ((prototype !== Object.prototype && prototype !== null) || isFleeting(value))
    throw new TypeError(`A value to be stored holds ${unfit(value)}`)
  return packableObject(value as Readonly<Record<string, unknown>>, depth)
}

function packableArray(values: readonly unknown[], depth: number): readonly unknown[] {
  let copy: unknown[] | undefined
  for (let i = 0; i < values.length; i++) {
    const packed = packable(values[i], depth + 1)
    if (Object.is(packed, values[i])) continue
    copy ??= [...values]
    copy[i] = packed
  }
  return copy ?? values
}

function packableObject(object: Readonly<Record<string, unknown>>, depth: number): object {
  let copy: Record<string, unknown> | undefined
  for (const name of Object.keys(object)) {
    if (!plainNames.has(name) && !isPlainName(name)) return packedEntries(object, depth)
    const value = object[name]
    const packed = packable(value, depth + 1)
    if (Object.is(packed, value)) continue
    copy ??= { ...object }
    copy[name] = packed
  }
  return copy ?? object
}

/** Names that have been looked at: most states have the same few. */
const plainNames = new Set<string>()
const plainNamesMax = 10_000

/** Whether MessagePack gives a name of an object back as it is. */
function isPlainName(name: string): boolean {
  if (specialNames.has(name) || !isWellFormed(name)) return false
  if (plainNames.size < plainNamesMax) plainNames.add(name)
  return true
}

const packedEntries = (object: object, depth: number): PackedObject =>
  new PackedObject(
    Object.entries(object).map(([name, each]) => [packable(name, depth + 1), packable(each, depth + 1)] as const),
  )

/** Whether no surrogate stands alone. */
export const isWellFormed = (text: string): boolean => !/\p{Surrogate}/u.test(text)

/** What cannot be stored, and what to keep in its place. */
function unfit(value: object): string {
  if (isChange(value)) return 'a change: keep what you need of it, such as change.new or change.keys.'
  return isFleeting(value)
    ? 'a row or record that is valid only until its record is through: keep what you need of it, or all of it with plain(...).'
    : `an object of the class ${nameOf(value)}, whose methods cannot be stored: keep a plain object.`
}

const nameOf = (value: object): string => String((value.constructor as { name?: unknown } | undefined)?.name ?? '?')
