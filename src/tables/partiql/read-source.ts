import type { TableRow } from '../catalogue/table-row.js'
import { type Condition, conditionPaths } from '../expressions/index.js'
import { partitionOf, projectedNames, segmentOf, type Target, targetOf } from '../indexes/index.js'
import { after } from '../items/item-row.js'
import {
  type AttributeValue,
  encodeKeyValue,
  type KeyAttribute,
  type KeySchema,
  ValidationError,
} from '../values/index.js'
import type { SortRange } from './sort-range.js'

/** Rows that a SELECT reads: from `gte` on, before `lt`. */
export interface RowRange {
  readonly gte: Buffer
  readonly lt: Buffer
}

/** What a SELECT reads: the items of a table or the entries of an index. Throws ValidationError in the words for statements. */
export function readTarget(row: TableRow, name: string | undefined, consistent: boolean): Target {
  if (name === undefined) return targetOf(row, undefined, consistent)
  const index = row.indexes?.find((each) => each.name === name)
  if (!index) throw new ValidationError('The table does not have the specified index')
  if (index.hash.length > 1 || index.range.length > 1) {
    throw new ValidationError(
      'PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE keys.',
    )
  }
  if (consistent && index.kind === 'global')
    throw new ValidationError('Strongly consistent read is not supported on Global Secondary Indexes')
  return targetOf(row, name, consistent)
}

/** The key of a target, which has one attribute of each kind at most. */
export function keyOfTarget({ hash, range }: Target): KeySchema {
  return { hash: hash[0] as KeyAttribute, ...(range[0] ? { range: range[0] } : {}) }
}

export const allRows = (target: Target): RowRange => segmentOf(target, 0, 1)

/** The rows of a hash key with these sort keys. */
export function rowsOf(target: Target, hash: AttributeValue, { gte, lt }: SortRange): RowRange {
  const prefix = partitionOf(target, encodeKeyValue(hash))
  return {
    gte: gte ? Buffer.concat([prefix, gte]) : prefix,
    lt: lt ? Buffer.concat([prefix, lt]) : after(prefix),
  }
}

/** A read by the key of an index cannot ask for what the index does not hold. Throws ValidationError. */
export function refuseUnprojectedFilter({ row, index }: Target, filter: Condition | undefined): void {
  const names = index && projectedNames(row, index)
  if (!index || !names || !filter) return
  const missing = new Set(conditionPaths(filter).map(([name]) => name))
  for (const name of names) missing.delete(name)
  if (missing.size === 0) return
  throw new ValidationError(
    `One or more parameter values were invalid: Secondary index ${index.name} does not project one or more filter ` +
      `attributes: [${inHashOrder(missing).join(', ')}]`,
  )
}

const bucketsMin = 16

/** The order in which AWS names them, which is that of a Java HashSet: by bucket, in each as they came. */
function inHashOrder(names: ReadonlySet<string>): string[] {
  let buckets = bucketsMin
  while (names.size > buckets * 0.75) buckets *= 2
  return [...names].sort((a, b) => bucketOf(a, buckets) - bucketOf(b, buckets))
}

function bucketOf(name: string, buckets: number): number {
  let hash = 0
  for (let i = 0; i < name.length; i++) hash = (Math.imul(hash, 31) + name.charCodeAt(i)) | 0
  return (hash ^ (hash >>> 16)) & (buckets - 1)
}
