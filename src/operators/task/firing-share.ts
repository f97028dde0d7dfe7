import type { Timer } from './key-entry.js'
import type { TimeDomain } from './keyed-operator.js'

/** What a timer that the store has costs a commit at least: its own removal, and a row of state. What it gives on may end in one number. */
const storedTimerBytes = 160

export interface FiringBounds {
  /** About how much timers may make between two barriers, bytes. At least one fires. */
  readonly bytesMax: number
  /** They fire in commits of their own, with no rows beside them: what one record makes is looked at alone. */
  readonly isAlone: boolean
}

/**
 * How much of a commit the timers of a task may fill. All windows that end at one advance of event time would else have to fit
 * into one: what is over waits, due, for the commits that follow.
 */
export class FiringShare {
  readonly #bounds: FiringBounds
  /** What the sinks of the task gathered since the last barrier. */
  readonly #outputs: { readonly text: number }
  #made = 0
  /** Timers wait for the next barrier. */
  #isHeld = false
  #isGoingOn = false

  constructor(bounds: FiringBounds | undefined, outputs: { readonly text: number }) {
    this.#bounds = bounds ?? { bytesMax: Number.POSITIVE_INFINITY, isAlone: false }
    this.#outputs = outputs
  }

  /** Whether no more of a domain may fire before the next barrier. */
  isSpent(domain: TimeDomain): boolean {
    const { bytesMax, isAlone } = this.#bounds
    if (isAlone && !this.#isGoingOn && domain === 'event') return true
    return this.#made > 0 && this.#made + this.#outputs.text >= bytesMax
  }

  fired({ isStored, wasStored }: Timer): void {
    this.#made += isStored || wasStored ? storedTimerBytes : 1
  }

  /** A timer that is due waits. */
  hold(): void {
    this.#isHeld = true
  }

  get isHeld(): boolean {
    return this.#isHeld
  }

  /** Whether any timer has fired since the last barrier. */
  get hasFired(): boolean {
    return this.#made > 0
  }

  goOn(): void {
    this.#isGoingOn = true
  }

  barrier(): void {
    this.#made = 0
    this.#isHeld = false
    this.#isGoingOn = false
  }
}
