import { createHash } from 'node:crypto'
import type { Condition } from '../expressions/index.js'
import {
  type AttributeValue,
  checkKeyValue,
  compareValues,
  type Item,
  type KeyAttribute,
  type KeySchema,
  setAttribute,
  ValidationError,
  valuesEqual,
} from '../values/index.js'
import { type Branch, branchesOf, conditionNames } from './branches.js'
import { KeyTypeError } from './key-equality.js'
import { compareRanges, intersection, isEmptyRange, type SortRange, sortRange } from './sort-range.js'
import type { OrderTerm } from './statement.js'

/** Rows of one hash key that are read, and what must hold of them. */
export interface KeyRange {
  readonly hash: AttributeValue
  readonly sort: SortRange
  /** The key as a whole, when all of it is named by equality: of a table that is one item. */
  readonly key: Item | undefined
  readonly filter: Condition | undefined
}

/** How a SELECT is answered. */
export type ReadPlan =
  | { readonly kind: 'scan'; readonly filter: Condition | undefined }
  /** In the order in which they are read. */
  | { readonly kind: 'ranges'; readonly ranges: readonly KeyRange[]; readonly isReverse: boolean }

/**
 * The plan of a SELECT over a table or an index with this key: its ranges when the WHERE clause names hash keys, else a
 * scan. Throws ValidationError.
 */
export function planRead(
  where: Condition | undefined,
  key: KeySchema,
  order: readonly OrderTerm[] | undefined,
): ReadPlan {
  const ranges = where && keyRanges(where, key)
  if (order) checkOrder(order, key, where, ranges)
  if (!ranges) return { kind: 'scan', filter: where }
  return { kind: 'ranges', ...inOrder(ranges, key, order) }
}

function keyRanges(where: Condition, key: KeySchema): KeyRange[] | undefined {
  const branches = branchesOf(where, { hash: key.hash.name, range: key.range?.name })
  if (!branches) return undefined
  for (const { hash, sort } of branches) {
    for (const value of hash) checkType(key.hash, value, 'hash')
    for (const { values } of sort) for (const value of values) checkType(key.range as KeyAttribute, value, 'range')
  }
  // Two values for one hash key: AWS takes the statement for one without a key.
  if (branches.some(({ hash }) => hash.some((value) => !valuesEqual(value, hash[0] as AttributeValue))))
    return undefined
  const ranges = branches.map((branch) => rangeOf(branch, key))
  return withoutOverlap(ranges, branches, where, key)
}

function rangeOf({ hash, sort, filter }: Branch, key: KeySchema): KeyRange {
  let range: SortRange = {}
  for (const { operator, values } of sort) range = intersection(range, sortRange(operator as never, values))
  const [value] = hash as [AttributeValue]
  const equal = sort.find(({ operator }) => operator === '=')?.values[0]
  const one = isEmptyRange(range) ? undefined : wholeKey(key, value, equal)
  return { hash: value, sort: range, key: one, filter: conjunction(filter) }
}

function wholeKey(key: KeySchema, hash: AttributeValue, range: AttributeValue | undefined): Item | undefined {
  if (key.range !== undefined && range === undefined) return undefined
  const whole: Item = {}
  setAttribute(whole, key.hash.name, hash)
  if (key.range && range) setAttribute(whole, key.range.name, range)
  return whole
}

function conjunction(conditions: readonly Condition[]): Condition | undefined {
  return conditions.length > 1 ? { kind: 'and', items: conditions } : conditions[0]
}

function checkType(attribute: KeyAttribute, value: AttributeValue, role: 'hash' | 'range'): void {
  if (!(attribute.type in value)) throw new KeyTypeError(attribute)
  checkKeyValue(attribute, value, role)
}

/**
 * No row may be read twice. What overlaps is refused, but where a sort key is negated: there AWS reads each of the rows
 * once, as here, by reading whole hash keys.
 */
function withoutOverlap(
  ranges: readonly KeyRange[],
  branches: readonly Branch[],
  where: Condition,
  key: KeySchema,
): KeyRange[] {
  const isNegated = branches.map(({ filter }) =>
    filter.some((condition) => key.range !== undefined && conditionNames(condition).includes(key.range.name)),
  )
  let isMerged = false
  ranges.forEach((range, i) => {
    for (let j = 0; j < i; j++) {
      const other = ranges[j] as KeyRange
      if (!valuesEqual(range.hash, other.hash) || isEmptyRange(intersection(range.sort, other.sort))) continue
      if (!isNegated[i] && !isNegated[j])
        throw new ValidationError('Overlapping conditions with range keys are not supported in where clause')
      isMerged = true
    }
  })
  if (!isMerged) return [...ranges]
  const hashes: AttributeValue[] = []
  for (const { hash } of ranges) if (!hashes.some((known) => valuesEqual(known, hash))) hashes.push(hash)
  return hashes.map((hash) => ({ hash, sort: {}, key: undefined, filter: where }))
}

function checkOrder(
  order: readonly OrderTerm[],
  key: KeySchema,
  where: Condition | undefined,
  ranges: readonly KeyRange[] | undefined,
): void {
  if (!where) throw new ValidationError('Must have WHERE clause in the statement when using ORDER BY clause.')
  for (const { path } of order) {
    if (path.length === 1 && (path[0] === key.hash.name || path[0] === key.range?.name)) continue
    throw new ValidationError(`Attribute ${path[0]} in ORDER BY clause must be part of the primary key`)
  }
  const first = ranges?.[0]
  if (!ranges || !first) {
    throw new ValidationError(
      'Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause.',
    )
  }
  if (order.some(({ path }) => path[0] === key.hash.name)) return
  if (ranges.some(({ hash }) => !valuesEqual(hash, first.hash))) {
    throw new ValidationError(
      'Must have hash key in ORDER BY clause when more than one hash key condition specified in WHERE clause.',
    )
  }
}

/** As on AWS, where ORDER BY does not name the sort key, it goes down. */
function inOrder(
  ranges: readonly KeyRange[],
  key: KeySchema,
  order: readonly OrderTerm[] | undefined,
): { ranges: readonly KeyRange[]; isReverse: boolean } {
  const term = (name: string | undefined) => order?.find(({ path }) => path[0] === name)
  const isReverse = order !== undefined && (term(key.range?.name)?.isDescending ?? true)
  const hashSign = term(key.hash.name)?.isDescending ? -1 : 1
  const compareHashes = order ? compareKeys : compareDigests
  const sorted = [...ranges].sort(
    (a, b) => hashSign * compareHashes(a.hash, b.hash) || (isReverse ? -1 : 1) * compareRanges(a.sort, b.sort),
  )
  return { ranges: sorted, isReverse }
}

const compareKeys = (a: AttributeValue, b: AttributeValue): number => compareValues(a, b) ?? 0

/** Without ORDER BY, hash keys come in the order of their MD5, as measured on AWS in September 2026. */
function compareDigests(a: AttributeValue, b: AttributeValue): number {
  return Buffer.compare(digest(a), digest(b))
}

function digest(value: AttributeValue): Buffer {
  const bytes =
    'B' in value ? Buffer.from(value.B, 'base64') : Buffer.from('S' in value ? value.S : (value as { N: string }).N)
  return createHash('md5').update(bytes).digest()
}
