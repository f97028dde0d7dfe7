import type { Position } from '../groups/index.js'
import { type LogPage, readChunkHeader, type Sequence, type StreamId } from '../log/index.js'
import type { ItemPlace, Tables } from '../tables/index.js'
import { packItems } from './packed-items.js'
import type { IndexBatch } from './protocol.js'
import { type ReadLog, ShardPositions } from './shard-positions.js'

/*
 * A table's items, then its changes. All of it is in memory, so nothing has to fit together but at the end: positions in the
 * change log are taken first, then the items are read, page by page and each as it is by then, then the changes from those
 * positions on. A change that a page had seen already is made once more; the last change of a key decides. Until the changes up
 * to the end of the last page are in, a key may stand as it was before, so nobody is shown it.
 */

const itemsMax = 1000
const bytesMax = 256 * 1024

/** What comes next. */
export interface FeedStep {
  readonly batch: IndexBatch
  /** Commit time of the oldest change of it, milliseconds since 1970; undefined of items. */
  readonly oldest: number | undefined
  /** Behind it; undefined of items. */
  readonly position: Position | undefined
  /** It brings the last item. */
  readonly isLastItem: boolean
}

export interface TableFeedOptions {
  readonly table: string
  readonly tables: Pick<Tables, 'items' | 'changeLog'>
  readonly log: ReadLog
}

export class TableFeed {
  readonly #options: TableFeedOptions
  readonly stream: StreamId
  readonly #read: ShardPositions
  /** Behind what has been taken in. */
  readonly applied: ShardPositions
  #after: ItemPlace | undefined
  #areItemsRead = false
  #areItemsApplied = false
  /** Everything below it must be in before what is there may be shown. */
  #showFrom = 0

  private constructor(options: TableFeedOptions, stream: StreamId) {
    this.#options = options
    this.stream = stream
    const from = options.log.nextSequence()
    this.#read = new ShardPositions(options.log, stream, from)
    this.applied = new ShardPositions(options.log, stream, from)
  }

  /** Throws NOT_FOUND. */
  static async open(options: TableFeedOptions): Promise<TableFeed> {
    return new TableFeed(options, await options.tables.changeLog(options.table))
  }

  /** What follows; undefined when nothing is there now. Steps are taken in one after the other. Throws TRIMMED. */
  async next(): Promise<FeedStep | undefined> {
    return this.#areItemsRead ? this.#nextChanges() : this.#nextItems()
  }

  async #nextItems(): Promise<FeedStep> {
    const { tables, table, log } = this.#options
    const { records, last, more } = await tables.items({
      table,
      changeLog: this.stream,
      after: this.#after,
      itemsMax,
      bytesMax,
    })
    this.#after = last ?? this.#after
    if (!more) {
      this.#areItemsRead = true
      this.#showFrom = log.nextSequence()
    }
    const batch: IndexBatch = { kind: 'items', items: packItems(records) }
    return { batch, oldest: undefined, position: undefined, isLastItem: !more }
  }

  async #nextChanges(): Promise<FeedStep | undefined> {
    const { log } = this.#options
    for (const { shard, next } of this.#read.readable()) {
      // Most shards have nothing new: they are passed without a read.
      if (next > log.lastSequence(shard) && log.shard(shard)?.state === 'open') continue
      const page = await log.read(shard, next, { bytesMax })
      const position = { shard, next: page.next, ended: page.ended }
      this.#read.moved(position)
      const [first] = page.chunks
      const oldest = first && readChunkHeader(first).commitTime
      return { batch: { kind: 'changes', from: next, chunks: ownChunks(page) }, oldest, position, isLastItem: false }
    }
    return undefined
  }

  taken({ position, isLastItem }: FeedStep): void {
    if (position) this.applied.moved(position)
    if (isLastItem) this.#areItemsApplied = true
  }

  /** Every change below it is in. 0 while the items are still being read. */
  get reached(): Sequence {
    const { log } = this.#options
    let reached = this.#areItemsApplied ? log.nextSequence() : (0 as Sequence)
    // Behind the end of a sealed shard come others, which are not read before its end is known.
    for (const { shard, next } of this.applied.readable())
      if (next < reached && (next <= log.lastSequence(shard) || log.shard(shard)?.state !== 'open')) reached = next
    return reached
  }

  /** Whether what is there can be shown. */
  get isWhole(): boolean {
    return this.#areItemsApplied && this.reached >= this.#showFrom
  }

  /** The table is gone, and everything of it is read. */
  get isGone(): boolean {
    const stream = this.#options.log.stream(this.stream)
    return !stream || (stream.closedAt !== undefined && this.#areItemsRead && this.applied.readable().length === 0)
  }

  onChange(listener: () => void): () => void {
    return this.#options.log.onChange(this.stream, listener)
  }
}

/** The chunks of a page in memory that may be handed over. */
function ownChunks({ chunks, isOwned, release }: LogPage): Uint8Array[] {
  if (isOwned) return [...chunks]
  const copies = chunks.map((chunk) => new Uint8Array(chunk))
  release?.()
  return copies
}
