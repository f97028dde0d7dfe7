import type { BatchEffect, Commit, Counters, Packed, PackingContext, RecordEffect } from '../commit/index.js'
import { Family } from '../commit/index.js'
import type { Hash64 } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import type { Log, MergeGuard, MeteredShard, RowsInCommit } from './api.js'
import { ChangesInFlight } from './changes-in-flight.js'
import { ChunkMemory } from './chunk-memory.js'
import { ShardExtent } from './extent.js'
import { isShown, Layout } from './layout.js'
import { LayoutChanger, type LayoutLimits } from './layout-changer.js'
import { ChunkPacker, type PackedChunk } from './packer.js'
import { decodeShard, decodeStream } from './rows.js'
import { ShapeStore } from './shape-store.js'
import { ShardReads } from './shard-reads.js'
import { TailCache } from './tail-cache.js'
import { Trimmer } from './trimmer.js'
import type { ImagesKept, LogPage, Sequence, Shard, ShardId, Stream, StreamId } from './types.js'

export interface LogLimits extends LayoutLimits {
  readonly chunkBytesMax: number
  readonly tailCacheBytesMax: number
}

export interface LogOptions {
  readonly storage: Storage
  readonly commit: Commit
  readonly counters: Counters
  readonly limits: LogLimits
}

/** What the measuring of appends may see: called for every commit with records. */
export type AppendObserver = (sample: { records: number; bytes: number }) => void

