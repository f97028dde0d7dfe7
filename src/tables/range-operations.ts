import type { Storage } from '../storage/index.js'
import { validation } from './aws-error.js'
import { capacity, readUnits, type ShowCapacity, showCapacity } from './capacity.js'
import type { Catalogue, TableRow } from './catalogue.js'
import type { Throttle } from './control/throttle.js'
import {
  type Condition,
  conditionPaths,
  ExpressionContext,
  evaluateCondition,
  type KeyCondition,
  keyConditionOf,
  type Projection,
  parseCondition,
  parseKeyCondition,
  parseProjection,
  project,
} from './expressions/index.js'
import { after, decodeItem, itemKey, keyAttributesOf, parseItem, partitionStart, segmentRange } from './item-row.js'
import { array, members } from './json-bytes.js'
import { refusePathsInKeys } from './key-paths.js'
import {
  atMost,
  Constraints,
  flag,
  type Input,
  object,
  oneOf,
  placeholders,
  refuseLegacy,
  refuseLonePlaceholders,
  tableName,
  text,
  whole,
} from './request.js'
import { checkItem, encodeKeyValue, type Item, keyOf } from './values/index.js'
import { resourceNotFound } from './writer.js'

/** A page ends before the item that would take it past this many bytes by AWS's count, before filter and projection. */
const pageBytesMax = 1024 * 1024
const segmentsMax = 1_000_000
/** Rows and bytes that are fetched from the store at once. */
const fetchRowsMax = 1000
const fetchBytesMax = 256 * 1024

interface Bounds {
  readonly gte?: Buffer
  readonly gt?: Buffer
  readonly lt?: Buffer
  readonly lte?: Buffer
}

interface Reading {
  readonly row: TableRow
  readonly bounds: Bounds
  readonly reverse: boolean
  readonly limit: number | undefined
  readonly filter: Condition | undefined
  readonly projection: Projection | undefined
  readonly countOnly: boolean
  readonly consistent: boolean
  readonly show: ShowCapacity
}

/** Query and Scan: pages of a range of item rows. */
export class RangeOperations {
  readonly #storage: Storage
  readonly #catalogue: Catalogue
  readonly #throttle: Throttle

  constructor(storage: Storage, catalogue: Catalogue, throttle: Throttle) {
    this.#storage = storage
    this.#catalogue = catalogue
    this.#throttle = throttle
  }

  async query(input: Input): Promise<Buffer> {
    // In a Query AWS has other words for this than in a Scan.
    if ((whole(input, 'Limit') ?? 1) < 1) {
      throw validation(
        "1 validation error detected: Value at 'Limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
      )
    }
    const common = rangeCommon(input)
    refuseLegacy(input)
    const context = new ExpressionContext(placeholders(input))
    const keyText = text(input, 'KeyConditionExpression')
    if (keyText === undefined)
      throw validation('Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.')
    const startItem = startItemOf(input)
    const filterText = text(input, 'FilterExpression')
    const filter = filterText === undefined ? undefined : parseCondition('FilterExpression', filterText, context)
    const projection = projectionOf(input, context)
    const conditions = parseKeyCondition(keyText, context)
    context.checkAllUsed()
    const row = this.#row(common.table)
    const { schema } = row
    const condition = keyConditionOf(conditions, schema)
    for (const [name] of filter ? conditionPaths(filter) : []) {
      if (name === schema.hash.name || name === schema.range?.name) {
        throw validation(
          `Filter Expression can only contain non-primary key attributes: Primary key attribute: ${name}`,
        )
      }
    }
    refusePathsInKeys(projection?.paths ?? [], schema)
    const reverse = flag(input, 'ScanIndexForward') === false
    const partition = partitionStart(row.id, encodeKeyValue(condition.hash))
    const start = startKey(startItem, row)
    if (start && !start.row.subarray(0, partition.length).equals(partition))
      throw validation('The provided starting key is outside query boundaries based on provided conditions')
    const range = boundsOf(partition, condition)
    if (start && (isAbove(start.row, range) || isBelow(start.row, range)))
      throw validation('The provided starting key does not match the range key predicate')
    const bounds = continueFrom(range, start?.row, reverse)
    return this.#read({ row, bounds, reverse, filter, projection, ...common.reading })
  }

