import type { AttributeType, AttributeValue, Item, KeySchema } from './types.js'

export {
  type AttributeType,
  type AttributeValue,
  attributeNameBytesMax,
  hashKeyBytesMax,
  type Item,
  itemBytesMax,
  type KeyAttribute,
  type KeySchema,
  type KeyType,
  nestingMax,
  rangeKeyBytesMax,
  ValidationError,
} from './types.js'

/** Reads an attribute; inherited properties (`constructor`, `__proto__`) are never mistaken for attributes. */
export declare function attributeOf(item: Item, name: string): AttributeValue | undefined
/** Writes an attribute, whatever its name. */
export declare function setAttribute(item: Item, name: string, value: AttributeValue): void
export declare function typeOf(value: AttributeValue): AttributeType

/** Validates and normalises; the size is in bytes and NOT yet held against itemBytesMax (the texts differ by operation). */
export declare function checkItem(raw: unknown): { item: Item; size: number }
export declare function checkValue(raw: unknown): AttributeValue
export declare function itemSize(item: Item): number
export declare function valueSize(value: AttributeValue): number
export declare function valuesEqual(a: AttributeValue, b: AttributeValue): boolean
export declare function itemsEqual(a: Item, b: Item): boolean
/** Order of two S, two N or two B values; undefined where there is none. */
export declare function compareValues(a: AttributeValue, b: AttributeValue): number | undefined

export declare function normaliseNumber(text: string): string
export declare function addNumbers(a: string, b: string): string
export declare function subtractNumbers(a: string, b: string): string
export declare function compareNumbers(a: string, b: string): number

export declare function encodeKeyValue(value: AttributeValue): Buffer
export declare function decodeKeyValue(bytes: Buffer, at: number): { value: AttributeValue; next: number }
/** The key attributes alone; `exact` refuses any other attribute (Key of GetItem, UpdateItem, DeleteItem). */
export declare function keyOf(item: Item, schema: KeySchema, exact?: boolean): Item
