import { MillraceError } from '../runtime/index.js'
import type { Release } from './types.js'

type Wake = () => void

/** Keys that a map of held ones takes before the next one is begun. */
const mapKeysMax = 512
/** Held for so long that they go over into the next but one. */
const carriedMax = 64

/**
 * The held keys, each with those who wait for it, in maps that are soon garbage. One map for all time would lie in V8's old
 * generation, where each of the tables that it outgrows by being changed waits for a full collection.
 */
class HeldKeys {
  #newer = new Map<string, Wake[] | undefined>()
  #older = new Map<string, Wake[] | undefined>()
  #added = 0

  has(key: string): boolean {
    return this.#newer.has(key) || this.#older.has(key)
  }

  waiters(key: string): Wake[] | undefined {
    return this.#newer.get(key) ?? this.#older.get(key)
  }

  /** A key that is not there. */
  add(key: string): void {
    if (this.#added >= mapKeysMax && this.#older.size <= carriedMax) {
      const carried = this.#older
      this.#older = this.#newer
      this.#newer = new Map(carried)
      this.#added = 0
    }
    this.#added++
    this.#newer.set(key, undefined)
  }

  /** Gives a key that is there its waiters. */
  setWaiters(key: string, waiters: Wake[]): void {
    const map = this.#newer.has(key) ? this.#newer : this.#older
    map.set(key, waiters)
  }

  delete(key: string): void {
    if (!this.#newer.delete(key)) this.#older.delete(key)
  }
}

/**
 * One exclusive latch per row key, first come first served. A decider holds a row's latch from before its read until its
 * effect is queued; otherwise two deciders that overlap in an asynchronous read would both decide on the old row.
 */
export class Latches {
  readonly #waitersMax: number
  readonly #held = new HeldKeys()

  constructor(waitersMax: number) {
    this.#waitersMax = waitersMax
  }

  /** Takes one key, when it is free, without a release of its own: see giveBack. */
  takeNow(key: string): boolean {
    if (this.#held.has(key)) return false
    this.#held.add(key)
    return true
  }

  giveBack(key: string): void {
    const next = this.#held.waiters(key)?.shift()
    if (next) next()
    else this.#held.delete(key)
  }

  /** Takes all keys in key order, so that two who want the same keys cannot wait for each other. */
  take(keys: readonly string[]): Release | Promise<Release> {
    const sorted = keys.length > 1 ? [...new Set(keys)].sort() : keys
    for (let i = 0; i < sorted.length; i++) {
      const key = sorted[i] as string
      if (this.#held.has(key)) return this.#takeSlowly(sorted, i)
      this.#held.add(key)
    }
    return this.#release(sorted)
  }

  async #takeSlowly(keys: readonly string[], from: number): Promise<Release> {
    for (let i = from; i < keys.length; i++) {
      const key = keys[i] as string
      if (!this.#held.has(key)) {
        this.#held.add(key)
        continue
      }
      const waiters = this.#held.waiters(key) ?? []
      if (waiters.length >= this.#waitersMax) {
        this.#release(keys.slice(0, i))()
        throw new MillraceError('TOO_BUSY', `More than ${this.#waitersMax} writers wait for one row.`, {
          details: { limit: 'commit.rowWaitersMax' },
        })
      }
      this.#held.setWaiters(key, waiters)
      // The latch is handed over: who is woken holds it, so that nobody can take it in between.
      await new Promise<void>((resolve) => waiters.push(resolve))
    }
    return this.#release(keys)
  }

  #release(keys: readonly string[]): Release {
    let released = false
    return () => {
      if (released) return
      released = true
      for (const key of keys) this.giveBack(key)
    }
  }
}
