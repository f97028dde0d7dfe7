/** One page of a range: keys and values in key order (or reverse), `more` when the range goes on after the last key. */
export interface Page {
  readonly keys: Buffer[]
  readonly values: Buffer[]
  readonly more: boolean
}

export interface RangeOptions {
  readonly gte?: Buffer
  readonly gt?: Buffer
  readonly lt?: Buffer
  readonly lte?: Buffer
  readonly reverse?: boolean
  /** Most entries of a page. */
  readonly limit: number
  /** A page ends after the entry that takes it past this many bytes. */
  readonly bytesMax: number
  /** False skips the values (they come as empty buffers). */
  readonly values?: boolean
  /** `more` may be true where nothing follows a full page: to know it, the next entry would be read too, for nothing. */
  readonly isLoose?: boolean
}

/** The batch of one write; `put` and `delete` copy nothing until `write`. */
export interface StorageBatch {
  put(key: Buffer, value: Buffer): void
  delete(key: Buffer): void
}

/**
 * All that the rest of Millrace may know of the key-value store. One write may be in flight; the first that fails is
 * fatal: close and reopen. Every error is a MillraceError: STORE_CORRUPT (names the file where it is known),
 * STORAGE_FULL or IO_FAILED.
 */
export interface Storage {
  get(key: Buffer): Promise<Buffer | undefined>
  getMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]>
  /** A consistent page: every entry is of one moment. */
  page(range: RangeOptions): Promise<Page>
  /** Pages of one consistent snapshot, for bounded scans at a start; ends its iterator on return or throw. */
  scan(range: Omit<RangeOptions, 'limit'>): AsyncGenerator<Page, void, void>
  /**
   * Values alone, as text: for rows whose values are UTF-8 from the first byte to the last. Of one moment, as `scan`; `limit`
   * -1 gives all. A row costs the main thread a third of what it costs in a page.
   */
  texts(range: Omit<RangeOptions, 'values'>): AsyncGenerator<readonly string[], void, void>
  /** Atomic; `sync` returns after the write-ahead log is on the disk. */
  write(fill: (batch: StorageBatch) => void, sync: boolean): Promise<void>
  /** Gives space back; runs beside everything else. */
  compactRange(from: Buffer, to: Buffer): Promise<void>
  /** About how many bytes lie in a range on the disk, compressed; what was written last may not count yet. */
  approximateSize(from: Buffer, to: Buffer): Promise<number>
  /** A RocksDB property, such as `rocksdb.stats`. */
  property(name: string): string
  close(): Promise<void>
}

export interface StorageOptions {
  readonly path: string
  readonly createIfMissing: boolean
  readonly writeBufferBytes: number
  readonly blockCacheBytes: number
  /** Whether new table files are compressed; true by default. */
  readonly compression?: boolean
  /** Where a copy of the native module may be kept, when it has to be mended before it loads. */
  readonly nativeCachePath: string
}

export type OpenStorage = (options: StorageOptions) => Promise<Storage>
