import { promisify } from 'node:util'
import { gzip as gzipWithCallback } from 'node:zlib'
import { crc32c } from '../runtime/index.js'
import { type BatchMessage, putRecord, putVarint, recordBytes, varintBytes } from './record-writer.js'

const gzip = promisify(gzipWithCallback)

/** Who sends a batch; the broker finds repeated ones by it. */
export interface BatchProducer {
  readonly id: bigint
  readonly epoch: number
  readonly isTransactional: boolean
}

/** Bytes of a batch before its records. */
export const batchHeaderBytes = 61
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
export interface BatchHead {
  readonly bytes: number
  readonly attributes: number
  readonly count: number
  readonly firstTimestamp: number
  readonly lastTimestamp: number
}

/** Everything before the records but the checksum. */
export function putHead(
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

/** The checksum of a batch whose other bytes are in place. */
export function putChecksum(into: Buffer, start: number, end: number): void {
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
    let bytes = batchHeaderBytes
    for (let i = 0; i < messages.length; i++) {
      const size = recordBytes(messages[i] as BatchMessage, i, first)
      this.#sizes[i] = size
      bytes += varintBytes(size) + size
    }
    this.bytes = bytes
  }

  write(into: Buffer, start: number, producer: BatchProducer, firstSequence: number): void {
    putHead(into, start, this.#head(), producer, firstSequence)
    this.#writeRecords(into, start + batchHeaderBytes)
    putChecksum(into, start, start + this.bytes)
  }

  /** The same batch with its records packed, on a thread of Node's own. */
  gzipped(): Promise<WritableBatch> {
    const records = Buffer.allocUnsafe(this.bytes - batchHeaderBytes)
    this.#writeRecords(records, 0)
    return gzippedBatch(records, this.#head())
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

/** A batch of these records, packed; `plain` is that of the batch which has them as they are. */
export async function gzippedBatch(records: Buffer, plain: BatchHead): Promise<WritableBatch> {
  const packed = await gzip(records)
  const bytes = batchHeaderBytes + packed.length
  const head = { ...plain, bytes, attributes: gzipAttribute }
  return {
    bytes,
    write(into, start, producer, firstSequence) {
      putHead(into, start, head, producer, firstSequence)
      into.set(packed, start + batchHeaderBytes)
      putChecksum(into, start, start + bytes)
    },
  }
}
