/** Wakes everybody who waits. A waiter takes `version` before it looks, so that what comes after the look wakes it. */
export class Signal {
  #version = 0
  #waiting: (() => void)[] = []

  get version(): number {
    return this.#version
  }

  raise(): void {
    this.#version++
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }

  /** Resolves at the first `raise` after the version, at once if it has been already. */
  after(version: number): Promise<void> {
    if (this.#version !== version) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}

/** A fixed number of permits, given in the order in which they are asked for. */
export class Permits {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(permits: number) {
    this.#free = permits
  }

  async take(): Promise<void> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  give(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#free++
  }
}
