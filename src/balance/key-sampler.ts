import { batchHeaderBytes, type ChunkSampler, chunkHeaderBytes, recordHeaderBytes } from '../log/index.js'
import { Reservoir } from './reservoir.js'
import { SpaceSaving } from './space-saving.js'
import type { ShardSamples } from './types.js'

/** Points of the reservoir: 256 to 512 are enough for cuts that balance. */
export const reservoirKeys = 512
/** Counters of the heavy keys. */
export const heavyKeys = 32
/** Of a fast shard one record in so many is looked at, of a slow one every record. */
export const sampleStride = 16
const slowRecordsPerSecond = 2000
/** What was seen so long ago counts e times less. */
const fadeMs = 10_000

/**
 * Looks at the key hashes of a hot shard as its chunks are packed: 0.3 to 0.4 us of CPU for each record that is looked at,
 * 0.02 to 0.07 us a record of a fast shard (`node bench/sampler.mjs`). Nothing is decoded: it steps through the record
 * headers.
 */
export class KeySampler implements ChunkSampler {
  readonly #random: () => number
  readonly #reservoir: Reservoir
  readonly #counters = new SpaceSaving(heavyKeys)
  #now: number
  #stride = 1
  /** Records to pass over before the next one that is looked at. */
  #skip = 0
  #bytesWeight: number

  /** @param bytesWeight what a byte weighs, in records: so that large records count as much as they load the shard */
  constructor(random: () => number, now: number, bytesWeight: number) {
    this.#random = random
    this.#reservoir = new Reservoir(reservoirKeys, fadeMs, random)
    this.#now = now
    this.#bytesWeight = bytesWeight
  }

  take(chunk: Buffer): void {
    for (let at = chunkHeaderBytes; at < chunk.length; ) {
      const length = chunk.readUInt32LE(at + 8)
      const count = chunk.readUInt32LE(at + 12)
      const bodies = at + batchHeaderBytes + count * recordHeaderBytes
      let i = this.#skip
      for (; i < count; i += this.#step()) {
        const header = at + batchHeaderBytes + i * recordHeaderBytes
        const start = bodies + chunk.readUInt32LE(header + 28)
        const end = i + 1 < count ? bodies + chunk.readUInt32LE(header + recordHeaderBytes + 28) : at + length
        const keyEnd = start + chunk.readUInt16LE(header + 12)
        this.#add(chunk, header, start, keyEnd, end - start + recordHeaderBytes)
      }
      this.#skip = i - count
      at += length
    }
  }

  #add(chunk: Buffer, header: number, keyStart: number, keyEnd: number, bytes: number): void {
    const hi = chunk.readUInt32LE(header)
    const lo = chunk.readUInt32LE(header + 4)
    const weight = Math.max(1, bytes * this.#bytesWeight)
    this.#reservoir.add(hi, lo, weight, this.#now)
    this.#counters.add(hi, lo, weight, chunk, keyStart, keyEnd)
  }

  /** Random, so that no pattern of the writers can hide from it. */
  #step(): number {
    return this.#stride === 1 ? 1 : 1 + Math.floor(this.#random() * (2 * this.#stride - 1))
  }

  /** Once a second. */
  tick(now: number, recordsPerSecond: number, bytesWeight: number): void {
    this.#counters.fade(Math.exp((this.#now - now) / fadeMs))
    this.#now = now
    this.#stride = recordsPerSecond > slowRecordsPerSecond ? sampleStride : 1
    this.#bytesWeight = bytesWeight
  }

  samples(): ShardSamples {
    const { total } = this.#counters
    const heavy = this.#counters
      .heaviest()
      .map(({ hi, lo, key, count, over }) => ({ hash: { hi, lo }, key, share: total > 0 ? (count - over) / total : 0 }))
    return { points: this.#reservoir.points(), heavy }
  }
}
