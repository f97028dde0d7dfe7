import type { UserSinkPlan } from '../operators/plan/index.js'
import { type NodeId, type PipelinePlan, unpackState } from '../operators/task/index.js'
import type { SinkRecords } from './protocol.js'

/** What a sink needs of its thread. */
export interface SinkThread {
  /** The sink's code runs from now on. */
  readonly enter: (sink: HostedSink) => void
  /** It awaits a promise of its own. */
  readonly pause: (sink: HostedSink) => void
  readonly leave: (sink: HostedSink) => void
}

export interface HostedSinkOptions {
  readonly number: number
  /** The pipeline's name. */
  readonly label: string
  readonly node: NodeId
}

/** A sink of the user's own in a worker. It is opened before the first records, and again after it failed to open. */
export class HostedSink {
  readonly options: HostedSinkOptions
  readonly #plan: () => Promise<PipelinePlan>
  readonly #thread: SinkThread
  #opened: Promise<UserSinkPlan> | undefined
  /** The newest delivery: one that took too long is told by its signal. */
  #current: AbortController | undefined

  constructor(options: HostedSinkOptions, plan: () => Promise<PipelinePlan>, thread: SinkThread) {
    this.options = options
    this.#plan = plan
    this.#thread = thread
  }

  /** Rejects with what the user's code threw. */
  async deliver({ ids, bodies, attempt }: SinkRecords): Promise<void> {
    this.#current?.abort()
    const current = new AbortController()
    this.#current = current
    this.#opened ??= this.#open()
    let sink: UserSinkPlan
    try {
      sink = await this.#opened
    } catch (error) {
      this.#opened = undefined
      throw error
    }
    const records = bodies.map((body, i) => {
      const [value, key] = unpackState(body) as [unknown, unknown]
      return { value, key, idempotencyKey: ids[i] as string }
    })
    await this.#run(() => sink.write(records as never, { attempt, signal: current.signal } as never))
  }

  async #open(): Promise<UserSinkPlan> {
    const node = (await this.#plan()).nodes[this.options.node]
    if (node?.kind !== 'sink' || node.sink.kind !== 'user') throw new Error('The module has no such sink.')
    const { sink } = node
    if (sink.open) await this.#run(sink.open)
    return sink
  }

  async #run(user: () => unknown): Promise<void> {
    this.#thread.enter(this)
    try {
      const result = user()
      this.#thread.pause(this)
      await result
    } finally {
      this.#thread.leave(this)
    }
  }

  /** Tells what is under way, then has the sink let go of what it holds. Never rejects. */
  async close(): Promise<void> {
    this.#current?.abort()
    const sink = await this.#opened?.catch(() => undefined)
    if (sink?.close) await this.#run(sink.close).catch(() => {})
  }
}
