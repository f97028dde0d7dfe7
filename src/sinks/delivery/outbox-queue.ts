import { ChunkCursor, type Log, type Sequence, type ShardId } from '../../log/index.js'
import { MillraceError } from '../../runtime/index.js'
import type { OutboxRecord } from './deliverer.js'

/** Bytes of chunks that are read at once. */
const readBytes = 256 * 1024

export interface BatchBounds {
  readonly batchMax: number
  readonly batchBytesMax: number
}

/** The records of one shard of an outbox that are read and not delivered: those of a batch, and the rest of the last page. */
export class OutboxQueue {
  readonly #log: Pick<Log, 'read'>
  readonly #shard: ShardId
  readonly #idOf: (sequence: number) => string
  #records: OutboxRecord[] = []
  #bytes = 0
  #next: Sequence
  #isAtEnd = false

  constructor(log: Pick<Log, 'read'>, shard: ShardId, from: Sequence, idOf: (sequence: number) => string) {
    this.#log = log
    this.#shard = shard
    this.#next = from
    this.#idOf = idOf
  }

  get isEmpty(): boolean {
    return this.#records.length === 0
  }

  /** Nothing is left, and nothing will come. */
  get isEnded(): boolean {
    return this.isEmpty && this.#isAtEnd
  }

  /** Nothing will come any more. */
  get isAtEnd(): boolean {
    return this.#isAtEnd
  }

  /** Where whoever has what was taken goes on. */
  get next(): Sequence {
    return this.#records[0]?.sequence ?? this.#next
  }

  isFull({ batchMax, batchBytesMax }: BatchBounds): boolean {
    return this.#records.length >= batchMax || this.#bytes >= batchBytesMax
  }

  /** Reads until a batch is full or nothing more is there. */
  async fill(bounds: BatchBounds): Promise<void> {
    while (!this.#isAtEnd && !this.isFull(bounds)) if (!(await this.#read())) return
  }

  /** Reads all records below `end`, which are there. */
  async fillTo(end: Sequence): Promise<void> {
    while (this.#next < end)
      if (!(await this.#read()))
        throw new MillraceError(
          'LOG_DAMAGED',
          `The shard ${this.#shard} of an outbox ends before the record ${end - 1}.`,
        )
  }

  async #read(): Promise<boolean> {
    const page = await this.#log.read(this.#shard, this.#next, { bytesMax: readBytes })
    for (const chunk of page.chunks) {
      const cursor = new ChunkCursor(chunk)
      while (cursor.next()) if (cursor.sequence >= this.#next) this.#take(cursor)
    }
    page.release?.()
    this.#next = page.next
    this.#isAtEnd = page.ended
    return page.chunks.length > 0
  }

  #take(cursor: ChunkCursor): void {
    const { sequence, time, key, body } = cursor.record()
    // Copies: the page's memory is written again.
    const record = { sequence, id: this.#idOf(sequence), time, key: Buffer.from(key), body: Buffer.from(body) }
    this.#records.push(record)
    this.#bytes += body.length
  }

  /** The end of the batch that begins here: the number behind its last record. Only where it is not empty. */
  cut({ batchMax, batchBytesMax }: BatchBounds): Sequence {
    let bytes = 0
    let count = 0
    for (const { body } of this.#records) {
      bytes += body.length
      if (count > 0 && (count === batchMax || bytes > batchBytesMax)) break
      count++
    }
    return ((this.#records[count - 1] as OutboxRecord).sequence + 1) as Sequence
  }

  /** Takes the records below `end`. */
  take(end: Sequence): OutboxRecord[] {
    const rest = this.#records.findIndex(({ sequence }) => sequence >= end)
    const taken = this.#records.splice(0, rest < 0 ? this.#records.length : rest)
    for (const { body } of taken) this.#bytes -= body.length
    return taken
  }
}
