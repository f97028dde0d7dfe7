import { MillraceError } from '../runtime/index.js'
import type { Release } from './types.js'

type Wake = () => void

/**
 * One exclusive latch per row key, first come first served. A decider holds a row's latch from before its read until its
 * effect is queued; otherwise two deciders that overlap in an asynchronous read would both decide on the old row.
 */
export class Latches {
  readonly #waitersMax: number
  /** Held keys, each with those who wait for it. */
  readonly #held = new Map<string, Wake[] | undefined>()

  constructor(waitersMax: number) {
    this.#waitersMax = waitersMax
  }

  /** Takes one key, when it is free, without a release of its own: see giveBack. */
  takeNow(key: string): boolean {
    if (this.#held.has(key)) return false
    this.#held.set(key, undefined)
    return true
  }

  giveBack(key: string): void {
    const next = this.#held.get(key)?.shift()
    if (next) next()
    else this.#held.delete(key)
  }

  /** Takes all keys in key order, so that two who want the same keys cannot wait for each other. */
  take(keys: readonly string[]): Release | Promise<Release> {
    const sorted = keys.length > 1 ? [...new Set(keys)].sort() : keys
    for (let i = 0; i < sorted.length; i++) {
      const key = sorted[i] as string
      if (this.#held.has(key)) return this.#takeSlowly(sorted, i)
      this.#held.set(key, undefined)
    }
    return this.#release(sorted)
  }

  async #takeSlowly(keys: readonly string[], from: number): Promise<Release> {
    for (let i = from; i < keys.length; i++) {
      const key = keys[i] as string
      if (!this.#held.has(key)) {
        this.#held.set(key, undefined)
        continue
      }
      const waiters = this.#held.get(key) ?? []
      if (waiters.length >= this.#waitersMax) {
        this.#release(keys.slice(0, i))()
        throw new MillraceError('TOO_BUSY', `More than ${this.#waitersMax} writers wait for one row.`, {
          details: { limit: 'commit.rowWaitersMax' },
        })
      }
      this.#held.set(key, waiters)
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
