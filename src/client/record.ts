import type { ChunkCursor } from '../log/format.js'
import { Codec } from '../log/types.js'
import { recordValue } from '../operators/records.js'
import type { ClientRecord, Decode } from './types.js'

/** Keeps its chunk in memory until key and value were read, or it is gone itself. */
class LazyRecord implements ClientRecord {
  readonly time: number
  readonly commitTime: number
  readonly sequence: number
  readonly shard: number
  readonly #decode: Decode<unknown> | undefined
  readonly #isJson: boolean
  #keyBytes: Buffer | undefined
  #body: Buffer | undefined
  #key = ''
  #value: unknown

  constructor(cursor: ChunkCursor, shard: number, decode: Decode<unknown> | undefined) {
    this.time = cursor.time
    this.commitTime = cursor.commitTime
    this.sequence = cursor.sequence
    this.shard = shard
    this.#decode = decode
    this.#isJson = cursor.codec === Codec.json
    this.#keyBytes = cursor.key
    this.#body = cursor.body
  }

  #decoded(body: Buffer): unknown {
    const value = this.#isJson ? jsonOrUndefined(body) : undefined
    return value === undefined ? new Uint8Array(body) : value
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
      const value = this.#decoded(this.#body)
      this.#value = this.#decode ? this.#decode(value) : value
      this.#body = undefined
    }
    return this.#value
  }
}

/** A program may have called anything JSON: one body that is not must not keep readers from all that follow it. */
function jsonOrUndefined(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString()) as unknown
  } catch {
    return undefined
  }
}

/** The record under the cursor, as the handler of a subscription sees it. */
export function clientRecord(cursor: ChunkCursor, shard: number, decode: Decode<unknown> | undefined): unknown {
  if (cursor.codec === Codec.dynamoJsonChange) return recordValue(cursor)
  return new LazyRecord(cursor, shard, decode)
}
