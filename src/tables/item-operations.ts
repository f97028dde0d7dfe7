import type { Commit } from '../commit/index.js'
import { validation } from './aws-error.js'
import { capacity, readUnits, type ShowCapacity, showCapacity, writeUnits } from './capacity.js'
import type { Catalogue } from './catalogue.js'
import {
  applyUpdate,
  ExpressionContext,
  evaluateCondition,
  parseCondition,
  parseProjection,
  parseUpdate,
  project,
  updatedAttributes,
  updateTopLevelNames,
} from './expressions/index.js'
import { decodeItem, itemKey, parseItem } from './item-row.js'
import {
  Constraints,
  flag,
  type Input,
  list,
  object,
  oneOf,
  placeholders,
  refuseLegacy,
  refuseLonePlaceholders,
  tableName,
  text,
} from './request.js'
import { checkItem, type Item, itemBytesMax, itemSize, type KeySchema, keyOf, keyOfBatchItem } from './values/index.js'
import { type Decision, type Present, resourceNotFound, type Writer, type Written } from './writer.js'

const empty: Item = {}
const batchWritesMax = 25
const batchReadsMax = 100
const batchReadBytesMax = 16 * 1024 * 1024

type ReturnValues = 'NONE' | 'ALL_OLD' | 'ALL_NEW' | 'UPDATED_OLD' | 'UPDATED_NEW'
const returnValues: readonly ReturnValues[] = ['ALL_NEW', 'UPDATED_OLD', 'ALL_OLD', 'NONE', 'UPDATED_NEW']

/** PutItem, GetItem, UpdateItem, DeleteItem, BatchWriteItem, BatchGetItem: a parsed request in, the answer's bytes out. */
export class ItemOperations {
  readonly #commit: Commit
  readonly #catalogue: Catalogue
  readonly #writer: Writer

  constructor(commit: Commit, catalogue: Catalogue, writer: Writer) {
    this.#commit = commit
    this.#catalogue = catalogue
    this.#writer = writer
  }

