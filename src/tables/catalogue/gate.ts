/**
 * A table's description, latched: writers share it, the control plane has it alone. A control operation that waits lets
 * no new writer pass, so that it gets its turn.
 */
export class Gate {
  #shared = 0
  #isExclusive = false
  readonly #waiting: { readonly exclusive: boolean; readonly wake: () => void }[] = []

  /** Whether `share` would return at once. */
  get isOpen(): boolean {
    return !this.#isExclusive && this.#waiting.length === 0
  }

  /** For writers. Returns the release at once when nobody is in the way. */
  share(): (() => void) | Promise<() => void> {
    if (this.isOpen) {
      this.#shared++
      return this.#releaseShared
    }
    return new Promise((resolve) => {
      this.#waiting.push({ exclusive: false, wake: () => resolve(this.#releaseShared) })
    })
  }

  /** For the control plane. */
  exclude(): Promise<() => void> {
    return new Promise((resolve) => {
      this.#waiting.push({ exclusive: true, wake: () => resolve(this.#releaseExclusive) })
      this.#admit()
    })
  }

  readonly #releaseShared = (): void => {
    this.#shared--
    if (this.#shared === 0) this.#admit()
  }

  readonly #releaseExclusive = (): void => {
    this.#isExclusive = false
    this.#admit()
  }

  #admit(): void {
    while (!this.#isExclusive) {
      const first = this.#waiting[0]
      if (!first || (first.exclusive && this.#shared > 0)) return
      this.#waiting.shift()
      if (first.exclusive) this.#isExclusive = true
      else this.#shared++
      first.wake()
    }
  }
}
