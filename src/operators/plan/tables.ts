import type { Change, ItemKey, ItemValue, SinkItem, SinkRecord, StreamRecord } from '../types.js'
import type { Sink, Source } from './ends.js'
import { checkMembers } from './members.js'

export type Item = Readonly<Record<string, ItemValue>>

/** The key of a plain stream's records after `keyByPartition`. */
export interface StreamKey {
  readonly key: string
}

export interface TableSourceOptions {
  /**
   * The items that are there at the deploy come first, as inserts, consistent with the changes that follow. Without it, the
   * changes alone.
   */
  readonly snapshot?: boolean
}

/** The changes of a table, as a source. */
export function table<Row = Item>(name: string, options?: TableSourceOptions): Source<Change<Row>, ItemKey>
/** A table as a sink: each result is put as an item; null or undefined writes nothing. Exactly once. */
export function table<Value, Key>(
  name: string,
  item: (value: Value, key: Key) => SinkItem | null | undefined,
): Sink<Value, Key>
export function table(
  name: string,
  given?: TableSourceOptions | ((value: never, key: never) => SinkItem | null | undefined),
): object {
  if (typeof given === 'function') return { sink: { kind: 'table', name, run: given } }
  checkMembers<TableSourceOptions>(given, { snapshot: true }, `The source table ${name}`)
  return { source: { kind: 'table', name, ...(given?.snapshot === true ? { snapshot: true } : {}) } }
}

/** The records of a plain stream, as a source. */
export function stream<Value = unknown>(name: string): Source<StreamRecord<Value>, StreamKey>
/** A plain stream as a sink: each result is appended as a record; null or undefined appends nothing. Exactly once. */
export function stream<Value, Key>(
  name: string,
  record: (value: Value, key: Key) => SinkRecord | null | undefined,
): Sink<Value, Key>
export function stream(name: string, record?: (value: never, key: never) => SinkRecord | null | undefined): object {
  return record ? { sink: { kind: 'stream', name, run: record } } : { source: { kind: 'stream', name } }
}