  #schema(name: string): KeySchema {
    const table = this.#catalogue.find(name)
    if (!table) throw resourceNotFound()
    return table.row.schema
  }

  async put(input: Input): Promise<Buffer> {
    const common = writeCommon(input, 'Item', 'item')
    if (common.returns !== 'NONE' && common.returns !== 'ALL_OLD')
      throw validation('Return values set to invalid value')
    refuseLegacy(input)
    refuseLonePlaceholders(input, ['ConditionExpression'])
    const { item, size } = checkItem(input.Item)
    if (size > itemBytesMax) throw validation('Item size has exceeded the maximum allowed size')
    const condition = conditionOf(input)
    const key = keyOf(item, this.#schema(common.table))
    const written = await this.#writer.write(
      common.table,
      key,
      condition !== undefined || common.returns === 'ALL_OLD',
      (before) =>
        condition && !evaluateCondition(condition, before.item() ?? empty)
          ? { kind: 'refuse', returnItem: common.returnItem }
          : { kind: 'put', item, size },
    )
    return answer(common, written, common.returns === 'ALL_OLD' ? written.before.stored?.json : undefined)
  }

  async delete(input: Input): Promise<Buffer> {
    const common = writeCommon(input, 'Key', 'key')
    if (common.returns !== 'NONE' && common.returns !== 'ALL_OLD')
      throw validation('Return values set to invalid value')
    refuseLegacy(input)
    refuseLonePlaceholders(input, ['ConditionExpression'])
    const { item } = checkItem(input.Key)
    const condition = conditionOf(input)
    const key = keyOf(item, this.#schema(common.table), true)
    const written = await this.#writer.write(common.table, key, true, (before) =>
      condition && !evaluateCondition(condition, before.item() ?? empty)
        ? { kind: 'refuse', returnItem: common.returnItem }
        : { kind: 'delete' },
    )
    return answer(common, written, common.returns === 'ALL_OLD' ? written.before.stored?.json : undefined)
  }

  async update(input: Input): Promise<Buffer> {
    const common = writeCommon(input, 'Key', 'key')
    refuseLegacy(input)
    refuseLonePlaceholders(input, ['UpdateExpression', 'ConditionExpression'])
    const { item: given } = checkItem(input.Key)
    const context = new ExpressionContext(placeholders(input))
    const updateText = text(input, 'UpdateExpression')
    const conditionText = text(input, 'ConditionExpression')
    const update = updateText === undefined ? undefined : parseUpdate(updateText, context)
    const condition =
      conditionText === undefined ? undefined : parseCondition('ConditionExpression', conditionText, context)
    context.checkAllUsed()
    const schema = this.#schema(common.table)
    const key = keyOf(given, schema, true)
    for (const name of update ? updateTopLevelNames(update) : []) {
      if (name === schema.hash.name || name === schema.range?.name) {
        throw validation(
          `One or more parameter values were invalid: Cannot update attribute ${name}. This attribute is part of the key`,
        )
      }
    }
    let touched: Parameters<typeof updatedAttributes>[0] | undefined
    const decide = (before: Present): Decision => {
      const old = before.item()
      if (condition && !evaluateCondition(condition, old ?? empty))
        return { kind: 'refuse', returnItem: common.returnItem }
      if (!update) return { kind: 'put', item: old ?? key, size: before.stored?.size ?? itemSize(key) }
      const result = applyUpdate(update, old ?? key, old !== undefined)
      touched = result.touched
      const size = itemSize(result.item)
      if (size > itemBytesMax) throw validation('Item size to update has exceeded the maximum allowed size')
      return { kind: 'put', item: result.item, size }
    }
    const written = await this.#writer.write(common.table, key, true, decide)
    return answer(common, written, attributesOf(common.returns, written, touched))
  }

  async get(input: Input): Promise<Buffer> {
    const constraints = new Constraints()
    const table = tableName(input, constraints)
    constraints.check(input.Key !== undefined && input.Key !== null, 'key', undefined, 'Member must not be null')
    const show = showCapacity(input, constraints)
    constraints.done()
    refuseLegacy(input)
    refuseLonePlaceholders(input, ['ProjectionExpression'])
    const consistent = flag(input, 'ConsistentRead') ?? false
    const { item } = checkItem(input.Key)
    const context = new ExpressionContext(placeholders(input))
    const projectionText = text(input, 'ProjectionExpression')
    const projection = projectionText === undefined ? undefined : parseProjection(projectionText, context)
    context.checkAllUsed()
    const found = this.#catalogue.find(table)
    if (!found) throw resourceNotFound()
    const key = itemKey(found.row.id, found.row.schema, keyOf(item, found.row.schema, true))
    const read = this.#commit.readDurable(key.row)
    const value = read instanceof Promise ? await read : read
    const stored = value ? decodeItem(value) : undefined
    const json =
      stored && projection ? Buffer.from(JSON.stringify(project(projection, parseItem(stored)))) : stored?.json
    const consumed = capacity(show, table, readUnits(stored?.size ?? 0, consistent))
    return members([
      ['Item', json],
      ['ConsumedCapacity', consumed && Buffer.from(JSON.stringify(consumed))],
    ])
  }

  async batchWrite(input: Input): Promise<Buffer> {
    const constraints = new Constraints()
    const requests = object(input, 'RequestItems')
    constraints.check(requests !== undefined, 'requestItems', undefined, 'Member must not be null')
    if (requests)
      constraints.check(
        Object.keys(requests).length >= 1,
        'requestItems',
        '{}',
        'Member must have length greater than or equal to 1',
      )
    const show = showCapacity(input, constraints)
    constraints.done()
    const writes = Object.entries(requests as Input).flatMap(([table, entries]) =>
      this.#batchWritesOf(requests as Input, table, entries),
    )
    if (writes.length > batchWritesMax) {
      throw validation(
        `1 validation error detected: Value at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to ${batchWritesMax}, Member must have length greater than or equal to 1]`,
      )
    }
    const seen = new Set<string>()
    for (const { table, key } of writes) {
      const row = this.#catalogue.find(table)?.row
      if (!row) throw resourceNotFound()
      const place = `${row.id} ${itemKey(row.id, row.schema, key).row.toString('latin1')}`
      if (seen.has(place)) throw validation('Provided list of item keys contains duplicates')
      seen.add(place)
    }
    const written = await Promise.all(
      writes.map(({ table, key, decision }) => this.#writer.writeAlways(table, key, decision)),
    )
    const units = new Map<string, number>()
    writes.forEach(({ table }, i) =>
      units.set(table, (units.get(table) ?? 0) + writeUnits((written[i] as Written).size)),
    )
    const consumed = show === 'NONE' ? undefined : [...units].map(([table, used]) => capacity(show, table, used))
    return Buffer.from(JSON.stringify({ UnprocessedItems: {}, ConsumedCapacity: consumed }))
  }

  #batchWritesOf(requests: Input, named: string, entries: unknown): { table: string; key: Item; decision: Decision }[] {
    const constraints = new Constraints()
    const table = tableName({ TableName: named }, constraints)
    const all = list(requests, named) ?? []
    constraints.check(
      Array.isArray(entries) && all.length >= 1,
      `requestItems.${named}.member`,
      entries,
      'Member must have length greater than or equal to 1',
    )
    constraints.done()
    const schema = this.#schema(table)
    return all.map((entry) => {
      const request = (entry ?? {}) as { PutRequest?: { Item?: unknown }; DeleteRequest?: { Key?: unknown } }
      const [put, remove] = [request.PutRequest ?? undefined, request.DeleteRequest ?? undefined]
      if ((put === undefined) === (remove === undefined)) {
        throw validation(
          'Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes'.replace(
            'AttributeValue',
            'WriteRequest',
          ),
        )
      }
      if (put) {
        const { item, size } = checkItem(put.Item)
        if (size > itemBytesMax) throw validation('Item size has exceeded the maximum allowed size')
        return { table, key: keyOfBatchItem(item, schema), decision: { kind: 'put', item, size } }
      }
      return { table, key: keyOf(checkItem(remove?.Key).item, schema, true), decision: { kind: 'delete' } }
    })
  }

  async batchGet(input: Input): Promise<Buffer> {
    const constraints = new Constraints()
    const requests = object(input, 'RequestItems')
    constraints.check(requests !== undefined, 'requestItems', undefined, 'Member must not be null')
    if (requests)
      constraints.check(
        Object.keys(requests).length >= 1,
        'requestItems',
        '{}',
        'Member must have length greater than or equal to 1',
      )
    const show = showCapacity(input, constraints)
    constraints.done()
    const reads = Object.keys(requests as Input).map((named) => this.#batchReadsOf(requests as Input, named))
    const total = reads.reduce((sum, read) => sum + read.rows.length, 0)
    if (total > batchReadsMax) throw validation('Too many items requested for the BatchGetItem call')
    const responses: Record<string, Buffer[]> = {}
    const unprocessed: Record<string, unknown> = {}
    const consumed: (object | undefined)[] = []
    let bytes = 0
    for (const { table, rows, project: shape, consistent, request } of reads) {
      const values = await this.#commit.readDurableMany(rows)
      let units = 0
      const left: unknown[] = []
      responses[table] = []
      values.forEach((value, i) => {
        const stored = value ? decodeItem(value) : undefined
        // Past 16 MB the rest is left for another call.
        if (bytes + (stored?.size ?? 0) > batchReadBytesMax) {
          left.push((request.Keys as unknown[])[i])
          return
        }
        bytes += stored?.size ?? 0
        units += readUnits(stored?.size ?? 0, consistent)
        if (stored)
          (responses[table] as Buffer[]).push(
            shape ? Buffer.from(JSON.stringify(shape(parseItem(stored)))) : stored.json,
          )
      })
      if (left.length > 0) unprocessed[table] = { ...request, Keys: left }
      consumed.push(capacity(show, table, units))
    }
    const tables = Object.entries(responses).flatMap(([table, items], i) => [
      Buffer.from(`${i > 0 ? ',' : ''}${JSON.stringify(table)}:`),
      array(items),
    ])
    return members([
      ['Responses', Buffer.concat([Buffer.from('{'), ...tables, Buffer.from('}')])],
      ['UnprocessedKeys', Buffer.from(JSON.stringify(unprocessed))],
      ['ConsumedCapacity', show === 'NONE' ? undefined : Buffer.from(JSON.stringify(consumed))],
    ])
  }

  #batchReadsOf(requests: Input, named: string) {
    const constraints = new Constraints()
    const table = tableName({ TableName: named }, constraints)
    const request = object(requests, named) ?? {}
    const keys = list(request, 'Keys')
    constraints.check(keys !== undefined, `requestItems.${named}.member.keys`, undefined, 'Member must not be null')
    if (keys)
      constraints.check(
        keys.length >= 1,
        `requestItems.${named}.member.keys`,
        '[]',
        'Member must have length greater than or equal to 1',
      )
    if (keys)
      constraints.check(
        keys.length <= batchReadsMax,
        `requestItems.${named}.member.keys`,
        '[...]',
        `Member must have length less than or equal to ${batchReadsMax}`,
      )
    constraints.done()
    refuseLegacy(request)
    const context = new ExpressionContext(placeholders(request))
    const projectionText = text(request, 'ProjectionExpression')
    const projection = projectionText === undefined ? undefined : parseProjection(projectionText, context)
    context.checkAllUsed()
    const found = this.#catalogue.find(table)
    if (!found) throw resourceNotFound()
    const rows = (keys as unknown[]).map(
      (key) => itemKey(found.row.id, found.row.schema, keyOf(checkItem(key).item, found.row.schema, true)).row,
    )
    if (new Set(rows.map((row) => row.toString('latin1'))).size !== rows.length)
      throw validation('Provided list of item keys contains duplicates')
    return {
      table,
      rows,
      consistent: flag(request, 'ConsistentRead') ?? false,
      request,
      ...(projection ? { project: (item: Item) => project(projection, item) } : { project: undefined }),
    }
  }
}

