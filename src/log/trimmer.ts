import { type Commit, Family, type RowEffect } from '../commit/index.js'
import { killPoint } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import { reachOf } from './extent.js'
import { chunkKey, segmentKey, shardKey, streamKey } from './keys.js'
import type { Layout, ShardState, StreamState } from './layout.js'
import { type Mark, MarkReader } from './marks.js'
import { segmentBytes } from './packer.js'
import { shardRow } from './rows.js'
import type { Sequence, Shard, ShardId, StreamId } from './types.js'

/** Up to where a shard is trimmed. A number behind its newest record takes all of it. */
export interface Cut {
  readonly shard: ShardId
  readonly to: Sequence
}

/** Asked at packing: from which number on somebody who came after the cuts were decided needs a shard. */
export type LateFloor = (shard: Shard) => Sequence | undefined

export interface TrimmerOptions {
  readonly storage: Storage
  readonly commit: Commit
  readonly layout: Layout
  /** A shard shows as it is now when the commit that is being packed has returned. */
  readonly onChanged: (state: ShardState) => void
}

/** Index rows that one step of a sweep looks at. */
const indexRowsMax = 64
/** Segments that one compaction takes: no other compaction runs beside it, and writers would wait for those. */
const compactedSegmentsMax = 4
/** A segment that others still have chunks in is compacted when this much of it is gone. */
const freedBytesWorthwhile = segmentBytes / 2

/** How far the deletes of a shard have come. */
interface Swept {
  /** The index row that comes next, and the chunk behind it. */
  index: number
  chunk: number
}

/**
 * Takes records out of the log: first the low watermark goes up in a commit, so that no reader begins below it; then
 * chunks and rows of the index are deleted in bounded commits; then RocksDB is asked for the space.
 */
export class Trimmer {
  readonly #options: TrimmerOptions
  readonly #marks: MarkReader
  readonly #swept = new Map<ShardId, Swept>()
  /** Bytes that were deleted since the last compaction, by segment. */
  readonly #freed = new Map<number, number>()
  #freedBytes = 0
  /** Segments below this one have been given back since the opening. */
  #reclaimedTo = 0
  #isCompacting = false

  constructor(options: TrimmerOptions) {
    this.#options = options
    this.#marks = new MarkReader(options.storage)
  }

  /** Deleted bytes of chunks whose space was not asked for yet. */
  get freedBytes(): number {
    return this.#freedBytes
  }

  /** Marks of a shard from a number on, oldest first; with fewer than `limit` rows the last one is its end. */
  async marks(id: ShardId, from: Sequence, limit: number): Promise<readonly Mark[]> {
    const state = this.#options.layout.visibleShard(id)
    const shard = state.visible as Shard
    const last = state.durableLast
    const end = endOf(state)
    const start = Math.max(from, shard.trimmed?.indexFrom ?? 0)
    const rows = await this.#marks.oldest(shard.id, start, last, limit)
    const marks = await this.#marks.marks(shard.id, rows)
    return rows.length < limit ? [...marks, end] : marks
  }

