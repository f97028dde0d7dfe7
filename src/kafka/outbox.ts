import type { Position } from '../groups/index.js'
import {
  ChunkCursor,
  type LogPage,
  type LogRecord,
  readChunkHeader,
  type Sequence,
  type Shard,
  type ShardId,
} from '../log/index.js'
import { type Clock, type MillraceError, sleep } from '../runtime/index.js'
import type { Encode } from './encoder.js'
import { partitionOf } from './murmur2.js'
import { type Messages, PackedMessages } from './packed-messages.js'
import type { Passing } from './passing.js'
import { Signal } from './signal.js'
import type { KafkaMessage } from './types.js'

/** Most records of one request: more do not make it faster, and would come later. */
export const requestRecordsMax = 5_000
/** With fewer records than this, a request waits for more, until its first one has been in it for `lingerMs`. */
export const requestRecordsFull = 500
export const lingerMs = 5
/** Most bytes of one request, all partitions together: it and the next one are in memory. A record that is larger goes alone. Of what converters made, one may have `convertedBytesMax`. */
export const requestBytesMax = 2 * 1024 * 1024
/** Most bytes of one request for one partition, below Kafka's default `max.message.bytes` of 1 MiB. */
export const partitionBytesMax = 900_000
/** What a message takes beside its key and value: the four headers that each has, lengths, timestamp. */
const messageOverheadBytes = 200
/** The same without the headers. */
const messageFrameBytes = 80
/** Memory of a request that was sent is written again, unless it has grown to more: one partition may have got all, then another one. */
const keptBytesMax = 2 * requestBytesMax

/** Records of one shard on their way; given up in order. */
export interface OutgoingPage {
  readonly shard: Shard
  /** Records below are skipped. */
  readonly from: Sequence
  readonly page: LogPage
  /** Called when the last record was put into a request. */
  readonly release: () => void
}

/** How messages are kept until they are sent. */
export interface Packing {
  /** Writes records that go out as they are; undefined: the encoder makes the messages of all. */
  readonly passing: Passing | undefined
  /** Whether all records are sent: otherwise the encoder is asked which are. */
  readonly sendsAll: () => boolean
}

/** What is sent in one go, and where it takes the group once the broker has it. */
export interface OutgoingRequest {
  readonly messages: Messages
  readonly records: number
  readonly bytes: number
  /** Bytes for the partition that gets most. */
  readonly partitionBytes: number
  readonly positions: readonly Position[]
  /** Its records by their shard. */
  readonly counts: ReadonlyMap<ShardId, number>
  /** Commit time of its first record, milliseconds since 1970. */
  readonly oldestCommitTime: number | undefined
  /** There was more than it takes: the bridge is behind. */
  readonly isFull: boolean
  /** Why the record behind it cannot be sent. */
  readonly failure?: MillraceError
}

/** One that the broker has: what was sent is not kept. */
export type SentRequest = Omit<OutgoingRequest, 'messages'>

/** Walks the records of a page; `cursor` stands at the one that is next. */
class PageWalk {
  readonly source: OutgoingPage
  cursor: ChunkCursor | undefined
  left = 0
  #chunk = -1

  constructor(source: OutgoingPage) {
    this.source = source
    for (const chunk of source.page.chunks) {
      const { first, last } = readChunkHeader(chunk)
      this.left += last - Math.max(first, source.from) + 1
    }
    this.#seek()
  }

  advance(): void {
    this.left--
    this.#seek()
  }

  #seek(): void {
    for (;;) {
      const { cursor } = this
      while (cursor?.next()) if (cursor.sequence >= this.source.from) return
      const chunk = this.source.page.chunks[++this.#chunk]
      this.cursor = chunk && new ChunkCursor(chunk)
      if (!chunk) return
    }
  }

  position(): Position {
    const { shard, page } = this.source
    if (this.cursor) return { shard: shard.id, next: this.cursor.sequence, ended: false }
    return { shard: shard.id, next: page.next, ended: page.ended }
  }
}