interface WriteCommon {
  readonly table: string
  readonly returns: ReturnValues
  readonly returnItem: boolean
  readonly show: ShowCapacity
  readonly showCollections: boolean
}

function writeCommon(input: Input, required: string, member: string): WriteCommon {
  const constraints = new Constraints()
  const table = tableName(input, constraints)
  constraints.check(
    input[required] !== undefined && input[required] !== null,
    member,
    undefined,
    'Member must not be null',
  )
  const returns = oneOf(input, 'ReturnValues', 'returnValues', returnValues, constraints) ?? 'NONE'
  const onFailure = oneOf(
    input,
    'ReturnValuesOnConditionCheckFailure',
    'returnValuesOnConditionCheckFailure',
    ['ALL_OLD', 'NONE'],
    constraints,
  )
  const show = showCapacity(input, constraints)
  const collections = oneOf(
    input,
    'ReturnItemCollectionMetrics',
    'returnItemCollectionMetrics',
    ['SIZE', 'NONE'],
    constraints,
  )
  constraints.done()
  return { table, returns, returnItem: onFailure === 'ALL_OLD', show, showCollections: collections === 'SIZE' }
}

function conditionOf(input: Input): ReturnType<typeof parseCondition> | undefined {
  const conditionText = text(input, 'ConditionExpression')
  if (conditionText === undefined) return undefined
  const context = new ExpressionContext(placeholders(input))
  const condition = parseCondition('ConditionExpression', conditionText, context)
  context.checkAllUsed()
  return condition
}

