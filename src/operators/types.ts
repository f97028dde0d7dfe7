/** A value inside an item, as plain JavaScript. */
export type ItemValue =
  | string
  | number
  /** A number that a double cannot hold exactly: whole ones. */
  | bigint
  | boolean
  | null
  | Uint8Array
  | ItemValue[]
  | { [name: string]: ItemValue }
  | Set<string>
  | Set<number | bigint | string>
  | Set<Uint8Array>

/** A key attribute's value. A number that a double cannot hold exactly is a bigint, or a string when it has a fraction. */
export type KeyValue = string | number | bigint | Uint8Array

/** The key attributes of an item, or of its partition, by name. */
export type ItemKey = Readonly<Record<string, KeyValue>>

interface ChangeBase {
  /** All key attributes of the item. */
  readonly keys: ItemKey
  /** When it was made, milliseconds since 1970. */
  readonly time: number
  /** Strictly increasing over the whole daemon. */
  readonly sequence: number
  /** Whether the daemon itself made it: the removal of an item whose time to live was over. */
  readonly service: boolean
}

/**
 * One change of a table's item. Reading type, keys, time or service touches no image; images are decoded when they are
 * read.
 */
export type Change<Item = Readonly<Record<string, ItemValue>>> =
  | (ChangeBase & { readonly type: 'insert'; readonly new: Item; readonly old?: undefined })
  | (ChangeBase & { readonly type: 'modify'; readonly new: Item; readonly old: Item })
  | (ChangeBase & { readonly type: 'remove'; readonly new?: undefined; readonly old: Item })

/** One record of a plain stream. */
export interface StreamRecord<Value = unknown> {
  readonly key: string
  readonly value: Value
  /** The event's time, milliseconds since 1970. */
  readonly time: number
  readonly sequence: number
}

/** What a step may return: its result, or a promise of it. */
export type Awaitable<T> = T | Promise<T>

/** What a table sink writes: an item as plain JavaScript, its key attributes among them. Undefined members are left out. */
export type SinkItem = Readonly<Record<string, ItemValue | undefined>>

/** What a stream sink appends. */
export interface SinkRecord {
  readonly key: string
  readonly value: unknown
  readonly time?: number
}

export type SinkFunction = (value: never, key: never) => unknown

/** A step of a plan. Functions are the user's own. */
export type Step =
  | { readonly kind: 'filter'; readonly run: (value: never, key: never) => unknown }
  | { readonly kind: 'map'; readonly run: (value: never, key: never) => unknown }
  | { readonly kind: 'flatMap'; readonly run: (value: never, key: never) => unknown }
  | { readonly kind: 'keyByPartition' }
  | { readonly kind: 'count'; readonly name: string }
  | { readonly kind: 'sum'; readonly name: string; readonly run: (value: never, key: never) => unknown }
  | { readonly kind: 'reduce'; readonly name: string; readonly run: (state: never, value: never) => unknown }
  | {
      readonly kind: 'aggregate'
      readonly name: string
      readonly initial: () => unknown
      readonly run: (state: never, value: never, key: never) => unknown
    }
  | { readonly kind: 'sink'; readonly sink: SinkPlan }

export type SinkPlan =
  | { readonly kind: 'table'; readonly name: string; readonly run: SinkFunction }
  | { readonly kind: 'stream'; readonly name: string; readonly run: SinkFunction }
  | { readonly kind: 'file'; readonly path: string; readonly run: SinkFunction | undefined }

export interface SourcePlan {
  readonly kind: 'table' | 'stream'
  readonly name: string
}

/** What a pipeline is: data, and the user's functions. */
export interface Plan {
  readonly version: 1
  readonly name: string
  readonly source: SourcePlan
  readonly steps: readonly Step[]
}

/** Marks a value that a module exports as a pipeline; the same in every copy of this package that is bundled. */
export const planMark = Symbol.for('millrace.pipeline')
