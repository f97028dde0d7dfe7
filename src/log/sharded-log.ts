import type { BatchEffect, Commit, Counters, Packed, PackingContext, RecordEffect, RowEffect } from '../commit/index.js'
import { Family } from '../commit/index.js'
import {
  asMillraceError,
  compareHash,
  type Hash64,
  hashAfter,
  hashBefore,
  hashText,
  killPoint,
  MillraceError,
  middleOf,
} from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import type { Log, MergeGuard, MeteredShard, RowsInCommit } from './api.js'
import { ChunkMemory } from './chunk-memory.js'
import { ChunkReader } from './chunk-reader.js'
import { checkCuts } from './cuts.js'
import { ShardExtent } from './extent.js'
import { evenRanges, Layout, openShard, type ShardState, type StreamState } from './layout.js'
import { ChunkPacker, type PackedChunk } from './packer.js'
import { decodeShard, decodeStream, shardRow, streamRow } from './rows.js'
import { takes } from './shard-lifecycle.js'
import { TailCache } from './tail-cache.js'
import { TimeSearch } from './time-search.js'
import { isTrimmedAway, Trimmer } from './trimmer.js'
import type { ImagesKept, LogPage, Sequence, Shard, ShardId, ShardRecords, Stream, StreamId } from './types.js'

export interface LogLimits {
  readonly chunkBytesMax: number
  readonly tailCacheBytesMax: number
  /** Open shards of one stream. */
  readonly shardsMax: number
  /** Sealed shards of one stream that are not trimmed away yet. */
  readonly shardsKeptMax: number
  readonly streamsMax: number
}

export interface LogOptions {
  readonly storage: Storage
  readonly commit: Commit
  readonly counters: Counters
  readonly limits: LogLimits
}

/** What the measuring of appends may see: called for every commit with records. */
export type AppendObserver = (sample: { records: number; bytes: number }) => void

type LayoutChange = (context: { commit: number; time: number; takeSequence(): Sequence }) => readonly RowEffect[]

/** The log on RocksDB. Layout changes take effect when their commit is packed and show when it has returned. */
export class ShardedLog implements Log {
  readonly #commit: Commit
  readonly #counters: Counters
  readonly #limits: LogLimits
  readonly #layout = new Layout()
  readonly #reader: ChunkReader
  readonly #times: TimeSearch
  /** Takes old records out of the log. */
  readonly trimmer: Trimmer
  readonly #tail: TailCache
  readonly #packer: ChunkPacker
  #observer: AppendObserver | undefined
  readonly #mergeGuards: MergeGuard[] = []
  /** What the commit in flight will show when it returns. */
  #packed: PackedChunk[] = []
  #changed: { streams: Set<StreamState>; shards: ShardState[] } = { streams: new Set(), shards: [] }

