import type { Commit } from '../../commit/index.js'
import { MillraceError } from '../../runtime/index.js'
import type { Catalogue } from '../catalogue/catalogue.js'
import type { TableRow } from '../catalogue/table-row.js'
import { isThrottled, type Throttle } from '../control/throttle.js'
import { ExpressionContext, type Projection, project } from '../expressions/index.js'
import { checkIndexedItem, type ItemCollections, indexWriteUnits, showCollectionMetrics } from '../indexes/index.js'
import { checkAttributesToGet, legacyProjection, refuseMixed } from '../legacy/index.js'
import { projectionOf } from '../reads/range-request.js'
import { validation } from '../requests/aws-error.js'
import { addIndexUnits, capacity, type IndexUnits, readUnits, showCapacity, writeUnits } from '../requests/capacity.js'
import { doubleJson } from '../requests/double-json.js'
import { array, members } from '../requests/json-bytes.js'
import { refusePathsInKeys } from '../requests/key-paths.js'
import {
  Constraints,
  flag,
  type Input,
  list,
  object,
  placeholders,
  refuseLonePlaceholders,
  tableName,
} from '../requests/request.js'
import { checkItem, type Item, itemBytesMax, keyOf, keyOfBatchItem } from '../values/index.js'
import { decodeItem, itemKey, parseItem } from './item-row.js'
import type { Decision, Writer } from './writer.js'

const writesMax = 25
const readsMax = 100
/** Items that one BatchGetItem answers with, by AWS's count; what is past it is left for another call. */
const readBytesMax = 16 * 1024 * 1024

interface BatchWrite {
  /** The table as the request names it, which may be by its ARN. */
  readonly named: string
  readonly table: string
  readonly request: unknown
  readonly attributes: Item
  readonly decision: Decision
}

interface BatchRead {
  readonly named: string
  readonly table: string
  readonly request: Input
  readonly keys: readonly unknown[]
  readonly checked: readonly Item[]
  readonly projection: Projection | undefined
  readonly consistent: boolean
}

/** BatchWriteItem and BatchGetItem. As on AWS the whole request is looked at before the first table. */
export class BatchOperations {
  readonly #commit: Commit
  readonly #catalogue: Catalogue
  readonly #writer: Writer
  readonly #throttle: Throttle
  readonly #collections: ItemCollections

  constructor(commit: Commit, catalogue: Catalogue, writer: Writer, throttle: Throttle, collections: ItemCollections) {
    this.#commit = commit
    this.#catalogue = catalogue
    this.#writer = writer
    this.#throttle = throttle
    this.#collections = collections
  }

  async write(input: Input): Promise<Buffer> {
    const requests = requestItems(input, 'BatchWriteItem')
    const constraints = new Constraints()
    const show = showCapacity(input, constraints)
    const showMetrics = showCollectionMetrics(input, constraints)
    const named = Object.keys(requests).map((name) => ({
      name,
      table: tableName({ TableName: name }, constraints),
      entries: list(requests, name) ?? [],
    }))
    constraints.done()
    for (const { name, entries } of named) refuseCount(name, entries.length)
    if (named.reduce((sum, { entries }) => sum + entries.length, 0) > writesMax)
      throw validation('Too many items requested for the BatchWriteItem call')
    const writes = named.flatMap(({ name, table, entries }) => entries.map((entry) => batchWriteOf(name, table, entry)))
    const keyed = this.#keyed(writes)

    // Capacity is by the larger of the item as it was and as it is, so it must be read to be shown.
    const outcomes = await Promise.allSettled(
      keyed.map(({ table, key, place, decision }) =>
        this.#writer.write(table, key, show !== 'NONE', () => decision, place),
      ),
    )
    const units = new Map<string, { table: number; indexes?: IndexUnits | undefined }>()
    const unprocessed = new Map<string, unknown[]>()
    let refused: unknown
    outcomes.forEach((outcome, i) => {
      const { named: name, table, request, row, key } = keyed[i] as (typeof keyed)[number]
      if (outcome.status === 'fulfilled') {
        const used = units.get(table)
        units.set(table, {
          table: (used?.table ?? 0) + writeUnits(outcome.value.size),
          indexes: addIndexUnits(used?.indexes, show === 'NONE' ? undefined : indexWriteUnits(row, key, outcome.value)),
        })
        return
      }
      if (!isTooBusy(outcome.reason) && !isThrottled(outcome.reason)) throw outcome.reason
      refused = outcome.reason
      unprocessed.set(name, [...(unprocessed.get(name) ?? []), request])
    })
    // As on AWS: what found no room is named, and only when nothing found any is it an error.
    if (refused !== undefined && units.size === 0) throw refused
    const consumed =
      show === 'NONE' ? undefined : [...units].map(([table, used]) => capacity(show, table, used.table, used.indexes))
    const written = keyed.filter((_, i) => outcomes[i]?.status === 'fulfilled')
    const metrics = showMetrics ? await this.#collections.ofMany(written) : undefined
    return members([
      ['UnprocessedItems', Buffer.from(JSON.stringify(Object.fromEntries(unprocessed)))],
      ['ItemCollectionMetrics', metrics && doubleJson(metrics)],
      ['ConsumedCapacity', consumed && doubleJson(consumed)],
    ])
  }

