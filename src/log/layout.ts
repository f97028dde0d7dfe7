import { compareHash, type Hash64, MillraceError } from '../runtime/index.js'
import type { ChunkSampler } from './api.js'
import { ShardExtent } from './extent.js'
import type { ImagesKept, Sequence, Shard, ShardId, Stream, StreamId } from './types.js'

/** A shard in memory: its durable description and where its records end. */
export interface ShardState {
  /** As the next commit sees it. */
  shard: Shard
  /** As readers see it: the newest durable description; undefined until the commit that made it has returned. */
  visible: Shard | undefined
  /** Last sequence number packed into it (its first sequence number while it is empty). */
  packedLast: Sequence
  /** Last sequence number that a reader may see. */
  durableLast: Sequence
  /** How many records a reader may see, and those before that were trimmed; undefined where they were not counted. */
  durableRecords: number | undefined
  /** The segment of its newest chunk, or -1 before the first since the opening. */
  segment: number
  /** Records packed into it since the opening, and the bytes of its chunks. */
  records: number
  bytes: number
  /** Looks into its chunks as they are packed, while somebody wants to know its keys. */
  sampler: ChunkSampler | undefined
  /** How far it reaches, as packed. */
  readonly extent: ShardExtent
}

export interface StreamState {
  stream: Stream
  /** Every shard that can still be read, in the order of their ids. */
  readonly shards: ShardState[]
  /** How many of them are sealed. */
  sealed: number
  /** The open ones, in the order of their ranges. */
  open: ShardState[]
  readonly listeners: Set<() => void>
}

/** Streams and shards by name, id and key hash. Changes are made at packing, so routing is always that of the next commit. */
export class Layout {
  readonly #streams = new Map<StreamId, StreamState>()
  readonly #names = new Map<string, StreamState>()
  readonly #shards = new Map<ShardId, ShardState>()

  streams(): IterableIterator<StreamState> {
    return this.#streams.values()
  }

  named(name: string): StreamState | undefined {
    return this.#names.get(name)
  }

  stream(id: StreamId): StreamState | undefined {
    return this.#streams.get(id)
  }

  shard(id: ShardId): ShardState | undefined {
    return this.#shards.get(id)
  }

  /** Throws NOT_FOUND for one that is not there, or not yet. */
  visibleShard(id: ShardId): ShardState {
    const state = this.#shards.get(id)
    if (!state?.visible) throw new MillraceError('NOT_FOUND', `There is no shard ${id}.`)
    return state
  }

  /** The shards of a stream as readers see them, in the order of their ids. */
  visibleShards(stream: StreamId): readonly Shard[] {
    const shards: Shard[] = []
    for (const state of this.#streams.get(stream)?.shards ?? []) if (state.visible) shards.push(state.visible)
    return shards
  }

  /** Throws NOT_FOUND. */
  streamState(id: StreamId): StreamState {
    const state = this.#streams.get(id)
    if (!state) throw new MillraceError('NOT_FOUND', `There is no stream with the id ${id}.`)
    return state
  }

  get shardCount(): number {
    return this.#shards.size
  }

  get streamCount(): number {
    return this.#streams.size
  }

  addStream(stream: Stream): StreamState {
    const state: StreamState = { stream, shards: [], sealed: 0, open: [], listeners: new Set() }
    this.#streams.set(stream.id, state)
    if (stream.closedAt === undefined) this.#names.set(stream.name, state)
    return state
  }

  closeStream(state: StreamState, stream: Stream): void {
    state.stream = stream
    if (this.#names.get(stream.name) === state) this.#names.delete(stream.name)
  }

  addShard(
    shard: Shard,
    packedLast: Sequence = shard.firstSequence,
    visible?: Shard,
    extent = new ShardExtent(0, 0, shard.createdAt),
  ): ShardState {
    const state: ShardState = {
      shard,
      visible,
      packedLast,
      durableLast: packedLast,
      durableRecords: extent.records,
      segment: -1,
      records: 0,
      bytes: 0,
      sampler: undefined,
      extent,
    }
    const stream = this.#streams.get(shard.stream)
    if (!stream)
      throw new MillraceError('LOG_DAMAGED', `Shard ${shard.id} belongs to stream ${shard.stream}, which is not there.`)
    this.#shards.set(shard.id, state)
    stream.shards.push(state)
    return state
  }

  removeShard(stream: StreamState, state: ShardState): void {
    this.#shards.delete(state.shard.id)
    stream.shards.splice(stream.shards.indexOf(state), 1)
  }

  removeStream(stream: StreamState): void {
    this.closeStream(stream, stream.stream)
    this.#streams.delete(stream.stream.id)
  }

  /** Looks again which shards of a stream are open, after the states of many changed. */
  refresh(stream: StreamState): void {
    stream.open = stream.shards
      .filter((state) => state.shard.state === 'open')
      .sort((a, b) => compareHash(a.shard.low, b.shard.low))
    stream.sealed = stream.shards.length - stream.open.length
  }

  /** Puts children in the place of neighbouring parents; both in the order of their ranges. */
  replace(stream: StreamState, parents: readonly ShardState[], children: readonly ShardState[]): void {
    stream.open.splice(stream.open.indexOf(parents[0] as ShardState), parents.length, ...children)
    stream.sealed += parents.length
  }

  /** Index into `stream.open` of the shard whose range holds the hash, or -1 when the stream is closed. */
  static find(open: readonly ShardState[], hi: number, lo: number): number {
    let low = 0
    let high = open.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      const start = (open[middle] as ShardState).shard.low
      if (start.hi < hi || (start.hi === hi && start.lo <= lo)) low = middle
      else high = middle - 1
    }
    return high < 0 ? -1 : low
  }
}

/** A stream shows with its first durable shard. */
export const isShown = (state: StreamState): boolean => state.shards.some((shard) => shard.visible !== undefined)

export interface ShardSeed {
  readonly id: ShardId
  readonly stream: StreamId
  readonly low: Hash64
  readonly high: Hash64
  readonly parents: readonly ShardId[]
  readonly images: ImagesKept
}

export function openShard(seed: ShardSeed, firstSequence: Sequence, createdAt: number): Shard {
  return { ...seed, children: [], state: 'open', firstSequence, lowWatermark: firstSequence, createdAt }
}

/** Cuts the whole range of hashes into `count` ranges of nearly one size. */
export function evenRanges(count: number): { low: Hash64; high: Hash64 }[] {
  const ranges = []
  for (let i = 0; i < count; i++) {
    const low = { hi: Math.floor((i * 0x1_0000_0000) / count), lo: 0 }
    const next = Math.floor(((i + 1) * 0x1_0000_0000) / count)
    ranges.push({ low, high: { hi: next - 1, lo: 0xffff_ffff } })
  }
  return ranges
}
