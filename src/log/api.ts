import type { RowEffect } from '../commit/index.js'
import type { Hash64 } from '../runtime/index.js'
import type { ImagesKept, LogPage, Sequence, Shard, ShardId, Stream, StreamId } from './types.js'

/** Where a reader starts in a stream. */
export type StartPosition = 'oldest' | 'newest' | { readonly sequence: Sequence } | { readonly timeMs: number }

/** Makes rows that go into the commit of a layout change. Synchronous; must not throw. */
export type RowsInCommit = (made: { stream: Stream; firstSequence: Sequence; time: number }) => readonly RowEffect[]

/** The sharded log: streams, their shards, what they hold. */
export interface Log {
  streams(): readonly Stream[]
  streamNamed(name: string): Stream | undefined
  stream(id: StreamId): Stream | undefined
  /** All shards of a stream that can still be read, by id (parents before children). */
  shards(stream: StreamId): readonly Shard[]
  shard(id: ShardId): Shard | undefined

  createStream(options: {
    name: string
    kind: Stream['kind']
    shards: number
    images: ImagesKept
    /** Rows for the same commit. */
    rows?: RowsInCommit
  }): Promise<Stream>
  /** Seals every shard; the records stay readable. */
  closeStream(id: StreamId, rows?: RowsInCommit): Promise<void>
  /**
   * Seals every open shard and opens one child each, which keeps the given images. Returns the lowest sequence number
   * of the new shards: every record before it is in the sealed ones.
   */
  reopenShards(id: StreamId, images: ImagesKept, rows?: RowsInCommit): Promise<Sequence>
  /** Splits an open shard at a key hash (the first hash of the upper child; the middle of the range by default). */
  split(id: ShardId, at?: Hash64): Promise<readonly Shard[]>

  /** The open shard of a key hash. */
  route(stream: StreamId, hash: Hash64): Shard | undefined
  /**
   * Records of a shard from a sequence number on, only durable ones. Empty `chunks` and `ended: false`: nothing yet.
   * Throws TRIMMED below the low watermark.
   */
  read(shard: ShardId, from: Sequence, options: { bytesMax: number }): Promise<LogPage>
  /** The sequence number behind the newest durable record of the daemon: where "newest" starts. */
  nextSequence(): Sequence
  /**
   * First sequence number of a stream whose commit time is at or after `timeMs`; `nextSequence()` when there is none yet.
   * One number for all shards, since numbers and commit times rise together over the whole daemon.
   */
  sequenceAtTime(stream: StreamId, timeMs: number): Promise<Sequence>
  /** Calls back after each commit that added records or changed shards of the stream. Returns the end of it. */
  onChange(stream: StreamId, listener: () => void): () => void
}
