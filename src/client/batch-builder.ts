import {
  batchHeaderBytes,
  recordHeaderBytes,
  recordKeyBytesMax,
  writeBatchHeader,
  writeRecordHeader,
} from '../log/format.js'
import { Codec } from '../log/types.js'
import { hashKey, MillraceError } from '../runtime/index.js'
import type { NewClientRecord } from './types.js'

const firstBodiesBytes = 16 * 1024
const firstHeaders = 64

/** Lays records into a binary batch as they come: each key and value is written once, into the place where it is sent from. */
export class BatchBuilder {
  #headers = Buffer.allocUnsafe(firstHeaders * recordHeaderBytes)
  #bodies = Buffer.allocUnsafe(firstBodiesBytes)
  #end = 0
  count = 0

  /** Bytes of the batch as it is now. */
  get bytes(): number {
    return batchHeaderBytes + this.count * recordHeaderBytes + this.#end
  }

  /** Throws BAD_REQUEST for what no record can be; then nothing was added. */
  add({ key, value, time }: NewClientRecord, now: number): void {
    if (typeof key !== 'string') throw bad('A record has a key that is not a string.')
    // Unpaired surrogates have no bytes of their own: several keys would become one.
    if (/\p{Surrogate}/u.test(key)) throw bad('A record has a key that is not well-formed Unicode.')
    if (time !== undefined && (!Number.isSafeInteger(time) || time < 0))
      throw bad('A record has a time that is not milliseconds since 1970.')
    const isRaw = value instanceof Uint8Array
    const text = isRaw ? undefined : JSON.stringify(value)
    if (!isRaw && text === undefined) throw bad('A record has no value; null is one.')
    // No character takes more than three bytes in UTF-8 for each of its units.
    this.#reserve(key.length * 3 + (isRaw ? value.length : (text as string).length * 3))
    const keyStart = this.#end
    const keyEnd = keyStart + this.#bodies.write(key, keyStart)
    if (keyEnd - keyStart > recordKeyBytesMax) throw bad(`A record has a key of more than ${recordKeyBytesMax} bytes.`)
    let end = keyEnd
    if (isRaw) {
      this.#bodies.set(value, keyEnd)
      end += value.length
    } else end += this.#bodies.write(text as string, keyEnd)
    const { hi, lo } = hashKey(this.#bodies, keyStart, keyEnd)
    const at = this.count * recordHeaderBytes
    const codec = isRaw ? Codec.raw : Codec.json
    writeRecordHeader(this.#headers, at, hi, lo, 0, 0, codec, keyEnd - keyStart, time ?? now, keyStart)
    this.#end = end
    this.count++
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes > this.#bodies.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#bodies.length * 2, this.#end + bytes))
      this.#bodies.copy(larger, 0, 0, this.#end)
      this.#bodies = larger
    }
    const headers = (this.count + 1) * recordHeaderBytes
    if (headers > this.#headers.length) {
      const larger = Buffer.allocUnsafe(this.#headers.length * 2)
      this.#headers.copy(larger, 0, 0, this.count * recordHeaderBytes)
      this.#headers = larger
    }
  }

  /** Takes back what was added since there were this many records and bytes. */
  shorten(count: number, bytes: number): void {
    this.#end = bytes - batchHeaderBytes - count * recordHeaderBytes
    this.count = count
  }

  /** The batch, without a producer and a checksum yet (`stampProducer` makes both). */
  build(): Buffer {
    const batch = Buffer.allocUnsafeSlow(this.bytes)
    writeBatchHeader(batch, 0, batch.length, this.count)
    this.#headers.copy(batch, batchHeaderBytes, 0, this.count * recordHeaderBytes)
    this.#bodies.copy(batch, batchHeaderBytes + this.count * recordHeaderBytes, 0, this.#end)
    return batch
  }
}

const bad = (message: string): MillraceError => new MillraceError('BAD_REQUEST', message)
