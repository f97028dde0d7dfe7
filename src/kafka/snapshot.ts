import type { RowEffect } from '../commit/index.js'
import type { Group } from '../groups/index.js'
import type { StreamId } from '../log/index.js'

/** Brings the items of a table, and its changes up to there, into a stream, which it closes behind the last. */
export interface SnapshotFeeder {
  /** `onError`: it cannot go on. */
  start(onError: (error: unknown) => void): void
  /** Its stream was read further: there may be room again. */
  moved(): void
  stop(): void
  /** Resolves when nothing of it is on its way into the store any more. */
  ended(): Promise<void>
}

/** What a bridge needs of whoever can read tables, to deliver a table's items before its changes. */
export interface Snapshots {
  createStream(bridge: string): Promise<StreamId>
  feeder(options: {
    readonly table: string
    readonly stream: StreamId
    readonly group: Group
    /** Reads the changes behind the items. */
    readonly changes: Group
  }): SnapshotFeeder
  /** The row that goes when nothing more is to be brought. */
  gone(stream: StreamId): RowEffect
}

/** Where the snapshot of a bridge stands, as it is remembered. */
export interface StoredSnapshot {
  readonly stream: StreamId
  readonly isDone: boolean
}

/** The first part of a bridge's life: the table's items, out of a stream of their own. */
export interface SnapshotPhase {
  readonly group: Group
  readonly feeder: () => SnapshotFeeder
}
