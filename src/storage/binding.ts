declare const kind: unique symbol
interface External<Name extends string> {
  readonly [kind]: Name
}

export type Database = External<'database'>
export type NativeIterator = External<'iterator'>
export type NativeBatch = External<'batch'>
export type Done<T = void> = (error: Error | null, result: T) => void

export interface OpenOptions {
  readonly createIfMissing: boolean
  readonly errorIfExists: boolean
  readonly compression: boolean
  readonly writeBufferSize: number
  readonly cacheSize: number
}

export interface IteratorOptions {
  readonly gte: Buffer | undefined
  readonly gt: Buffer | undefined
  readonly lt: Buffer | undefined
  readonly lte: Buffer | undefined
  readonly reverse: boolean
  /** False leaves the keys out (as empty strings, with `keyAsBuffer` false). */
  readonly keys: boolean
  readonly values: boolean
  readonly keyAsBuffer: boolean
  readonly valueAsBuffer: boolean
  /** -1: all. */
  readonly limit: number
  readonly highWaterMark: number
  readonly fillCache: boolean
}

/**
 * What `rocksdb/binding` exports, as far as it is used (binding.cc of rocksdb 5.2.1). It trusts its caller: a property
 * of the wrong type, an ended iterator or a closed database is undefined behaviour and not an error.
 *
 * It is called without the layer of abstract-leveldown above it, because that layer hands out an iterator's entries one
 * by one, each with a callback of `process.nextTick`, and makes a new native batch for every write.
 */
export interface Binding {
  db_init(): Database
  db_open(database: Database, path: string, options: OpenOptions, done: Done): void
  /** Ends all iterators, waits for everything that runs. */
  db_close(database: Database, done: Done): void
  db_get(database: Database, key: Buffer, options: object, done: Done<Buffer>): void
  db_get_many(database: Database, keys: readonly Buffer[], options: object, done: Done<(Buffer | undefined)[]>): void
  db_compact_range(database: Database, from: Buffer, to: Buffer, done: Done): void
  db_approximate_size(database: Database, from: Buffer, to: Buffer, done: Done<number>): void
  db_get_property(database: Database, name: string): string
  iterator_init(database: Database, options: IteratorOptions): NativeIterator
  /** Gives [value, key, value, key, ...] with the first entry last; one call at a time. */
  iterator_next(
    iterator: NativeIterator,
    done: (error: Error | null, entries: (Buffer | string)[], finished: boolean) => void,
  ): void
  /** Calls back unless the iterator was ended before. */
  iterator_end(iterator: NativeIterator, done: Done): void
  batch_init(database: Database): NativeBatch
  batch_put(batch: NativeBatch, key: Buffer, value: Buffer | null): void
  batch_del(batch: NativeBatch, key: Buffer): void
  batch_clear(batch: NativeBatch): void
  batch_write(batch: NativeBatch, options: { readonly sync: boolean }, done: Done): void
}
