import { kept } from '../kept.js'

/** Levels of nesting that a value may have which is compared by what it holds. */
const nestingMax = 20

/**
 * A text that two values share exactly when they hold the same. Throws TypeError for what has no such text: functions,
 * objects of a class, values that hold themselves.
 */
export function identityOf(value: unknown, depth = 0): string {
  switch (typeof value) {
    case 'string':
      return depth === 0 ? `s${value}` : JSON.stringify(value)
    case 'number':
      // -0 is 0, as it is for ===.
      return `n${value === 0 ? 0 : value}`
    case 'bigint':
      return `i${value}`
    case 'boolean':
      return value ? 'true' : 'false'
    case 'undefined':
      return 'undefined'
    case 'object':
      return value === null ? 'null' : identityOfObject(value, depth)
    default:
      throw new TypeError(`A ${typeof value} cannot be compared by what it holds.`)
  }
}

function identityOfObject(value: object, depth: number): string {
  if (depth >= nestingMax)
    throw new TypeError(`A value that is compared is nested deeper than ${nestingMax} levels, or holds itself.`)
  if (value instanceof Uint8Array)
    return `x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')}`
  if (value instanceof Date) return `d${value.getTime()}`
  if (Array.isArray(value)) return `[${value.map((each) => identityOf(each, depth + 1)).join()}]`
  // A row of a record, and a copy of it by spread, hold what its plain object does.
  const plain = kept(value)
  if (plain !== value) return identityOf(plain, depth)
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null)
    throw new TypeError(
      `An object of the class ${value.constructor?.name ?? '?'} cannot be compared by what it holds: take a member of it.`,
    )
  const members = Object.keys(value)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${identityOf((value as Record<string, unknown>)[name], depth + 1)}`)
  return `{${members.join()}}`
}
