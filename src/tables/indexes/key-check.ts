import {
  type AttributeValue,
  attributeOf,
  EmptyKeyError,
  type Item,
  type KeyAttribute,
  typeOf,
  ValidationError,
} from '../values/index.js'
import type { Index, Indexed } from './definition.js'
import { type KeyFault, keyFaultOf, sizeFaultOf } from './key-fault.js'

/*
 * Attributes that are keys of an index: a write that gives one a value of another type, an empty one or one that is too
 * long fails as a whole. One that is missing only leaves the item out of the index.
 */

type Fault = (index: Index, attribute: KeyAttribute, value: AttributeValue, fault: KeyFault) => string

/** An item as PutItem and BatchWriteItem are given it. Throws ValidationError. */
export function checkIndexKeys(table: Indexed, item: Item): void {
  check(table, item, undefined, faultOfItem)
}

/** An item as an update expression made it: what this did not write may be as it was before the index. */
export function checkUpdatedIndexKeys(table: Indexed, item: Item, written: readonly string[]): void {
  check(table, item, written, faultOfUpdate)
}

function check(table: Indexed, item: Item, written: readonly string[] | undefined, text: Fault): void {
  for (const index of table.indexes ?? []) {
    for (const kind of ['hash', 'range'] as const) {
      const values: AttributeValue[] = []
      let isWritten = false
      for (const attribute of index[kind]) {
        const value = attributeOf(item, attribute.name)
        if (value === undefined) continue
        values.push(value)
        if (written && !written.includes(attribute.name)) continue
        isWritten = true
        const fault = keyFaultOf(attribute, value)
        if (fault) throw errorOf(fault, text(index, attribute, value, fault))
      }
      if (!isWritten) continue
      const fault = sizeFaultOf(kind, values)
      if (fault) throw errorOf(fault, text(index, index[kind][0] as KeyAttribute, values[0] as AttributeValue, fault))
    }
  }
}

const errorOf = (fault: KeyFault, text: string): ValidationError =>
  fault === 'empty' ? new EmptyKeyError(text, 'item') : new ValidationError(text, 'item')

const kindOfEmpty = (value: AttributeValue): string => ('B' in value ? 'binary' : 'string')

/** A value of another type than the index's. */
export const mismatch = (index: Index, attribute: KeyAttribute, actual: string): string =>
  `One or more parameter values were invalid: Type mismatch for Index Key ${attribute.name} ` +
  `Expected: ${attribute.type} Actual: ${actual} IndexName: ${index.name}`

function faultOfItem(index: Index, attribute: KeyAttribute, value: AttributeValue, fault: KeyFault): string {
  switch (fault) {
    case 'type':
      return mismatch(index, attribute, typeOf(value))
    case 'empty':
      return (
        'One or more parameter values are not valid. A value specified for a secondary index key is not supported. ' +
        `The AttributeValue for a key attribute cannot contain an empty ${kindOfEmpty(value)} value. ` +
        `IndexName: ${index.name}, IndexKey: ${attribute.name}`
      )
    case 'hash size':
      // The missing space is AWS's.
      return 'One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes'
    case 'range size':
      return (
        'One or more parameter values were invalid: ' +
        'Aggregated size of all range keys has exceeded the size limit of 1024 bytes'
      )
  }
}

function faultOfUpdate(_index: Index, _attribute: KeyAttribute, value: AttributeValue, fault: KeyFault): string {
  switch (fault) {
    case 'type':
      return 'The update expression attempted to update the secondary index key to unsupported type'
    case 'empty':
      return (
        'One or more parameter values are not valid. The update expression attempted to update a secondary index key to ' +
        'a value that is not supported. ' +
        `The AttributeValue for a key attribute cannot contain an empty ${kindOfEmpty(value)} value.`
      )
    default:
      return 'The update expression attempted to update the secondary index key beyond allowed size limits'
  }
}
