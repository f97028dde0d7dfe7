import type { Clock } from '../src/runtime/index.js'

/** A clock that the test moves; wall and monotonic time can part. */
export class ManualClock implements Clock {
  wall = Date.UTC(2026, 0, 1)
  elapsed = 0
  #timers: { at: number; run: () => void }[] = []

  now(): number {
    return this.wall
  }

  monotonic(): number {
    return this.elapsed
  }

  setTimeout(run: () => void, ms: number): { cancel(): void } {
    const timer = { at: this.elapsed + ms, run }
    this.#timers.push(timer)
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer)
      },
    }
  }

  /** Whoever waited is gone. */
  clear(): void {
    this.#timers = []
  }

  /** Both clocks go on, and what is due runs. */
  advance(ms: number): void {
    this.wall += ms
    this.elapsed += ms
    const due = this.#timers.filter((timer) => timer.at <= this.elapsed).sort((a, b) => a.at - b.at)
    this.#timers = this.#timers.filter((timer) => timer.at > this.elapsed)
    for (const timer of due) timer.run()
  }
}
