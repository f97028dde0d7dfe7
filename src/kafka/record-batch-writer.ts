import { promisify } from 'node:util'
import { gzip as gzipWithCallback } from 'node:zlib'
import { crc32c } from './crc32c.js'

const gzip = promisify(gzipWithCallback)

/** A message as it goes into a batch of records. */
export interface BatchMessage {
  readonly key?: Buffer | null
  readonly value: Buffer | null
  /** Milliseconds since 1970. */
  readonly timestamp: number
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** Who sends a batch; the broker finds repeated ones by it. */
export interface BatchProducer {
  readonly id: bigint
  readonly epoch: number
  readonly isTransactional: boolean
}

/** Bytes of a batch before its records. */
const headerBytes = 61
/** Where what its checksum covers begins. */
const summedFrom = 21
const magic = 2
const gzipAttribute = 0x01
const transactionalAttribute = 0x10

/** A batch of records whose size is known before it is written. */
export interface WritableBatch {
  /** Of the whole batch. */
  readonly bytes: number
  /** Writes the batch into memory that the caller has. @param firstSequence the number of its first record */
  write(into: Buffer, start: number, producer: BatchProducer, firstSequence: number): void
}

/** What a batch says of all its records. */
interface BatchHead {
  readonly bytes: number
  readonly attributes: number
  readonly count: number
  readonly firstTimestamp: number
  readonly lastTimestamp: number
}

/** Everything before the records but the checksum. */
function putHead(
  into: Buffer,
  start: number,
  { bytes, attributes, count, firstTimestamp, lastTimestamp }: BatchHead,
  { id, epoch, isTransactional }: BatchProducer,
  firstSequence: number,
): void {
  into.writeBigInt64BE(0n, start)
  into.writeInt32BE(bytes - 12, start + 8)
  into.writeInt32BE(0, start + 12)
  into[start + 16] = magic
  into.writeInt16BE(attributes | (isTransactional ? transactionalAttribute : 0), start + 21)
  into.writeInt32BE(count - 1, start + 23)
  into.writeBigInt64BE(BigInt(firstTimestamp), start + 27)
  into.writeBigInt64BE(BigInt(lastTimestamp), start + 35)
  into.writeBigInt64BE(id, start + 43)
  into.writeInt16BE(epoch, start + 51)
  into.writeInt32BE(firstSequence, start + 53)
  into.writeInt32BE(count, start + 57)
}

function putChecksum(into: Buffer, start: number, end: number): void {
  into.writeUInt32BE(crc32c(into, start + summedFrom, end), start + 17)
}

/**
 * A batch of records, uncompressed, in the format that Kafka calls v2 (KIP-98; "Record Batch" in the documentation of the
 * protocol): sized first, then written in one go.
 */
export class RecordBatch implements WritableBatch {
  readonly bytes: number
  readonly #messages: readonly BatchMessage[]
  /** Bytes of each record behind its length. */
  readonly #sizes: number[]
  readonly #firstTimestamp: number
  readonly #lastTimestamp: number

  /** @param messages at least one */
  constructor(messages: readonly BatchMessage[]) {
    this.#messages = messages
    let first = Number.POSITIVE_INFINITY
    let last = Number.NEGATIVE_INFINITY
    for (const { timestamp } of messages) {
      if (timestamp < first) first = timestamp
      if (timestamp > last) last = timestamp
    }
    this.#firstTimestamp = first
    this.#lastTimestamp = last
    this.#sizes = new Array(messages.length)
    let bytes = headerBytes
    for (let i = 0; i < messages.length; i++) {
      const size = recordBytes(messages[i] as BatchMessage, i, first)
      this.#sizes[i] = size
      bytes += varintBytes(size) + size
    }
    this.bytes = bytes
  }

