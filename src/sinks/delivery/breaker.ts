/**
 * `closed`: attempts are made. `open`: after too many failures in a row none is made for a while. `halfOpen`: the while is
 * over, and one attempt shows whether the other side is well again.
 */
export type BreakerState = 'closed' | 'open' | 'halfOpen'

export type BreakerEvent = 'failedTooOften' | 'pauseOver' | 'failed' | 'succeeded'

/** Every event in every state. */
export const breakerTransitions: {
  readonly [From in BreakerState]: { readonly [On in BreakerEvent]: BreakerState }
} = {
  closed: { failedTooOften: 'open', pauseOver: 'closed', failed: 'closed', succeeded: 'closed' },
  // An attempt that had begun before may still end.
  open: { failedTooOften: 'open', pauseOver: 'halfOpen', failed: 'open', succeeded: 'closed' },
  halfOpen: { failedTooOften: 'open', pauseOver: 'halfOpen', failed: 'open', succeeded: 'closed' },
}

export interface BreakerOptions {
  /** Failures in a row after which it opens. */
  readonly failuresMax: number
  readonly pauseMs: number
}

/** How long those wait who are not the one that tries while it is half open, ms. */
const probeWaitMs = 50

/** Spares a server that fails, and whoever waits for it. Times are monotonic milliseconds. */
export class Breaker {
  readonly #options: BreakerOptions
  #state: BreakerState = 'closed'
  #failures = 0
  #openUntil = 0
  #isProbing = false

  constructor(options: BreakerOptions) {
    this.#options = options
  }

  get state(): BreakerState {
    return this.#state
  }

  /** How long to wait before asking again; 0: an attempt may be made, and its end must be told. */
  admit(now: number): number {
    if (this.#state === 'open') {
      if (now < this.#openUntil) return this.#openUntil - now
      this.#met('pauseOver')
      this.#isProbing = false
    }
    if (this.#state === 'closed') return 0
    if (this.#isProbing) return probeWaitMs
    this.#isProbing = true
    return 0
  }

  succeeded(): void {
    this.#failures = 0
    this.#isProbing = false
    this.#met('succeeded')
  }

  /** `leastMs`: how long the other side asked to be left alone. */
  failed(now: number, leastMs = 0): void {
    this.#failures++
    this.#isProbing = false
    this.#met(this.#failures >= this.#options.failuresMax ? 'failedTooOften' : 'failed')
    if (this.#state === 'open') this.#openUntil = now + Math.max(this.#options.pauseMs, leastMs)
  }

  /** An attempt was given up without an end. */
  abandoned(): void {
    this.#isProbing = false
  }

  #met(event: BreakerEvent): void {
    this.#state = breakerTransitions[this.#state][event]
  }
}
