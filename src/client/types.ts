import type { Change } from '../operators/index.js'
import type { MillraceError } from '../runtime/index.js'

/** A record as a program writes it. */
export interface NewClientRecord {
  readonly key: string
  /** Any JSON value; a Uint8Array is stored as it is. */
  readonly value: unknown
  /** The event's time, milliseconds since 1970; now by default. */
  readonly time?: number
}

/** One record of a plain stream. Key and value are decoded when they are first read. */
export interface ClientRecord<Value = unknown> {
  readonly key: string
  /** What was appended; a Uint8Array when it was stored as bytes, or is no JSON. */
  readonly value: Value
  /** The event's time, milliseconds since 1970. */
  readonly time: number
  /** When it was stored; never goes back. */
  readonly commitTime: number
  readonly sequence: number
  readonly shard: number
}

/** What a subscription to a stream of this name gives: changes of a table (`table:NAME`), or records. */
export type RecordOf<Name extends string, Value = unknown> = Name extends `table:${string}`
  ? Change
  : ClientRecord<Value>

export type Decode<Value> = (value: unknown) => Value

/** What a handler may do beside its own effects. */
export interface HandlerContext {
  readonly shard: number
  /**
   * Appends to a stream in the very commit that says that this record is handled: it is there once, or not at all, whatever
   * fails in between. It counts when the handler has ended; what is appended later goes with a later record, or is lost.
   */
  append(stream: string, record: NewClientRecord): void
}

/** Where a new group begins. An existing group goes on from its positions. */
export type Start = 'oldest' | 'newest' | { readonly sequence: number } | { readonly timeMs: number }

export interface ProducerOptions {
  /** A producer to open again, by its id: whoever used it before is fenced. A new one by default. */
  readonly id?: number
  /** A batch is sent when it has this many bytes; 1 MiB by default. */
  readonly batchBytes?: number
  /** How long a batch that is not full waits for more while none is in flight; 0 by default: what one turn brings. */
  readonly lingerMs?: number
  /** Bytes that may wait to be stored; past it `append` waits. 32 MiB by default. */
  readonly bufferBytesMax?: number
  /**
   * How values are stored. `row`: objects as rows, whose fields pipelines read one by one without decoding the rest (a
   * third of the time to append, a tenth to read a few fields); bigints, bytes and NaN within them stay what they are.
   * `json`: as JSON. Readers get the same values. JSON by default.
   */
  readonly codec?: 'json' | 'row'
  /** How long a batch is sent again and again without an answer before `append` rejects. Two minutes by default. */
  readonly deliveryMsMax?: number
}

/** Appends to one stream, in the order of the calls. */
export interface Producer {
  readonly stream: string
  /** Its id, for opening it again; undefined before the first batch was sent. */
  readonly id: number | undefined
  /** Bytes that are not stored yet. */
  readonly bufferedBytes: number
  /**
   * Resolves when the records are durable. Rejects with `outcome` notApplied when they were refused, and unknown when no
   * answer came within `deliveryMsMax`. Waits while too much is not stored yet. Rejects with BAD_REQUEST for what no
   * record can be: then nothing was added. A record that is larger than a batch travels alone, so one that the daemon
   * does not take (TOO_LARGE, EFFECT_TOO_LARGE, its index in `details.record`) fails alone: all others are stored.
   */
  append(records: NewClientRecord | readonly NewClientRecord[]): Promise<void>
  /** Resolves when everything appended so far is durable, or has failed: the promises of the appends say which. */
  flush(): Promise<void>
  /** Stores what is there, and takes no more. */
  close(): Promise<void>
}

export interface ConnectOptions {
  /** Of the daemon, like `http://127.0.0.1:8000`. */
  readonly url: string
  /**
   * Hears of each request that failed in a way that passes by itself (nobody answers, the daemon is busy or opens its store)
   * and is sent again where somebody waits for it. What rejects is not told here.
   */
  readonly onError?: (error: MillraceError) => void
  /**
   * How long, from the first request on, to wait for the first answer of a daemon at this URL; then everything rejects with
   * NO_DAEMON. For ever by default. Once a daemon has answered, the client waits for it to come back however long it takes.
   */
  readonly connectMsMax?: number
  /** The daemon's `auth.token`, when it has one. */
  readonly token?: string
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
export interface Subscribed {
  /** Resolves when it was closed; rejects with what ended it, a handler's error among them. */
  readonly closed: Promise<void>
  /** The shards that it holds now. */
  readonly shards: readonly number[]
  /** Bytes of records that were received and not handled yet. */
  readonly bufferedBytes: number
  /** Waits for handlers that run, commits what was handled and leaves the group. Rejects with what ended it before. */
  close(): Promise<void>
}

/** A subscription as a loop. */
export interface Iterated<Value> extends AsyncIterableIterator<Value> {
  /** Resolves when it is over; rejects with what ended it. */
  readonly closed: Promise<void>
  /** Commits what counts as handled and leaves the group. */
  close(): Promise<void>
}

/** A daemon, as programs use it. Nothing is sent before the first call; connections are kept and made again. */
export interface Client {
  readonly url: string
  /**
   * Appends records to a plain stream, in the order of the calls; resolves when they are durable. Batched, and sent again
   * when an answer was lost: a record is stored once. Waits while too much is not stored yet.
   */
  append(stream: string, records: NewClientRecord | readonly NewClientRecord[]): Promise<void>
  /**
   * A producer of its own, opened: two of them are not in one order. With the `id` of an earlier one, that one is fenced.
   * Throws NOT_FOUND, CONFLICT, PRODUCER_UNKNOWN, TOO_BUSY.
   */
  producer(stream: string, options?: ProducerOptions): Promise<Producer>
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
  ): Iterated<RecordOf<Name, Value>>
  /** Makes a plain stream, unless there is one of that name. Returns whether it was made. */
  createStream(name: string, options?: { readonly shards?: number }): Promise<boolean>
  /** Stores what was appended, commits what was handled, leaves the groups and closes the connections. */
  close(): Promise<void>
}
