import { type BodyReader, bodyOf, type StoredBody } from '../log/bodies.js'
import type { ChunkCursor } from '../log/format.js'
import { Codec } from '../log/types.js'
import { changeOf } from '../operators/records.js'
import type { ClientRecord, Decode } from './types.js'

/** Keeps its chunk in memory until key and value were read, or it is gone itself. */
class LazyRecord implements ClientRecord {
  readonly time: number
  readonly commitTime: number
  readonly sequence: number
  readonly shard: number
  readonly #decode: Decode<unknown> | undefined
  readonly #bodies: BodyReader
  #keyBytes: Buffer | undefined
  #body: StoredBody | undefined
  #key = ''
  #value: unknown

  constructor(cursor: ChunkCursor, shard: number, bodies: BodyReader, decode: Decode<unknown> | undefined) {
    this.time = cursor.time
    this.commitTime = cursor.commitTime
    this.sequence = cursor.sequence
    this.shard = shard
    this.#decode = decode
    this.#bodies = bodies
    this.#keyBytes = cursor.key
    this.#body = bodyOf(cursor)
  }

  get key(): string {
    if (this.#keyBytes) {
      this.#key = this.#keyBytes.toString()
      this.#keyBytes = undefined
    }
    return this.#key
  }

  get value(): unknown {
    if (this.#body) {
      const decoded = this.#bodies.valueOrUndefined(this.#body)
      const value = decoded === undefined ? new Uint8Array(this.#body.body) : decoded
      this.#value = this.#decode ? this.#decode(value) : value
      this.#body = undefined
    }
    return this.#value
  }
}

/** The record under the cursor, as the handler of a subscription sees it. */
export function clientRecord(
  cursor: ChunkCursor,
  shard: number,
  bodies: BodyReader,
  decode: Decode<unknown> | undefined,
): unknown {
  if (cursor.codec === Codec.dynamoJsonChange) return changeOf(cursor)
  return new LazyRecord(cursor, shard, bodies, decode)
}
