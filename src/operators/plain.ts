import { kept } from './kept.js'
import type { ItemValue, KeyValue, SinkItem } from './types.js'

/** A value of DynamoDB JSON. */
type Attribute = Readonly<Record<string, unknown>>

/**
 * Numbers that became text, by the object, array or set that they stand in and their place there: an image that goes on as it is,
 * into an archive for instance, has them as numbers again.
 */
const longNumbers = new WeakMap<object, Map<string | number, string>>()

function rememberLong(holder: object, place: string | number, text: string): void {
  const places = longNumbers.get(holder) ?? new Map<string | number, string>()
  longNumbers.set(holder, places.set(place, text))
}

const isLong = (holder: object, place: string | number, value: unknown): value is string =>
  typeof value === 'string' && longNumbers.get(holder)?.get(place) === value

/** What a user's module has put on Object.prototype comes behind all own members; within `for ... in` the call costs nothing. */
const hasOwn = Object.prototype.hasOwnProperty

/** DynamoDB JSON as plain JavaScript. */
export function plainItem(item: Readonly<Record<string, Attribute>>): Record<string, ItemValue> {
  const plain: Record<string, ItemValue> = {}
  for (const name in item) {
    if (!hasOwn.call(item, name)) break
    const attribute = item[name] as Attribute
    const value = plainValue(attribute)
    setMember(plain, name, value)
    if (typeof value === 'string' && attribute.S === undefined) rememberLong(plain, name, value)
  }
  return plain
}

function plainList(attributes: readonly Attribute[]): ItemValue[] {
  const list = attributes.map(plainValue)
  list.forEach((value, i) => {
    if (typeof value === 'string' && attributes[i]?.S === undefined) rememberLong(list, i, value)
  })
  return list
}

function plainNumbers(texts: readonly string[]): Set<number | bigint | string> {
  const numbers = new Set(texts.map(plainNumber))
  for (const each of numbers) if (typeof each === 'string') rememberLong(numbers, each, each)
  return numbers
}

export function plainValue(attribute: Attribute): ItemValue {
  for (const type in attribute) {
    const value = attribute[type]
    switch (type) {
      case 'S':
      case 'BOOL':
        return value as string | boolean
      case 'N':
        return plainNumber(value as string)
      case 'B':
        return new Uint8Array(Buffer.from(value as string, 'base64'))
      case 'NULL':
        return null
      case 'M':
        return plainItem(value as Record<string, Attribute>)
      case 'L':
        return plainList(value as Attribute[])
      case 'SS':
        return new Set(value as string[])
      case 'NS':
        return plainNumbers(value as string[])
      case 'BS':
        return new Set((value as string[]).map((each) => new Uint8Array(Buffer.from(each, 'base64'))))
    }
  }
  throw new TypeError('An attribute has no type.')
}

/** A number when a double holds it exactly as it is written; else a bigint, or with a fraction the text itself. */
export function plainNumber(text: string): number | bigint | string {
  const number = Number(text)
  if (String(number) === text) return number
  return /^-?\d+$/.test(text) ? BigInt(text) : text
}

export function plainKey(value: Attribute): KeyValue {
  return plainValue(value) as KeyValue
}

/** Plain JavaScript as DynamoDB JSON. Throws TypeError for what no attribute can hold. */
export function attributesOf(item: SinkItem): Record<string, Attribute> {
  const attributes: Record<string, Attribute> = {}
  for (const name of Object.keys(item)) {
    const value = item[name]
    if (value === undefined) continue
    setMember(attributes, name, isLong(item, name, value) ? { N: value } : attributeOf(value, name))
  }
  return attributes
}

/** `__proto__` is a name like any other in an item; assigning it would set the prototype. */
function setMember<Value>(object: Record<string, Value>, name: string, value: Value): void {
  if (name !== '__proto__') object[name] = value
  else Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true })
}

function attributeOf(value: unknown, name: string): Attribute {
  switch (typeof value) {
    case 'string':
      return { S: value }
    case 'number':
      if (!Number.isFinite(value))
        throw new TypeError(`The attribute ${name} is ${value}, which no attribute can hold.`)
      return { N: String(value) }
    case 'bigint':
      return { N: String(value) }
    case 'boolean':
      return { BOOL: value }
  }
  if (value === null) return { NULL: true }
  if (value instanceof Uint8Array)
    return { B: Buffer.from(value.buffer, value.byteOffset, value.length).toString('base64') }
  if (Array.isArray(value)) {
    return { L: value.map((each, i) => (isLong(value, i, each) ? { N: each } : attributeOf(each, name))) }
  }
  if (value instanceof Set) return setOf(value, name)
  if (typeof value === 'object') {
    const whole = kept(value)
    const prototype: unknown = Object.getPrototypeOf(whole)
    if (prototype === Object.prototype || prototype === null) return { M: attributesOf(whole as SinkItem) }
  }
  throw new TypeError(
    `The attribute ${name} is a ${typeof value === 'object' ? (value.constructor?.name ?? 'class of its own') : typeof value}, which no attribute can hold.`,
  )
}

function setOf(values: ReadonlySet<unknown>, name: string): Attribute {
  const all = [...values]
  if (all.length === 0) throw new TypeError(`The attribute ${name} is an empty set, which no attribute can hold.`)
  const isNumber = (each: unknown): boolean => typeof each === 'number' || typeof each === 'bigint'
  if (all.every((each) => isNumber(each) || isLong(values, each as string, each))) return { NS: all.map(String) }
  if (all.every((each) => typeof each === 'string')) return { SS: all }
  if (all.every((each) => each instanceof Uint8Array))
    return { BS: all.map((each) => Buffer.from(each).toString('base64')) }
  throw new TypeError(`The attribute ${name} is a set of different types.`)
}
