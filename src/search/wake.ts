/** Wakes the one who waits; a call that comes before the wait is not lost. */
export class Wake {
  #isRaised = false
  #resolve: (() => void) | undefined

  raise(): void {
    this.#isRaised = true
    this.#resolve?.()
  }

  /** Forgets the calls so far: what they told of is about to be looked at. */
  reset(): void {
    this.#isRaised = false
  }

  async raised(): Promise<void> {
    if (!this.#isRaised)
      await new Promise<void>((resolve) => {
        this.#resolve = resolve
      })
    this.#resolve = undefined
  }
}
