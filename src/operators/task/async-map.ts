import { kept } from '../kept.js'
import type { NodeId, PlanNode } from '../plan/nodes.js'
import { StepError } from '../step-error.js'
import type { StageRuntime } from './stage-runtime.js'
import { type At, isThenable, type Push } from './step.js'

/** A value whose function runs, or has run. */
interface Call {
  readonly at: At
  result: unknown
  error: StepError | undefined
  isDone: boolean
}

/**
 * Calls an async function for many values of a batch at a time. What it gives goes on where the task waits anyway: when
 * all its promises are under way, and at the end of the batch. So steps behind it still see one row at a time, and nothing
 * of a batch is committed before all its values are through.
 */
export class AsyncMap {
  readonly #runtime: StageRuntime
  readonly #id: NodeId
  readonly #node: Extract<PlanNode, { kind: 'asyncMap' }>
  readonly #next: Push
  /** In the order in which they came. */
  #calls: Call[] = []
  #running = 0
  #wake: (() => void) | undefined

  constructor(runtime: StageRuntime, id: NodeId, node: Extract<PlanNode, { kind: 'asyncMap' }>, next: Push) {
    this.#runtime = runtime
    this.#id = id
    this.#node = node
    this.#next = next
  }

  get isIdle(): boolean {
    return this.#calls.length === 0
  }

  readonly push: Push = (value, at) => {
    this.#begin(value, at)
    if (this.#running < this.#node.concurrency) return undefined
    return this.#untilRoom()
  }

  #begin(value: unknown, at: At): void {
    const { run, timeoutMs } = this.#node
    const runtime = this.#runtime
    // The row's own, since the task goes on with the next one.
    const own: At = {
      ...at,
      row: undefined,
      partition: at.entry === undefined && runtime.options.wantsPartition ? runtime.partitionOf(at) : at.partition,
    }
    const call: Call = { at: own, result: undefined, error: undefined, isDone: false }
    runtime.enter(this.#id, at)
    const result = run(kept(value) as never, at.key as never)
    this.#calls.push(call)
    if (!isThenable(result)) {
      call.result = result
      call.isDone = true
      return
    }
    this.#running++
    const timer = runtime.host.setTimeout(() => {
      const late = new Error(`asyncMap had no result after ${timeoutMs} ms.`)
      settle(new StepError(this.#id, own.sequence, late, own.key))
    }, timeoutMs)
    const settle = (error: StepError | undefined): void => {
      if (call.isDone) return
      timer.cancel()
      call.isDone = true
      call.error = error
      this.#running--
      if (!this.#node.isOrdered) this.#moveDone(call)
      this.#wake?.()
    }
    result.then(
      (made) => {
        if (!call.isDone) call.result = made
        settle(undefined)
      },
      (error: unknown) => settle(new StepError(this.#id, own.sequence, error, own.key)),
    )
  }

  /** Unordered: what is done comes before what is not. */
  #moveDone(call: Call): void {
    const first = this.#calls.findIndex((other) => !other.isDone)
    const from = this.#calls.indexOf(call)
    if (first < 0 || from < first) return
    this.#calls.splice(from, 1)
    this.#calls.splice(first, 0, call)
  }

  async #untilRoom(): Promise<void> {
    while (this.#running >= this.#node.concurrency) await this.#settled()
    await this.#giveDone()
  }

  /** Resolves when another call has settled. */
  async #settled(): Promise<void> {
    const at = this.#calls.find((call) => !call.isDone)?.at
    if (at) this.#runtime.host.pause(this.#id, at.sequence)
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    this.#wake = undefined
  }

  /** Gives on what is done, up to the first that is not. */
  async #giveDone(): Promise<void> {
    for (;;) {
      const call = this.#calls[0]
      if (!call?.isDone) return
      this.#calls.shift()
      if (call.error) throw call.error
      const pending = this.#next(call.result, call.at)
      if (pending) await pending
    }
  }

  /** Waits for everything, and gives it on. */
  async flush(): Promise<void> {
    for (;;) {
      await this.#giveDone()
      if (this.#calls.length === 0) return
      if (!this.#calls[0]?.isDone) await this.#settled()
    }
  }
}
