/**
 * The bytes of the log. A chunk is what one commit adds to one shard, and one RocksDB value:
 *
 *   chunk  = chunk header (64 bytes), batch, batch, ...
 *   batch  = batch header (64 bytes), record headers (32 bytes each), bodies (key then body, record after record)
 *
 * All numbers are little-endian; 64-bit numbers are below 2^53. docs/formats.md draws every field. Nothing here decodes
 * a body: a filter on kind, key or time walks the record headers.
 */
import { crc32 } from '../runtime/crc32.js'
import { MillraceError } from '../runtime/errors.js'
import { shiftCrc32 } from './crc.js'
import type { Codec, LogRecord, NewRecord, RecordKind, Sequence } from './types.js'

export const chunkHeaderBytes = 64
export const batchHeaderBytes = 64
export const recordHeaderBytes = 32
export const recordKeyBytesMax = 0xffff

export const chunkMagic = 0x3143524d // "MRC1"
export const batchMagic = 0x3142524d // "MRB1"

export function writeU64(buffer: Buffer, value: number, at: number): void {
  buffer.writeUInt32LE(value >>> 0, at)
  buffer.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4)
}

export function readU64(buffer: Buffer, at: number): number {
  return buffer.readUInt32LE(at + 4) * 0x1_0000_0000 + buffer.readUInt32LE(at)
}

/** The bytes that a record takes in a batch. */
export function recordBytes(record: NewRecord): number {
  return recordHeaderBytes + record.key.length + record.body.length
}

/** Begins a batch: everything of its header but the checksum, and zero for what the server fills in. */
export function writeBatchHeader(target: Buffer, at: number, length: number, count: number): void {
  target.writeUInt32LE(batchMagic, at)
  target.fill(0, at + 4, at + batchHeaderBytes)
  target.writeUInt32LE(length, at + 8)
  target.writeUInt32LE(count, at + 12)
}

/** Positional, since this runs for every record. `offset` is that of the key, from the first body on. */
export function writeRecordHeader(
  target: Buffer,
  at: number,
  hi: number,
  lo: number,
  kind: number,
  flags: number,
  codec: number,
  keyBytes: number,
  time: number,
  offset: number,
  shape = 0,
): void {
  target.writeUInt32LE(hi, at)
  target.writeUInt32LE(lo, at + 4)
  target[at + 8] = kind
  target[at + 9] = flags
  target[at + 10] = codec
  target[at + 11] = 0
  target.writeUInt16LE(keyBytes, at + 12)
  target.writeUInt16LE(0, at + 14)
  writeU64(target, time, at + 16)
  target.writeUInt32LE(shape, at + 24)
  target.writeUInt32LE(offset, at + 28)
}

/** Writes records as one batch at `at` of a zeroed or unzeroed buffer; returns the end of it. */
export function writeBatch(target: Buffer, at: number, records: readonly NewRecord[], length: number): number {
  writeBatchHeader(target, at, length, records.length)
  let header = at + batchHeaderBytes
  const bodies = header + records.length * recordHeaderBytes
  let end = bodies
  for (let i = 0; i < records.length; i++, header += recordHeaderBytes) {
    const record = records[i] as NewRecord
    const { hash, kind, flags, codec, time, key, shape } = record
    writeRecordHeader(target, header, hash.hi, hash.lo, kind, flags, codec, key.length, time, end - bodies, shape)
    record.key.copy(target, end)
    end += record.key.length
    record.body.copy(target, end)
    end += record.body.length
  }
  target.writeUInt32LE(batchChecksum(target, at, length), at + 16)
  return end
}

/** The bytes that `encodeBatch` makes of these records. */
export function batchBytes(records: readonly NewRecord[]): number {
  let bytes = batchHeaderBytes
  for (const record of records) bytes += recordBytes(record)
  return bytes
}

/** A batch as a client sends it: everything that the server fills in is zero. */
export function encodeBatch(records: readonly NewRecord[]): Buffer {
  const length = batchBytes(records)
  const batch = Buffer.allocUnsafe(length)
  writeBatch(batch, 0, records, length)
  return batch
}

/** Gives the records of an encoded batch that have the time `timeless` another one, and the batch its checksum. */
export function finishBatch(batch: Buffer, timeless: number, time: number): Buffer {
  const end = batchHeaderBytes + batch.readUInt32LE(12) * recordHeaderBytes
  for (let header = batchHeaderBytes; header < end; header += recordHeaderBytes)
    if (readU64(batch, header + 16) === timeless) writeU64(batch, time, header + 16)
  batch.writeUInt32LE(batchChecksum(batch, 0, batch.length), 16)
  return batch
}

/** Who sent a batch, and which of its batches this is, counted from 1. Producer 0 is nobody. */
export interface BatchProducer {
  readonly producer: number
  readonly number: number
  readonly epoch: number
}