  private constructor(options: LogOptions, segment: number) {
    this.#commit = options.commit
    this.#counters = options.counters
    this.#limits = options.limits
    this.#reader = new ChunkReader(options.storage)
    this.#times = new TimeSearch(options.storage)
    this.trimmer = new Trimmer({ ...options, layout: this.#layout, onChanged: (state) => this.#touch(state) })
    const memory = new ChunkMemory()
    this.#tail = new TailCache(options.limits.tailCacheBytesMax, memory)
    this.#packer = new ChunkPacker(this.#layout, options.limits.chunkBytesMax, segment, memory)
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
        const { last, bytes, time } = await this.#endOf(shard)
        this.#layout.addShard(shard, last, shard, new ShardExtent(bytes, time))
      }
    }
    for (const stream of this.#layout.streams()) this.#layout.refresh(stream)
  }

  /** How far a shard reaches; the store is asked only for those that are open. */
  async #endOf(shard: Shard): Promise<ShardRecords> {
    const stored = shard.records ?? (await this.#reader.endOf({ id: shard.id, indexFrom: indexFromOf(shard) }))
    // All that there was may have been trimmed: then it ends before the low watermark.
    const last = Math.max(shard.firstSequence, shard.lowWatermark - 1) as Sequence
    return stored ?? { last, bytes: shard.trimmed?.bytes ?? 0, time: shard.createdAt }
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
    return this.#limits.shardsMax
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
    for (const state of this.#layout.streams()) if (visible(state)) streams.push(state.stream)
    return streams
  }

  streamNamed(name: string): Stream | undefined {
    const state = this.#layout.named(name)
    return state && visible(state) ? state.stream : undefined
  }

  stream(id: StreamId): Stream | undefined {
    const state = this.#layout.stream(id)
    return state && visible(state) ? state.stream : undefined
  }

  shards(stream: StreamId): readonly Shard[] {
    const shards: Shard[] = []
    for (const state of this.#layout.stream(stream)?.shards ?? []) if (state.visible) shards.push(state.visible)
    return shards
  }

  shard(id: ShardId): Shard | undefined {
    return this.#layout.shard(id)?.visible
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
    return this.#state(id).durableLast
  }

  onChange(stream: StreamId, listener: () => void): () => void {
    const state = this.#streamState(stream)
    state.listeners.add(listener)
    return () => state.listeners.delete(listener)
  }

  async read(id: ShardId, from: Sequence, options: { bytesMax: number }): Promise<LogPage> {
    const state = this.#state(id)
    const shard = state.visible as Shard
    const until = state.durableLast
    // Whoever has read a sealed shard has its end, also when nothing of it is left.
    if (shard.state === 'sealed' && from > until) return { chunks: [], next: from, ended: true }
    this.#checkKept(state, from)
    const position = Math.max(from, shard.firstSequence + 1) as Sequence
    if (position > until) return { chunks: [], next: position, ended: shard.state === 'sealed' }
    const { last, ...page } =
      this.#tail.read(id, position, options.bytesMax) ??
      (await this.#readStored(state, position, until, options.bytesMax))
    return { ...page, next: (last + 1) as Sequence, ended: shard.state === 'sealed' && last >= until }
  }

  async #readStored(state: ShardState, from: Sequence, until: Sequence, bytesMax: number) {
    const shard = state.visible as Shard
    try {
      return await this.#reader.read({ id: shard.id, indexFrom: indexFromOf(shard) }, from, until, bytesMax)
    } catch (error) {
      // What was there when the read began may have been trimmed under it: that is no damage.
      this.#checkKept(state, from)
      throw error
    }
  }

  /** Throws TRIMMED, with the oldest position there is, where records from a sequence number on are gone. */
  #checkKept(state: ShardState, from: Sequence): void {
    const shard = state.visible as Shard
    if (from >= shard.lowWatermark) return
    const oldest = isTrimmedAway(shard) ? this.oldest(shard.stream) : shard.lowWatermark
    throw new MillraceError(
      'TRIMMED',
      `Records of shard ${shard.id} from sequence number ${from} on are no longer kept; the oldest position there is is ${oldest}.`,
      { details: { shard: shard.id, oldest } },
    )
  }

  /** The oldest position of a stream from which records can be read; the next number to come when it holds none. */
  oldest(stream: StreamId): Sequence {
    let oldest = this.nextSequence()
    for (const shard of this.shards(stream))
      if (!isTrimmedAway(shard) && shard.lowWatermark < oldest) oldest = shard.lowWatermark
    return oldest
  }

  async sequenceAtTime(id: StreamId, timeMs: number): Promise<Sequence> {
    this.#streamState(id)
    // Taken first: whatever is committed during the search has a higher number.
    let lowest = this.nextSequence()
    for (const shard of this.shards(id)) {
      const state = this.#layout.shard(shard.id)
      // One that was taken away meanwhile held nothing.
      if (!state) continue
      const last = state.durableLast
      const { first } = await this.placeAtTime(shard.id, timeMs)
      if (first <= last && first < lowest) lowest = first
    }
    return lowest
  }

  /**
   * The first sequence number of a shard whose commit time is at or after `timeMs`, and the last one before it: a reader
   * behind that one has missed nothing. Behind its newest record when there is none.
   */
  async placeAtTime(id: ShardId, timeMs: number): Promise<{ first: Sequence; previous: Sequence }> {
    const state = this.#state(id)
    const shard = state.visible as Shard
    const { lowWatermark } = shard
    const last = state.durableLast
    const found = await this.#times.firstAt({ id, indexFrom: indexFromOf(shard), lowWatermark, last }, timeMs)
    const end = Math.max(last, shard.firstSequence)
    return found ?? { first: (end + 1) as Sequence, previous: end as Sequence }
  }

  async createStream(options: {
    name: string
    kind: Stream['kind']
    shards: number
    images: ImagesKept
    rows?: RowsInCommit
  }): Promise<Stream> {
    const { name, kind, shards, images, rows } = options
    if (this.#layout.named(name)) {
      // It may be on its way to the disk: the answer must not be taken back by a kill.
      await this.#commit.settled()
      throw new MillraceError('ALREADY_EXISTS', `A stream named ${name} exists.`)
    }
    if (this.#layout.streamCount >= this.#limits.streamsMax)
      throw tooMany('streams', 'log.streamsMax', this.#limits.streamsMax)
    if (!Number.isInteger(shards) || shards < 1 || shards > this.#limits.shardsMax) {
      throw new MillraceError(
        'BAD_REQUEST',
        `A stream has 1 to ${this.#limits.shardsMax} shards (log.shardsMax), not ${shards}.`,
      )
    }
    const id = this.#counters.take('stream') as StreamId
    let made: Stream | undefined
    await this.#change((context) => {
      if (this.#layout.named(name)) return []
      made = { id, name, kind, createdAt: context.time }
      killPoint('stream:created')
      const state = this.#layout.addStream(made)
      const opened = evenRanges(shards).map((range) => this.#open(state, { ...range, parents: [], images }, context))
      this.#layout.refresh(state)
      const firstSequence = (opened[0] as Shard).firstSequence
      return [
        streamRow(made),
        ...opened.map(shardRow),
        ...(rows?.({ stream: made, firstSequence, time: context.time, opened }) ?? []),
      ]
    })
    if (!made) throw new MillraceError('ALREADY_EXISTS', `A stream named ${name} exists.`)
    return made
  }

  async closeStream(id: StreamId, rows?: RowsInCommit): Promise<void> {
    const state = this.#streamState(id)
    await this.#change((context) => {
      killPoint('stream:closed')
      const sealed = state.open.map((shard) => this.#seal(state, shard, [], context))
      const stream: Stream =
        state.stream.closedAt === undefined ? { ...state.stream, closedAt: context.time } : state.stream
      this.#layout.closeStream(state, stream)
      this.#layout.refresh(state)
      this.#changed.streams.add(state)
      const firstSequence = context.takeSequence()
      return [
        streamRow(stream),
        ...sealed.map(shardRow),
        ...(rows?.({ stream, firstSequence, time: context.time, opened: [] }) ?? []),
      ]
    })
  }

  async reopenShards(id: StreamId, images: ImagesKept, rows?: RowsInCommit): Promise<Sequence> {
    const state = this.#streamState(id)
    let lowest = 0 as Sequence
    await this.#change((context) => {
      const made: Shard[] = []
      const opened: Shard[] = []
      const parents = state.open
      // All are sealed before the first is opened, so that one number separates the two generations.
      const children = parents.map(() => this.#takeShardId())
      parents.forEach((parent, i) => made.push(this.#seal(state, parent, [children[i] as ShardId], context)))
      parents.forEach((parent, i) => {
        const { low, high } = parent.shard
        const child = this.#open(state, { low, high, parents: [parent.shard.id], images }, context, children[i])
        if (lowest === 0) lowest = child.firstSequence
        opened.push(child)
      })
      this.#layout.refresh(state)
      return [
        ...made.map(shardRow),
        ...opened.map(shardRow),
        ...(rows?.({ stream: state.stream, firstSequence: lowest, time: context.time, opened }) ?? []),
      ]
    })
    return lowest
  }

  async split(id: ShardId, at?: Hash64 | readonly Hash64[], rows?: RowsInCommit): Promise<readonly Shard[]> {
    const parent = this.#state(id)
    const state = this.#streamState(parent.shard.stream)
    const { low, high, images } = parent.shard
    if (compareHash(low, high) === 0)
      throw new MillraceError('SHARD_UNSPLITTABLE', `Shard ${id} holds the single key hash ${hashText(low)}.`)
    const cuts = at === undefined ? [middleOf(low, high)] : 'hi' in at ? [at] : at
    checkCuts(parent.shard, cuts)
    this.#admitShards(state, cuts.length + 1, 1)
    let children: Shard[] | undefined
    let refused: MillraceError | undefined
    await this.#change((context) => {
      refused = refusalOf(() => {
        if (!takes(parent.shard, 'split')) throw sealedAlready(id)
        // Others may have been packed since it was asked for.
        this.#admitShards(state, cuts.length + 1, 1)
      })
      if (refused) return []
      const ids = Array.from({ length: cuts.length + 1 }, () => this.#takeShardId())
      const sealed = this.#seal(state, parent, ids, context)
      children = ids.map((child, i) => {
        const range = {
          low: i === 0 ? low : (cuts[i - 1] as Hash64),
          high: i === cuts.length ? high : hashBefore(cuts[i] as Hash64),
        }
        return this.#open(state, { ...range, parents: [id], images }, context, child)
      })
      this.#layout.replace(state, [parent], this.#statesOf(ids))
      return this.#rowsOfChange(state, [sealed], children, context, rows)
    })
    if (!children) throw refused
    return children
  }

  async merge(left: ShardId, right: ShardId, rows?: RowsInCommit): Promise<Shard> {
    const parents = [this.#state(left), this.#state(right)] as const
    const [lower, upper] = [parents[0].shard, parents[1].shard]
    if (lower.stream !== upper.stream || compareHash(hashAfter(lower.high), upper.low) !== 0)
      throw new MillraceError('BAD_REQUEST', `Shard ${right} does not begin where shard ${left} ends.`, {
        remedy: 'Name two neighbours of one stream, the lower one first.',
      })
    const { old, new: newer } = lower.images
    if (old !== upper.images.old || newer !== upper.images.new)
      throw new MillraceError('CONFLICT', `The shards ${left} and ${right} do not keep the same images.`)
    const state = this.#streamState(lower.stream)
    this.#checkMerge(state)
    this.#admitShards(state, 1, 2)
    let child: Shard | undefined
    let refused: MillraceError | undefined
    await this.#change((context) => {
      refused = refusalOf(() => {
        for (const parent of parents) if (!takes(parent.shard, 'merge')) throw sealedAlready(parent.shard.id)
        this.#checkMerge(state)
        this.#admitShards(state, 1, 2)
      })
      if (refused) return []
      const id = this.#takeShardId()
      killPoint('shard:merged')
      const sealed = parents.map((parent) => this.#seal(state, parent, [id], context))
      const range = { low: lower.low, high: upper.high }
      child = this.#open(state, { ...range, parents: [left, right], images: lower.images }, context, id)
      this.#layout.replace(state, parents, this.#statesOf([id]))
      return this.#rowsOfChange(state, sealed, [child], context, rows)
    })
    if (!child) throw refused
    return child
  }

  guardMerges(guard: MergeGuard): void {
    this.#mergeGuards.push(guard)
  }

  async alterStream(id: StreamId, change: (stream: Stream) => Stream): Promise<Stream> {
    const state = this.#streamState(id)
    await this.#change(() => {
      state.stream = change(state.stream)
      this.#changed.streams.add(state)
      return [streamRow(state.stream)]
    })
    return state.stream
  }

  openShards(stream: StreamId): readonly MeteredShard[] {
    return this.#layout.stream(stream)?.open ?? []
  }

  /** Throws TOO_BUSY where a stream would have too many open shards, or too many that are sealed and still kept. */
  #admitShards(state: StreamState, opened: number, sealed: number): void {
    const { shardsMax, shardsKeptMax } = this.#limits
    if (opened > sealed && state.open.length + opened - sealed > shardsMax)
      throw tooMany('open shards', 'log.shardsMax', shardsMax, 'or merge two neighbours')
    if (state.sealed + sealed > shardsKeptMax) throw tooMany('sealed shards', 'log.shardsKeptMax', shardsKeptMax)
  }

