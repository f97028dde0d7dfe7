import type { Storage } from '../storage/index.js'
import { Family } from './families.js'
import type { RowEffect } from './types.js'

const counterKey = Buffer.from([Family.meta, 1])

/** Everything that gets a store-wide number that is never used twice. */
export type Counted = 'stream' | 'shard' | 'group' | 'pipeline' | 'table' | 'producer'

/**
 * Gives numbers, and the row that makes them durable: every effect set that uses a number has `row()` in its `atPack`.
 * Never among its `rows`: a row made at the submit would be written after, and over, the higher numbers that a layout
 * change takes when the same commit or one before it is packed, and the next opening would give those numbers again.
 */
export class Counters {
  readonly #taken: Record<Counted, number>

  private constructor(taken: Record<Counted, number>) {
    this.#taken = taken
  }

  static async open(storage: Storage): Promise<Counters> {
    const value = await storage.get(counterKey)
    const stored = value ? (JSON.parse(value.toString()) as Partial<Record<Counted, number>>) : {}
    return new Counters({ stream: 0, shard: 0, group: 0, pipeline: 0, table: 0, producer: 0, ...stored })
  }

  take(what: Counted): number {
    this.#taken[what] += 1
    return this.#taken[what]
  }

  /** The numbers taken so far by anyone; only at packing. */
  row(): RowEffect {
    return { key: counterKey, value: Buffer.from(JSON.stringify(this.#taken)) }
  }
}