function attributesOf(
  returns: ReturnValues,
  written: Written,
  touched: Parameters<typeof updatedAttributes>[0] | undefined,
): Buffer | undefined {
  const json = (item: Item | undefined): Buffer | undefined =>
    item && Object.keys(item).length > 0 ? Buffer.from(JSON.stringify(item)) : undefined
  switch (returns) {
    case 'ALL_OLD':
      return written.before.stored?.json
    case 'ALL_NEW':
      return json(written.after)
    case 'UPDATED_OLD':
      return touched && json(updatedAttributes(touched, written.before.item() ?? empty))
    case 'UPDATED_NEW':
      return touched && json(updatedAttributes(touched, written.after ?? empty))
    default:
      return undefined
  }
}

function answer(common: WriteCommon, written: Written, attributes: Buffer | undefined): Buffer {
  const consumed = capacity(common.show, common.table, writeUnits(written.size))
  return members([
    ['Attributes', attributes],
    ['ConsumedCapacity', consumed && Buffer.from(JSON.stringify(consumed))],
  ])
}

const nothing = Buffer.from('{}')

/** A JSON object of members whose values are JSON already. */
export function members(entries: readonly (readonly [string, Buffer | undefined])[]): Buffer {
  const parts: Buffer[] = []
  for (const [name, value] of entries) {
    if (value === undefined) continue
    parts.push(Buffer.from(`${parts.length === 0 ? '{' : ','}"${name}":`), value)
  }
  if (parts.length === 0) return nothing
  parts.push(Buffer.from('}'))
  return Buffer.concat(parts)
}

const comma = Buffer.from(',')

/** A JSON array of elements that are JSON already. */
export function array(elements: readonly Buffer[]): Buffer {
  const parts: Buffer[] = [Buffer.from('[')]
  elements.forEach((element, i) => {
    if (i > 0) parts.push(comma)
    parts.push(element)
  })
  parts.push(Buffer.from(']'))
  return Buffer.concat(parts)
}
