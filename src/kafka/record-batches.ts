import { crc32c, MillraceError } from '../runtime/index.js'
import { decompressed } from './decompress.js'
import type { ConsumedRecord } from './types.js'

/*
 * Record batches of format 2, as a broker has them on disk and sends them: a header of 61 bytes, then records whose numbers are
 * variable in length. https://kafka.apache.org/documentation/#recordbatch
 *
 *   0 base offset i64 · 8 length i32 (of what follows) · 12 leader epoch i32 · 16 magic i8 · 17 crc u32 (of what follows) ·
 *   21 attributes i16 · 23 last offset delta i32 · 27 base timestamp i64 · 35 max timestamp i64 · 43 producer id i64 ·
 *   51 producer epoch i16 · 53 base sequence i32 · 57 count i32 · 61 records
 */
const headerBytes = 61
const magicAt = 16
const crcAt = 17
const attributesAt = 21

const compressionMask = 0x07
const isLogAppendTime = 0x08
const isTransactional = 0x10
const isControl = 0x20
/** Type of the control record that ends an aborted transaction. */
const abortMarker = 0

/** A transaction that was given up: its records lie from an offset on, up to its marker. */
export interface AbortedTransaction {
  readonly producer: bigint
  readonly firstOffset: number
}

export interface BatchesOf {
  readonly topic: string
  readonly partition: number
  /** The offset that was asked for: a batch that begins below it has older records, too. */
  readonly from: number
  /** In any order: brokers send them in that of their markers. */
  readonly aborted: readonly AbortedTransaction[]
  /** Of records, unpacked: past it no further batch is looked at. */
  readonly bytesMax: number
}

export interface DecodedBatches {
  readonly records: readonly ConsumedRecord[]
  /** Behind the last whole batch; `from` when there is none. */
  readonly next: number
  /** Bytes of the records, unpacked. */
  readonly bytes: number
  /** Whether what was sent begins with a batch that is cut off. */
  readonly isCut: boolean
}

/**
 * The committed records of what a fetch gave of a partition, at least of its first batch. A last batch that is cut off, and those past
 * the bound, come again with the next fetch. Throws KAFKA_REFUSED for a first batch that cannot be read: those before another one are given, so
 * that who passes over it passes over nothing else.
 */
export function decodeBatches(bytes: Buffer, of: BatchesOf): DecodedBatches {
  const records: ConsumedRecord[] = []
  const transactions = new Transactions(of.aborted)
  let next = of.from
  let at = 0
  let unpacked = 0
  while (at + headerBytes <= bytes.length && (at === 0 || unpacked < of.bytesMax)) {
    const end = at + 12 + bytes.readInt32BE(at + 8)
    if (bytes[magicAt + at] === 2 && end > bytes.length) break
    const whole = records.length
    try {
      checkBatch(bytes, at, end, of)
      unpacked += takeBatch(bytes, at, end, of, transactions, records)
    } catch (error) {
      if (next === of.from) throw error
      records.length = whole
      break
    }
    next = Math.max(next, lastOffset(bytes, at) + 1)
    at = end
  }
  return { records, next, bytes: unpacked, isCut: at === 0 && bytes.length > 0 }
}

const lastOffset = (bytes: Buffer, at: number): number => int64(bytes, at) + bytes.readInt32BE(at + 23)

function checkBatch(bytes: Buffer, at: number, end: number, of: BatchesOf): void {
  const offset = int64(bytes, at)
  if (bytes[magicAt + at] !== 2) throw oldFormat(of, offset)
  if (end < at + headerBytes || bytes.readUInt32BE(at + crcAt) !== crc32c(bytes, at + attributesAt, end))
    throw corrupt(of, offset, 'its checksum is another')
}

/** Producers whose transaction at this place was given up. */
class Transactions {
  readonly #aborted: readonly AbortedTransaction[]
  readonly #aborting = new Set<bigint>()
  #next = 0

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#aborted = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset)
  }

  /** Of a batch that ends at an offset. */
  isAborted(producer: bigint, last: number): boolean {
    let begun = this.#aborted[this.#next]
    for (; begun && begun.firstOffset <= last; begun = this.#aborted[++this.#next]) this.#aborting.add(begun.producer)
    return this.#aborting.has(producer)
  }

  ended(producer: bigint): void {
    this.#aborting.delete(producer)
  }
}

/** Gives the bytes of the records, unpacked. */
function takeBatch(
  bytes: Buffer,
  at: number,
  end: number,
  of: BatchesOf,
  transactions: Transactions,
  into: ConsumedRecord[],
): number {
  const attributes = bytes.readInt16BE(at + attributesAt)
  const producer = bytes.readBigInt64BE(at + 43)
  const last = lastOffset(bytes, at)
  const isAborted = transactions.isAborted(producer, last) && (attributes & isTransactional) !== 0
  if (attributes & isControl) {
    if (markerOf(bytes, at, end, of, int64(bytes, at)) === abortMarker) transactions.ended(producer)
    return 0
  }
  return last >= of.from && !isAborted ? takeRecords(bytes, at, end, attributes, of, into) : 0
}

