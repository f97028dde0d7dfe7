import type { Change, ItemValue, StreamRecord } from '../operators/index.js'

/** A key attribute: its name where it is text, else with its type. */
export type KeyAttributeOf = string | { readonly name: string; readonly type: 'S' | 'N' | 'B' }

/** The key of a table. */
export interface TableKey {
  readonly hash: KeyAttributeOf
  readonly range?: KeyAttributeOf
}

/** An item as plain JavaScript. */
export type PlainItem = Readonly<Record<string, ItemValue | undefined>>

/** A change of a table as the test gives it. What is left out: the time now, no removal by the daemon itself. */
export type TestChange<Row = PlainItem> =
  | { readonly type: 'insert'; readonly new: Row; readonly time?: number }
  | { readonly type: 'modify'; readonly new: Row; readonly old: Row; readonly time?: number }
  | { readonly type: 'remove'; readonly old: Row; readonly time?: number; readonly service?: boolean }

/** A record of a stream, or of a file, as the test gives it. */
export interface TestRecord<Value = unknown> {
  /** Text; of a file its path, which is the default there. */
  readonly key?: string
  readonly value: Value
  /** Milliseconds since 1970; virtual time by default. */
  readonly time?: number
}

/** What a source takes. */
export type TestInput<Value> =
  Value extends Change<infer Row> ? TestChange<Row> : Value extends StreamRecord<infer Body> ? TestRecord<Body> : never

export interface TestOptions {
  /** Everything that chance decides follows from it; 1 by default. */
  readonly seed?: number
  /** Shards of each source at the beginning; 2 by default. */
  readonly shards?: number
  /** Tasks of each stage behind a keyBy; 2 by default. */
  readonly tasks?: number
  /** Virtual time at the beginning, milliseconds since 1970; 0 by default. */
  readonly now?: number
  /** The keys of tables that the pipeline reads or writes: `{ orders: { hash: 'id' } }`. */
  readonly tables?: Readonly<Record<string, TableKey>>
  /** How likely, from 0 to 1, a crash, a split or a merge of shards comes between any two steps; 0 by default. */
  readonly faults?: { readonly crash?: number; readonly split?: number; readonly merge?: number }
}

/** What was given to a source. */
export interface PushedInput {
  readonly source: string
  readonly input: TestRecord | TestChange
}

/** A cell of state as a test sees it. */
export interface TestCell {
  /** undefined: the main cell. */
  readonly name: string | number | undefined
  readonly value: unknown
}
