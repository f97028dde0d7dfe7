import { ChunkCursor, Codec, type Log, type LogPage, type Sequence, type ShardId } from '../../log/index.js'
import { hashKey, MillraceError } from '../../runtime/index.js'
import { RecordWriter, type ViewType } from '../../tables/index.js'
import type { ShardCore } from './core/index.js'
import { EventPage, EventRecord } from './event-records.js'
import type { RecordFilter } from './filters/index.js'

/** Bytes of chunks that are read at once. */
const readBytes = 256 * 1024
/** A record is longer in the event than it is in the log, a small one several times. */
const memoryShare = 2.5
const memoryBytesMin = 2048

/** What the records of a mapping's events have in common. */
export interface SourceFrame {
  readonly view: ViewType
  readonly region: string
  readonly eventIdPrefix: (sequence: number) => string
  readonly eventSourceArn: string
}

export interface ShardSourceOptions {
  readonly log: Pick<Log, 'read' | 'shard'>
  readonly shard: ShardId
  readonly frame: SourceFrame
  readonly filter: RecordFilter
  readonly onFiltered: (records: number) => void
  /** Records went before they were read: they are lost. */
  readonly onLost: (error: MillraceError) => void
}

/** Reads a shard for its deliveries: what passes the filter becomes JSON at once, so that the log's memory is let go. */
export class ShardSource {
  readonly #options: ShardSourceOptions
  #heldBytes = 0

  constructor(options: ShardSourceOptions) {
    this.#options = options
  }

  /** Bytes of memory that records hold which are not done, with what lies beside them. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Reads one page into the core. False: nothing more is there for now. */
  async read(core: ShardCore<EventRecord>, now: () => number): Promise<boolean> {
    const from = core.readTo as Sequence
    const page = await this.#page(from)
    if (page === undefined) return false
    if (typeof page === 'number') {
      core.read(page, false)
      return true
    }
    this.#take(page, from, core, now())
    core.read(page.next, page.ended)
    page.release?.()
    return page.chunks.length > 0 || page.ended
  }

  /** A number: what lay before it is gone. undefined: the shard is. */
  async #page(from: Sequence): Promise<LogPage | Sequence | undefined> {
    const { log, shard, onLost } = this.#options
    try {
      return await log.read(shard, from, { bytesMax: readBytes })
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'TRIMMED') throw error
      onLost(error)
      return log.shard(shard)?.lowWatermark
    }
  }

  #take({ chunks }: LogPage, from: Sequence, core: ShardCore<EventRecord>, now: number): void {
    const { frame, filter, onFiltered } = this.#options
    let bytes = 0
    for (const chunk of chunks) bytes += chunk.length
    let writer: RecordWriter | undefined
    const page = new EventPage((held) => {
      this.#heldBytes += held
    })
    let filtered = 0
    for (const chunk of chunks) {
      const cursor = new ChunkCursor(chunk)
      while (cursor.next()) {
        if (cursor.sequence < from || cursor.codec !== Codec.dynamoJsonChange) continue
        if (!filter.takes(cursor)) {
          filtered++
          continue
        }
        writer ??= new RecordWriter(Buffer.allocUnsafeSlow(memoryBytesMin + memoryShare * bytes), frame)
        const start = writer.count > 0 ? writer.at + 1 : writer.at
        writer.add(cursor, Number.POSITIVE_INFINITY)
        const { hi, lo } = hashKey(chunk, cursor.keyStart, cursor.bodyStart)
        core.add(new EventRecord(cursor.sequence, (hi ^ lo) >>> 0, cursor.commitTime, page, start, writer.at), now)
      }
    }
    if (writer) page.wrote(writer.written)
    if (filtered > 0) onFiltered(filtered)
  }
}