/** Gives the bytes of the records, unpacked. */
function takeRecords(
  batch: Buffer,
  start: number,
  end: number,
  attributes: number,
  of: BatchesOf,
  into: ConsumedRecord[],
): number {
  const offset = int64(batch, start)
  const compression = attributes & compressionMask
  const body = batch.subarray(start + headerBytes, end)
  const bytes = compression === 0 ? body : decompressed(body, compression, { ...of, offset })
  const time = int64(batch, start + (attributes & isLogAppendTime ? 35 : 27))
  const count = batch.readInt32BE(start + 57)
  const reader = new RecordReader(bytes)
  try {
    for (let i = 0; i < count; i++) {
      const record = reader.record(offset, time)
      if (record.offset < of.from) continue
      into.push(attributes & isLogAppendTime ? { ...record, timestamp: time } : record)
    }
    return bytes.length
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw corrupt(of, offset, 'a record of it ends beyond it')
  }
}

/** What a control batch says: version i16, type i16 are its record's key. */
function markerOf(batch: Buffer, start: number, end: number, of: BatchesOf, offset: number): number {
  try {
    const { key } = new RecordReader(batch.subarray(start + headerBytes, end)).record(offset, 0)
    return key && key.length >= 4 ? key.readInt16BE(2) : -1
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw corrupt(of, offset, 'a record of it ends beyond it')
  }
}

const none: readonly never[] = []

/** Walks the records of one batch. Throws RangeError where a length leads beyond the end. */
class RecordReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** length, attributes i8, timestamp delta, offset delta, key, value, headers. */
  record(baseOffset: number, baseTime: number): ConsumedRecord {
    const length = this.#number()
    const end = this.#at + length
    if (length < 0 || end > this.#bytes.length) throw new RangeError('a record ends beyond its batch')
    this.#at++
    const timestamp = baseTime + this.#number()
    const offset = baseOffset + this.#number()
    const key = this.#field()
    const value = this.#field()
    const headers = this.#headers()
    if (this.#at > end) throw new RangeError('a field ends beyond its record')
    this.#at = end
    return { offset, timestamp, key, value, headers }
  }

  #headers(): ConsumedRecord['headers'] {
    const count = this.#number()
    if (count <= 0) return none
    const headers: [string, Buffer | null][] = []
    for (let i = 0; i < count; i++) headers.push([this.#field()?.toString() ?? '', this.#field()])
    return headers
  }

  /** -1 is null. */
  #field(): Buffer | null {
    const length = this.#number()
    if (length < 0) return null
    const start = this.#at
    this.#at += length
    if (this.#at > this.#bytes.length) throw new RangeError('a field ends beyond its batch')
    return this.#bytes.subarray(start, this.#at)
  }

  /** Seven bits a byte, the lowest first, the sign in the lowest bit. Exact below 2^53. */
  #number(): number {
    const bytes = this.#bytes
    let byte = bytes[this.#at++]
    if (byte !== undefined && byte < 0x80) return (byte >>> 1) ^ -(byte & 1)
    let value = 0
    for (let scale = 1; byte !== undefined; scale *= 128, byte = bytes[this.#at++]) {
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
      if (scale > 2 ** 63) break
    }
    throw new RangeError('a number has no end')
  }
}

const int64 = (bytes: Buffer, at: number): number => bytes.readInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4)

export function corrupt({ topic, partition }: Pick<BatchesOf, 'topic' | 'partition'>, offset: number, why: string) {
  return new MillraceError(
    'KAFKA_REFUSED',
    `The batch at offset ${offset} of partition ${partition} of ${topic} is damaged: ${why}.`,
    {
      remedy:
        'Mend it on the broker (another replica may have it whole: elect that as leader), then resume. Or have a bridge pass over it: `millrace bridges seek NAME --offsets PARTITION=OFFSET`, with the offset behind the batch.',
      details: { topic, partition, offset, kafka: 'CORRUPT_MESSAGE' },
    },
  )
}

const oldFormat = ({ topic, partition }: BatchesOf, offset: number): MillraceError =>
  new MillraceError(
    'KAFKA_REFUSED',
    `The records at offset ${offset} of partition ${partition} of ${topic} are of a message format before version 2.`,
    {
      remedy: 'Copy the topic into another one with a newer client, and read that.',
      details: { topic, partition, offset, kafka: 'UNSUPPORTED_FOR_MESSAGE_FORMAT' },
    },
  )
