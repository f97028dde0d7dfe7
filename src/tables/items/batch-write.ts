import { MillraceError } from '../../runtime/index.js'
import type { Catalogue } from '../catalogue/catalogue.js'
import type { TableRow } from '../catalogue/table-row.js'
import { isThrottled } from '../control/throttle.js'
import { checkIndexedItem, type ItemCollections, indexWriteUnits, showCollectionMetrics } from '../indexes/index.js'
import { validation } from '../requests/aws-error.js'
import {
  addIndexUnits,
  capacity,
  type IndexUnits,
  type ShowCapacity,
  showCapacity,
  writeUnits,
} from '../requests/capacity.js'
import { doubleJson } from '../requests/double-json.js'
import { members } from '../requests/json-bytes.js'
import { Constraints, type Input, list, tableName } from '../requests/request.js'
import { checkItem, type Item, itemBytesMax, keyOf, keyOfBatchItem } from '../values/index.js'
import { requestItems } from './batch-request.js'
import { itemKey } from './item-row.js'
import type { Decision, QueuedWrite, SingleWrite, Writer, Written } from './writer.js'

const writesMax = 25
const nothingLeft = Buffer.from('{"UnprocessedItems":{}}')

/** One put or deletion of the request. */
interface BatchWrite {
  /** The table as the request names it, which may be by its ARN. */
  readonly named: string
  readonly table: string
  readonly request: unknown
  readonly attributes: Item
  readonly decision: Decision
}

/** One with its place. */
interface PlacedWrite extends SingleWrite {
  readonly named: string
  readonly request: unknown
  readonly row: TableRow
}

/** A batch whose writes are queued, each or refused. */
interface Queued {
  readonly durable: readonly Promise<unknown>[]
  readonly show: ShowCapacity
  readonly showMetrics: boolean
  /** Undefined when none was refused and nobody asked what they took: then nothing of them is held until they are durable. */
  readonly writes: readonly (readonly [PlacedWrite, QueuedWrite])[] | undefined
}

/** BatchWriteItem. As on AWS the whole request is looked at before the first table. */
export class BatchWrites {
  readonly #catalogue: Catalogue
  readonly #writer: Writer
  readonly #collections: ItemCollections

  constructor(catalogue: Catalogue, writer: Writer, collections: ItemCollections) {
    this.#catalogue = catalogue
    this.#writer = writer
    this.#collections = collections
  }

  write(input: Input): Promise<Buffer> {
    // Two functions, because one would hold its input, and all that it made of it, until the disk has it: objects that live
    // that long are copied by the garbage collector, which was a quarter of this operation.
    return this.#queue(input).then((queued) => this.#answer(queued))
  }

  async #queue(input: Input): Promise<Queued> {
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
    const writes: BatchWrite[] = []
    for (const { name, table, entries } of named)
      for (const entry of entries) writes.push(batchWriteOf(name, table, entry))
    const placed = this.#placed(writes)
    // Capacity is by the larger of the item as it was and as it is, so it must be read to be shown.
    const { queued, durable } = await this.#writer.writeEach(placed, show !== 'NONE')
    const isPlain = show === 'NONE' && !showMetrics && queued.every(({ state }) => state === 'queued')
    return {
      durable,
      show,
      showMetrics,
      writes: isPlain ? undefined : placed.map((write, i) => [write, queued[i] as QueuedWrite] as const),
    }
  }

  /** With their keys; all tables must be there, and no two writes may be of one item. */
  #placed(writes: readonly BatchWrite[]): PlacedWrite[] {
    const rows = writes.map(({ table }) => this.#catalogue.requested(table).row)
    const seen = new Set<string>()
    return writes.map(({ named, table, request, attributes, decision }, i) => {
      const row = rows[i] as TableRow
      const { id, schema } = row
      const keyAttributes =
        decision.kind === 'put' ? keyOfBatchItem(attributes, schema) : keyOf(attributes, schema, true)
      const key = itemKey(id, schema, keyAttributes)
      if (seen.has(key.name)) throw validation('Provided list of item keys contains duplicates')
      seen.add(key.name)
      if (decision.kind === 'put' && row.indexes) checkIndexedItem(row, decision)
      return { named, table, request, decision, row, keyAttributes, key }
    })
  }

  async #answer({ durable, show, showMetrics, writes }: Queued): Promise<Buffer> {
    await Promise.all(durable)
    if (!writes) return nothingLeft
    const units = new Map<string, { table: number; indexes?: IndexUnits | undefined }>()
    const unprocessed = new Map<string, unknown[]>()
    const done: PlacedWrite[] = []
    let refused: unknown
    let fault: unknown
    for (const [write, queued] of writes) {
      try {
        const written = await outcomeOf(queued)
        done.push(write)
        const used = units.get(write.table)
        units.set(write.table, {
          table: (used?.table ?? 0) + writeUnits(written?.size ?? 0),
          indexes: addIndexUnits(used?.indexes, written && indexWriteUnits(write.row, write.keyAttributes, written)),
        })
      } catch (reason) {
        if (!isTooBusy(reason) && !isThrottled(reason)) fault ??= reason
        refused = reason
        unprocessed.set(write.named, [...(unprocessed.get(write.named) ?? []), write.request])
      }
    }
    if (fault !== undefined) throw fault
    // As on AWS: what found no room is named, and only when nothing found any is it an error.
    if (refused !== undefined && done.length === 0) throw refused
    const consumed =
      show === 'NONE' ? undefined : [...units].map(([table, used]) => capacity(show, table, used.table, used.indexes))
    const metrics = showMetrics
      ? await this.#collections.ofMany(
          done.map(({ named, row, keyAttributes }) => ({ named, row, key: keyAttributes })),
        )
      : undefined
    return members([
      ['UnprocessedItems', Buffer.from(JSON.stringify(Object.fromEntries(unprocessed)))],
      ['ItemCollectionMetrics', metrics && doubleJson(metrics)],
      ['ConsumedCapacity', consumed && doubleJson(consumed)],
    ])
  }
}

function outcomeOf(queued: QueuedWrite): Written | undefined | Promise<Written> {
  if (queued.state === 'refused') throw queued.reason
  return queued.written
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
  const given = put ? put.Item : remove?.Key
  if (given === undefined || given === null) {
    const constraints = new Constraints()
    const member = `requestItems.${named}.member.1.member.${put ? 'putRequest.item' : 'deleteRequest.key'}`
    constraints.check(false, member, undefined, 'Member must not be null')
    constraints.done()
  }
  const { item, size } = checkItem(given)
  if (!put) return { named, table, request, attributes: item, decision: { kind: 'delete' } }
  if (size > itemBytesMax) throw validation('Item size has exceeded the maximum allowed size')
  return { named, table, request, attributes: item, decision: { kind: 'put', item, size } }
}

const isTooBusy = (reason: unknown): boolean => reason instanceof MillraceError && reason.code === 'TOO_BUSY'
