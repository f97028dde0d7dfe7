import type { Clock } from './clock.js'

/** What a loop waits on: news, time, and its end. A wait that is over leaves nothing behind. */
export class Wake {
  readonly #clock: Clock
  readonly #stop: AbortSignal | undefined
  readonly #waiting = new Set<() => void>()
  #version = 0

  /** @param stop ends every wait, those that begin later too */
  constructor(clock: Clock, stop?: AbortSignal) {
    this.#clock = clock
    this.#stop = stop
    stop?.addEventListener('abort', () => this.raise())
  }

  /** Taken before a look, so that what comes after the look ends the wait. */
  get version(): number {
    return this.#version
  }

  raise(): void {
    this.#version++
    for (const wake of [...this.#waiting]) wake()
  }

  /** Resolves with the first news after `version`, after `ms` where they are given, or at the end. */
  news(version: number, ms?: number): Promise<void> {
    if (version !== this.#version || this.#stop?.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : this.#clock.setTimeout(() => wake(), ms)
      const wake = (): void => {
        timer?.cancel()
        this.#waiting.delete(wake)
        resolve()
      }
      this.#waiting.add(wake)
    })
  }

  /** Resolves after `ms`, or at the end, whatever news come. */
  pause(ms: number): Promise<void> {
    if (this.#stop?.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = (): void => {
        timer.cancel()
        this.#stop?.removeEventListener('abort', wake)
        resolve()
      }
      const timer = this.#clock.setTimeout(wake, ms)
      this.#stop?.addEventListener('abort', wake)
    })
  }

  /** How many wait for news. */
  get waiting(): number {
    return this.#waiting.size
  }
}
