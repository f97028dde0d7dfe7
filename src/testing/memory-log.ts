import { batchBytes, chunkHeaderBytes, stampBatch, writeBatch } from '../log/format.js'
import type { NewRecord } from '../log/types.js'
import type { NodeId } from '../operators/plan/index.js'
import { compareHash, type Hash64, hashBefore, hashMax, hashMin, middleOf } from '../runtime/index.js'

/** A shard of a source: a range of key hashes, with its records. */
export interface MemoryShard {
  readonly id: number
  /** The source, or the `through`, that it belongs to. */
  readonly root: NodeId
  readonly low: Hash64
  readonly high: Hash64
  readonly parents: readonly number[]
  readonly records: { readonly sequence: number; readonly record: NewRecord }[]
  isSealed: boolean
}

/** The records of all sources, in shards that can be split and merged. */
export class MemoryLog {
  readonly shards: MemoryShard[] = []
  #sequence = 0

  /** Makes the shards of a source, with equal ranges. */
  create(root: NodeId, shards: number): void {
    let low = hashMin
    for (let i = 1; i <= shards; i++) {
      const next = { hi: Math.floor((0x1_0000_0000 * i) / shards), lo: 0 }
      this.#add(root, low, i === shards ? hashMax : hashBefore(next), [])
      low = next
    }
  }

  #add(root: NodeId, low: Hash64, high: Hash64, parents: readonly number[]): void {
    this.shards.push({ id: this.shards.length, root, low, high, parents, records: [], isSealed: false })
  }

  open(root: NodeId): MemoryShard[] {
    return this.shards.filter((shard) => shard.root === root && !shard.isSealed)
  }

  /** Appends a record to the open shard of its hash; gives its sequence number. */
  append(root: NodeId, record: NewRecord): number {
    const shard = this.open(root).find(
      ({ low, high }) => compareHash(low, record.hash) <= 0 && compareHash(record.hash, high) <= 0,
    ) as MemoryShard
    const sequence = ++this.#sequence
    shard.records.push({ sequence, record })
    return sequence
  }

  /** Seals a shard, and opens two with a half of its range each. */
  split(shard: MemoryShard): void {
    const middle = middleOf(shard.low, shard.high)
    shard.isSealed = true
    this.#add(shard.root, shard.low, hashBefore(middle), [shard.id])
    this.#add(shard.root, middle, shard.high, [shard.id])
  }

  /** Seals a shard and its neighbour above it, and opens one with the ranges of both. False: it has no such neighbour. */
  merge(left: MemoryShard): boolean {
    const right = this.open(left.root).find(
      ({ low }) => compareHash(left.high, low) < 0 && compareHash(hashBefore(low), left.high) === 0,
    )
    if (!right) return false
    left.isSealed = true
    right.isSealed = true
    this.#add(left.root, left.low, right.high, [left.id, right.id])
    return true
  }
}

/** Records as a chunk that a task reads: a batch each, since their numbers have holes. */
export function chunkOf(records: MemoryShard['records']): Buffer {
  const length = records.reduce((bytes, { record }) => bytes + batchBytes([record]), chunkHeaderBytes)
  const chunk = Buffer.from(new ArrayBuffer(length))
  let at = chunkHeaderBytes
  for (const { record, sequence } of records) {
    const end = writeBatch(chunk, at, [record], batchBytes([record]))
    stampBatch(chunk, at, sequence, record.time)
    at = end
  }
  return chunk
}
