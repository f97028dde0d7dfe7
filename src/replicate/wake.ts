import type { Clock } from '../runtime/index.js'

/** Waits that end by a call, by time, or by the end of everything. */
export class Wake {
  readonly #clock: Clock
  #version = 0
  #waiting: (() => void)[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** To be taken before a look: what comes after it ends the wait. */
  get version(): number {
    return this.#version
  }

  raise(): void {
    this.#version++
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }

  /** Resolves at the first `raise` after the version, or when so many milliseconds are over. */
  async after(version: number, ms: number): Promise<void> {
    if (this.#version !== version) return
    await new Promise<void>((resolve) => {
      const timer = this.#clock.setTimeout(resolve, ms)
      this.#waiting.push(() => {
        timer.cancel()
        resolve()
      })
    })
  }
}