/** Writes the producer into a client's batch and makes its checksum again. */
export function stampProducer(batch: Buffer, { producer, number, epoch }: BatchProducer): void {
  writeU64(batch, producer, 24)
  writeU64(batch, number, 32)
  batch.writeUInt32LE(epoch, 40)
  batch.writeUInt32LE(batchChecksum(batch, 0, batch.length), 16)
}

/** The producer of a batch that was checked, or undefined when it names none. */
export function producerOf(batch: Buffer): BatchProducer | undefined {
  const producer = readU64(batch, 24)
  return producer === 0 ? undefined : { producer, number: readU64(batch, 32), epoch: batch.readUInt32LE(40) }
}

/** The checksum that a batch carries: with its number it says whether two sendings are the same batch. */
export function checksumOf(batch: Buffer): number {
  return batch.readUInt32LE(16)
}

/** Covers everything but itself and what the server fills in (first sequence number, commit time). */
export function batchChecksum(buffer: Buffer, at: number, length: number): number {
  return crc32(buffer.subarray(at + batchHeaderBytes, at + length), headChecksum(buffer, at))
}

function headChecksum(buffer: Buffer, at: number): number {
  const head = crc32(buffer.subarray(at + 8, at + 16))
  return crc32(buffer.subarray(at + 20, at + 48), head)
}

/** From this size on, computing with checksums is cheaper than a walk over the bytes. */
const combinedBytesMin = 16 * 1024

/** The checksum of a chunk whose batches carry theirs: their bytes need not be summed a second time. */
function chunkChecksum(chunk: Buffer): number {
  let sum = crc32(chunk.subarray(16, chunkHeaderBytes))
  for (let at = chunkHeaderBytes; at < chunk.length; ) {
    const length = chunk.readUInt32LE(at + 8)
    const bodies = length - batchHeaderBytes
    if (bodies < combinedBytesMin) sum = crc32(chunk.subarray(at, at + length), sum)
    else {
      sum = crc32(chunk.subarray(at, at + batchHeaderBytes), sum)
      // The batch's checksum is that of its bytes behind its head's, here they come behind the chunk's so far.
      sum = (shiftCrc32(sum ^ headChecksum(chunk, at), bodies) ^ chunk.readUInt32LE(at + 16)) >>> 0
    }
    at += length
  }
  return sum
}

export function stampBatch(buffer: Buffer, at: number, firstSequence: number, commitTime: number): void {
  writeU64(buffer, firstSequence, at + 48)
  writeU64(buffer, commitTime, at + 56)
}

export interface ChunkHeader {
  readonly length: number
  readonly commit: number
  readonly commitTime: number
  /** The last sequence number of the shard's chunk before this one: a reader that meets another has found a hole. */
  readonly previous: Sequence
  readonly first: Sequence
  readonly last: Sequence
  readonly shard: number
  readonly batches: number
}

/** Fills in a chunk's header, its batches being in place behind it with their right checksums. */
export function sealChunk(chunk: Buffer, header: Omit<ChunkHeader, 'length'>): void {
  chunk.writeUInt32LE(chunkMagic, 0)
  chunk.writeUInt32LE(0, 4)
  chunk.writeUInt32LE(chunk.length, 8)
  writeU64(chunk, header.commit, 16)
  writeU64(chunk, header.commitTime, 24)
  writeU64(chunk, header.previous, 32)
  writeU64(chunk, header.first, 40)
  writeU64(chunk, header.last, 48)
  chunk.writeUInt32LE(header.shard, 56)
  chunk.writeUInt32LE(header.batches, 60)
  chunk.writeUInt32LE(chunkChecksum(chunk), 12)
}

export function readChunkHeader(chunk: Buffer): ChunkHeader {
  return {
    length: chunk.readUInt32LE(8),
    commit: readU64(chunk, 16),
    commitTime: readU64(chunk, 24),
    previous: readU64(chunk, 32) as Sequence,
    first: readU64(chunk, 40) as Sequence,
    last: readU64(chunk, 48) as Sequence,
    shard: chunk.readUInt32LE(56),
    batches: chunk.readUInt32LE(60),
  }
}

/** Whether a stored chunk is what was written. */
export function chunkIsWhole(chunk: Buffer): boolean {
  return (
    chunk.length >= chunkHeaderBytes &&
    chunk.readUInt32LE(0) === chunkMagic &&
    chunk.readUInt32LE(4) === 0 &&
    chunk.readUInt32LE(8) === chunk.length &&
    chunk.readUInt32LE(12) === crc32(chunk.subarray(16))
  )
}

