import { LRUCache } from 'lru-cache'
import type { Storage } from '../storage/index.js'
import { isKeptByKey } from './families.js'

interface Reading {
  readonly value: Promise<Buffer | undefined>
  /** Set when a commit of the key returned since the read began: what it read may be older than what was acknowledged. */
  stale: boolean
}

interface Wanted {
  readonly key: Buffer
  readonly resolve: (value: Buffer | undefined) => void
  readonly reject: (error: unknown) => void
}

/** A missing row, in a cache that cannot hold undefined. No value that is there is of no bytes. */
const missing = ''

/**
 * Durable rows in memory, within a bound of bytes. It only ever holds what a returned commit or the store said. It holds them
 * as strings whose characters are their bytes: a Buffer of a few hundred bytes keeps all of the 8 KiB that it was cut from.
 */
export class RowCache {
  readonly #storage: Storage
  readonly #rows: LRUCache<string, string>
  readonly #readings = new Map<string, Reading>()
  #wanted: Wanted[] = []

  constructor(storage: Storage, bytesMax: number) {
    this.#storage = storage
    this.#rows = new LRUCache({
      // The library takes 0 for no bound; no row fits into 1.
      maxSize: Math.max(1, bytesMax),
      sizeCalculation: (value, key) => value.length + key.length + 100,
    })
  }

  get(name: string, key: Buffer): Buffer | undefined | Promise<Buffer | undefined> {
    const row = this.#rows.get(name)
    if (row !== undefined) return row === missing ? undefined : Buffer.from(row, 'latin1')
    return this.#joined(name, key)
  }

  /** As `get`, with a character for each byte. */
  getText(name: string, key: Buffer): string | undefined | Promise<string | undefined> {
    const row = this.#rows.get(name)
    if (row !== undefined) return row === missing ? undefined : row
    return this.#joined(name, key).then((value) => value?.toString('latin1'))
  }

  #joined(name: string, key: Buffer): Promise<Buffer | undefined> {
    // Nobody would tell that what is being read has been written again.
    if (!isKeptByKey(key)) return this.#fetch(key)
    return this.#readings.get(name)?.value ?? this.#read(name, key)
  }

  async getMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    const values: (Buffer | undefined)[] = new Array(keys.length).fill(undefined)
    const wanted: Buffer[] = []
    const places: number[] = []
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i] as Buffer
      const row = isKeptByKey(key) ? this.#rows.get(key.toString('latin1')) : undefined
      if (row === undefined) {
        wanted.push(key)
        places.push(i)
      } else if (row !== missing) values[i] = Buffer.from(row, 'latin1')
    }
    if (wanted.length > 0) {
      const read = await this.#storage.getMany(wanted)
      for (let i = 0; i < places.length; i++) values[places[i] as number] = read[i]
    }
    return values
  }

  #read(name: string, key: Buffer): Promise<Buffer | undefined> {
    const reading: Reading = {
      stale: false,
      value: this.#fetch(key).then(
        (value) => {
          if (!reading.stale) {
            this.#readings.delete(name)
            this.#keep(name, value)
          }
          return value
        },
        (error: unknown) => {
          if (!reading.stale) this.#readings.delete(name)
          throw error
        },
      ),
    }
    this.#readings.set(name, reading)
    return reading.value
  }

  /**
   * The reads of one turn of the event loop go to the store together: at 64 connections that took a PutItem with a stream
   * from 24 % of the daemon's time in `get` to 6 % (npm run bench -- tables --only NEW_AND --profile FOLDER).
   */
  #fetch(key: Buffer): Promise<Buffer | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#wanted.push({ key, resolve, reject }) === 1) setImmediate(() => this.#flush())
    })
  }

  #flush(): void {
    const wanted = this.#wanted
    this.#wanted = []
    this.#storage.getMany(wanted.map(({ key }) => key)).then(
      (values) => wanted.forEach(({ resolve }, i) => resolve(values[i])),
      (error: unknown) => {
        for (const { reject } of wanted) reject(error)
      },
    )
  }

  /** A commit that wrote the row has returned. */
  returned(name: string, value: Buffer | undefined): void {
    const reading = this.#readings.get(name)
    if (reading) {
      // Nobody may join this read any more, and it may not fill the cache.
      reading.stale = true
      this.#readings.delete(name)
    }
    // Thousands of deletes that nobody reads (trimmed chunks, items of a deleted table) would drive out what is read.
    if (value !== undefined || this.#rows.has(name)) this.#keep(name, value)
  }

  #keep(name: string, value: Buffer | undefined): void {
    // A value without bytes would read as a missing row: it is left to the store.
    if (value?.length === 0) this.#rows.delete(name)
    else this.#rows.set(name, value === undefined ? missing : value.toString('latin1'))
  }
}
