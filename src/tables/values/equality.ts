import { compareBinary } from './binary.js'
import { compareNumbers } from './decimal.js'
import { attributeOf, typeOf } from './item.js'
import { compareText } from './text.js'
import type { AttributeValue, Item } from './types.js'

/**
 * Whether two checked values are equal. They are canonical, so numbers are equal when their texts are, and sets when
 * their sorted members are.
 */
export function valuesEqual(a: AttributeValue, b: AttributeValue): boolean {
  if (a === b) return true
  const type = typeOf(a)
  if (type !== typeOf(b)) return false
  switch (type) {
    case 'S':
      return (a as { S: string }).S === (b as { S: string }).S
    case 'N':
      return (a as { N: string }).N === (b as { N: string }).N
    case 'B':
      return (a as { B: string }).B === (b as { B: string }).B
    case 'BOOL':
      return (a as { BOOL: boolean }).BOOL === (b as { BOOL: boolean }).BOOL
    case 'NULL':
      return true
    case 'M':
      return itemsEqual((a as { M: Item }).M, (b as { M: Item }).M)
    case 'L':
      return listsEqual((a as { L: AttributeValue[] }).L, (b as { L: AttributeValue[] }).L)
    case 'SS':
      return membersEqual((a as { SS: string[] }).SS, (b as { SS: string[] }).SS)
    case 'NS':
      return membersEqual((a as { NS: string[] }).NS, (b as { NS: string[] }).NS)
    case 'BS':
      return membersEqual((a as { BS: string[] }).BS, (b as { BS: string[] }).BS)
  }
}

/** Whether two checked items (or maps) have the same attributes with equal values. */
export function itemsEqual(a: Item, b: Item): boolean {
  if (a === b) return true
  let more = 0
  for (const name in a) {
    const other = attributeOf(b, name)
    if (other === undefined || !valuesEqual(a[name] as AttributeValue, other)) return false
    more++
  }
  for (const _ in b) more--
  return more === 0
}

function listsEqual(a: readonly AttributeValue[], b: readonly AttributeValue[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) {
    if (!valuesEqual(a[i] as AttributeValue, b[i] as AttributeValue)) return false
  }
  return true
}

function membersEqual(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) return false
  }
  return true
}

/** Order of two S (by UTF-8 bytes), two N (numerically) or two B (unsigned bytes); undefined where there is none. */
export function compareValues(a: AttributeValue, b: AttributeValue): number | undefined {
  if ('S' in a) return 'S' in b ? compareText(a.S, b.S) : undefined
  if ('N' in a) return 'N' in b ? compareNumbers(a.N, b.N) : undefined
  if ('B' in a) return 'B' in b ? compareBinary(a.B, b.B) : undefined
  return undefined
}