  write(into: Buffer, start: number, producer: BatchProducer, firstSequence: number): void {
    putHead(into, start, this.#head(), producer, firstSequence)
    this.#writeRecords(into, start + headerBytes)
    putChecksum(into, start, start + this.bytes)
  }

  /** The same batch with its records packed, on a thread of Node's own. */
  async gzipped(): Promise<WritableBatch> {
    const records = Buffer.allocUnsafe(this.bytes - headerBytes)
    this.#writeRecords(records, 0)
    const packed = await gzip(records)
    const bytes = headerBytes + packed.length
    const head = { ...this.#head(), bytes, attributes: gzipAttribute }
    return {
      bytes,
      write(into, start, producer, firstSequence) {
        putHead(into, start, head, producer, firstSequence)
        into.set(packed, start + headerBytes)
        putChecksum(into, start, start + bytes)
      },
    }
  }

  #head(): BatchHead {
    const { bytes } = this
    const [firstTimestamp, lastTimestamp] = [this.#firstTimestamp, this.#lastTimestamp]
    return { bytes, attributes: 0, count: this.#messages.length, firstTimestamp, lastTimestamp }
  }

  #writeRecords(into: Buffer, start: number): void {
    const messages = this.#messages
    let at = start
    for (let i = 0; i < messages.length; i++) {
      at = putVarint(into, at, this.#sizes[i] as number)
      at = putRecord(into, at, messages[i] as BatchMessage, i, this.#firstTimestamp)
    }
  }
}

function recordBytes({ key, value, timestamp, headers }: BatchMessage, index: number, firstTimestamp: number): number {
  let bytes = 1 + varintBytes(timestamp - firstTimestamp) + varintBytes(index)
  bytes += key ? varintBytes(key.length) + key.length : 1
  bytes += value ? varintBytes(value.length) + value.length : 1
  let count = 0
  for (const name in headers) {
    const nameBytes = utf8Bytes(name)
    const valueBytes = utf8Bytes(headers[name] as string)
    bytes += varintBytes(nameBytes) + nameBytes + varintBytes(valueBytes) + valueBytes
    count++
  }
  return bytes + varintBytes(count)
}

function putRecord(
  into: Buffer,
  start: number,
  { key, value, timestamp, headers }: BatchMessage,
  index: number,
  firstTimestamp: number,
): number {
  into[start] = 0
  let at = putVarint(into, start + 1, timestamp - firstTimestamp)
  at = putVarint(into, at, index)
  at = putBytes(into, at, key)
  at = putBytes(into, at, value)
  let count = 0
  for (const _ in headers) count++
  at = putVarint(into, at, count)
  for (const name in headers) {
    at = putText(into, at, name)
    at = putText(into, at, headers[name] as string)
  }
  return at
}

/** Null has the length -1, which is 1 as a varint. */
function putBytes(into: Buffer, at: number, bytes: Buffer | null | undefined): number {
  if (!bytes) {
    into[at] = 1
    return at + 1
  }
  const from = putVarint(into, at, bytes.length)
  into.set(bytes, from)
  return from + bytes.length
}

/** Short texts, mostly ASCII: copied faster here than by a call of the runtime, and taken for ASCII until a character is none. */
function putText(into: Buffer, at: number, text: string): number {
  const { length } = text
  let to = putVarint(into, at, length)
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code > 127) return putUtf8(into, at, text)
    into[to++] = code
  }
  return to
}

function putUtf8(into: Buffer, at: number, text: string): number {
  const bytes = Buffer.byteLength(text)
  const to = putVarint(into, at, bytes)
  return to + into.write(text, to, bytes, 'utf8')
}

function utf8Bytes(text: string): number {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return Buffer.byteLength(text)
  return text.length
}

/** Bytes of a number that is not negative as a zigzag varint. */
function varintBytes(value: number): number {
  let bytes = 1
  for (let left = value; left >= 64; left = Math.floor(left / 128)) bytes++
  return bytes
}

function putVarint(into: Buffer, start: number, value: number): number {
  let left = value * 2
  let at = start
  while (left >= 128) {
    into[at++] = (left % 128) | 128
    left = Math.floor(left / 128)
  }
  into[at] = left
  return at + 1
}
