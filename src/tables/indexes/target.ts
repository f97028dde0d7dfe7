import type { TableRow } from '../catalogue/table-row.js'
import {
  type AttributeConditions,
  compositeKeyConditionOf,
  type KeyConditions,
  keyConditionOf,
} from '../expressions/index.js'
import {
  itemKey,
  keyAttributesOf,
  keyBehindPrefix,
  partitionStart,
  segmentRange,
  tablePrefix,
} from '../items/item-row.js'
import { validation } from '../requests/aws-error.js'
import {
  type AttributeValue,
  attributeOf,
  decodeKeyValue,
  type Item,
  type KeyAttribute,
  keyOf,
  setAttribute,
  typeOf,
} from '../values/index.js'
import { type Index, isFilling, keyAttributesMax } from './definition.js'
import { entryAttributesAt, entryKey, entryPartition, indexPrefix } from './entry.js'
import { keyFaultOf } from './key-fault.js'

/** What a Query or Scan reads: the items of a table, or the entries of an index. */
export interface Target {
  readonly row: TableRow
  readonly index: Index | undefined
  readonly hash: readonly KeyAttribute[]
  readonly range: readonly KeyAttribute[]
}

/** Conditions that a query on an index may have. */
export const indexConditionsMax = 2 * keyAttributesMax

/** The table, or its index of that name. Throws ValidationException. */
export function targetOf(row: TableRow, indexName: string | undefined, consistent: boolean): Target {
  if (indexName === undefined) {
    const { hash, range } = row.schema
    return { row, index: undefined, hash: [hash], range: range ? [range] : [] }
  }
  const index = row.indexes?.find(({ name }) => name === indexName)
  if (!index) throw validation(`The table does not have the specified index: ${indexName}`)
  if (consistent && index.kind === 'global')
    throw validation('Consistent reads are not supported on global secondary indexes')
  if (isFilling(row, index)) throw validation(`Cannot read from backfilling global secondary index: ${indexName}`)
  return { row, index, hash: index.hash, range: index.range }
}

/** All key attributes that a position in a target has: those of the index, then those of the table. */
export function positionNames({ row, hash, range }: Target): ReadonlySet<string> {
  const names = new Set([...hash, ...range].map(({ name }) => name))
  names.add(row.schema.hash.name)
  if (row.schema.range) names.add(row.schema.range.name)
  return names
}

/** What the conditions of a query ask of a target's key. `visit`: see keyConditionOf. */
export function conditionsOf(
  found: AttributeConditions,
  { hash, range }: Target,
  visit: (attribute: KeyAttribute) => void,
): KeyConditions {
  if (hash.length > 1 || range.length > 1) return compositeKeyConditionOf(found, hash, range, visit)
  const [only] = hash as readonly [KeyAttribute]
  const condition = keyConditionOf(found, { hash: only, ...(range[0] ? { range: range[0] } : {}) }, visit)
  return { hash: [condition.hash], equal: [], ...(condition.range ? { range: condition.range } : {}) }
}

/** Where the rows of one hash key begin, given its encoded attributes. */
export function partitionOf({ row, index }: Target, hash: Buffer): Buffer {
  return index ? entryPartition(row.id, index.id, hash) : partitionStart(row.id, hash)
}

/** The rows of a segment of a Scan: lower bound inclusive, upper bound exclusive. */
export function segmentOf({ row, index }: Target, segment: number, total: number): { gte: Buffer; lt: Buffer } {
  return segmentRange(index ? indexPrefix(row.id, index.id) : tablePrefix(row.id), segment, total)
}

/** LastEvaluatedKey: the key attributes of a row, from its key alone. */
export function positionOf({ row, index, hash, range }: Target, key: Buffer): Item {
  if (!index) return keyAttributesOf(key, row.schema)
  const position: Item = {}
  let at = entryAttributesAt
  const { schema } = row
  for (const { name } of [...hash, ...range, schema.hash, ...(schema.range ? [schema.range] : [])]) {
    const { value, next } = decodeKeyValue(key, at)
    setAttribute(position, name, value)
    at = next
  }
  return position
}

/** As positionOf, from what the row holds: an item and an entry always have the attributes of both keys. */
export function positionIn({ row: { schema }, hash, range }: Target, item: Item): Item {
  const position: Item = {}
  for (const { name } of [...hash, ...range, schema.hash, ...(schema.range ? [schema.range] : [])])
    setAttribute(position, name, item[name] as AttributeValue)
  return position
}

/** The item row of an entry in a local index: the hash key is the same, the item's own key is at the entry's end. */
export function itemRowOf({ row, index, hash, range }: Target, entry: Buffer): Buffer {
  if (index?.kind !== 'local') throw new TypeError('only entries of local indexes have their item beside them')
  let at = entryAttributesAt
  for (const _ of [...hash, ...range]) at = decodeKeyValue(entry, at).next
  return Buffer.concat([
    tablePrefix(row.id),
    entry.subarray(entryAttributesAt - 8, entryAttributesAt),
    entry.subarray(at),
  ])
}

/** Whether an item is still where an entry that was read before it says. */
export function isAt({ row, index }: Target, entry: Buffer, item: Item, itemRow: Buffer): boolean {
  const key = index && entryKey(row.id, index, item, keyBehindPrefix(itemRow))
  return key?.equals(entry) ?? false
}

/*
 * ExclusiveStartKey. Its attributes are counted first, those of the index are looked at with the conditions on them, those
 * of the table last; each step has its own text on AWS.
 */

export class StartKey {
  readonly #item: Item
  readonly #target: Target

  /** Throws ValidationException when it has not as many attributes as a position of the target. */
  constructor(item: Item, target: Target, isScan: boolean) {
    this.#item = item
    this.#target = target
    if (Object.keys(item).length === positionNames(target).size) return
    throw isScan && !target.index ? notOfSchema() : validation(invalid)
  }

  /** One key attribute of the target. Throws ValidationException. */
  readonly check = (attribute: KeyAttribute): void => {
    const value = attributeOf(this.#item, attribute.name)
    if (value === undefined) throw validation(invalid)
    if (keyFaultOf(attribute, value) || typeOf(value) !== attribute.type)
      throw validation('The provided key element does not match the schema')
  }

  /** The row that it names; with `hash`, the row that it would name under those values. Throws ValidationException. */
  row(hash: readonly AttributeValue[] = []): Buffer {
    const { row, index } = this.#target
    const item: Item = { ...this.#item }
    hash.forEach((value, i) => setAttribute(item, (this.#target.hash[i] as KeyAttribute).name, value))
    const { row: itemRow, encoded } = itemKey(row.id, row.schema, this.#tableKey(index ? this.#item : item))
    if (!index) return itemRow
    const entry = entryKey(row.id, index, item, encoded)
    if (!entry) throw notOfSchema()
    return entry
  }

  #tableKey(item: Item): Item {
    const { schema } = this.#target.row
    try {
      return keyOf(tableKeyOf(item, this.#target.row), schema, true)
    } catch {
      throw notOfSchema()
    }
  }
}

const invalid = 'The provided starting key is invalid'
const notOfSchema = (): Error => validation(`${invalid}: The provided key element does not match the schema`)

function tableKeyOf(item: Item, { schema }: TableRow): Item {
  const key: Item = {}
  for (const { name } of [schema.hash, ...(schema.range ? [schema.range] : [])]) {
    const value = attributeOf(item, name)
    if (value !== undefined) setAttribute(key, name, value)
  }
  return key
}
