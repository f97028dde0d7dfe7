import type { Clock } from '../runtime/index.js'

/** Rates are taken over this long. */
const windowMs = 10_000
/** Looks are at least this far apart, so that at most 11 are kept. */
const lookMs = 1000

interface Look {
  readonly at: number
  readonly counts: readonly number[]
}

/** Rates of counters that only grow, per second over the last ten seconds. It looks when they are about to grow: no timer. */
export class RateMeter {
  readonly #clock: Pick<Clock, 'monotonic'>
  /** Oldest first; the first may be older than the window. */
  readonly #looks: Look[] = []
  readonly #began: number

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
    this.#began = clock.monotonic()
  }

  /** To be called before any of the counts is raised. */
  willGrow(counts: readonly number[]): void {
    const at = this.#clock.monotonic()
    const last = this.#looks.at(-1)
    if (last && at - last.at < lookMs) return
    this.#looks.push({ at, counts: [...counts] })
    while ((this.#looks[0] as Look).at < at - windowMs) this.#looks.shift()
  }

  /** Per second, for each of the counts as they are now. */
  rates(counts: readonly number[]): readonly number[] {
    const now = this.#clock.monotonic()
    // What was seen just before the counts grew is what they were all the time since the look before.
    const before = this.#looks.find(({ at }) => at >= now - windowMs)
    const seconds = Math.min(windowMs, Math.max(lookMs, now - this.#began)) / 1000
    return counts.map((count, i) => (before ? (count - (before.counts[i] ?? 0)) / seconds : 0))
  }
}