  /** With their keys; all tables must be there, and no two writes may be of one item. */
  #keyed(writes: readonly BatchWrite[]) {
    const rows = writes.map(({ table }) => this.#catalogue.requested(table).row)
    const seen = new Set<string>()
    return writes.map((write, i) => {
      const row = rows[i] as TableRow
      const { id, schema } = row
      const { attributes, decision } = write
      const key = decision.kind === 'put' ? keyOfBatchItem(attributes, schema) : keyOf(attributes, schema, true)
      const place = itemKey(id, schema, key)
      const name = place.row.toString('latin1')
      if (seen.has(name)) throw validation('Provided list of item keys contains duplicates')
      seen.add(name)
      if (decision.kind === 'put') checkIndexedItem(row, decision)
      return { ...write, row, key, place }
    })
  }

  async get(input: Input): Promise<Buffer> {
    const requests = requestItems(input, 'BatchGetItem')
    const constraints = new Constraints()
    const show = showCapacity(input, constraints)
    const tables = Object.keys(requests).map((name) => tableName({ TableName: name }, constraints))
    constraints.done()
    const reads = Object.keys(requests).map((name, i) => batchReadOf(requests, name, tables[i] as string))
    if (reads.reduce((sum, { keys }) => sum + keys.length, 0) > readsMax)
      throw validation('Too many items requested for the BatchGetItem call')
    const rows = reads.map(({ table, checked, projection }) => {
      const row = this.#catalogue.requested(table).row
      const { id, schema } = row
      refusePathsInKeys(projection?.paths ?? [], row)
      const keys = checked.map((key) => itemKey(id, schema, keyOf(key, schema, true)).row)
      if (new Set(keys.map((key) => key.toString('latin1'))).size !== keys.length)
        throw validation('Provided list of item keys contains duplicates')
      return keys
    })

    const responses: Buffer[] = []
    const unprocessed = new Map<string, unknown>()
    const consumed: (object | undefined)[] = []
    const refused = this.#refusals(reads)
    let bytes = 0
    for (const [number, read] of reads.entries()) {
      if (refused.has(read)) {
        responses.push(Buffer.from(`${number > 0 ? ',' : ''}${JSON.stringify(read.named)}:[]`))
        unprocessed.set(read.named, read.request)
        continue
      }
      const values = await this.#commit.readDurableMany(rows[number] as Buffer[])
      const items: Buffer[] = []
      const left: unknown[] = []
      let units = 0
      values.forEach((value, i) => {
        const stored = value ? decodeItem(value) : undefined
        const size = stored?.size ?? 0
        if (bytes + size > readBytesMax) {
          left.push(read.keys[i])
          return
        }
        bytes += size
        units += readUnits(size, read.consistent)
        if (!stored) return
        const { projection } = read
        items.push(projection ? Buffer.from(JSON.stringify(project(projection, parseItem(stored)))) : stored.json)
      })
      responses.push(Buffer.from(`${number > 0 ? ',' : ''}${JSON.stringify(read.named)}:`), array(items))
      if (left.length > 0) unprocessed.set(read.named, { ...read.request, Keys: left })
      this.#throttle.take(this.#catalogue.requested(read.table).row, 'read', units)
      if (units > 0) consumed.push(capacity(show, read.table, units))
    }
    return members([
      ['Responses', Buffer.concat([Buffer.from('{'), ...responses, Buffer.from('}')])],
      ['UnprocessedKeys', Buffer.from(JSON.stringify(Object.fromEntries(unprocessed)))],
      ['ConsumedCapacity', show === 'NONE' ? undefined : doubleJson(consumed)],
    ])
  }

