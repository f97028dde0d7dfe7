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

/**
 * Waits for one promise after another, each until `over` settles at the latest, which is the outcome then. As a race with `over`, but a
 * race leaves what it gave with the promise that lost: with one that lives as long as a session, all that the session ever waited for.
 */
export function orOver<O>(over: Promise<O>): <T>(working: Promise<T>) => Promise<T | O> {
  const waiting = new Set<() => void>()
  let isOver = false
  const end = (): void => {
    isOver = true
    for (const wake of waiting) wake()
    waiting.clear()
  }
  over.then(end, end)
  return (working) =>
    new Promise((resolve, reject) => {
      const wake = (): void => {
        over.then(resolve, reject)
      }
      if (isOver) wake()
      else waiting.add(wake)
      working.then(resolve, reject).finally(() => waiting.delete(wake))
    })
}