  async scan(input: Input): Promise<Buffer> {
    const common = rangeCommon(input)
    const constraints = new Constraints()
    const total = whole(input, 'TotalSegments')
    const segment = whole(input, 'Segment')
    if (total !== undefined) {
      constraints.check(total >= 1, 'totalSegments', total, 'Member must have value greater than or equal to 1')
      constraints.check(
        total <= segmentsMax,
        'totalSegments',
        total,
        `Member must have value less than or equal to ${segmentsMax}`,
      )
    }
    if (segment !== undefined) {
      constraints.check(segment >= 0, 'segment', segment, 'Member must have value greater than or equal to 0')
      constraints.check(
        segment < segmentsMax,
        'segment',
        segment,
        `Member must have value less than or equal to ${segmentsMax - 1}`,
      )
    }
    constraints.done()
    refuseLegacy(input)
    refuseLonePlaceholders(input, ['FilterExpression', 'ProjectionExpression'])
    if (segment !== undefined && total === undefined)
      throw validation(
        'The TotalSegments parameter is required but was not present in the request when Segment parameter is present',
      )
    if (total !== undefined && segment === undefined)
      throw validation(
        'The Segment parameter is required but was not present in the request when parameter TotalSegments is present',
      )
    if (segment !== undefined && segment >= (total as number)) {
      throw validation(
        `The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: ${segment} is not less than TotalSegments: ${total}`,
      )
    }
    const startItem = startItemOf(input)
    const context = new ExpressionContext(placeholders(input))
    const filterText = text(input, 'FilterExpression')
    const filter = filterText === undefined ? undefined : parseCondition('FilterExpression', filterText, context)
    const projection = projectionOf(input, context)
    context.checkAllUsed()
    const row = this.#row(common.table)
    refusePathsInKeys([...(projection?.paths ?? []), ...(filter ? conditionPaths(filter) : [])], row.schema)
    const range = segmentRange(row.id, segment ?? 0, total ?? 1)
    const start = startKey(startItem, row)
    if (start && (Buffer.compare(start.row, range.gte) < 0 || Buffer.compare(start.row, range.lt) >= 0)) {
      throw validation(
        'The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct Segment. TotalSegments: ' +
          `${total} Segment: ${segment}`,
      )
    }
    return this.#read({
      row,
      bounds: continueFrom(range, start?.row, false),
      reverse: false,
      filter,
      projection,
      ...common.reading,
    })
  }

  #row(name: string): TableRow {
    const table = this.#catalogue.find(name)
    if (!table) throw resourceNotFound()
    return table.row
  }

  async #read(reading: Reading): Promise<Buffer> {
    const { row, reverse, limit, filter, projection, countOnly } = reading
    this.#throttle.admit(row, 'read')
    const items: Buffer[] = []
    let count = 0
    let scanned = 0
    let bytes = 0
    let last: Buffer | undefined
    let bounds = reading.bounds
    let isOpen = true
    let isFull = false
    while (isOpen && !isFull) {
      const wanted = Math.min(fetchRowsMax, limit === undefined ? fetchRowsMax : limit - scanned)
      const page = await this.#storage.page({ ...bounds, reverse, limit: wanted, bytesMax: fetchBytesMax })
      for (let i = 0; i < page.keys.length; i++) {
        const stored = decodeItem(page.values[i] as Buffer)
        if (scanned > 0 && bytes + stored.size > pageBytesMax) {
          isFull = true
          break
        }
        scanned++
        bytes += stored.size
        last = page.keys[i] as Buffer
        const item = filter || projection ? parseItem(stored) : undefined
        if (filter && !evaluateCondition(filter, item as Item)) continue
        count++
        if (!countOnly)
          items.push(projection ? Buffer.from(JSON.stringify(project(projection, item as Item))) : stored.json)
      }
      isOpen = page.more
      if (limit !== undefined && scanned >= limit) {
        // As on AWS, a page that ends with its limit names a last key even when nothing follows.
        isFull = true
      }
      if (last) bounds = continueFrom(reading.bounds, last, reverse)
    }
    const next = isFull && last ? Buffer.from(JSON.stringify(keyAttributesOf(last, row.schema))) : undefined
    const units = readUnits(bytes, reading.consistent)
    this.#throttle.take(row, 'read', units)
    const consumed = capacity(reading.show, row.name, units)
    return members([
      ['Items', countOnly ? undefined : array(items)],
      ['Count', Buffer.from(String(count))],
      ['ScannedCount', Buffer.from(String(scanned))],
      ['LastEvaluatedKey', next],
      ['ConsumedCapacity', consumed && Buffer.from(JSON.stringify(consumed))],
    ])
  }
}