/** What the header of a record says, wherever it lies. */
export const codecOf = (chunk: DataView, header: number): Codec => chunk.getUint8(header + 10) as Codec
export const keyBytesOf = (chunk: DataView, header: number): number => chunk.getUint16(header + 12, true)
export const shapeIdOf = (chunk: DataView, header: number): number => chunk.getUint32(header + 24, true)
export const keyStartOf = (chunk: DataView, header: number, bodies: number): number =>
  bodies + chunk.getUint32(header + 28, true)

/**
 * Walks the records of a chunk without allocating: after `next` returned true, the fields say where the record lies in
 * `chunk`. Nothing of a record is read before it is asked for, so that the many who walk a chunk for its kinds or hashes
 * alone pay a few nanoseconds a record (`npm run bench -- groups`); `record()` makes an object of it.
 */
export class ChunkCursor {
  readonly chunk: Buffer
  /** A number read through it is one load; of single bytes it would be four, each with its check. */
  readonly #view: DataView
  sequence = 0 as Sequence
  commitTime = 0
  /** Start of the record's header. */
  header = 0
  #batchEnd = chunkHeaderBytes
  #bodies = 0
  #left = 0

  constructor(chunk: Buffer) {
    this.chunk = chunk
    this.#view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length)
  }

  next(): boolean {
    if (this.#left === 0 && !this.#enter()) return false
    this.header += recordHeaderBytes
    this.sequence = (this.sequence + 1) as Sequence
    this.#left--
    return true
  }

  #enter(): boolean {
    const at = this.#batchEnd
    const { chunk } = this
    if (at >= chunk.length) return false
    // What was cut must neither be walked beyond its end nor for ever.
    if (at + batchHeaderBytes > chunk.length) throw cutOff()
    this.#batchEnd = at + this.#view.getUint32(at + 8, true)
    this.#left = this.#view.getUint32(at + 12, true)
    this.#bodies = at + batchHeaderBytes + this.#left * recordHeaderBytes
    if (this.#batchEnd > chunk.length || this.#bodies > this.#batchEnd) throw cutOff()
    this.sequence = (readU64(chunk, at + 48) - 1) as Sequence
    this.commitTime = readU64(chunk, at + 56)
    this.header = at + batchHeaderBytes - recordHeaderBytes
    return true
  }

  /** Where the bodies of the record's batch begin: what its header says counts from there. */
  get bodies(): number {
    return this.#bodies
  }
  get hashHi(): number {
    return this.#view.getUint32(this.header, true)
  }
  get hashLo(): number {
    return this.#view.getUint32(this.header + 4, true)
  }
  get kind(): RecordKind {
    return this.chunk[this.header + 8] as RecordKind
  }
  get flags(): number {
    return this.chunk[this.header + 9] as number
  }
  get codec(): Codec {
    return codecOf(this.#view, this.header)
  }
  get time(): number {
    const view = this.#view
    return view.getUint32(this.header + 20, true) * 0x1_0000_0000 + view.getUint32(this.header + 16, true)
  }
  /** Id of the row's shape; 0 when it is no row. */
  get shape(): number {
    return shapeIdOf(this.#view, this.header)
  }
  get keyStart(): number {
    return keyStartOf(this.#view, this.header, this.#bodies)
  }
  get bodyStart(): number {
    return this.keyStart + keyBytesOf(this.#view, this.header)
  }
  get bodyEnd(): number {
    // Where the next record begins, this one ends.
    if (this.#left === 0) return this.#batchEnd
    return this.#bodies + this.#view.getUint32(this.header + recordHeaderBytes + 28, true)
  }
  get key(): Buffer {
    return this.chunk.subarray(this.keyStart, this.bodyStart)
  }
  get body(): Buffer {
    return this.chunk.subarray(this.bodyStart, this.bodyEnd)
  }

  record(): LogRecord {
    return {
      sequence: this.sequence,
      commitTime: this.commitTime,
      hash: { hi: this.hashHi, lo: this.hashLo },
      kind: this.kind,
      flags: this.flags,
      codec: this.codec,
      shape: this.shape,
      time: this.time,
      key: this.key,
      body: this.body,
    }
  }
}

const cutOff = (): MillraceError => new MillraceError('FORMAT_INVALID', 'A chunk ends within a batch.')

/** Visits the records of a chunk from a sequence number on; stops early when `visit` returns false. */
export function forEachRecord(chunk: Buffer, from: Sequence, visit: (record: LogRecord) => boolean | undefined): void {
  const cursor = new ChunkCursor(chunk)
  while (cursor.next()) {
    if (cursor.sequence >= from && visit(cursor.record()) === false) return
  }
}

/** The records of a batch that was checked, as views into it. */
export function recordsOfBatch(batch: Buffer): NewRecord[] {
  const chunk = Buffer.concat([Buffer.alloc(chunkHeaderBytes), batch])
  const records: NewRecord[] = []
  const cursor = new ChunkCursor(chunk)
  while (cursor.next()) records.push(cursor.record())
  return records
}
