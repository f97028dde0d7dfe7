import type { ChunkCursor } from '../log/format.js'
import { Codec, RecordFlag, RecordKind } from '../log/types.js'
import { decodeChange } from '../tables/streams/change.js'
import { decodeKeyValue } from '../tables/values/index.js'
import { keptMark } from './kept.js'
import { plainItem, plainKey } from './plain.js'
import type { ItemKey, ItemValue, StreamRecord } from './types.js'

export { kept } from './kept.js'

const kinds = ['append', 'insert', 'modify', 'remove'] as const

interface Attributes {
  readonly [name: string]: Readonly<Record<string, unknown>>
}

/** A change whose images are parsed when they are first read. */
class LazyChange {
  readonly type: (typeof kinds)[number]
  readonly time: number
  readonly sequence: number
  readonly service: boolean
  readonly #body: Buffer
  #keys: ItemKey | undefined
  #new: Record<string, ItemValue> | undefined | null = null
  #old: Record<string, ItemValue> | undefined | null = null

  constructor(cursor: ChunkCursor) {
    this.type = kinds[cursor.kind] as (typeof kinds)[number]
    this.time = cursor.time
    this.sequence = cursor.sequence
    this.service = (cursor.flags & RecordFlag.service) !== 0
    this.#body = cursor.body
  }

  get keys(): ItemKey {
    this.#keys ??= parse(this.#decoded().keys) as ItemKey
    return this.#keys
  }

  get new(): Record<string, ItemValue> | undefined {
    if (this.#new === null) this.#new = parse(this.#decoded().newImage)
    return this.#new
  }

  get old(): Record<string, ItemValue> | undefined {
    if (this.#old === null) this.#old = parse(this.#decoded().oldImage)
    return this.#old
  }

  [keptMark](): object {
    return this.toJSON()
  }

  /** The whole change as a plain object, for what outlives the step: a state, a line of JSON. */
  toJSON(): object {
    const { type, keys, new: image, old, time, sequence, service } = this
    const images = { ...(image ? { new: image } : {}), ...(old ? { old } : {}) }
    return { type, keys, ...images, time, sequence, ...(service ? { service } : {}) }
  }

  #decoded(): ReturnType<typeof decodeChange> {
    // The handover that the body lies in has gone back to the main thread.
    if (this.#body.length === 0)
      throw new TypeError(
        'A change is valid only until the steps of its record are through: keep what you need of it, such as change.new.',
      )
    return decodeChange(this.#body)
  }
}

export const isChange = (value: unknown): boolean => value instanceof LazyChange

function parse(json: Buffer | undefined): Record<string, ItemValue> | undefined {
  return json && plainItem(JSON.parse(json.toString()) as Attributes)
}

/** The record under the cursor, as user functions see it. */
export function recordValue(cursor: ChunkCursor): unknown {
  if (cursor.codec === Codec.dynamoJsonChange) return new LazyChange(cursor)
  const record: StreamRecord = {
    key: cursor.key.toString(),
    value: cursor.codec === Codec.json ? (JSON.parse(cursor.body.toString()) as unknown) : new Uint8Array(cursor.body),
    time: cursor.time,
    sequence: cursor.sequence,
  }
  return record
}

/** Whether the record is one that operators see: an append to a stream, or a change of an item. */
export function isVisible(cursor: ChunkCursor): boolean {
  return cursor.kind <= RecordKind.remove
}

/** The source's own partition key. */
export interface PartitionKey {
  /** The bytes that state is kept under. */
  readonly bytes: Buffer
  readonly hashHi: number
  readonly hashLo: number
  /** As user functions see it. */
  readonly shown: ItemKey
}

/** Gives the partition key of records; `hashKeyName` is that of the table, or undefined for a plain stream. */
export function partitionKeys(hashKeyName: string | undefined): (cursor: ChunkCursor) => PartitionKey {
  return (cursor) => {
    const { key, hashHi, hashLo } = cursor
    if (hashKeyName === undefined) return { bytes: key, hashHi, hashLo, shown: { key: key.toString() } }
    const { value, next } = decodeKeyValue(key, 0)
    return { bytes: key.subarray(0, next), hashHi, hashLo, shown: { [hashKeyName]: plainKey(value) } }
  }
}