function rangeCommon(input: Input) {
  const constraints = new Constraints()
  const table = tableName(input, constraints)
  const limit = atMost(input, 'Limit', 'limit', 2 ** 31 - 1, constraints)
  const select = oneOf(
    input,
    'Select',
    'select',
    ['SPECIFIC_ATTRIBUTES', 'COUNT', 'ALL_ATTRIBUTES', 'ALL_PROJECTED_ATTRIBUTES'],
    constraints,
  )
  const show = showCapacity(input, constraints)
  constraints.done()
  if (text(input, 'IndexName') !== undefined)
    throw validation(`The table does not have the specified index: ${text(input, 'IndexName')}`)
  const hasProjection = input.ProjectionExpression !== undefined && input.ProjectionExpression !== null
  if (select === 'ALL_PROJECTED_ATTRIBUTES')
    throw validation(
      'One or more parameter values were invalid: ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName',
    )
  if (select === 'SPECIFIC_ATTRIBUTES' && !hasProjection)
    throw validation(
      'Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES',
    )
  if (select !== undefined && select !== 'SPECIFIC_ATTRIBUTES' && hasProjection)
    throw validation(
      `Cannot specify the ProjectionExpression when choosing to get ${select === 'COUNT' ? 'only the Count' : select}`,
    )
  return {
    table,
    reading: { limit, show, countOnly: select === 'COUNT', consistent: flag(input, 'ConsistentRead') ?? false },
  }
}

function projectionOf(input: Input, context: ExpressionContext): Projection | undefined {
  const projectionText = text(input, 'ProjectionExpression')
  return projectionText === undefined ? undefined : parseProjection(projectionText, context)
}

function startItemOf(input: Input): Item | undefined {
  const given = object(input, 'ExclusiveStartKey')
  return given && checkItem(given).item
}

function startKey(item: Item | undefined, row: TableRow): { row: Buffer } | undefined {
  if (item === undefined) return undefined
  let key: Item
  try {
    key = keyOf(item, row.schema, true)
  } catch {
    throw validation('The provided starting key is invalid: The provided key element does not match the schema')
  }
  return itemKey(row.id, row.schema, key)
}

/** The rows that fulfil a key condition. */
function boundsOf(partition: Buffer, condition: KeyCondition): Bounds {
  const whole = { gte: partition, lt: after(partition) }
  if (!condition.range) return whole
  const { operator, values } = condition.range
  const [first, second] = values.map((value) => Buffer.concat([partition, encodeKeyValue(value)]))
  const low = first as Buffer
  switch (operator) {
    case '=':
      return { gte: low, lte: low }
    case '<':
      return { gte: whole.gte, lt: low }
    case '<=':
      return { gte: whole.gte, lte: low }
    case '>':
      return { gt: low, lt: whole.lt }
    case '>=':
      return { gte: low, lt: whole.lt }
    case 'BETWEEN':
      return { gte: low, lte: second as Buffer }
    case 'begins_with': {
      // Without its terminator an encoded text or binary is a prefix of all that begin with it.
      const prefix = low.subarray(0, low.length - 2)
      return { gte: prefix, lt: after(prefix) }
    }
  }
}

/** The rest of a range behind a row that lies in it. */
function continueFrom(bounds: Bounds, last: Buffer | undefined, reverse: boolean): Bounds {
  if (!last) return bounds
  if (reverse) {
    const { lt: _, lte: __, ...low } = bounds
    return { ...low, lt: last }
  }
  const { gte: _, gt: __, ...high } = bounds
  return { ...high, gt: last }
}

const isAbove = (key: Buffer, { lt, lte }: Bounds): boolean =>
  lt ? Buffer.compare(key, lt) >= 0 : lte ? Buffer.compare(key, lte) > 0 : false
const isBelow = (key: Buffer, { gte, gt }: Bounds): boolean =>
  gte ? Buffer.compare(key, gte) < 0 : gt ? Buffer.compare(key, gt) <= 0 : false
