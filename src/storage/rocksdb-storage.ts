import { MillraceError, makeFolder } from '../runtime/index.js'
import type { Binding, Database, Done, NativeBatch } from './binding.js'
import { loadNative } from './native.js'
import { RangeReader } from './range-reader.js'
import { type Action, storageError } from './storage-error.js'
import { openWithWholeTables } from './table-ends.js'
import type { OpenStorage, Page, RangeOptions, Storage, StorageBatch } from './types.js'

/** A native batch that grew past this is given back to the system instead of being used for the next write. */
const batchKeptBytesMax = 16 * 1024 * 1024
/** The binding takes buffer sizes as 32-bit numbers. */
const bufferBytesMax = 2 ** 32 - 1
/**
 * The binding skips a batch without any entry, also its sync. A delete of this key (no family has it, so nobody ever
 * writes it) makes an empty synced write reach the disk, with all that unsynced writes left before it.
 */
const nobodysKey = Buffer.from([0xff])
const noOptions = {}

export const openStorage: OpenStorage = async (options) => {
  const { path, createIfMissing, writeBufferBytes, blockCacheBytes, compression = true, nativeCachePath } = options
  for (const bytes of [writeBufferBytes, blockCacheBytes]) {
    if (!Number.isInteger(bytes) || bytes < 0 || bytes > bufferBytesMax) {
      throw new MillraceError(
        'CONFIG_INVALID',
        `A buffer of the store must have 0 to ${bufferBytesMax} bytes, not ${bytes}.`,
      )
    }
  }
  const { binding } = loadNative(nativeCachePath)
  if (createIfMissing) makeStoreFolder(path)
  const database = binding.db_init()
  const nativeOptions = {
    createIfMissing,
    errorIfExists: false,
    compression,
    writeBufferSize: writeBufferBytes,
    cacheSize: blockCacheBytes,
  }
  await openWithWholeTables(path, {
    checkLock: async () => {
      // RocksDB takes the lock first, and then refuses since a store is there, or none.
      const refused = { ...nativeOptions, createIfMissing: false, errorIfExists: true }
      // By the same database: one that nobody holds may be collected, and freed, while the binding still works on it.
      await promised<void>('open', path, (done) => binding.db_open(database, path, refused, done)).catch(
        (error: MillraceError) => {
          if (error.code === 'DATA_DIR_LOCKED') throw error
        },
      )
    },
    open: () => promised('open', path, (done) => binding.db_open(database, path, nativeOptions, done)),
    property: (name) => binding.db_get_property(database, name),
    close: () => promised('open', path, (done) => binding.db_close(database, done)),
  })
  return new RocksdbStorage(binding, database, path)
}

function makeStoreFolder(path: string): void {
  try {
    makeFolder(path)
  } catch (error) {
    throw storageError('open', path, error as Error)
  }
}

function promised<T>(action: Action, path: string, run: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    run((error, result) => (error ? reject(storageError(action, path, error)) : resolve(result)))
  })
}

class RocksdbStorage implements Storage {
  readonly #binding: Binding
  readonly #database: Database
  readonly #path: string
  #batch: NativeBatch | undefined
  #writing = false
  #failed: MillraceError | undefined
  #running = 0
  #idle: (() => void) | undefined
  #closing: Promise<void> | undefined

  constructor(binding: Binding, database: Database, path: string) {
    this.#binding = binding
    this.#database = database
    this.#path = path
  }