function messageBytes({ key, value, headers }: KafkaMessage): number {
  let headerBytes = messageFrameBytes
  for (const name in headers) headerBytes += name.length + Buffer.byteLength(headers[name] as string)
  return key.length + (value === null ? 0 : value.length) + Math.max(messageOverheadBytes, headerBytes)
}

/** A request that is put together. */
export class Filling {
  readonly positions = new Map<ShardId, Position>()
  readonly counts = new Map<ShardId, number>()
  records = 0
  readonly #messages: KafkaMessage[] | PackedMessages
  readonly #partitions: Float64Array
  #bytes = 0
  #partitionBytes = 0
  #oldestCommitTime: number | undefined

  constructor(partitions: number, messages: KafkaMessage[] | PackedMessages) {
    this.#partitions = new Float64Array(partitions)
    this.#messages = messages
  }

  /** False when the messages of a record do not fit: then they are made again for the next request, once a request. */
  take(
    made: readonly KafkaMessage[],
    commitTime: number,
    partitionBytesMax: number,
    bytesMax = requestBytesMax,
  ): boolean {
    let size = 0
    for (const message of made) size += messageBytes(message)
    // The messages of one record are of one key, and so of one partition.
    if (!this.#count(made[0]?.partition ?? 0, size, commitTime, partitionBytesMax, bytesMax)) return false
    for (const message of made) this.#messages.push(message)
    return true
  }

  /** The same for a record that goes out as it is. */
  pass(passing: Passing, cursor: ChunkCursor, shard: ShardId, partitionBytesMax: number): boolean {
    const { chunk, keyStart, bodyStart, bodyEnd } = cursor
    const partition = partitionOf(chunk, this.#partitions.length, keyStart, bodyStart)
    const size = bodyEnd - keyStart + messageOverheadBytes
    if (!this.#count(partition, size, cursor.commitTime, partitionBytesMax, requestBytesMax)) return false
    passing.write(cursor, shard, (this.#messages as PackedMessages).next(partition))
    return true
  }

  #count(partition: number, size: number, commitTime: number, partitionBytesMax: number, bytesMax: number): boolean {
    const inPartition = (this.#partitions[partition] as number) + size
    if (this.records > 0) {
      if (inPartition > partitionBytesMax || this.#bytes + size > bytesMax) return false
      // One that is too large for any request goes alone: if the broker refuses it, nothing else is refused with it.
      if (this.#partitionBytes > partitionBytesMax) return false
    }
    this.#partitions[partition] = inPartition
    if (inPartition > this.#partitionBytes) this.#partitionBytes = inPartition
    this.#bytes += size
    this.#oldestCommitTime ??= commitTime
    this.records++
    return true
  }

  finished(isFull: boolean): OutgoingRequest {
    return {
      messages: this.#messages,
      records: this.records,
      bytes: this.#bytes,
      partitionBytes: this.#partitionBytes,
      positions: [...this.positions.values()],
      counts: this.counts,
      oldestCommitTime: this.#oldestCommitTime,
      isFull,
    }
  }
}

/**
 * Pages of all shards in, requests out: in the order of the pages, so in order per shard and key. Messages are made when
 * a request is put together, so that what waits here is bounded by the pages that the readers may have outstanding.
 */
export class Outbox {
  /** Most bytes of a request for one partition; the topic may take less than Kafka's default. */
  bytesMax = partitionBytesMax
  /** Most records of a request; fewer while a record is looked for that the broker refuses. */
  recordsMax = requestRecordsMax
  readonly #encode: Encode
  readonly #partitions: number
  readonly #clock: Clock
  readonly #arrived = new Signal()
  readonly #pages: PageWalk[] = []
  readonly #packing: Packing | undefined
  /** Memory of requests that were sent. */
  #kept: PackedMessages[] = []
  #records = 0
  #closed = false

  /** @param packing messages are bytes of a request at once, and no byte of a page is looked at any more when it is given back */
  constructor(encode: Encode, partitions: number, clock: Clock, packing?: Packing) {
    this.#encode = encode
    this.#partitions = partitions
    this.#clock = clock
    this.#packing = packing
  }

  push(page: OutgoingPage): void {
    if (this.#closed) {
      this.#giveBack(page)
      return
    }
    const walk = new PageWalk(page)
    this.#pages.push(walk)
    this.#records += walk.left
    this.#arrived.raise()
  }

  /** Ends `next`; what is still here is given up. */
  close(): void {
    this.#closed = true
    for (const walk of this.#pages.splice(0)) this.#giveBack(walk.source)
    this.#records = 0
    this.#arrived.raise()
  }

  #giveBack({ page, release }: OutgoingPage): void {
    if (this.#packing) page.release?.()
    release()
  }

  /** The broker has all of a request, and nobody looks at its messages any more: their memory is written again. */
  sent({ messages }: OutgoingRequest): void {
    if (!(messages instanceof PackedMessages) || messages.memoryBytes > keptBytesMax) return
    messages.empty()
    this.#kept.push(messages)
  }

  /** Records that wait here. */
  get records(): number {
    return this.#records
  }

  get oldestCommitTime(): number | undefined {
    return this.#pages[0]?.cursor?.commitTime
  }

  /**
   * The next request; undefined once closed. While the one before is on its way this one is filled as records come; afterwards
   * it goes with what it has. Throws what the encoder throws, when the record that fails is the first.
   */
  async next(before: Promise<unknown> = Promise.resolve()): Promise<OutgoingRequest | undefined> {
    let isWaiting = true
    const over = before.then(
      () => {
        isWaiting = false
      },
      () => {
        isWaiting = false
      },
    )
    await Promise.resolve()
    const request = new Filling(this.#partitions, this.#packing ? (this.#kept.pop() ?? new PackedMessages()) : [])
    let isFull = false
    let until: number | undefined
    while (!this.#closed) {
      const { version } = this.#arrived
      isFull = this.#fill(request)
      if (request.records > 0) until ??= this.#clock.monotonic() + lingerMs
      if (isFull) break
      if (isWaiting) await Promise.race([over, this.#arrived.after(version)])
      else if (request.positions.size === 0) await this.#arrived.after(version)
      else if (until === undefined || request.records >= requestRecordsFull) break
      else {
        const left = until - this.#clock.monotonic()
        if (left <= 0) break
        await sleep(this.#clock, left)
      }
    }
    return this.#closed ? undefined : request.finished(isFull)
  }

  /** Puts in what is there; true when the request takes no more. */
  #fill(request: Filling): boolean {
    while (this.#pages.length > 0) {
      const walk = this.#pages[0] as PageWalk
      const { shard } = walk.source
      const before = request.records
      let isFull = false
      while (walk.cursor && !isFull) {
        isFull = !this.#put(request, walk.cursor, shard)
        if (isFull) break
        this.#records--
        walk.advance()
        isFull = request.records >= this.recordsMax
      }
      if (request.records > 0 || !walk.cursor) request.positions.set(shard.id, walk.position())
      const added = request.records - before
      if (added > 0) request.counts.set(shard.id, (request.counts.get(shard.id) ?? 0) + added)
      if (walk.cursor) return true
      this.#pages.shift()
      this.#giveBack(walk.source)
      if (isFull) return true
    }
    return false
  }

  /** False when the request takes no more. */
  #put(request: Filling, cursor: ChunkCursor, shard: Shard): boolean {
    const packing = this.#packing
    if (packing?.passing?.takes(cursor) && packing.sendsAll())
      return request.pass(packing.passing, cursor, shard.id, this.bytesMax)
    const made = this.#tryEncode(cursor.record(), shard, request.records === 0)
    return made !== undefined && request.take(made, cursor.commitTime, this.bytesMax)
  }

  /** A record that cannot be sent must not hold back those before it: its error comes when it is the first. */
  #tryEncode(record: LogRecord, shard: Shard, first: boolean): KafkaMessage[] | undefined {
    try {
      return this.#encode(record, shard, this.#partitions)
    } catch (error) {
      if (first) throw error
      return undefined
    }
  }
}
