import {
  type BatchHead,
  type BatchProducer,
  batchHeaderBytes,
  gzippedBatch,
  putChecksum,
  putHead,
  type WritableBatch,
} from './record-batch-writer.js'
import { decodeBatches } from './record-batches.js'
import { type BatchMessage, putRecord, putVarint, recordBytes, varintBytes } from './record-writer.js'
import type { KafkaMessage } from './types.js'

/** Of the first message of a partition; it grows from there. */
const memoryBytesMin = 1024
const nobody: BatchProducer = { id: -1n, epoch: -1, isTransactional: false }

/**
 * Messages of one partition, written as the records of a batch as they come: nothing of them is kept but these bytes. Times may go
 * back; they are counted from that of the first message.
 */
export class PackedPartition implements WritableBatch {
  readonly partition: number
  /** Messages in it; the name is that of an array's, which is what kafkajs takes it for. */
  length = 0
  memory: Buffer = Buffer.alloc(0)
  firstTimestamp = 0
  #lastTimestamp = 0
  #bytes = 0

  constructor(partition: number) {
    this.partition = partition
  }

  /** Room for one more record of so many bytes behind its length. Returns where it begins in `memory`, its length being written. */
  begin(size: number, timestamp: number): number {
    if (timestamp > this.#lastTimestamp) this.#lastTimestamp = timestamp
    const bytes = varintBytes(size) + size
    const start = this.#bytes
    if (start + bytes > this.memory.length) this.#grow(start + bytes)
    this.#bytes += bytes
    this.length++
    return putVarint(this.memory, start, size)
  }

  /** What is counted from the first message's time; comes before `begin`. */
  after(timestamp: number): number {
    if (this.length === 0) {
      this.firstTimestamp = timestamp
      this.#lastTimestamp = timestamp
    }
    return timestamp - this.firstTimestamp
  }

  add(message: BatchMessage): void {
    this.after(message.timestamp)
    const index = this.length
    const at = this.begin(recordBytes(message, index, this.firstTimestamp), message.timestamp)
    putRecord(this.memory, at, message, index, this.firstTimestamp)
  }

  #grow(bytes: number): void {
    let size = Math.max(memoryBytesMin, this.memory.length)
    while (size < bytes) size *= 2
    const memory = Buffer.allocUnsafeSlow(size)
    this.memory.copy(memory, 0, 0, this.#bytes)
    this.memory = memory
  }

  empty(): void {
    this.length = 0
    this.#bytes = 0
  }

  get bytes(): number {
    return batchHeaderBytes + this.#bytes
  }

  #head(): BatchHead {
    const { bytes, length: count, firstTimestamp } = this
    return { bytes, attributes: 0, count, firstTimestamp, lastTimestamp: this.#lastTimestamp }
  }

  write(into: Buffer, start: number, producer: BatchProducer, firstSequence: number): void {
    putHead(into, start, this.#head(), producer, firstSequence)
    this.memory.copy(into, start + batchHeaderBytes, 0, this.#bytes)
    putChecksum(into, start, start + this.bytes)
  }

  /** The same batch with its records packed, on a thread of Node's own. */
  gzipped(): Promise<WritableBatch> {
    return gzippedBatch(this.memory.subarray(0, this.#bytes), this.#head())
  }

  /** The messages, in memory of their own. */
  messages(): KafkaMessage[] {
    if (this.length === 0) return []
    const bytes = Buffer.allocUnsafeSlow(this.bytes)
    this.write(bytes, 0, nobody, 0)
    const { partition } = this
    const of = { topic: '', partition, from: 0, aborted: [], bytesMax: Number.POSITIVE_INFINITY }
    return decodeBatches(bytes, of).records.map(({ key, value, timestamp, headers }) => ({
      key: key ?? Buffer.alloc(0),
      value,
      partition,
      timestamp,
      headers: Object.fromEntries(headers.map(([name, text]) => [name, String(text)])),
    }))
  }
}

/** Messages of one request, by their partition as they go over the wire. Its memory is written again for another request. */
export class PackedMessages {
  readonly #byPartition = new Map<number, PackedPartition>()
  /** Those that have messages. */
  readonly #used: PackedPartition[] = []
  /** The partition of each message. */
  #order: PackedPartition[] = []

  get length(): number {
    return this.#order.length
  }

  /** Where the next message goes, which is counted with this: it has to be written. */
  next(partition: number): PackedPartition {
    let packed = this.#byPartition.get(partition)
    if (!packed) {
      packed = new PackedPartition(partition)
      this.#byPartition.set(partition, packed)
    }
    if (packed.length === 0) this.#used.push(packed)
    this.#order.push(packed)
    return packed
  }

  push(message: KafkaMessage): void {
    this.next(message.partition).add(message)
  }

  get partitions(): readonly PackedPartition[] {
    return this.#used
  }

  /** The messages in the order in which they came, in memory of their own. */
  unpacked(): KafkaMessage[] {
    const messages = new Map(this.#used.map((packed) => [packed, packed.messages()[Symbol.iterator]()]))
    return this.#order.map((packed) => messages.get(packed)?.next().value as KafkaMessage)
  }

  /** Bytes of memory that it keeps. */
  get memoryBytes(): number {
    let bytes = 0
    for (const { memory } of this.#byPartition.values()) bytes += memory.length
    return bytes
  }

  /** Nobody reads the messages any more. */
  empty(): void {
    for (const packed of this.#used.splice(0)) packed.empty()
    this.#order = []
  }
}

/** Messages of a request, of either kind. */
export type Messages = readonly KafkaMessage[] | PackedMessages

export const unpacked = (messages: Messages): readonly KafkaMessage[] =>
  messages instanceof PackedMessages ? messages.unpacked() : messages
