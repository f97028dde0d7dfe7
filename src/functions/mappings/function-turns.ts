import type { Clock, Timer } from '../../runtime/index.js'
import type { FunctionInvoker } from '../types.js'

/** Where others hold all threads of a function, nobody says when one is free: this is how often it is looked for, ms. */
const lookMsMin = 5
const lookMsMax = 250

interface Queue {
  readonly waiting: (() => void)[]
  /** Turns that were given and not used yet. */
  given: number
  /** Calls of mappings that run. */
  running: number
  lookMs: number
  timer: Timer | undefined
}

/**
 * Turns at calling functions. A function with fewer threads than there are batches for it takes them in the order in which
 * they came, and nobody is told that it is busy.
 */
export class FunctionTurns {
  readonly #invoker: Pick<FunctionInvoker, 'free'>
  readonly #isThere: (functionName: string) => boolean
  readonly #clock: Clock
  readonly #queues = new Map<string, Queue>()

  constructor(invoker: Pick<FunctionInvoker, 'free'>, isThere: (functionName: string) => boolean, clock: Clock) {
    this.#invoker = invoker
    this.#isThere = isThere
    this.#clock = clock
  }

  /** Resolves with true when the function may be called, which must be done in that turn of the event loop; false at the stop. */
  take(functionName: string, stop: AbortSignal): Promise<boolean> | boolean {
    if (stop.aborted) return false
    const queue = this.#queue(functionName)
    if (queue.waiting.length === 0 && this.#isFree(functionName, queue)) {
      queue.given++
      return true
    }
    return new Promise((resolve) => {
      const onStop = (): void => {
        const at = queue.waiting.indexOf(come)
        if (at >= 0) queue.waiting.splice(at, 1)
        resolve(false)
      }
      const come = (): void => {
        stop.removeEventListener('abort', onStop)
        resolve(true)
      }
      stop.addEventListener('abort', onStop)
      queue.waiting.push(come)
      this.#lookLater(functionName, queue)
    })
  }

  /** The call was begun. */
  began(functionName: string): void {
    const queue = this.#queue(functionName)
    queue.given--
    queue.running++
  }

  ended(functionName: string): void {
    const queue = this.#queue(functionName)
    queue.running--
    this.#give(functionName, queue)
  }

  #queue(functionName: string): Queue {
    let queue = this.#queues.get(functionName)
    if (!queue) {
      queue = { waiting: [], given: 0, running: 0, lookMs: lookMsMin, timer: undefined }
      this.#queues.set(functionName, queue)
    }
    return queue
  }

  /** One that is not there says so itself when it is called. */
  #isFree(functionName: string, { given }: Queue): boolean {
    return this.#invoker.free(functionName) > given || !this.#isThere(functionName)
  }

  #give(functionName: string, queue: Queue): void {
    while (queue.waiting.length > 0 && this.#isFree(functionName, queue)) {
      queue.given++
      queue.lookMs = lookMsMin
      queue.waiting.shift()?.()
    }
    this.#lookLater(functionName, queue)
  }

  #lookLater(functionName: string, queue: Queue): void {
    if (queue.timer || queue.waiting.length === 0) return
    queue.timer = this.#clock.setTimeout(() => {
      queue.timer = undefined
      queue.lookMs = Math.min(lookMsMax, 2 * queue.lookMs)
      this.#give(functionName, queue)
    }, queue.lookMs)
  }
}