/** The log on RocksDB. Layout changes take effect when their commit is packed and show when it has returned. */
export class ShardedLog implements Log {
  readonly #commit: Commit
  readonly #layout = new Layout()
  readonly #changer: LayoutChanger
  /** Shapes of rows. */
  readonly shapes = new ShapeStore(this.#layout)
  readonly #shardsMax: number
  readonly #reads: ShardReads
  /** Takes old records out of the log. */
  readonly trimmer: Trimmer
  readonly #tail: TailCache
  readonly #packer: ChunkPacker
  #observer: AppendObserver | undefined
  /** What the commit in flight will show when it returns. */
  #packed: PackedChunk[] = []
  readonly #changes = new ChangesInFlight(this.#layout)

  private constructor(options: LogOptions, segment: number) {
    const layout = this.#layout
    const changes = this.#changes
    this.#commit = options.commit
    this.#shardsMax = options.limits.shardsMax
    this.#changer = new LayoutChanger({ ...options, layout, changes })
    this.trimmer = new Trimmer({ ...options, layout, onChanged: (state) => changes.touch(state) })
    const memory = new ChunkMemory()
    this.#tail = new TailCache(options.limits.tailCacheBytesMax, memory)
    this.#reads = new ShardReads({ ...options, layout, tail: this.#tail })
    this.#packer = new ChunkPacker(layout, options.limits.chunkBytesMax, segment, memory)
    options.commit.usePacker({ pack: (records, context) => this.#pack(records, context) })
    options.commit.onReturned(() => this.#show())
  }

  /** Reads the layout and the end of every open shard. */
  static async open(options: LogOptions): Promise<ShardedLog> {
    const { storage } = options
    const newest = await storage.page({
      gte: family(Family.chunk),
      lt: family(Family.chunk + 1),
      reverse: true,
      limit: 1,
      bytesMax: 1,
      values: false,
    })
    const log = new ShardedLog(options, newest.keys[0] ? newest.keys[0].readUInt32BE(1) + 1 : 0)
    await log.#load(storage)
    return log
  }

  async #load(storage: Storage): Promise<void> {
    for await (const page of storage.scan({
      gte: family(Family.stream),
      lt: family(Family.stream + 1),
      bytesMax: 1 << 20,
    })) {
      for (const value of page.values) this.#layout.addStream(decodeStream(value))
    }
    for await (const page of storage.scan({
      gte: family(Family.shard),
      lt: family(Family.shard + 1),
      bytesMax: 1 << 20,
    })) {
      for (const value of page.values) {
        const shard = decodeShard(value)
        const { last, bytes, count, time } = await this.#reads.endOf(shard)
        this.#layout.addShard(shard, last, shard, new ShardExtent(bytes, count, time))
      }
    }
    for (const stream of this.#layout.streams()) this.#layout.refresh(stream)
    const shapes: { key: Buffer; value: Buffer }[] = []
    const range = { gte: family(Family.shape), lt: family(Family.shape + 1), bytesMax: 1 << 20 }
    for await (const page of storage.scan(range))
      for (const [i, key] of page.keys.entries()) shapes.push({ key, value: page.values[i] as Buffer })
    this.shapes.load(shapes)
  }

  observe(observer: AppendObserver): void {
    this.#observer = observer
  }

  /** Bytes of the chunks that a stream keeps. */
  bytesOf(stream: StreamId): number {
    let bytes = 0
    for (const { shard, extent } of this.#layout.stream(stream)?.shards ?? [])
      bytes += extent.bytes - (shard.trimmed?.bytes ?? 0)
    return bytes
  }

  /** Open shards that one stream may have. */
  get shardsMax(): number {
    return this.#shardsMax
  }

  get tailCacheBytes(): number {
    return this.#tail.bytes
  }

  /** Reads since this opening, by where their chunks came from. */
  get reads(): { readonly cache: number; readonly store: number } {
    return { cache: this.#tail.hits, store: this.#tail.misses }
  }

  streams(): readonly Stream[] {
    const streams: Stream[] = []
    for (const state of this.#layout.streams()) if (isShown(state)) streams.push(state.stream)
    return streams
  }

  streamNamed(name: string): Stream | undefined {
    const state = this.#layout.named(name)
    return state && isShown(state) ? state.stream : undefined
  }

  stream(id: StreamId): Stream | undefined {
    const state = this.#layout.stream(id)
    return state && isShown(state) ? state.stream : undefined
  }

  shards(stream: StreamId): readonly Shard[] {
    return this.#layout.visibleShards(stream)
  }

  shard(id: ShardId): Shard | undefined {
    return this.#layout.shard(id)?.visible
  }

  /** At packing: from which number on a shard is kept, with what this commit and the one in flight trim. */
  packedLowWatermark(id: ShardId): Sequence {
    return this.#layout.visibleShard(id).shard.lowWatermark
  }

  /** At packing: a stream's own policy, with what this commit and the one in flight change of it. */
  packedRetention(id: StreamId): Stream['retention'] {
    return this.#layout.streamState(id).stream.retention
  }

  route(stream: StreamId, hash: Hash64): Shard | undefined {
    const open = this.#layout.stream(stream)?.open ?? []
    return open[Layout.find(open, hash.hi, hash.lo)]?.shard
  }

  nextSequence(): Sequence {
    return this.#commit.durableNextSequence as Sequence
  }

  /** Last durable sequence number of a shard: that of its newest record, or of its making. */
  lastSequence(id: ShardId): Sequence {
    return this.#layout.visibleShard(id).durableLast
  }

  onChange(stream: StreamId, listener: () => void): () => void {
    const state = this.#layout.streamState(stream)
    state.listeners.add(listener)
    return () => state.listeners.delete(listener)
  }

  read(id: ShardId, from: Sequence, options: { bytesMax: number }): Promise<LogPage> {
    return this.#reads.read(id, from, options)
  }

  recordsIn(id: ShardId): number | undefined {
    return this.#layout.visibleShard(id).durableRecords
  }

  recordsBefore(id: ShardId, sequence: Sequence): Promise<number | undefined> {
    return this.#reads.recordsBefore(id, sequence)
  }

  /** The oldest position of a stream from which records can be read; the next number to come when it holds none. */
  oldest(stream: StreamId): Sequence {
    return this.#reads.oldest(stream)
  }

  sequenceAtTime(id: StreamId, timeMs: number): Promise<Sequence> {
    return this.#reads.sequenceAtTime(id, timeMs)
  }

  /** As `ShardReads.placeAtTime`. */
  placeAtTime(id: ShardId, timeMs: number): Promise<{ first: Sequence; previous: Sequence }> {
    return this.#reads.placeAtTime(id, timeMs)
  }

  createStream(options: {
    name: string
    kind: Stream['kind']
    shards: number
    images: ImagesKept
    own?: Pick<Stream, 'policy' | 'retention'>
    rows?: RowsInCommit
  }): Promise<Stream> {
    return this.#changer.createStream(options)
  }

  closeStream(id: StreamId, rows?: RowsInCommit): Promise<void> {
    return this.#changer.closeStream(id, rows)
  }

  reopenShards(id: StreamId, images: ImagesKept, rows?: RowsInCommit): Promise<Sequence> {
    return this.#changer.reopenShards(id, images, rows)
  }

  split(id: ShardId, at?: Hash64 | readonly Hash64[], rows?: RowsInCommit): Promise<readonly Shard[]> {
    return this.#changer.split(id, at, rows)
  }

  merge(left: ShardId, right: ShardId, rows?: RowsInCommit): Promise<Shard> {
    return this.#changer.merge(left, right, rows)
  }

  guardMerges(guard: MergeGuard): void {
    this.#changer.guardMerges(guard)
  }

  alterStream(id: StreamId, change: (stream: Stream) => Stream): Promise<Stream> {
    return this.#changer.alterStream(id, change)
  }

  openShards(stream: StreamId): readonly MeteredShard[] {
    return this.#layout.stream(stream)?.open ?? []
  }

  #pack(records: readonly (RecordEffect | BatchEffect)[], context: PackingContext): Packed {
    const packed = this.#packer.pack(records, context)
    this.#packed = packed.chunks
    if (this.#observer) {
      let bytes = 0
      for (const { chunk } of packed.chunks) bytes += chunk.length
      this.#observer({ records: packed.count, bytes })
    }
    return packed
  }

  /** The commit in flight has returned: its chunks and shards may be seen. */
  #show(): void {
    for (const { state, chunk, previous, last, records } of this.#packed) {
      state.durableLast = last
      state.durableRecords = records
      this.#tail.add(state.shard.id, chunk, previous, last)
      this.#changes.touchStreamOf(state)
    }
    this.#packed = []
    this.shapes.show()
    for (const stream of this.#changes.show()) for (const listener of stream.listeners) listener()
  }
}

const family = (byte: number): Buffer => Buffer.from([byte])
