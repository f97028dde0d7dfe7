import { hashKey, MillraceError } from '../../runtime/index.js'
import {
  batchHeaderBytes,
  recordHeaderBytes,
  recordKeyBytesMax,
  writeBatchHeader,
  writeRecordHeader,
} from '../format.js'
import { Codec } from '../types.js'
import { BodyBuffer } from './body-buffer.js'
import { isWellFormed } from './plain-data.js'
import { type RowEncoder, writeJson } from './row-encoder.js'
import type { Shape } from './shape.js'

const firstBodiesBytes = 16 * 1024
const firstHeaders = 64

/** A record as a program writes it. */
export interface NewValue {
  readonly key: string
  /** A Uint8Array is stored as it is. */
  readonly value: unknown
  /** The event's time, milliseconds since 1970. */
  readonly time?: number
}

/** Lays records into a binary batch as they come: each key and value is written once, into the place where it is sent from. */
export class BatchBuilder {
  readonly #rows: RowEncoder | undefined
  #headers = Buffer.allocUnsafe(firstHeaders * recordHeaderBytes)
  readonly #bodies = new BodyBuffer(firstBodiesBytes)
  readonly #shapes = new Map<number, Shape>()
  count = 0

  /** With an encoder of the stream's rows values are written as rows, else as JSON. */
  constructor(rows?: RowEncoder) {
    this.#rows = rows
  }

  /** Bytes of the batch as it is now. */
  get bytes(): number {
    return batchHeaderBytes + this.count * recordHeaderBytes + this.#bodies.end
  }

  /** Shapes of its rows. */
  get shapes(): readonly Shape[] {
    return [...this.#shapes.values()]
  }

  /** Throws BAD_REQUEST for what no record can be; then nothing was added. */
  add(record: NewValue, now: number): void {
    const start = this.#bodies.end
    try {
      this.#add(record, now)
    } catch (error) {
      this.#bodies.end = start
      throw error
    }
  }

  #add({ key, value, time }: NewValue, now: number): void {
    if (typeof key !== 'string') throw bad('A record has a key that is not a string.')
    if (time !== undefined && (!Number.isSafeInteger(time) || time < 0))
      throw bad('A record has a time that is not milliseconds since 1970.')
    const bodies = this.#bodies
    const keyStart = bodies.end
    const keyBytes = bodies.appendText(key)
    // Unpaired surrogates have no bytes of their own: several keys would become one.
    if (keyBytes !== key.length && !isWellFormed(key)) throw bad('A record has a key that is not well-formed Unicode.')
    if (keyBytes > recordKeyBytesMax) throw bad(`A record has a key of more than ${recordKeyBytesMax} bytes.`)
    const { hi, lo } = hashKey(bodies.bytes, keyStart, bodies.end)
    const { codec, shape } = this.#writeBody(value)
    if (shape && !this.#shapes.has(shape.id)) this.#shapes.set(shape.id, shape)
    this.#reserveHeader()
    const at = this.count * recordHeaderBytes
    writeRecordHeader(this.#headers, at, hi, lo, 0, 0, codec, keyBytes, time ?? now, keyStart, shape?.id)
    this.count++
  }

  #writeBody(value: unknown): { readonly codec: Codec; readonly shape: Shape | undefined } {
    const bodies = this.#bodies
    if (!(value instanceof Uint8Array)) return this.#rows ? this.#rows.write(value, bodies) : writeJson(value, bodies)
    bodies.append(value)
    return rawBody
  }

  #reserveHeader(): void {
    const bytes = (this.count + 1) * recordHeaderBytes
    if (bytes <= this.#headers.length) return
    const larger = Buffer.allocUnsafe(this.#headers.length * 2)
    this.#headers.copy(larger, 0, 0, this.count * recordHeaderBytes)
    this.#headers = larger
  }

  /** Takes back what was added since there were this many records and bytes. */
  shorten(count: number, bytes: number): void {
    this.#bodies.end = bytes - batchHeaderBytes - count * recordHeaderBytes
    this.count = count
  }

  /** The batch, without a producer and a checksum yet (`stampProducer` makes both). */
  build(): Buffer {
    const batch = Buffer.allocUnsafeSlow(this.bytes)
    writeBatchHeader(batch, 0, batch.length, this.count)
    this.#headers.copy(batch, batchHeaderBytes, 0, this.count * recordHeaderBytes)
    this.#bodies.bytes.copy(batch, batchHeaderBytes + this.count * recordHeaderBytes, 0, this.#bodies.end)
    return batch
  }
}

const rawBody = { codec: Codec.raw, shape: undefined }
const bad = (message: string): MillraceError => new MillraceError('BAD_REQUEST', message)
