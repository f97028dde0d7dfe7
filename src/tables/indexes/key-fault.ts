import {
  type AttributeValue,
  hashKeyBytesMax,
  type KeyAttribute,
  keyValueSize,
  rangeKeyBytesMax,
} from '../values/index.js'

/** What is wrong with the value of a key attribute of an index: such an item has no entry. */
export type KeyFault = 'type' | 'empty' | 'hash size' | 'range size'

/** The fault of one attribute for itself; its size counts with that of the others of its kind. */
export function keyFaultOf({ type }: KeyAttribute, value: AttributeValue): KeyFault | undefined {
  if (!(type in value)) return 'type'
  return type !== 'N' && keyValueSize(value) === 0 ? 'empty' : undefined
}

/** Whether the values of hash or of range attributes are together more than a key may have. */
export function sizeFaultOf(kind: 'hash' | 'range', values: readonly AttributeValue[]): KeyFault | undefined {
  let size = 0
  for (const value of values) size += keyValueSize(value)
  if (kind === 'hash') return size > hashKeyBytesMax ? 'hash size' : undefined
  return size > rangeKeyBytesMax ? 'range size' : undefined
}
