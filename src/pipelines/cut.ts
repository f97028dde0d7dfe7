import type { Sequence } from '../log/index.js'
import type { Clock } from '../runtime/index.js'

/** Where a pipeline is to come to a stand by itself, and who waits for that. */
export class Cut {
  readonly until: Sequence
  /** Whether it has come there: false where it failed, or the time is over. */
  readonly arrived: Promise<boolean>
  #resolve: (hasArrived: boolean) => void = () => {}

  constructor(until: Sequence, withinMs: number, clock: Clock) {
    this.until = until
    const over = new Promise<boolean>((resolve) => {
      this.#resolve = resolve
    })
    const timer = clock.setTimeout(() => this.over(false), withinMs)
    this.arrived = over.finally(() => timer.cancel())
  }

  over(hasArrived: boolean): void {
    this.#resolve(hasArrived)
  }
}
