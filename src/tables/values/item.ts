import type { AttributeType, AttributeValue, Item } from './types.js'

/**
 * Called within `for (const name in item)`, `hasOwn.call` costs nothing, unlike `Object.hasOwn`. There it is for what a user's module
 * has put on Object.prototype, which comes behind all own members.
 */
export const hasOwn = Object.prototype.hasOwnProperty

/** Reads an attribute; inherited properties (`constructor`, `__proto__`) are never mistaken for attributes. */
export function attributeOf(item: Item, name: string): AttributeValue | undefined {
  return hasOwn.call(item, name) ? item[name] : undefined
}

/** Writes an attribute, whatever its name: a plain assignment to `__proto__` would replace the prototype instead. */
export function setAttribute(item: Item, name: string, value: AttributeValue): void {
  if (name === '__proto__') {
    Object.defineProperty(item, name, { value, writable: true, enumerable: true, configurable: true })
  } else {
    item[name] = value
  }
}

/** The type of a checked value: its only member. */
export function typeOf(value: AttributeValue): AttributeType {
  for (const type in value) return type as AttributeType
  throw new TypeError('an attribute value without a type')
}
