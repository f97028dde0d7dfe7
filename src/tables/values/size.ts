import { numberSize } from './decimal.js'
import { hasOwn, typeOf } from './item.js'
import type { AttributeValue, Item } from './types.js'

/** Bytes of an item as AWS counts them: every attribute's name and value. */
export function itemSize(item: Item): number {
  let size = 0
  for (const name in item) {
    if (!hasOwn.call(item, name)) break
    size += Buffer.byteLength(name) + valueSize(item[name] as AttributeValue)
  }
  return size
}

/** Bytes of a checked value; source: CapacityUnitCalculations of the developer guide, and numberSize for numbers. */
export function valueSize(value: AttributeValue): number {
  switch (typeOf(value)) {
    case 'S':
      return Buffer.byteLength((value as { S: string }).S)
    case 'N':
      return numberSize((value as { N: string }).N)
    case 'B':
      return binarySize((value as { B: string }).B)
    case 'BOOL':
    case 'NULL':
      return 1
    case 'L': {
      let size = containerSize
      for (const element of (value as { L: AttributeValue[] }).L) size += elementSize + valueSize(element)
      return size
    }
    case 'M': {
      const members = (value as { M: Item }).M
      let size = containerSize
      for (const name in members) {
        if (!hasOwn.call(members, name)) break
        size += elementSize + Buffer.byteLength(name) + valueSize(members[name] as AttributeValue)
      }
      return size
    }
    case 'SS': {
      let size = 0
      for (const member of (value as { SS: string[] }).SS) size += Buffer.byteLength(member)
      return size
    }
    case 'NS': {
      let size = 0
      for (const member of (value as { NS: string[] }).NS) size += numberSize(member)
      return size
    }
    case 'BS': {
      let size = 0
      for (const member of (value as { BS: string[] }).BS) size += binarySize(member)
      return size
    }
  }
}

/** Bytes of a key's value, as the limits of keys count them: numbers have none. */
export function keyValueSize(value: AttributeValue): number {
  if ('S' in value) return Buffer.byteLength(value.S)
  return 'B' in value ? binarySize(value.B) : 0
}

/** Bytes of a list or map itself, and of each element besides its own. */
export const containerSize = 3
export const elementSize = 1

function binarySize(base64: string): number {
  const padding = base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0
  return (base64.length / 4) * 3 - padding
}
