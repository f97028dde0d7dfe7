import type { Commit } from '../../commit/index.js'
import type { Group, Position } from '../../groups/index.js'
import { ChunkCursor, type LogPage, type NewRecord, type Sequence, type ShardedLog } from '../../log/index.js'
import type { ItemPage, Tables } from '../../tables/index.js'
import type { Feed, FeedPart, PartBounds } from './feed.js'

/*
 * A table's items, then its changes, each of which counts once: as a part of the item, or as a change.
 *
 * Items are walked in the order of their places (the hash of the partition key, then the key), a page at a time. What the feed
 * brings is one consistent sequence of changes of its own: up to the cursor everything is in it, behind it nothing. A step:
 *
 * 1. A page is read as of a mark: no commit is in flight at that moment, so it holds what has a sequence number below the mark.
 * 2. The table's change log is read up to the mark, in all its shards, parents before children. Changes of keys up to the cursor
 *    are brought; those of keys behind it are in the page or in later ones, and are left out.
 * 3. The items of the page are brought as inserts, and the cursor moves behind them.
 *
 * The positions in the change log are those of the pipeline's own group for it. They commit with what is brought, so a feed that
 * was cut off in any place goes on there; and where the last page leaves them the pipeline itself reads on. Shards that split
 * or merge meanwhile are followed by the rule of all groups.
 */

/** Where a snapshot stands. */
export interface SnapshotCursor {
  /** The place of the last item that was brought, in hex; empty before the first. */
  readonly after: string
}

export interface SnapshotFeedOptions {
  readonly table: string
  /** Reads the table's change log: the pipeline's own. */
  readonly changes: Group
  readonly tables: Pick<Tables, 'items'>
  readonly commit: Pick<Commit, 'pause' | 'durableNextSequence'>
  readonly log: Pick<ShardedLog, 'read'>
}

interface Page extends ItemPage {
  /** Everything below it is in the page. */
  readonly mark: Sequence
}

export class SnapshotFeed implements Feed<SnapshotCursor> {
  readonly start: SnapshotCursor = { after: '' }
  readonly #options: SnapshotFeedOptions
  /** The page whose mark the change log is being read up to. */
  #page: Page | undefined

  constructor(options: SnapshotFeedOptions) {
    this.#options = options
  }

  async next(cursor: SnapshotCursor, bounds: PartBounds): Promise<FeedPart<SnapshotCursor>> {
    // One that was too large for a commit is read again, smaller.
    if (this.#page && this.#page.records.length > bounds.recordsMax) this.#page = undefined
    this.#page ??= await this.#read(cursor, bounds)
    const page = this.#page
    const changes = await this.#changesBelow(page.mark, Buffer.from(cursor.after, 'hex'), bounds.bytesMax)
    if (changes) return { ...changes, cursor, isEnd: false }
    const last = page.last?.toString('hex') ?? cursor.after
    return {
      records: page.records,
      rows: [],
      cursor: { after: last },
      isEnd: !page.more,
      committed: () => {
        this.#page = undefined
      },
    }
  }

  async #read({ after }: SnapshotCursor, { recordsMax, bytesMax }: PartBounds): Promise<Page> {
    const { tables, commit, changes, table } = this.#options
    const resume = await commit.pause()
    let items: Promise<ItemPage>
    const mark = commit.durableNextSequence as Sequence
    try {
      // What it will give is settled when the call returns: commits need not wait for the disk.
      items = tables.items({
        table,
        changeLog: changes.stream,
        after: after === '' ? undefined : Buffer.from(after, 'hex'),
        itemsMax: recordsMax,
        bytesMax,
      })
    } finally {
      resume()
    }
    return { ...(await items), mark }
  }

  /** A part of what the change log has below the mark; undefined when there is nothing more. */
  async #changesBelow(
    mark: Sequence,
    cursor: Buffer,
    bytesMax: number,
  ): Promise<Pick<FeedPart<never>, 'records' | 'rows' | 'committed'> | undefined> {
    const { changes, log } = this.#options
    for (const { shard, next } of changes.readable()) {
      if (next >= mark) continue
      const page = await log.read(shard, next, { bytesMax })
      if (page.chunks.length === 0 && !page.ended) continue
      const records = changesOf(page, next, mark, cursor)
      page.release?.()
      const isCut = page.next > mark
      const position: Position = { shard, next: isCut ? mark : page.next, ended: page.ended && !isCut }
      return { records, rows: changes.rowsFor([position]), committed: () => changes.moved([position]) }
    }
    return undefined
  }
}

/** The changes of a page, from one sequence number up to another, whose keys lie up to the cursor. */
function changesOf(page: LogPage, from: Sequence, below: Sequence, cursor: Buffer): NewRecord[] {
  const records: NewRecord[] = []
  for (const chunk of page.chunks) {
    const at = new ChunkCursor(chunk)
    while (at.next()) {
      if (at.sequence < from || at.sequence >= below || !isUpTo(at, cursor)) continue
      const { hash, kind, flags, codec, time, key, body } = at.record()
      // The memory of the chunk is written again.
      records.push({ hash, kind, flags, codec, time, key: Buffer.from(key), body: Buffer.from(body) })
    }
  }
  return records
}

/** Whether the key of a change has a place up to the cursor. */
function isUpTo(change: ChunkCursor, cursor: Buffer): boolean {
  if (cursor.length === 0) return false
  const hi = cursor.readUInt32BE(0)
  if (change.hashHi !== hi) return change.hashHi < hi
  const lo = cursor.readUInt32BE(4)
  if (change.hashLo !== lo) return change.hashLo < lo
  return change.chunk.compare(cursor, 8, cursor.length, change.keyStart, change.bodyStart) <= 0
}
