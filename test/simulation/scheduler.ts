import type { Random } from './random.js'

/** Promises and immediates of the code under test all run within one turn. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** What waits for the world outside (the disk) goes on when, and in the order that, the random numbers say. */
export class Scheduler {
  readonly #random: Random
  #waiting: (() => void)[] = []
  steps = 0

  constructor(random: Random) {
    this.#random = random
  }

  add(task: () => void): void {
    this.#waiting.push(task)
  }

  /** Waits for no more than its turn. */
  pause(): Promise<void> {
    return new Promise((resolve) => this.add(resolve))
  }

  get idle(): boolean {
    return this.#waiting.length === 0
  }

  /** Lets one of those that wait go on, and the code under test do what follows from that. */
  async step(): Promise<void> {
    this.steps++
    if (this.#waiting.length > 0) {
      const [task] = this.#waiting.splice(this.#random.below(this.#waiting.length), 1)
      task?.()
    }
    await turn()
  }

  /** The process is gone: nothing that waited goes on. */
  clear(): void {
    this.#waiting = []
  }

  /** Until nothing waits any more. Throws when that does not come. */
  async settle(stepsMax = 100_000): Promise<void> {
    for (let idle = 0, steps = 0; idle < 4; steps++) {
      if (steps > stepsMax) throw new Error('the simulation does not come to rest')
      idle = this.idle ? idle + 1 : 0
      await this.step()
    }
  }
}