  /** Reads of tables whose throughput is used up. As on AWS it is an error only when that is so of all of them. */
  #refusals(reads: readonly BatchRead[]): ReadonlySet<BatchRead> {
    const refused = new Set<BatchRead>()
    let reason: unknown
    for (const read of reads) {
      try {
        this.#throttle.admit(this.#catalogue.requested(read.table).row, 'read')
      } catch (error) {
        if (!isThrottled(error)) throw error
        reason = error
        refused.add(read)
      }
    }
    if (refused.size > 0 && refused.size === reads.length) throw reason
    return refused
  }
}

function requestItems(input: Input, operation: string): Input {
  const requests = object(input, 'RequestItems')
  const constraints = new Constraints()
  constraints.check(requests !== undefined, 'requestItems', undefined, 'Member must not be null')
  constraints.done()
  if (Object.keys(requests as Input).length === 0)
    throw validation(`The requestItems parameter is required for ${operation}`)
  return requests as Input
}

function refuseCount(name: string, count: number): void {
  if (count >= 1 && count <= writesMax) return
  // AWS shows all of the requests here; their number says as much.
  throw validation(
    `1 validation error detected: Value '{${name}=[${count} requests]}' at 'requestItems' failed to satisfy constraint: ` +
      `Map value must satisfy constraint: [Member must have length less than or equal to ${writesMax}, ` +
      'Member must have length greater than or equal to 1]',
  )
}

function batchWriteOf(named: string, table: string, request: unknown): BatchWrite {
  const { PutRequest: put, DeleteRequest: remove } = (request ?? {}) as {
    PutRequest?: { Item?: unknown } | null
    DeleteRequest?: { Key?: unknown } | null
  }
  if ((put ?? undefined) === undefined ? (remove ?? undefined) === undefined : (remove ?? undefined) !== undefined) {
    // AWS's words, for none as for both.
    throw validation(
      'Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes',
    )
  }
  const constraints = new Constraints()
  const member = `requestItems.${named}.member.1.member`
  const given = put ? put.Item : remove?.Key
  const isGiven = given !== undefined && given !== null
  constraints.check(
    isGiven,
    `${member}.${put ? 'putRequest.item' : 'deleteRequest.key'}`,
    undefined,
    'Member must not be null',
  )
  constraints.done()
  const { item, size } = checkItem(given)
  if (!put) return { named, table, request, attributes: item, decision: { kind: 'delete' } }
  if (size > itemBytesMax) throw validation('Item size has exceeded the maximum allowed size')
  return { named, table, request, attributes: item, decision: { kind: 'put', item, size } }
}

function batchReadOf(requests: Input, named: string, table: string): BatchRead {
  const request = object(requests, named) ?? {}
  const keys = list(request, 'Keys')
  const constraints = new Constraints()
  constraints.check(keys !== undefined, `requestItems.${named}.member.keys`, undefined, 'Member must not be null')
  constraints.check(
    keys === undefined || keys.length >= 1,
    `requestItems.${named}.member.keys`,
    '[]',
    'Member must have length greater than or equal to 1',
  )
  checkAttributesToGet(request, constraints, `requestItems.${named}.member.attributesToGet`)
  constraints.done()
  if ((keys as unknown[]).length > readsMax) {
    throw validation(
      `1 validation error detected: Value at 'RequestItems.${named}.member.Keys' failed to satisfy constraint: ` +
        `Member must have length less than or equal to ${readsMax}`,
    )
  }
  refuseMixed('BatchGetItem', request)
  refuseLonePlaceholders(request, ['ProjectionExpression'])
  const context = new ExpressionContext(placeholders(request))
  const projection = projectionOf(request, context) ?? legacyProjection(request)
  context.checkAllUsed()
  const checked = (keys as unknown[]).map((key) => checkItem(key).item)
  const consistent = flag(request, 'ConsistentRead') ?? false
  return { named, table, request, keys: keys as unknown[], checked, projection, consistent }
}

const isTooBusy = (reason: unknown): boolean => reason instanceof MillraceError && reason.code === 'TOO_BUSY'
