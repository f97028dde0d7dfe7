import type { BatchEffect, Packed, PackingContext, Placement, RecordEffect, RowEffect } from '../commit/index.js'
import { killPoint } from '../runtime/index.js'
import type { ChunkMemory } from './chunk-memory.js'
import {
  batchHeaderBytes,
  chunkHeaderBytes,
  recordBytes,
  recordsOfBatch,
  sealChunk,
  stampBatch,
  writeBatch,
} from './format.js'
import { chunkIndexKey, chunkKey } from './keys.js'
import { Layout, type ShardState, type StreamState } from './layout.js'
import { markValue } from './marks.js'
import type { NewRecord, Sequence } from './types.js'

/** Chunk bytes after which the next segment begins (a RocksDB write buffer). */
export const segmentBytes = 64 * 1024 * 1024

/** A client's batch is laid into a chunk of its own up to this many times `chunkBytesMax`; a larger one is sliced by records. */
const batchChunksMax = 4

/** A run of records that becomes one batch: loose ones, or a client's batch as it lies. */
interface Part {
  readonly loose: NewRecord[]
  readonly batch: Buffer | undefined
  bytes: number
  count: number
  readonly places: { readonly placed: Placement[]; readonly offset: number; count: number }[]
}

interface ShardParts {
  readonly state: ShardState
  readonly parts: Part[]
}

/** A chunk on its way into the store. */
export interface PackedChunk {
  readonly state: ShardState
  readonly chunk: Buffer
  readonly previous: Sequence
  readonly last: Sequence
  /** Records of the shard with this chunk, where they are counted. */
  readonly records: number | undefined
}

/** Routes the records of a commit to the open shards and lays them into chunks. */
export class ChunkPacker {
  readonly #layout: Layout
  readonly #chunkBytesMax: number
  readonly #memory: ChunkMemory
  #segment: number
  #segmentBytes = 0

  constructor(layout: Layout, chunkBytesMax: number, segment: number, memory: ChunkMemory) {
    this.#layout = layout
    this.#memory = memory
    this.#chunkBytesMax = chunkBytesMax
    this.#segment = segment
  }

  pack(effects: readonly (RecordEffect | BatchEffect)[], context: PackingContext): Packed & { chunks: PackedChunk[] } {
    const shards = new Map<ShardState, ShardParts>()
    for (const effect of effects) {
      const stream = this.#layout.stream(effect.stream)
      // A stream that was deleted meanwhile takes nothing; `placed` stays empty and tells the caller.
      if (!stream || stream.open.length === 0) continue
      if ('batch' in effect) this.#addBatch(shards, stream, effect)
      else this.#addLoose(shards, stream, effect.records, effect.placed)
    }
    const rows: RowEffect[] = []
    const chunks: PackedChunk[] = []
    let next = context.firstSequence
    for (const { state, parts } of shards.values()) {
      for (let from = 0; from < parts.length; ) {
        const to = this.#chunkEnd(parts, from)
        next = this.#writeChunk(state, parts, from, to, next, context, rows, chunks)
        from = to
      }
    }
    return { rows, count: next - context.firstSequence, chunks }
  }

