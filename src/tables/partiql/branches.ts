import { type Condition, conditionPaths } from '../expressions/index.js'
import { type AttributeValue, ValidationError } from '../values/index.js'
import { type AttributeTest, attributeTest } from './key-conditions.js'

/** Most reads that one statement may come to. */
export const decomposedReadsMax = 50

/** Names of the attributes of a key that has one of each kind. */
export interface KeyNames {
  readonly hash: string
  readonly range: string | undefined
}

/** One of the conjunctions that a WHERE clause comes to when its ORs over key attributes are taken apart. */
export interface Branch {
  /** Values that the hash key must have: one, unless the statement contradicts or repeats itself. */
  readonly hash: readonly AttributeValue[]
  readonly sort: readonly AttributeTest[]
  /** All else that must hold. */
  readonly filter: readonly Condition[]
}

const always: Branch = { hash: [], sort: [], filter: [] }

/**
 * The branches of a condition, every one of which has a value for the hash key; undefined when there are others, which
 * only a scan finds. Throws ValidationError for too many.
 */
export function branchesOf(condition: Condition, key: KeyNames): Branch[] | undefined {
  return isKeyed(condition, key) ? bounded(decompose(condition, key)) : undefined
}

/** Whether whatever fulfils the condition has one of some named values of the hash key. */
function isKeyed(condition: Condition, key: KeyNames): boolean {
  switch (condition.kind) {
    case 'and':
      return condition.items.some((item) => isKeyed(item, key))
    case 'or':
      return condition.items.length > 0 && condition.items.every((item) => isKeyed(item, key))
    default: {
      const test = attributeTest(condition)
      return test?.name === key.hash && (test.operator === '=' || test.operator === 'IN')
    }
  }
}

function decompose(condition: Condition, key: KeyNames): Branch[] {
  if (condition.kind === 'and') return conjunction(condition.items.map((item) => decompose(item, key)))
  // An OR that no key has a part in is one condition on what was read.
  if (condition.kind === 'or' && hasKeyTest(condition, key))
    return bounded(condition.items.flatMap((item) => decompose(item, key)))
  const test = attributeTest(condition)
  if (test?.name === key.hash && (test.operator === '=' || test.operator === 'IN'))
    return test.values.map((value) => ({ ...always, hash: [value] }))
  if (test && test.name === key.range) {
    if (test.operator !== 'IN') return [{ ...always, sort: [test] }]
    return test.values.map((value) => ({ ...always, sort: [{ ...test, operator: '=' as const, values: [value] }] }))
  }
  return [{ ...always, filter: [condition] }]
}

function hasKeyTest(condition: Condition, key: KeyNames): boolean {
  if (condition.kind === 'and' || condition.kind === 'or') return condition.items.some((item) => hasKeyTest(item, key))
  const name = attributeTest(condition)?.name
  return name !== undefined && (name === key.hash || name === key.range)
}

/** What all of the parts come to together; those that are one branch are put into every one that the others make. */
function conjunction(parts: readonly Branch[][]): Branch[] {
  const alone = joined(parts.flatMap((branches) => (branches.length === 1 ? branches : [])))
  let combined: Branch[] = [always]
  for (const branches of parts) {
    if (branches.length === 1) continue
    bounded({ length: combined.length * branches.length })
    combined = combined.flatMap((left) => branches.map((right) => joined([left, right])))
  }
  return combined.map((branch) => joined([alone, branch]))
}

const joined = (branches: readonly Branch[]): Branch => ({
  hash: branches.flatMap(({ hash }) => hash),
  sort: branches.flatMap(({ sort }) => sort),
  filter: branches.flatMap(({ filter }) => filter),
})

function bounded<T extends { readonly length: number }>(branches: T): T {
  if (branches.length > decomposedReadsMax)
    throw new ValidationError('Too many decomposed read operations for a given query.')
  return branches
}

/** The attributes that a condition reads, in the order of the text. */
export const conditionNames = (condition: Condition): string[] => conditionPaths(condition).map(([name]) => name)