  /** The newest mark at or below a number; the end of the shard when the number is behind its newest record. */
  async markAt(id: ShardId, sequence: Sequence): Promise<Mark | undefined> {
    const state = this.#options.layout.visibleShard(id)
    if (sequence > state.durableLast) return endOf(state)
    const shard = state.visible as Shard
    const row = await this.#marks.newest(shard.id, shard.trimmed?.indexFrom ?? 0, sequence)
    return row && (await this.#marks.marks(shard.id, [row]))[0]
  }

  /**
   * Raises low watermarks, all in one commit: readers below them get TRIMMED from then on. Each goes to the newest mark
   * at or below `to`. Returns the bytes that went out of reach; `sweep` deletes them. A shard that somebody needs from
   * below its cut by then is left as it is: the next look decides with them in view.
   */
  async trim(wanted: readonly Cut[], lateFloor: LateFloor = () => undefined): Promise<number> {
    const cuts: { state: ShardState; to: Mark }[] = []
    for (const { shard, to } of wanted) {
      const mark = await this.markAt(shard, to)
      if (mark) cuts.push({ state: this.#options.layout.visibleShard(shard), to: mark })
    }
    if (cuts.length === 0) return 0
    let bytes = 0
    await this.#options.commit.submit({
      essential: true,
      atPack: () => {
        const rows: RowEffect[] = []
        for (const { state, to } of cuts) {
          const before = state.shard
          const floor = lateFloor(before)
          if (floor !== undefined && floor <= to.previous) continue
          const after = this.#options.layout.shard(before.id) === state ? this.#raised(state, to) : undefined
          if (!after) continue
          bytes += (after.trimmed?.bytes ?? 0) - (before.trimmed?.bytes ?? 0)
          state.shard = after
          this.#options.onChanged(state)
          rows.push(shardRow(after))
        }
        if (rows.length > 0) killPoint('trim:raised')
        return rows
      },
    })
    return bytes
  }

  #raised(state: ShardState, to: Mark): Shard | undefined {
    const { shard } = state
    const isEnd = to.segment === undefined
    // What was added since the end was looked at lies behind a mark that would be deleted.
    if (isEnd && state.packedLast !== to.previous) return undefined
    const lowWatermark = (
      isEnd && shard.lastSequence !== undefined ? shard.lastSequence + 1 : to.previous + 1
    ) as Sequence
    const indexFrom = isEnd ? lowWatermark : to.first
    if (lowWatermark <= shard.lowWatermark && indexFrom <= (shard.trimmed?.indexFrom ?? 0)) return undefined
    if (lowWatermark <= shard.firstSequence + 1) return undefined
    if (isEnd) state.extent.forgetMark()
    const sweptFrom = this.#sweptOf(shard).index
    const bytes = Math.max(to.bytes, shard.trimmed?.bytes ?? 0)
    const counted = to.records === undefined ? {} : { records: Math.max(to.records, shard.trimmed?.records ?? 0) }
    const trimmed = { bytes, ...counted, indexFrom, sweptFrom }
    const records = shard.records ?? recordsOf(state)
    return { ...shard, lowWatermark, trimmed, ...(shard.state === 'sealed' ? { records } : {}) }
  }