  #checkMerge(state: StreamState): void {
    for (const guard of this.#mergeGuards) {
      const why = guard(state.stream.id)
      if (why !== undefined)
        throw new MillraceError('CONFLICT', `Shards of ${state.stream.name} cannot be merged: ${why}.`)
    }
  }

  #statesOf(ids: readonly ShardId[]): ShardState[] {
    return ids.map((id) => this.#layout.shard(id) as ShardState)
  }

  #rowsOfChange(
    { stream }: StreamState,
    sealed: readonly Shard[],
    opened: readonly Shard[],
    { time }: { time: number },
    rows: RowsInCommit | undefined,
  ): readonly RowEffect[] {
    const { firstSequence } = opened[0] as Shard
    return [
      ...sealed.map(shardRow),
      ...opened.map(shardRow),
      ...(rows?.({ stream, firstSequence, time, opened }) ?? []),
    ]
  }

  /** One effect set; its counters row is made when the numbers have been taken, at packing. */
  async #change(change: LayoutChange): Promise<void> {
    await this.#commit.submit({ essential: true, atPack: (context) => [...change(context), this.#counters.row()] })
  }

  #takeShardId(): ShardId {
    return this.#counters.take('shard') as ShardId
  }

  #open(
    state: StreamState,
    seed: Pick<Shard, 'low' | 'high' | 'parents' | 'images'>,
    context: { time: number; takeSequence(): Sequence },
    id: ShardId = this.#takeShardId(),
  ): Shard {
    killPoint('shard:opened')
    const shard = openShard({ ...seed, id, stream: state.stream.id }, context.takeSequence(), context.time)
    this.#changed.shards.push(this.#layout.addShard(shard))
    this.#changed.streams.add(state)
    return shard
  }

  /** Shows as it is now when the commit that is being packed has returned. */
  #touch(state: ShardState): void {
    this.#changed.shards.push(state)
    const stream = this.#layout.stream(state.shard.stream)
    if (stream) this.#changed.streams.add(stream)
  }

  #seal(
    stream: StreamState,
    state: ShardState,
    children: readonly ShardId[],
    context: { time: number; takeSequence(): Sequence },
  ): Shard {
    killPoint('shard:sealed')
    state.shard = {
      ...state.shard,
      state: 'sealed',
      children,
      lastSequence: context.takeSequence(),
      sealedAt: context.time,
      // Its records are all packed: those of this commit go to other shards.
      records: { last: state.packedLast, bytes: state.extent.bytes, time: state.extent.time },
    }
    this.#changed.shards.push(state)
    this.#changed.streams.add(stream)
    return state.shard
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
    const streams = this.#changed.streams
    for (const state of this.#changed.shards) state.visible = state.shard
    for (const { state, chunk, previous, last } of this.#packed) {
      state.durableLast = last
      this.#tail.add(state.shard.id, chunk, previous, last)
      const stream = this.#layout.stream(state.shard.stream)
      if (stream) streams.add(stream)
    }
    this.#packed = []
    if (streams.size === 0) return
    this.#changed = { streams: new Set(), shards: [] }
    for (const stream of streams) for (const listener of stream.listeners) listener()
  }

  #state(id: ShardId): ShardState {
    const state = this.#layout.shard(id)
    if (!state?.visible) throw new MillraceError('NOT_FOUND', `There is no shard ${id}.`)
    return state
  }

  #streamState(id: StreamId): StreamState {
    const state = this.#layout.stream(id)
    if (!state) throw new MillraceError('NOT_FOUND', `There is no stream with the id ${id}.`)
    return state
  }
}

const family = (byte: number): Buffer => Buffer.from([byte])

/** A stream shows with its first durable shard. */
const visible = (state: StreamState): boolean => state.shards.some((shard) => shard.visible !== undefined)

const indexFromOf = (shard: Shard): number => shard.trimmed?.indexFrom ?? 0

/** Within a commit nothing may be thrown: what refuses a change is kept for who asked for it. */
function refusalOf(check: () => void): MillraceError | undefined {
  try {
    check()
    return undefined
  } catch (error) {
    return asMillraceError(error)
  }
}

const sealedAlready = (id: ShardId): MillraceError => new MillraceError('CONFLICT', `Shard ${id} is sealed already.`)

const whileKept = 'deleted streams and sealed shards count while their records are kept'

const tooMany = (what: string, limit: string, max: number, also = whileKept): MillraceError =>
  new MillraceError('TOO_BUSY', `There are ${max} ${what} already.`, {
    details: { limit },
    remedy: `Raise ${limit}; ${also}.`,
  })
