import { Family } from '../commit/index.js'
import type { ParkedKey, ParkPlace } from '../operators/task/index.js'
import { compareHash } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import { decodeParked, decodeParkedKey } from '../workers/index.js'
import { rowsWith } from './rows.js'
import type { HashRange } from './timer-pages.js'

/** The rows of one key that wait at one place. */
export interface ParkedQueueInfo {
  /** The number of the place. */
  readonly step: number
  readonly hashHi: number
  readonly hashLo: number
  readonly key: Buffer
  /** Bytes of each row, by their numbers. */
  readonly rows: ReadonlyMap<number, number>
}

interface Queue extends ParkedQueueInfo {
  readonly rows: Map<number, number>
  next: number
}

export interface ParkedLimits {
  readonly parkedMax: number
  readonly parkedBytesMax: number
}

const pageRows = 1000
const pageBytesMax = 1 << 20

/** What waits in a pipeline, as the last commit left it: how much, and whose. The rows themselves stay in the store. */
export class ParkedIndex {
  readonly #limits: ParkedLimits
  readonly #queues = new Map<string, Queue>()
  count = 0
  bytes = 0

  constructor(limits: ParkedLimits) {
    this.#limits = limits
  }

  static async load(storage: Pick<Storage, 'page'>, pipeline: number, limits: ParkedLimits): Promise<ParkedIndex> {
    const index = new ParkedIndex(limits)
    const { gte, lt } = rowsWith(Family.parked, pipeline)
    for (let after: Buffer | undefined; ; ) {
      const page = await storage.page({
        ...(after ? { gt: after } : { gte }),
        lt,
        limit: pageRows,
        bytesMax: pageBytesMax,
      })
      for (const [i, key] of page.keys.entries()) index.take(key, page.values[i])
      after = page.keys.at(-1)
      if (!page.more) return index
    }
  }

  /** Takes a row as a commit wrote it. */
  take(key: Buffer, value: Buffer | undefined): void {
    const { number, ...of } = decodeParkedKey(key)
    const name = key.toString('latin1', 0, key.length - 8)
    const queue = this.#queues.get(name)
    const before = queue?.rows.get(number)
    if (before !== undefined) {
      this.count--
      this.bytes -= before
      queue?.rows.delete(number)
    }
    if (value === undefined) {
      if (queue?.rows.size === 0) this.#queues.delete(name)
      return
    }
    const bytes = key.length + value.length
    const into = queue ?? { ...of, key: Buffer.from(of.key), rows: new Map<number, number>(), next: 0 }
    this.#queues.set(name, into)
    into.rows.set(number, bytes)
    into.next = Math.max(into.next, number + 1)
    this.count++
    this.bytes += bytes
  }

  /** Whether no more may come: the sources wait. */
  get isFull(): boolean {
    return this.count >= this.#limits.parkedMax || this.bytes >= this.#limits.parkedBytesMax
  }

  queues(): readonly ParkedQueueInfo[] {
    return [...this.#queues.values()]
  }

  /** Rows by the numbers of their places. */
  counts(): ReadonlyMap<number, number> {
    const counts = new Map<number, number>()
    for (const { step, rows } of this.#queues.values()) counts.set(step, (counts.get(step) ?? 0) + rows.size)
    return counts
  }

  /** The queues of a task, by the places of its stage. */
  keysOf(places: ReadonlyMap<number, ParkPlace>, range: HashRange): ParkedKey[] {
    const keys: ParkedKey[] = []
    for (const { step, hashHi, hashLo, key, next } of this.#queues.values()) {
      const place = places.get(step)
      if (place !== undefined && isWithin(range, hashHi, hashLo)) keys.push({ place, hashHi, hashLo, key, next })
    }
    return keys
  }
}

export const isWithin = ({ low, high }: HashRange, hi: number, lo: number): boolean =>
  compareHash(low, { hi, lo }) <= 0 && compareHash({ hi, lo }, high) <= 0

/** Whether a row failed by itself, and does not only wait behind another one. */
export const isFailed = (value: Buffer | undefined): boolean => value !== undefined && decodeParked(value).attempts > 0
