import { type Clock, MillraceError, systemClock } from '../runtime/index.js'
import { Connection } from './connection.js'
import { Iteration } from './iteration.js'
import { BatchingProducer } from './producer.js'
import { persistently } from './retry.js'
import type { Handle } from './shard-reader.js'
import { Subscription } from './subscription.js'
import type {
  Client,
  ClientRecord,
  ConnectOptions,
  HandlerContext,
  Iterated,
  NewClientRecord,
  Producer,
  ProducerOptions,
  RecordOf,
  Subscribed,
  SubscribeOptions,
} from './types.js'

const bufferBytesDefault = 8 * 1024 * 1024
const commitMsDefault = 100

class DaemonClient implements Client {
  readonly url: string
  readonly #connection: Connection
  readonly #clock: Clock = systemClock
  readonly #options: ConnectOptions
  readonly #producers = new Map<string, BatchingProducer>()
  readonly #open = new Set<{ close(): Promise<unknown> }>()
  readonly #over = new AbortController()

  /** Throws USAGE when the URL is none. */
  constructor(options: ConnectOptions) {
    this.#options = options
    this.#connection = new Connection(options, this.#clock)
    this.url = this.#connection.url
  }

  // Async for what a closed client throws; the records are taken within the call.
  async append(stream: string, records: NewClientRecord | readonly NewClientRecord[]): Promise<void> {
    let producer = this.#producers.get(stream)
    if (!producer) {
      producer = this.#makeProducer(stream, this.#options.producer ?? {}, true)
      this.#producers.set(stream, producer)
    }
    await producer.append(records)
  }

  async producer(stream: string, options: ProducerOptions = {}): Promise<Producer> {
    const producer = this.#makeProducer(stream, options, false)
    try {
      await producer.open()
    } catch (error) {
      this.#open.delete(producer)
      throw error
    }
    producer.over.addEventListener('abort', () => this.#open.delete(producer))
    return producer
  }

  #makeProducer(stream: string, options: ProducerOptions, isPrivate: boolean): BatchingProducer {
    this.#checkOpen()
    const producer = new BatchingProducer(this.#connection, this.#clock, stream, options, isPrivate)
    this.#open.add(producer)
    return producer
  }

  subscribe<const Name extends string, Value = unknown>(
    options: SubscribeOptions<Name, Value>,
    handler: (record: RecordOf<Name, Value>, context: HandlerContext) => unknown,
  ): Subscribed
  subscribe<const Name extends string, Value = unknown>(
    options: SubscribeOptions<Name, Value>,
  ): Iterated<RecordOf<Name, Value>>
  subscribe(options: SubscribeOptions<string>, handler?: Handle): object {
    if (handler) return this.#subscription(options, handler)
    const iteration = new Iteration<ClientRecord>()
    iteration.begin(this.#subscription(options, iteration.handle))
    return iteration
  }

  #subscription(options: SubscribeOptions<string>, handle: Handle): Subscription {
    this.#checkOpen()
    const {
      start = 'oldest',
      hold = false,
      bufferBytesMax = bufferBytesDefault,
      commitMs = commitMsDefault,
      ...rest
    } = options
    const all = { decode: undefined, ...rest, start, hold, bufferBytesMax, commitMs }
    const subscription = new Subscription(this.#connection, this.#clock, all, handle)
    this.#open.add(subscription)
    const forget = () => this.#open.delete(subscription)
    subscription.closed.then(forget, forget)
    return subscription
  }

  async createStream(name: string, options: { readonly shards?: number } = {}): Promise<boolean> {
    this.#checkOpen()
    try {
      await persistently(this.#clock, this.#over.signal, () =>
        this.#connection.json({ method: 'POST', path: 'streams', body: { name, ...options } }),
      )
      return true
    } catch (error) {
      if (error instanceof MillraceError && error.code === 'ALREADY_EXISTS') return false
      throw error
    }
  }

  #checkOpen(): void {
    if (this.#over.signal.aborted)
      throw new MillraceError('NOT_READY', 'The client was closed.', { remedy: 'Connect again.' })
  }

  async close(): Promise<void> {
    this.#over.abort()
    const results = await Promise.allSettled([...this.#open].map((each) => each.close()))
    this.#connection.close()
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }
}

/** Connects to a daemon. Throws USAGE when the URL is none. */
export function connect(options: ConnectOptions): Client {
  return new DaemonClient(options)
}
