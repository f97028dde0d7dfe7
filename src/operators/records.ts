import { type BodyReader, type RowBytes, rowBytes } from '../log/bodies.js'
import { type ChunkCursor, codecOf, keyBytesOf, keyStartOf, shapeIdOf } from '../log/format.js'
import { Codec, RecordFlag, RecordKind } from '../log/types.js'
import { decodeChange } from '../tables/streams/change.js'
import { decodeKeyValue } from '../tables/values/index.js'
import { kept, keptMark } from './kept.js'
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

/** A change of an item, lazily read. */
export const changeOf = (cursor: ChunkCursor): object => new LazyChange(cursor)

export const isChange = (value: unknown): boolean => value instanceof LazyChange

/** What the records of one chunk share: its bytes, and who reads their bodies. */
export interface RecordSource {
  readonly bytes: RowBytes
  readonly bodies: BodyReader
}

export const recordSource = (chunk: Buffer, bodies: BodyReader): RecordSource => ({ bytes: rowBytes(chunk), bodies })

const undecoded = Symbol('undecoded')

/**
 * One record of a stream. Key and value are read when they are first asked for: a filter on time or key decodes no body,
 * and the value of a row is a view, of which each field is read alone.
 */
class LazyRecord implements StreamRecord {
  readonly time: number
  readonly sequence: number
  readonly #source: RecordSource
  /** Where its header lies, which says the rest. */
  readonly #header: number
  readonly #bodies: number
  readonly #bodyEnd: number
  #key: string | undefined
  #value: unknown = undecoded

  constructor(cursor: ChunkCursor, source: RecordSource) {
    this.time = cursor.time
    this.sequence = cursor.sequence
    this.#source = source
    this.#header = cursor.header
    this.#bodies = cursor.bodies
    this.#bodyEnd = cursor.bodyEnd
  }

  get key(): string {
    if (this.#key === undefined) {
      const { bytes, view } = this.#source.bytes
      if (bytes.length === 0) throw staleRecord()
      const start = keyStartOf(view, this.#header, this.#bodies)
      this.#key = bytes.utf8Slice(start, start + keyBytesOf(view, this.#header))
    }
    return this.#key
  }

  get value(): unknown {
    if (this.#value === undecoded) this.#value = this.#decoded()
    return this.#value
  }

  #decoded(): unknown {
    const { bytes, bodies } = this.#source
    const { view } = bytes
    if (bytes.bytes.length === 0) throw staleRecord()
    const start = keyStartOf(view, this.#header, this.#bodies) + keyBytesOf(view, this.#header)
    const codec = codecOf(view, this.#header)
    if (codec === Codec.row) return bodies.row(bytes, shapeIdOf(view, this.#header), start, this.#bodyEnd)
    return bodies.value({ codec, shape: 0, body: bytes.bytes.subarray(start, this.#bodyEnd) })
  }

  [keptMark](): object {
    return this.toJSON()
  }

  /** The whole record as a plain object, for what outlives the step. */
  toJSON(): object {
    const { key, value, time, sequence } = this
    return { key, value: kept(value), time, sequence }
  }
}

const staleRecord = (): TypeError =>
  new TypeError(
    'A record is valid only until its steps are through: keep what you need of it, such as record.value, or all of it with plain(record).',
  )

function parse(json: Buffer | undefined): Record<string, ItemValue> | undefined {
  return json && plainItem(JSON.parse(json.toString()) as Attributes)
}

/** The record under the cursor, as user functions see it. Nothing of it is decoded. */
export function recordValue(cursor: ChunkCursor, source: RecordSource): unknown {
  return cursor.codec === Codec.dynamoJsonChange ? new LazyChange(cursor) : new LazyRecord(cursor, source)
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
