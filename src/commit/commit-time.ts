import type { Clock } from '../runtime/index.js'

export const clockJumpMs = 10 * 60 * 1000
export const clockAheadMs = 24 * 60 * 60 * 1000
export const trimDelayMs = 10 * 60 * 1000

export type ClockAlarm = 'jumped' | 'aheadAtStart'

/**
 * The time of commits: wall time that never goes back. A wall clock that jumps by more than 10 minutes against the
 * monotonic clock is not believed (retention and expiry would delete by it): commit time follows the monotonic clock,
 * and whoever deletes by time must ask `mayExpire`, until the clock agrees again or a person confirms it.
 */
export class CommitTime {
  readonly #clock: Clock
  #last: number
  /** A wall time that was believed, and the monotonic time of that moment. */
  #wall: number
  #monotonic: number
  #alarm: ClockAlarm | undefined
  #expireFrom = 0

  /** @param last time of the newest commit in the store, 0 for a new one */
  constructor(clock: Clock, last: number) {
    this.#clock = clock
    this.#last = last
    this.#monotonic = clock.monotonic()
    const now = clock.now()
    this.#wall = now
    if (last === 0) return
    if (now < last - clockJumpMs) {
      this.#wall = last
      this.#alarm = 'jumped'
    } else if (now > last + clockAheadMs) {
      this.#alarm = 'aheadAtStart'
      this.#expireFrom = this.#monotonic + trimDelayMs
    }
  }

  /** The time for the next commit, whole milliseconds since 1970. */
  next(): number {
    const wall = this.#clock.now()
    const monotonic = this.#clock.monotonic()
    const expected = this.#wall + (monotonic - this.#monotonic)
    let time = expected
    if (Math.abs(wall - expected) > clockJumpMs) {
      this.#alarm = 'jumped'
    } else {
      if (this.#alarm === 'jumped') this.#alarm = undefined
      this.#wall = wall
      this.#monotonic = monotonic
      time = wall
    }
    if (this.#alarm === 'aheadAtStart' && monotonic >= this.#expireFrom) this.#alarm = undefined
    this.#last = Math.max(this.#last, Math.floor(time))
    return this.#last
  }

  get alarm(): ClockAlarm | undefined {
    return this.#alarm
  }

  /** Whether anything may be deleted because of its age. */
  mayExpire(): boolean {
    this.next()
    return this.#alarm === undefined
  }

  /** A person says that the wall clock is right. Commit time still never goes back. */
  confirm(): void {
    this.#wall = this.#clock.now()
    this.#monotonic = this.#clock.monotonic()
    this.#alarm = undefined
  }
}
