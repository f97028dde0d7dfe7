import type { Commit } from '../../commit/index.js'
import type { Catalogue } from '../catalogue/catalogue.js'
import { isThrottled, type Throttle } from '../control/throttle.js'
import { ExpressionContext, type Projection, project } from '../expressions/index.js'
import { checkAttributesToGet, legacyProjection, refuseMixed } from '../legacy/index.js'
import { projectionOf } from '../reads/range-request.js'
import { validation } from '../requests/aws-error.js'
import { capacity, readUnits, showCapacity } from '../requests/capacity.js'
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
  withoutValues,
} from '../requests/request.js'
import { checkItem, type Item, keyOf } from '../values/index.js'
import { requestItems } from './batch-request.js'
import { decodeItem, itemKey, parseItem } from './item-row.js'

const readsMax = 100
/** Items that one BatchGetItem answers with, by AWS's count; what is past it is left for another call. */
const readBytesMax = 16 * 1024 * 1024

interface BatchRead {
  readonly named: string
  readonly table: string
  readonly request: Input
  readonly keys: readonly unknown[]
  readonly checked: readonly Item[]
  readonly projection: Projection | undefined
  readonly consistent: boolean
}

/** BatchGetItem. As on AWS the whole request is looked at before the first table. */
export class BatchReads {
  readonly #commit: Commit
  readonly #catalogue: Catalogue
  readonly #throttle: Throttle

  constructor(commit: Commit, catalogue: Catalogue, throttle: Throttle) {
    this.#commit = commit
    this.#catalogue = catalogue
    this.#throttle = throttle
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
  refuseLonePlaceholders(withoutValues(request), ['ProjectionExpression'])
  const context = new ExpressionContext(placeholders(withoutValues(request)))
  const projection = projectionOf(request, context) ?? legacyProjection(request)
  context.checkAllUsed()
  const checked = (keys as unknown[]).map((key) => checkItem(key).item)
  const consistent = flag(request, 'ConsistentRead') ?? false
  return { named, table, request, keys: keys as unknown[], checked, projection, consistent }
}
