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
import { Signal } from './signal.js'
import type { KafkaMessage } from './types.js'

/** Most records of one request: the client library copies quadratically within a partition, so more gets slower. */
export const requestRecordsMax = 1_000
/** With fewer records than this at hand, a request waits for more, `lingerMs` long. */
export const requestRecordsFull = 500
export const lingerMs = 5
/**
 * Most bytes of one request, all partitions together, so that no partition's share exceeds Kafka's default
 * `max.message.bytes` of 1 MiB. A record that is larger goes alone.
 */
export const requestBytesMax = 900_000
/** What a message takes beside its key and value: four headers, lengths, timestamp. */
export const messageOverheadBytes = 200

/** Records of one shard on their way; given up in order. */
export interface OutgoingPage {
  readonly shard: Shard
  /** Records below are skipped. */
  readonly from: Sequence
  readonly page: LogPage
  /** Called when the last record was put into a request. */
  readonly release: () => void
}

/** What is sent in one go, and where it takes the group once the broker has it. */
export interface OutgoingRequest {
  readonly messages: readonly KafkaMessage[]
  readonly records: number
  readonly bytes: number
  readonly positions: readonly Position[]
  /** Its records by their shard. */
  readonly counts: ReadonlyMap<ShardId, number>
  /** Commit time of its first record, milliseconds since 1970. */
  readonly oldestCommitTime: number | undefined
  /** Why the record behind it cannot be sent. */
  readonly failure?: MillraceError
}

/** Walks the records of a page; `record` is the one that is next. */
class PageWalk {
  readonly source: OutgoingPage
  record: LogRecord | undefined
  left = 0
  #chunk = -1
  #cursor: ChunkCursor | undefined

  constructor(source: OutgoingPage) {
    this.source = source
    for (const chunk of source.page.chunks) {
      const { first, last } = readChunkHeader(chunk)
      this.left += last - Math.max(first, source.from) + 1
    }
    this.advance()
  }

  advance(): void {
    if (this.record) this.left--
    for (;;) {
      while (this.#cursor?.next()) {
        if (this.#cursor.sequence < this.source.from) continue
        this.record = this.#cursor.record()
        return
      }
      const chunk = this.source.page.chunks[++this.#chunk]
      if (!chunk) {
        this.record = undefined
        return
      }
      this.#cursor = new ChunkCursor(chunk)
    }
  }

  position(): Position {
    const { shard, page } = this.source
    if (this.record) return { shard: shard.id, next: this.record.sequence, ended: false }
    return { shard: shard.id, next: page.next, ended: page.ended }
  }
}

/**
 * Pages of all shards in, requests out: in the order of the pages, so in order per shard and key. Messages are made when
 * a request is put together, so that what waits here is bounded by the pages that the readers may have outstanding.
 */
export class Outbox {
  /** Most bytes of a request; the topic may take less than Kafka's default. */
  bytesMax = requestBytesMax
  readonly #encode: Encode
  readonly #partitions: number
  readonly #clock: Clock
  readonly #arrived = new Signal()
  readonly #pages: PageWalk[] = []
  #records = 0
  #closed = false

  constructor(encode: Encode, partitions: number, clock: Clock) {
    this.#encode = encode
    this.#partitions = partitions
    this.#clock = clock
  }

  push(page: OutgoingPage): void {
    if (this.#closed) {
      page.release()
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
    for (const walk of this.#pages.splice(0)) walk.source.release()
    this.#records = 0
    this.#arrived.raise()
  }

  /** Records that wait here. */
  get records(): number {
    return this.#records
  }

  get oldestCommitTime(): number | undefined {
    return this.#pages[0]?.record?.commitTime
  }

  /** The next request; undefined once closed. Throws what the encoder throws, when the record that fails is the first. */
  async next(): Promise<OutgoingRequest | undefined> {
    while (this.#pages.length === 0 && !this.#closed) await this.#arrived.after(this.#arrived.version)
    if (this.#records > 0 && this.#records < requestRecordsFull && !this.#closed) await sleep(this.#clock, lingerMs)
    return this.#closed ? undefined : this.#fill()
  }

  #fill(): OutgoingRequest {
    const messages: KafkaMessage[] = []
    const positions = new Map<ShardId, Position>()
    const counts = new Map<ShardId, number>()
    const oldestCommitTime = this.oldestCommitTime
    let records = 0
    let bytes = 0
    let full = false
    while (this.#pages.length > 0 && !full) {
      const walk = this.#pages[0] as PageWalk
      const { id } = walk.source.shard
      const before = records
      while (walk.record && records < requestRecordsMax) {
        const made = this.#tryEncode(walk.record, walk.source.shard, records === 0)
        const size =
          made?.reduce(
            (sum, message) => sum + message.key.length + (message.value?.length ?? 0) + messageOverheadBytes,
            0,
          ) ?? 0
        // The record that does not fit is encoded again for the next request; that happens once a request.
        full = made === undefined || (records > 0 && bytes + size > this.bytesMax)
        if (full || made === undefined) break
        messages.push(...made)
        bytes += size
        records++
        this.#records--
        walk.advance()
      }
      full ||= walk.record !== undefined
      positions.set(id, walk.position())
      counts.set(id, (counts.get(id) ?? 0) + records - before)
      if (walk.record) break
      this.#pages.shift()
      walk.source.release()
    }
    return { messages, records, bytes, positions: [...positions.values()], counts, oldestCommitTime }
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