  get(key: Buffer): Promise<Buffer | undefined> {
    return this.#run(
      () =>
        new Promise((resolve, reject) => {
          checkKey(key)
          this.#binding.db_get(this.#database, key, noOptions, (error, value) => {
            if (!error) resolve(value)
            else if (error.message.startsWith('NotFound')) resolve(undefined)
            else reject(storageError('read', this.#path, error))
          })
        }),
    )
  }

  async getMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    if (keys.length === 0) return []
    return this.#run(() => {
      // The binding leaves empty keys out of its answer, so that the others would come in wrong places.
      keys.forEach(checkKey)
      return promised('read', this.#path, (done) => this.#binding.db_get_many(this.#database, keys, noOptions, done))
    })
  }

  async page(range: RangeOptions): Promise<Page> {
    return this.#run(async () => {
      const page = await this.#page(range)
      if (page.keys.length === 0) await this.#refuseDamageAbove(range)
      return page
    })
  }

  /**
   * Backward, the binding seeks the upper bound and goes to the last key of all when there is nothing from there on, also
   * when that was only because a block is damaged: then nothing is found, and no error. Forward, it is one.
   */
  async #refuseDamageAbove({ reverse, lt, lte }: Omit<RangeOptions, 'limit'>): Promise<void> {
    const above = reverse ? (lte ?? lt) : undefined
    if (above) await this.#page({ gte: above, limit: 1, bytesMax: 0, values: false })
  }

  async #page(range: RangeOptions): Promise<Page> {
    const limit = Math.max(1, Math.min(range.limit, 0x7ffffffe))
    // One more than asked for says whether the range goes on.
    const read = range.isLoose ? limit : limit + 1
    const reader = new RangeReader(this.#binding, this.#database, { ...range, limit: read })
    try {
      return await reader.page(limit)
    } catch (error) {
      throw storageError('read', this.#path, error as Error)
    } finally {
      reader.end()
    }
  }

  async *scan(range: Omit<RangeOptions, 'limit'>): AsyncGenerator<Page, void, void> {
    this.#checkOpen()
    const reader = new RangeReader(this.#binding, this.#database, { ...range, limit: -1 })
    try {
      for (let more = true; more; ) {
        // Between two pages the store may be closed, which ends the native iterator.
        const page = await this.#run(() => reader.page(Number.MAX_SAFE_INTEGER))
        more = page.more
        if (page.keys.length > 0) yield page
      }
    } catch (error) {
      throw error instanceof MillraceError ? error : storageError('read', this.#path, error as Error)
    } finally {
      reader.end()
    }
  }

  async *texts(range: Omit<RangeOptions, 'values'>): AsyncGenerator<readonly string[], void, void> {
    this.#checkOpen()
    const reader = new RangeReader(this.#binding, this.#database, range, true)
    try {
      let isFirst = true
      for (let more = true; more; isFirst = false) {
        const page = await this.#run(() => reader.texts())
        more = page.more
        if (page.values.length > 0) yield page.values
        else if (isFirst) await this.#run(() => this.#refuseDamageAbove(range))
      }
    } catch (error) {
      throw error instanceof MillraceError ? error : storageError('read', this.#path, error as Error)
    } finally {
      reader.end()
    }
  }

  async write(fill: (batch: StorageBatch) => void, sync: boolean): Promise<void> {
    if (this.#failed) {
      throw new MillraceError('STORE_FAILED', `The store in ${this.#path} takes no writes after one failed.`, {
        cause: this.#failed,
      })
    }
    if (this.#writing) throw new MillraceError('INTERNAL', 'A write began while another one was in flight.')
    await this.#run(async () => {
      this.#writing = true
      try {
        await this.#write(fill, sync)
      } finally {
        this.#writing = false
      }
    })
  }

  async #write(fill: (batch: StorageBatch) => void, sync: boolean): Promise<void> {
    const binding = this.#binding
    // One native batch serves every write: it keeps its memory, which the garbage collector does not know of.
    this.#batch ??= binding.batch_init(this.#database)
    const batch = this.#batch
    let bytes = 0
    let entries = 0
    try {
      fill({
        put(key, value) {
          checkKey(key)
          // An empty buffer would leak a few bytes in the binding; null is written as an empty value too.
          binding.batch_put(batch, key, value.length === 0 ? null : value)
          bytes += key.length + value.length
          entries++
        },
        delete(key) {
          checkKey(key)
          binding.batch_del(batch, key)
          bytes += key.length
          entries++
        },
      })
      if (entries === 0 && sync) binding.batch_del(batch, nobodysKey)
      await promised<void>('write', this.#path, (done) => binding.batch_write(batch, { sync }, done))
    } catch (error) {
      // What `fill` threw is the caller's; nothing was written then.
      if (error instanceof MillraceError && error.outcome === 'unknown') this.#failed = error
      throw error
    } finally {
      binding.batch_clear(batch)
      if (bytes > batchKeptBytesMax) this.#batch = undefined
    }
  }

  compactRange(from: Buffer, to: Buffer): Promise<void> {
    return this.#run(() =>
      promised('read', this.#path, (done) => this.#binding.db_compact_range(this.#database, from, to, done)),
    )
  }

  approximateSize(from: Buffer, to: Buffer): Promise<number> {
    return this.#run(() =>
      promised('read', this.#path, (done) => this.#binding.db_approximate_size(this.#database, from, to, done)),
    )
  }

  property(name: string): string {
    this.#checkOpen()
    return this.#binding.db_get_property(this.#database, name)
  }

  /** Waits for all that runs (a compaction too); scans that are between two pages end with NOT_READY. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    if (this.#running > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve
      })
    }
    this.#batch = undefined
    await promised<void>('write', this.#path, (done) => this.#binding.db_close(this.#database, done))
  }

  #checkOpen(): void {
    if (this.#closing) throw new MillraceError('NOT_READY', `The store in ${this.#path} is closed.`)
  }

  /** Counts what runs, because the binding may not be called once the database is closed. */
  async #run<T>(action: () => Promise<T>): Promise<T> {
    this.#checkOpen()
    this.#running++
    try {
      return await action()
    } finally {
      this.#running--
      if (this.#running === 0) this.#idle?.()
    }
  }
}

function checkKey(key: Buffer): void {
  if (key.length === 0) throw new MillraceError('INTERNAL', 'A key of the store is empty.')
}
