import { base64Size } from './binary.js'
import { attributeOf, setAttribute, typeOf } from './item.js'
import {
  type AttributeValue,
  EmptyKeyError,
  hashKeyBytesMax,
  type Item,
  type KeyAttribute,
  type KeySchema,
  rangeKeyBytesMax,
  ValidationError,
} from './types.js'

const mismatch = 'The provided key element does not match the schema'

/**
 * Just the key attributes of a checked item, for PutItem; with `exact` of a Key (GetItem, UpdateItem, DeleteItem), which
 * may have no other attributes and whose faults AWS reports in one text.
 */
export function keyOf(item: Item, schema: KeySchema, exact = false): Item {
  return exact ? exactKey(item, schema) : readKey(item, schema, itemFault)
}

/** As keyOf for a put of BatchWriteItem, where AWS answers a wrong type in the words of a wrong Key. */
export function keyOfBatchItem(item: Item, schema: KeySchema): Item {
  return readKey(item, schema, (attribute, value) => (value === undefined ? itemFault(attribute, value) : mismatch))
}

function exactKey(item: Item, schema: KeySchema): Item {
  let extra = schema.range === undefined ? -1 : -2
  for (const _ in item) extra++
  if (extra !== 0) throw new ValidationError(mismatch, 'item')
  return readKey(item, schema, () => mismatch)
}

type Fault = (attribute: KeyAttribute, value: AttributeValue | undefined) => string

function itemFault(attribute: KeyAttribute, value: AttributeValue | undefined): string {
  return value === undefined
    ? `One or more parameter values were invalid: Missing the key ${attribute.name} in the item`
    : `One or more parameter values were invalid: Type mismatch for key ${attribute.name} expected: ${attribute.type} actual: ${typeOf(value)}`
}

function readKey(item: Item, schema: KeySchema, fault: Fault): Item {
  const key: Item = {}
  setAttribute(key, schema.hash.name, readKeyAttribute(item, schema.hash, fault))
  if (schema.range !== undefined) setAttribute(key, schema.range.name, readKeyAttribute(item, schema.range, fault))
  const hash = key[schema.hash.name] as AttributeValue
  checkKeyValue(schema.hash, hash, 'hash')
  if (schema.range !== undefined) checkKeyValue(schema.range, key[schema.range.name] as AttributeValue, 'range')
  return key
}

function readKeyAttribute(item: Item, attribute: KeyAttribute, fault: Fault): AttributeValue {
  const value = attributeOf(item, attribute.name)
  if (value === undefined || !(attribute.type in value)) throw new ValidationError(fault(attribute, value), 'item')
  return value
}

/** Refuses a key value that is empty or too long; its type is right already. */
export function checkKeyValue(attribute: KeyAttribute, value: AttributeValue, role: 'hash' | 'range'): void {
  if ('N' in value) return
  const text = 'S' in value
  const size = text ? Buffer.byteLength(value.S) : base64Size((value as { B: string }).B)
  if (size === 0) {
    throw new EmptyKeyError(
      'One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty ' +
        `${text ? 'string' : 'binary'} value. Key: ${attribute.name}`,
      'item',
    )
  }
  if (role === 'hash' && size > hashKeyBytesMax) {
    throw new ValidationError(
      // The missing space is AWS's.
      'One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes',
      'item',
    )
  }
  if (role === 'range' && size > rangeKeyBytesMax) {
    throw new ValidationError(
      'One or more parameter values were invalid: ' +
        'Aggregated size of all range keys has exceeded the size limit of 1024 bytes',
      'item',
    )
  }
}
