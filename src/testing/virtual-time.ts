/** Time that goes on when it is told to. */
export class VirtualTime {
  now: number
  #timers: { readonly at: number; readonly run: () => void }[] = []

  constructor(now: number) {
    this.now = now
  }

  setTimeout(run: () => void, ms: number): { cancel(): void } {
    const timer = { at: this.now + ms, run }
    this.#timers.push(timer)
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer)
      },
    }
  }

  advance(ms: number): void {
    this.now += ms
    const due = this.#timers.filter(({ at }) => at <= this.now).sort((a, b) => a.at - b.at)
    this.#timers = this.#timers.filter(({ at }) => at > this.now)
    for (const { run } of due) run()
  }
}