  #sweptOf(shard: Shard): Swept {
    return this.#swept.get(shard.id) ?? { index: shard.trimmed?.sweptFrom ?? 0, chunk: 0 }
  }

  /** Whether everything below a shard's low watermark is deleted. */
  isSwept(id: ShardId): boolean {
    const shard = this.#options.layout.visibleShard(id).visible as Shard
    return this.#sweptOf(shard).index >= (shard.trimmed?.indexFrom ?? 0)
  }

  /** Deletes at most `rowsMax` rows of what lies below the low watermark, in one commit. True when nothing is left. */
  async sweep(id: ShardId, rowsMax: number): Promise<boolean> {
    const shard = this.#options.layout.visibleShard(id).visible as Shard
    const indexFrom = shard.trimmed?.indexFrom ?? 0
    let { index, chunk } = this.#sweptOf(shard)
    if (index >= indexFrom) return true
    const rows = await this.#marks.oldest(shard.id, index, indexFrom - 1, indexRowsMax)
    const deletes: RowEffect[] = []
    const freed: { segment: number; bytes: number }[] = []
    const isPageFull = rows.length === indexRowsMax
    // The last row of a full page waits: where its chunks end is not known yet.
    const count = isPageFull ? rows.length - 1 : rows.length
    let done = 0
    for (; done < count && deletes.length < rowsMax; done++) {
      const row = rows[done] as (typeof rows)[number]
      const end = rows[done + 1]?.first ?? shard.lowWatermark
      const page = await this.#options.storage.page({
        gte: chunkKey(row.segment, shard.id, Math.max(row.first, chunk)),
        lt: chunkKey(row.segment, shard.id, end),
        limit: rowsMax - deletes.length,
        bytesMax: Number.MAX_SAFE_INTEGER,
        values: false,
      })
      for (const key of page.keys) deletes.push({ key, value: undefined })
      if (page.more) {
        index = row.first
        chunk = lastOfChunkKey(page.keys[page.keys.length - 1] as Buffer) + 1
        break
      }
      deletes.push({ key: row.key, value: undefined })
      const until = rows[done + 1]?.mark?.bytes ?? shard.trimmed?.bytes
      if (row.mark && until !== undefined) freed.push({ segment: row.segment, bytes: until - row.mark.bytes })
      index = end
      chunk = 0
    }
    if (done === count && !isPageFull) index = indexFrom
    if (deletes.length > 0) {
      await this.#options.commit.submit({ essential: true, rows: deletes })
      killPoint('trim:swept')
    }
    this.#swept.set(shard.id, { index, chunk })
    for (const { segment, bytes } of freed) this.#countFreed(segment, bytes)
    return index >= indexFrom
  }

  #countFreed(segment: number, bytes: number): void {
    this.#freed.set(segment, (this.#freed.get(segment) ?? 0) + bytes)
    this.#freedBytes += bytes
  }

  /**
   * Takes sealed shards of which nothing is left out of the layout, and a closed stream with the last of its shards.
   * Returns the streams that are gone.
   */
  async remove(ids: readonly ShardId[]): Promise<readonly StreamId[]> {
    const { commit, layout } = this.#options
    const states = ids.map((id) => this.#options.layout.visibleShard(id))
    const gone: StreamId[] = []
    await commit.submit({
      essential: true,
      atPack: () => {
        const rows: RowEffect[] = []
        const touched = new Set<StreamState>()
        for (const state of states) {
          const stream = layout.stream(state.shard.stream)
          const isThere = stream && layout.shard(state.shard.id) === state
          if (!isThere || !isTrimmedAway(state.shard) || !this.isSwept(state.shard.id)) continue
          layout.removeShard(stream, state)
          this.#swept.delete(state.shard.id)
          touched.add(stream)
          rows.push({ key: shardKey(stream.stream.id, state.shard.id), value: undefined })
        }
        for (const stream of touched) {
          layout.refresh(stream)
          if (stream.shards.length > 0 || stream.stream.closedAt === undefined) continue
          layout.removeStream(stream)
          gone.push(stream.stream.id)
          rows.push({ key: streamKey(stream.stream.id), value: undefined })
        }
        if (rows.length > 0) killPoint('trim:removed')
        return rows
      },
    })
    return gone
  }

  /**
   * Asks RocksDB for the space of deleted chunks, a few segments at a time; never two at once. Returns false when nothing
   * was worth it.
   */
  async reclaim(): Promise<boolean> {
    if (this.#isCompacting) return false
    this.#isCompacting = true
    try {
      const range = (await this.#emptySegments()) ?? this.#fullestSegment()
      if (!range) return false
      await this.#options.storage.compactRange(segmentKey(range.from), segmentKey(range.to))
      for (const [segment, bytes] of this.#freed) {
        if (segment < range.from || segment >= range.to) continue
        this.#freed.delete(segment)
        this.#freedBytes -= bytes
      }
      return true
    } finally {
      this.#isCompacting = false
    }
  }

  /** Segments before the oldest chunk that is left. Looking for it walks over what was deleted, here in the background alone. */
  async #emptySegments(): Promise<{ from: number; to: number } | undefined> {
    const { keys } = await this.#options.storage.page({
      gte: segmentKey(this.#reclaimedTo),
      lt: Buffer.from([Family.chunk + 1]),
      limit: 1,
      bytesMax: 1,
      values: false,
    })
    const newest = Math.max(-1, ...this.#freed.keys())
    const oldest = keys[0]?.readUInt32BE(1) ?? newest + 1
    if (oldest <= this.#reclaimedTo) return undefined
    const from = this.#reclaimedTo
    const to =
      this.#freed.size === 0
        ? oldest
        : Math.min(oldest, Math.max(from, Math.min(...this.#freed.keys())) + compactedSegmentsMax)
    this.#reclaimedTo = to
    return { from, to }
  }

  #fullestSegment(): { from: number; to: number } | undefined {
    for (const [segment, bytes] of this.#freed)
      if (bytes >= freedBytesWorthwhile) return { from: segment, to: segment + 1 }
    return undefined
  }
}

/** The end of a shard as a mark: everything of it lies before. */
function endOf(state: ShardState): Mark {
  const { last, bytes, time, count: records } = recordsOf(state)
  // A sealed shard is no older than its seal: readers must find it, and its children through it, as long.
  const timeBefore = Math.max(time, state.visible?.sealedAt ?? 0)
  return { first: (last + 1) as Sequence, previous: last, time, timeBefore, bytes, records, segment: undefined }
}

const recordsOf = ({ durableLast: last, extent }: ShardState) => ({ last, ...reachOf(extent) })

/** Whether a shard is sealed and everything that it held is trimmed. */
export const isTrimmedAway = (shard: Shard): boolean =>
  shard.lastSequence !== undefined && shard.lowWatermark > shard.lastSequence

const lastOfChunkKey = (key: Buffer): number => key.readUInt32BE(9) * 0x1_0000_0000 + key.readUInt32BE(13)
