import type { Condition } from '../expressions/index.js'
import {
  attributeOf,
  type Item,
  type KeyAttribute,
  type KeySchema,
  setAttribute,
  ValidationError,
  valuesEqual,
} from '../values/index.js'
import { attributeTest } from './key-conditions.js'

/** What a WHERE clause says of the key of one item by equality, and what else must hold of that item. */
export interface KeyEquality {
  /** The key attributes that have a value; their types are not looked at. */
  readonly key: Item
  readonly condition: Condition | undefined
  /** A key attribute that has two values; the first is in the key, the other in the condition. */
  readonly repeated: string | undefined
}

export function keyEquality(where: Condition | undefined, schema: KeySchema): KeyEquality {
  const key: Item = {}
  const others: Condition[] = []
  let repeated: string | undefined
  for (const condition of where ? conjuncts(where) : []) {
    const test = attributeTest(condition)
    if (test?.operator !== '=' || (test.name !== schema.hash.name && test.name !== schema.range?.name)) {
      others.push(condition)
      continue
    }
    const value = test.values[0] as Item[string]
    const known = attributeOf(key, test.name)
    if (known === undefined) setAttribute(key, test.name, value)
    else if (!valuesEqual(known, value)) {
      repeated ??= test.name
      others.push(condition)
    }
  }
  const condition: Condition | undefined = others.length > 1 ? { kind: 'and', items: others } : others[0]
  return { key, condition, repeated }
}

export const isWholeKey = (key: Item, schema: KeySchema): boolean =>
  attributeOf(key, schema.hash.name) !== undefined &&
  (schema.range === undefined || attributeOf(key, schema.range.name) !== undefined)

/** The one item that a write is on. Throws ValidationError when the clause names none, or two. */
export function requireOneItem({ key, repeated }: KeyEquality, schema: KeySchema): void {
  if (!isWholeKey(key, schema))
    throw new ValidationError('Where clause does not contain a mandatory equality on all key attributes')
  if (repeated !== undefined) {
    throw new ValidationError(
      `Multiple conditions on same key ${repeated}. Only single item Update/Insert/Delete are supported`,
    )
  }
}

/** A key attribute has a value of another type than the table's. */
export class KeyTypeError extends ValidationError {
  constructor(attribute: KeyAttribute) {
    super(`Key attribute's data type should match its data type in table's schema: Key ${attribute.name}`)
  }
}

/** Refuses key attributes of other types than the table's. */
export function requireKeyTypes(key: Item, schema: KeySchema): void {
  for (const attribute of [schema.hash, schema.range]) {
    const value = attribute && attributeOf(key, attribute.name)
    if (!attribute || !value || attribute.type in value) continue
    throw new KeyTypeError(attribute)
  }
}

/** The conditions that all must hold, those in groups too. */
function conjuncts(condition: Condition): readonly Condition[] {
  return condition.kind === 'and' ? condition.items.flatMap(conjuncts) : [condition]
}
