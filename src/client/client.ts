import { type Clock, MillraceError, systemClock } from '../runtime/index.js'
import type { NewClientRecord } from './batch-builder.js'
import { Connection } from './connection.js'
import { Iteration } from './iteration.js'
import { Producer, type ProducerOptions } from './producer.js'
import type { ClientRecord, Decode, RecordOf } from './record.js'
import { persistently } from './retry.js'
import type { Handle, HandlerContext } from './shard-reader.js'
import { type Start, Subscription } from './subscription.js'

export interface ConnectOptions {
  /** Of the daemon, like `http://127.0.0.1:8000`. */
  readonly url: string
  /** How `append` batches. */
  readonly producer?: Omit<ProducerOptions, 'id'>
}

export interface SubscribeOptions<Name extends string, Value = unknown> {
  /** A plain stream, or the changes of a table: `table:NAME`. */
  readonly stream: Name
  /** Whoever subscribes with the same group shares its shards; each group reads everything. */
  readonly group: string
  /** Where the group begins when it is new; `oldest` by default. */
  readonly start?: Start
  /** Whether records that a new group has not passed are kept from being trimmed, within the bound of retention. */
  readonly hold?: boolean
  /** Makes the value of a record of a plain stream from what is stored, when it is first read; gives `value` its type. */
  readonly decode?: Decode<Value>
  /** Bytes of records received and not handled yet; past it nothing more is asked for. 8 MiB by default. */
  readonly bufferBytesMax?: number
  /** Between two commits of positions; 100 by default. What was handled since the last one is read again after a crash. */
  readonly commitMs?: number
}

/** A subscription that calls a handler. */
export type Subscribed = Pick<Subscription, 'closed' | 'close' | 'shards' | 'bufferedBytes'>

const bufferBytesDefault = 8 * 1024 * 1024
const commitMsDefault = 100

/** A daemon, as programs use it. Nothing is sent before the first call; connections are kept and made again. */
export class Client {
  readonly url: string
  readonly #connection: Connection
  readonly #clock: Clock = systemClock
  readonly #options: ConnectOptions
  readonly #producers = new Map<string, Producer>()
  readonly #open = new Set<{ close(): Promise<unknown> }>()
  readonly #over = new AbortController()

  /** Throws USAGE when the URL is none. */
  constructor(options: ConnectOptions) {
    this.#options = options
    this.#connection = new Connection(options.url)
    this.url = this.#connection.url
  }

  /**
   * Appends records to a plain stream, in the order of the calls; resolves when they are durable. Batched, and sent again
   * when an answer was lost: a record is stored once. Waits while too much is not stored yet.
   */
  append(stream: string, records: NewClientRecord | readonly NewClientRecord[]): Promise<void> {
    let producer = this.#producers.get(stream)
    if (!producer) {
      producer = this.#makeProducer(stream, this.#options.producer ?? {})
      this.#producers.set(stream, producer)
    }
    return producer.append(records)
  }

  /**
   * A producer of its own, opened: two of them are not in one order. With the `id` of an earlier one, that one is fenced.
   * Throws NOT_FOUND, CONFLICT, PRODUCER_UNKNOWN, TOO_BUSY.
   */
  async producer(stream: string, options: ProducerOptions = {}): Promise<Producer> {
    const producer = this.#makeProducer(stream, options)
    await producer.open()
    return producer
  }

  #makeProducer(stream: string, options: ProducerOptions): Producer {
    this.#checkOpen()
    const producer = new Producer(this.#connection, this.#clock, stream, options)
    this.#open.add(producer)
    return producer
  }

  /**
   * Joins a group and calls the handler with each record: those of one shard one after the other, so of each key in order.
   * When the handler has returned (or its promise has resolved) the record is handled; an error ends the subscription with
   * the record not handled.
   */
  subscribe<const Name extends string, Value = unknown>(
    options: SubscribeOptions<Name, Value>,
    handler: (record: RecordOf<Name, Value>, context: HandlerContext) => unknown,
  ): Subscribed
  /** The same for `for await`: a record is handled when the next one is asked for. */
  subscribe<const Name extends string, Value = unknown>(
    options: SubscribeOptions<Name, Value>,
  ): Iteration<RecordOf<Name, Value>>
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

  /** Makes a plain stream, unless there is one of that name. Returns whether it was made. */
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

  /** Stores what was appended, commits what was handled, leaves the groups and closes the connections. */
  async close(): Promise<void> {
    this.#over.abort()
    const results = await Promise.allSettled([...this.#open].map((each) => each.close()))
    this.#connection.close()
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }
}

/** Connects to a daemon. Throws USAGE when the URL is none. */
export function connect(options: ConnectOptions): Client {
  return new Client(options)
}
