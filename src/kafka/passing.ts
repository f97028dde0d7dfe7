import { type ChunkCursor, Codec, eventIdDigits, RecordFlag, RecordKind, type ShardId } from '../log/index.js'
import type { Origin } from './encoder.js'
import type { PackedPartition } from './packed-messages.js'
import { putVarint, varintBytes } from './record-writer.js'

/** Longer keys are copied by the runtime. */
const shortKeyBytes = 32
const hexDigits = Buffer.from('0123456789abcdef')

/**
 * Writes records of a plain stream that go out as they are, from their chunk right into the batch of their partition: with the bytes that
 * the encoder and a batch of its messages give them, and without an object for any of it. That is a third of what a message costs
 * otherwise; the rest of the bridge does not know the difference.
 */
export class Passing {
  readonly #origin: Pick<Origin, 'eventIdPrefix'>
  #chunk: Buffer | undefined
  #shard: ShardId | undefined
  /** Numbers below have fewer digits. */
  #from = 0
  /** Numbers from here on have more. */
  #until = 0
  /** The headers of one record, in which the digits of its number are filled in. */
  #headers = Buffer.alloc(0)
  #digitsEnd = 0
  #idEnd = 0

  constructor(origin: Pick<Origin, 'eventIdPrefix'>) {
    this.#origin = origin
  }

  /** Whether the record is of the kind that can be written so. */
  takes(cursor: ChunkCursor): boolean {
    const { codec } = cursor
    return (
      cursor.kind === RecordKind.append &&
      (cursor.flags & RecordFlag.snapshot) === 0 &&
      codec !== Codec.row &&
      codec !== Codec.msgpack
    )
  }

  write(cursor: ChunkCursor, shard: ShardId, into: PackedPartition): void {
    const { chunk, sequence, commitTime, keyStart, bodyStart, bodyEnd } = cursor
    const isKnown = chunk === this.#chunk && shard === this.#shard && sequence >= this.#from && sequence < this.#until
    if (!isKnown) this.#begin(chunk, shard, sequence)
    const headers = this.#headers
    putDecimal(headers, this.#digitsEnd, sequence)
    putHex(headers, this.#idEnd, sequence)
    const keyBytes = bodyStart - keyStart
    const bodyBytes = bodyEnd - bodyStart
    const after = into.after(commitTime)
    const index = into.length
    const size =
      1 +
      varintBytes(after) +
      varintBytes(index) +
      varintBytes(keyBytes) +
      keyBytes +
      varintBytes(bodyBytes) +
      bodyBytes +
      headers.length
    let at = into.begin(size, commitTime)
    const { memory } = into
    // No attributes.
    memory[at] = 0
    at = putVarint(memory, at + 1, after)
    at = putVarint(memory, at, index)
    at = putVarint(memory, at, keyBytes)
    if (keyBytes > shortKeyBytes) at += chunk.copy(memory, at, keyStart, bodyStart)
    else for (let from = keyStart; from < bodyStart; from++) memory[at++] = chunk[from] as number
    at = putVarint(memory, at, bodyBytes)
    chunk.copy(memory, at, bodyStart, bodyEnd)
    memory.set(headers, at + bodyBytes)
  }

  /** All numbers of a chunk were given in one commit, and so in one epoch: their ids begin alike. */
  #begin(chunk: Buffer, shard: ShardId, sequence: number): void {
    this.#chunk = chunk
    this.#shard = shard
    const digits = String(sequence).length
    this.#from = 10 ** (digits - 1)
    this.#until = 10 ** digits
    const prefix = this.#origin.eventIdPrefix(sequence)
    const beforeDigits = Buffer.concat([
      number(4),
      text('millrace-shard'),
      text(String(shard)),
      text('millrace-sequence'),
      number(digits),
    ])
    this.#digitsEnd = beforeDigits.length + digits
    const beforeId = Buffer.concat([
      text('millrace-event-id'),
      number(Buffer.byteLength(prefix) + eventIdDigits),
      Buffer.from(prefix),
    ])
    this.#idEnd = this.#digitsEnd + beforeId.length + eventIdDigits
    this.#headers = Buffer.concat([
      beforeDigits,
      Buffer.alloc(digits),
      beforeId,
      Buffer.alloc(eventIdDigits),
      text('millrace-op'),
      text('c'),
    ])
  }
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(varintBytes(value))
  putVarint(bytes, 0, value)
  return bytes
}

const text = (value: string): Buffer => Buffer.concat([number(Buffer.byteLength(value)), Buffer.from(value)])

/** Digits from the last one on; all of a smaller number were written for as many. */
function putDecimal(into: Buffer, end: number, value: number): void {
  let at = end
  let left = value
  for (; left >= 2 ** 31; left = Math.floor(left / 10)) into[--at] = 0x30 + (left % 10)
  for (let low = left | 0; low > 0; low = (low / 10) | 0) into[--at] = 0x30 + (low % 10)
}

function putHex(into: Buffer, end: number, value: number): void {
  let low = value | 0
  let high = Math.floor(value / 2 ** 32)
  for (let at = end - 1; at >= end - 8; at--, low >>>= 4) into[at] = hexDigits[low & 15] as number
  for (let at = end - 9; at >= end - 16; at--, high >>>= 4) into[at] = hexDigits[high & 15] as number
}
