import type { RowEffect } from '../commit/index.js'
import type { Hash64 } from '../runtime/index.js'
import type { ShapeStore } from './shape-store.js'
import type { ImagesKept, LogPage, Sequence, Shard, ShardId, Stream, StreamId } from './types.js'

/** Where a reader starts in a stream. */
export type StartPosition = 'oldest' | 'newest' | { readonly sequence: Sequence } | { readonly timeMs: number }

/** Makes rows that go into the commit of a layout change. Synchronous; must not throw. */
export type RowsInCommit = (made: {
  stream: Stream
  firstSequence: Sequence
  time: number
  /** The shards that the commit opens. */
  opened: readonly Shard[]
}) => readonly RowEffect[]

/** Sees each chunk when it is packed: on the way of every commit, so it must be quick and must not keep the chunk. */
export interface ChunkSampler {
  take(chunk: Buffer): void
}

/** An open shard with what was packed into it since the opening, for whoever measures it. */
export interface MeteredShard {
  readonly shard: Shard
  readonly records: number
  readonly bytes: number
  sampler: ChunkSampler | undefined
}

/** Says why the shards of a stream may not be merged, or undefined when they may. */
export type MergeGuard = (stream: StreamId) => string | undefined

/** Cuts of one split at most: enough for eight pieces and an isolated key between two of them. */
export const splitCutsMax = 9

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
    /** What it has from the beginning instead of what the configuration says. */
    own?: Pick<Stream, 'policy' | 'retention'>
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
  /**
   * Splits an open shard at key hashes: each is the first hash of a child, 1 to `splitCutsMax` of them, ascending; the
   * middle of the range by default. `[h, h + 1]` gives the key hash h a shard of its own. One commit, one generation.
   * Throws SHARD_UNSPLITTABLE, BAD_REQUEST, TOO_BUSY (log.shardsMax, log.shardsKeptMax), CONFLICT when it is sealed.
   */
  split(id: ShardId, at?: Hash64 | readonly Hash64[], rows?: RowsInCommit): Promise<readonly Shard[]>
  /**
   * Seals two open neighbours and opens one child over both ranges, whose parents they are. Throws BAD_REQUEST when they
   * are no neighbours, CONFLICT when one is sealed, or while a guard says that this stream may not be merged.
   */
  merge(left: ShardId, right: ShardId, rows?: RowsInCommit): Promise<Shard>
  /** Adds a guard that is asked when a merge is asked for and again when its commit is packed. */
  guardMerges(guard: MergeGuard): void
  /** Changes a stream's description, as of the next commit. */
  alterStream(id: StreamId, change: (stream: Stream) => Stream): Promise<Stream>
  /** The open shards of a stream, in the order of their ranges, as the next commit sees them. */
  openShards(stream: StreamId): readonly MeteredShard[]

  /** The open shard of a key hash. */
  route(stream: StreamId, hash: Hash64): Shard | undefined
  /**
   * Records of a shard from a sequence number on, only durable ones. Empty `chunks` and `ended: false`: nothing yet.
   * Throws TRIMMED below the low watermark.
   */
  read(shard: ShardId, from: Sequence, options: { bytesMax: number }): Promise<LogPage>
  /**
   * How many durable records a shard has had since it was made. Undefined where it began before they were counted. Throws
   * NOT_FOUND.
   */
  recordsIn(shard: ShardId): number | undefined
  /** How many of them lie before a sequence number. It reads at most what lies between two marks. */
  recordsBefore(shard: ShardId, sequence: Sequence): Promise<number | undefined>
  /** The sequence number behind the newest durable record of the daemon: where "newest" starts. */
  nextSequence(): Sequence
  /**
   * First sequence number of a stream whose commit time is at or after `timeMs`; `nextSequence()` when there is none yet.
   * One number for all shards, since numbers and commit times rise together over the whole daemon.
   */
  sequenceAtTime(stream: StreamId, timeMs: number): Promise<Sequence>
  /** Shapes of the rows of streams. */
  readonly shapes: ShapeStore
  /** Calls back after each commit that added records or changed shards of the stream. Returns the end of it. */
  onChange(stream: StreamId, listener: () => void): () => void
}
