import type { Clock, Timer } from '../../runtime/index.js'
import type { FunctionInvoker } from '../types.js'
import type { WaitingCall } from './waiting-call.js'

/** How often a function whose threads are all taken is looked at again, ms. */
const lookMs = 100

export interface FunctionQueueOptions {
  readonly functionName: string
  readonly clock: Clock
  readonly invoker: Pick<FunctionInvoker, 'free'>
  /** Makes one attempt, and says when it has its thread; never throws. What must be called again is put again. */
  readonly run: (call: WaitingCall, queue: FunctionQueue, begun: () => void) => Promise<void>
}

/** The waiting calls of one function: run in the order in which they came, as many at a time as it has threads for. */
export class FunctionQueue {
  readonly #options: FunctionQueueOptions
  readonly #due: WaitingCall[] = []
  readonly #delayed = new Map<WaitingCall, Timer>()
  #running = 0
  /** Of these, those that have no thread yet. */
  #beginning = 0
  #look: Timer | undefined
  #isRunning = false

  constructor(options: FunctionQueueOptions) {
    this.#options = options
  }

  /** Of calls, those that are under way among them. */
  get count(): number {
    return this.#due.length + this.#delayed.size + this.#running
  }

  put(call: WaitingCall): void {
    const { clock } = this.#options
    const delay = call.dueAt - clock.now()
    if (delay <= 0) {
      this.#due.push(call)
      return this.#pump()
    }
    const timer = clock.setTimeout(() => {
      this.#delayed.delete(call)
      this.#due.push(call)
      this.#pump()
    }, delay)
    this.#delayed.set(call, timer)
  }

  /** Others were quicker: it keeps its place. */
  putFirst(call: WaitingCall): void {
    this.#due.unshift(call)
    this.#lookLater()
  }

  start(): void {
    this.#isRunning = true
    this.#pump()
  }

  close(): void {
    this.#isRunning = false
    this.#look?.cancel()
    for (const timer of this.#delayed.values()) timer.cancel()
  }

  /** Ends it and gives the calls that are not under way. */
  take(): readonly WaitingCall[] {
    this.close()
    return [...this.#due.splice(0), ...this.#delayed.keys()]
  }

  #pump(): void {
    if (!this.#isRunning) return
    const { functionName, invoker } = this.#options
    while (this.#due.length > 0 && invoker.free(functionName) > this.#beginning)
      void this.#run(this.#due.shift() as WaitingCall)
    if (this.#due.length > 0) this.#lookLater()
  }

  async #run(call: WaitingCall): Promise<void> {
    let hasBegun = false
    const begun = (): void => {
      if (!hasBegun) this.#beginning--
      hasBegun = true
    }
    this.#running++
    this.#beginning++
    await this.#options.run(call, this, begun)
    begun()
    this.#running--
    this.#pump()
  }

  #lookLater(): void {
    if (!this.#isRunning) return
    this.#look ??= this.#options.clock.setTimeout(() => {
      this.#look = undefined
      this.#pump()
    }, lookMs)
  }
}
