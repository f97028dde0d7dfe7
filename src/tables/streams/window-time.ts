import type { CommitTime } from '../../commit/index.js'

/**
 * The time by which windows over change logs move: that of commits, while the clock is believed. A window that hid records
 * by a wrong clock would make its readers pass over them for good.
 */
export class WindowTime {
  readonly ms: number
  readonly #time: CommitTime
  #now = 0

  /** @param ms what a window shows, and how long a closed one can be read */
  constructor(time: CommitTime, ms: number) {
    this.#time = time
    this.ms = ms
  }

  /** What is no younger than this commit time lies outside; 0 while nothing does. */
  get until(): number {
    if (this.#time.mayExpire()) this.#now = this.#time.next()
    return Math.max(0, this.#now - this.ms)
  }
}
