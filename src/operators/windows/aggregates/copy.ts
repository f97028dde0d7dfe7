/** A state that may be changed without the one that it was made of; a value that nobody can change is its own copy. */
export function copyOf(state: unknown): unknown {
  if (typeof state !== 'object' || state === null) return state
  const prototype: unknown = Object.getPrototypeOf(state)
  const isPlain = prototype === Object.prototype || prototype === null || Array.isArray(state)
  return isPlain || state instanceof Map || state instanceof Set || state instanceof Date || ArrayBuffer.isView(state)
    ? structuredClone(state)
    : state
}
