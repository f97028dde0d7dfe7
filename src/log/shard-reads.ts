import type { Commit } from '../commit/index.js'
import { MillraceError } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import { ChunkReader } from './chunk-reader.js'
import type { Layout, ShardState } from './layout.js'
import type { TailCache } from './tail-cache.js'
import { TimeSearch } from './time-search.js'
import { isTrimmedAway } from './trimmer.js'
import type { LogPage, Sequence, Shard, ShardId, ShardRecords, StreamId } from './types.js'

export interface ShardReadsOptions {
  readonly storage: Storage
  readonly commit: Pick<Commit, 'durableNextSequence'>
  readonly layout: Layout
  readonly tail: TailCache
}

/** Reads shards: from the tail cache where it reaches, else from the store. */
export class ShardReads {
  readonly #commit: Pick<Commit, 'durableNextSequence'>
  readonly #layout: Layout
  readonly #tail: TailCache
  readonly #reader: ChunkReader
  readonly #times: TimeSearch

  constructor({ storage, commit, layout, tail }: ShardReadsOptions) {
    this.#commit = commit
    this.#layout = layout
    this.#tail = tail
    this.#reader = new ChunkReader(storage)
    this.#times = new TimeSearch(storage)
  }

  /** How far a shard reaches; the store is asked only for those that are open. */
  async endOf(shard: Shard): Promise<ShardRecords> {
    const stored = shard.records ?? (await this.#reader.endOf({ id: shard.id, indexFrom: indexFromOf(shard) }))
    // All that there was may have been trimmed: then it ends before the low watermark.
    const last = Math.max(shard.firstSequence, shard.lowWatermark - 1) as Sequence
    if (stored) return stored
    const { bytes, records: count } = shard.trimmed ?? { bytes: 0, records: 0 }
    return { last, bytes, time: shard.createdAt, ...(count === undefined ? {} : { count }) }
  }

  /** How many records of a shard lie before a sequence number; undefined where they were not counted. */
  async recordsBefore(id: ShardId, sequence: Sequence): Promise<number | undefined> {
    const { visible, durableLast, durableRecords } = this.#layout.visibleShard(id)
    const shard = visible as Shard
    if (durableRecords === undefined || sequence > durableLast) return durableRecords
    if (sequence <= shard.firstSequence) return 0
    // What was trimmed lies before whatever is kept.
    const indexFrom = indexFromOf(shard)
    return (await this.#reader.recordsBefore({ id, indexFrom }, sequence)) ?? shard.trimmed?.records ?? 0
  }

  async read(id: ShardId, from: Sequence, options: { bytesMax: number }): Promise<LogPage> {
    const state = this.#layout.visibleShard(id)
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
      const page = await this.#reader.read({ id: shard.id, indexFrom: indexFromOf(shard) }, from, until, bytesMax)
      return { ...page, isOwned: true }
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
    let oldest = this.#commit.durableNextSequence as Sequence
    for (const shard of this.#layout.visibleShards(stream))
      if (!isTrimmedAway(shard) && shard.lowWatermark < oldest) oldest = shard.lowWatermark
    return oldest
  }

  async sequenceAtTime(id: StreamId, timeMs: number): Promise<Sequence> {
    this.#layout.streamState(id)
    // Taken first: whatever is committed during the search has a higher number.
    let lowest = this.#commit.durableNextSequence as Sequence
    for (const shard of this.#layout.visibleShards(id)) {
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
    const state = this.#layout.visibleShard(id)
    const shard = state.visible as Shard
    const { lowWatermark } = shard
    const last = state.durableLast
    const found = await this.#times.firstAt({ id, indexFrom: indexFromOf(shard), lowWatermark, last }, timeMs)
    const end = Math.max(last, shard.firstSequence)
    return found ?? { first: (end + 1) as Sequence, previous: end as Sequence }
  }
}

const indexFromOf = (shard: Shard): number => shard.trimmed?.indexFrom ?? 0
