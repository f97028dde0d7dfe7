import { isChange } from './records.js'

/** Levels of nesting that a state may have. */
export const stateNestingMax = 100

/** A Map on its way into MessagePack, whose own maps stand for plain objects. */
export class PackedMap {
  constructor(readonly entries: readonly (readonly [unknown, unknown])[]) {}
}

/**
 * A state as it can be packed: itself, or a copy in which maps are marked. Throws TypeError for what would come back from
 * the store as something else than what it is in memory.
 */
export function packable(value: unknown, depth = 0): unknown {
  if (typeof value === 'function' || typeof value === 'symbol')
    throw new TypeError(`A state holds a ${typeof value}, which cannot be stored.`)
  if (typeof value !== 'object' || value === null) return value
  if (depth > stateNestingMax)
    throw new TypeError(`A state is nested deeper than ${stateNestingMax} levels, or holds itself.`)
  if (Array.isArray(value)) return packableArray(value, depth)
  if (value instanceof Map)
    return new PackedMap([...value].map(([key, each]) => [packable(key, depth + 1), packable(each, depth + 1)]))
  if (value instanceof Set) return new Set(packableArray([...value], depth))
  if (value instanceof Date || ArrayBuffer.isView(value)) return value
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null)
    throw new TypeError(
      isChange(value)
        ? 'A state holds a change: keep what you need of it, such as change.new or change.keys.'
        : `A state holds an object of the class ${nameOf(value)}, whose methods cannot be stored: keep a plain object.`,
    )
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
    const value = object[name]
    const packed = packable(value, depth + 1)
    if (Object.is(packed, value)) continue
    copy ??= { ...object }
    copy[name] = packed
  }
  return copy ?? object
}

const nameOf = (value: object): string => String((value.constructor as { name?: unknown } | undefined)?.name ?? '?')
