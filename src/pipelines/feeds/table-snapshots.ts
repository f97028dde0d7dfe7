import type { Commit, RowEffect } from '../../commit/index.js'
import type { Group } from '../../groups/index.js'
import { type ShardedLog, type StreamId, snapshotName } from '../../log/index.js'
import type { Clock } from '../../runtime/index.js'
import type { Tables } from '../../tables/index.js'
import { createInternal } from '../outboxes.js'
import { feedGone } from './feed-rows.js'
import { Feeder } from './feeder.js'
import { SnapshotFeed } from './snapshot-feed.js'

/** Rows of feeds belong to a pipeline; this is none. Streams are never numbered twice, so nothing more is needed. */
const noPipeline = 0

/** What was brought is thrown away when it was delivered. */
const own = { retention: { bytes: 1 }, policy: { enabled: false } }

export interface TableSnapshotsOptions {
  readonly log: ShardedLog
  readonly commit: Commit
  readonly clock: Clock
  readonly tables: Pick<Tables, 'items'>
}

export interface SnapshotOptions {
  readonly table: string
  /** What the items are brought into. */
  readonly stream: StreamId
  /** Reads that stream. */
  readonly group: Group
  /** Reads the table's change log behind it. */
  readonly changes: Group
}

/** Snapshots of tables for who is no pipeline: the items of a table, and then its changes, through an internal stream. */
export class TableSnapshots {
  readonly #options: TableSnapshotsOptions

  constructor(options: TableSnapshotsOptions) {
    this.#options = options
  }

  async createStream(owner: string): Promise<StreamId> {
    return (await createInternal(this.#options.log, snapshotName(owner), own)).id
  }

  /** What fills the stream, from where its last commit left it, and closes it behind the last item. */
  feeder({ table, stream, group, changes }: SnapshotOptions): Feeder {
    const { log, commit, clock, tables } = this.#options
    const feed = new SnapshotFeed({ table, changes, tables, commit, log })
    return new Feeder({ pipeline: noPipeline, stream, group, feed, commit, log, clock }) as unknown as Feeder
  }

  /** The row that goes when nothing more is to be brought. */
  gone(stream: StreamId): RowEffect {
    return feedGone(noPipeline, stream)
  }
}