  #partsOf(shards: Map<ShardState, ShardParts>, state: ShardState): Part[] {
    let entry = shards.get(state)
    if (!entry) {
      entry = { state, parts: [] }
      shards.set(state, entry)
    }
    return entry.parts
  }

  #addBatch(shards: Map<ShardState, ShardParts>, stream: StreamState, effect: BatchEffect): void {
    const { batch, placed } = effect
    const count = batch.readUInt32LE(12)
    let target = 0
    if (batch.length > this.#chunkBytesMax * batchChunksMax) {
      this.#addLoose(shards, stream, recordsOfBatch(batch), placed)
      return
    }
    if (stream.open.length > 1) {
      target = Layout.find(stream.open, batch.readUInt32LE(batchHeaderBytes), batch.readUInt32LE(batchHeaderBytes + 4))
      for (let i = 1; i < count; i++) {
        const header = batchHeaderBytes + i * 32
        if (Layout.find(stream.open, batch.readUInt32LE(header), batch.readUInt32LE(header + 4)) !== target) {
          this.#addLoose(shards, stream, recordsOfBatch(batch), placed)
          return
        }
      }
    }
    const places = placed ? [{ placed, offset: 0, count }] : []
    this.#partsOf(shards, stream.open[target] as ShardState).push({
      loose: [],
      batch,
      bytes: batch.length,
      count,
      places,
    })
  }

  #addLoose(
    shards: Map<ShardState, ShardParts>,
    stream: StreamState,
    records: readonly NewRecord[],
    placed: Placement[] | undefined,
  ): void {
    for (const record of records) {
      const index = stream.open.length === 1 ? 0 : Layout.find(stream.open, record.hash.hi, record.hash.lo)
      const parts = this.#partsOf(shards, stream.open[index] as ShardState)
      const bytes = recordBytes(record)
      let part = parts[parts.length - 1]
      if (!part || part.batch || part.bytes + bytes > this.#chunkBytesMax) {
        part = { loose: [], batch: undefined, bytes: batchHeaderBytes, count: 0, places: [] }
        parts.push(part)
      }
      if (placed) {
        const place = part.places[part.places.length - 1]
        if (place?.placed === placed) place.count++
        else part.places.push({ placed, offset: part.count, count: 1 })
      }
      part.loose.push(record)
      part.bytes += bytes
      part.count++
    }
  }

  #chunkEnd(parts: readonly Part[], from: number): number {
    let bytes = (parts[from] as Part).bytes
    let to = from + 1
    while (to < parts.length && bytes + (parts[to] as Part).bytes <= this.#chunkBytesMax)
      bytes += (parts[to++] as Part).bytes
    return to
  }

  #writeChunk(
    state: ShardState,
    parts: readonly Part[],
    from: number,
    to: number,
    firstSequence: number,
    context: PackingContext,
    rows: RowEffect[],
    chunks: PackedChunk[],
  ): number {
    let length = chunkHeaderBytes
    for (let i = from; i < to; i++) length += (parts[i] as Part).bytes
    const chunk = this.#memory.take(length)
    const shard = state.shard.id
    let at = chunkHeaderBytes
    let next = firstSequence
    for (let i = from; i < to; i++) {
      const part = parts[i] as Part
      if (part.batch) part.batch.copy(chunk, at)
      else writeBatch(chunk, at, part.loose, part.bytes)
      stampBatch(chunk, at, next, context.time)
      for (const { placed, offset, count } of part.places) {
        placed.push({ shard, firstSequence: (next + offset) as Sequence, count })
      }
      at += part.bytes
      next += part.count
    }
    killPoint('append:packed')
    const last = (next - 1) as Sequence
    const previous = state.packedLast
    sealChunk(chunk, {
      commit: context.commit,
      commitTime: context.time,
      previous,
      first: firstSequence as Sequence,
      last,
      shard,
      batches: to - from,
    })
    const { extent } = state
    if (state.segment !== this.#segment || extent.isMarkDue(context.time)) {
      state.segment = this.#segment
      const { bytes, records, time: timeBefore } = extent
      const value = markValue(this.#segment, { previous, time: context.time, timeBefore, bytes, records })
      rows.push({ key: chunkIndexKey(shard, firstSequence), value })
      extent.marked(context.time)
    }
    extent.add(length, next - firstSequence, context.time)
    rows.push({ key: chunkKey(this.#segment, shard, last), value: chunk })
    chunks.push({ state, chunk, previous, last, records: extent.records })
    state.packedLast = last
    state.records += next - firstSequence
    state.bytes += length
    state.sampler?.take(chunk)
    this.#segmentBytes += length
    if (this.#segmentBytes >= segmentBytes) {
      this.#segment++
      this.#segmentBytes = 0
    }
    return next
  }
}
