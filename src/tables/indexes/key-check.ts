import type { TableRow } from '../catalogue/table-row.js'
import type { Update } from '../expressions/index.js'
import { writtenTypes } from '../expressions/index.js'
import {
  type AttributeValue,
  attributeOf,
  EmptyKeyError,
  type Item,
  type KeyAttribute,
  typeOf,
  ValidationError,
} from '../values/index.js'
import type { Index } from './definition.js'
import { type KeyFault, keyFaultOf, sizeFaultOf } from './entry.js'

/*
 * Attributes that are keys of an index: a write that gives one a value of another type, an empty one or one that is too
 * long fails as a whole. One that is missing only leaves the item out of the index.
 */

type Fault = (index: Index, attribute: KeyAttribute, value: AttributeValue, fault: KeyFault) => string

/** An item as PutItem and BatchWriteItem are given it. Throws ValidationError. */
export function checkIndexKeys(row: TableRow, item: Item): void {
  check(row, item, undefined, faultOfItem)
}

/** An item as an update expression made it: what this did not write may be as it was before the index. */
export function checkUpdatedIndexKeys(row: TableRow, item: Item, written: readonly string[]): void {
  check(row, item, written, faultOfUpdate)
}

function check(row: TableRow, item: Item, written: readonly string[] | undefined, text: Fault): void {
  for (const index of row.indexes ?? []) {
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

const mismatch = (index: Index, attribute: KeyAttribute, actual: string): string =>
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

/** What the text of an update alone says about index keys, before the item is looked at. Throws ValidationError. */
export function checkIndexKeysOfUpdate(row: TableRow, update: Update): void {
  if (!row.indexes) return
  const types = writtenTypes(update)
  let partly: string | undefined
  for (const index of row.indexes) {
    for (const attribute of [...index.hash, ...index.range]) {
      const written = types.get(attribute.name)
      if (written === 'part') partly ??= attribute.name
      else if (written !== undefined && written !== 'unknown' && written !== attribute.type)
        throw new ValidationError(mismatch(index, attribute, written), 'item')
    }
  }
  if (partly !== undefined) throw notScalar(partly)
}

export function notScalar(name: string): ValidationError {
  return new ValidationError(
    `Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: ${name}`,
    'item',
  )
}
