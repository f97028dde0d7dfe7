import type { MarkFile } from '../../src/commit/index.js'
import { MillraceError } from '../../src/runtime/index.js'
import type { Page, RangeOptions, Storage, StorageBatch } from '../../src/storage/types.js'
import type { Random } from './random.js'
import type { Scheduler } from './scheduler.js'

/** One batch: everything of it is on the disk or nothing, as RocksDB's log has it. */
export interface Write {
  /** In their order; undefined deletes. */
  readonly changes: readonly (readonly [string, Buffer | undefined])[]
  readonly synced: boolean
}

export type Crash =
  /** kill -9: what the kernel was given stays. */
  | 'kill'
  /** What was not synced may be gone: any end of it. */
  | 'power'

/** Rows in key order. */
class Table {
  readonly values = new Map<string, Buffer>()
  readonly names: string[] = []

  place(name: string): number {
    let low = 0
    let high = this.names.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.names[middle] as string) < name) low = middle + 1
      else high = middle
    }
    return low
  }

  apply(write: Write): void {
    for (const [name, value] of write.changes) {
      if (!value) {
        if (this.values.delete(name)) this.names.splice(this.place(name), 1)
        continue
      }
      if (!this.values.has(name)) this.names.splice(this.place(name), 0, name)
      this.values.set(name, value)
    }
  }
}

const slots = 2

/**
 * A disk that outlives the processes that use it: a store with one write in flight, and the side file of the mark. What a
 * process sees is `table`; what a crash leaves is the writes that `crash` keeps.
 */
export class Disk {
  readonly #random: Random
  readonly #scheduler: Scheduler
  /** Every write that reached the store, oldest first; a crash takes those away that it loses. */
  writes: Write[] = []
  #table = new Table()
  #synced = 0
  /** A write failed: what comes after it is acknowledged and lost, as RocksDB did on a full disk. */
  #sickFrom: number | undefined
  #pending: Write | undefined
  /** Fails the next write. */
  failNext = false
  /** Each slot of the mark: what it may hold after the power failed, newest last. */
  #marks: (Buffer | undefined)[][] = Array.from({ length: slots }, () => [undefined])
  /** Raised by each crash; operations of an older process do nothing any more. */
  #process = 0

  constructor(random: Random, scheduler: Scheduler) {
    this.#random = random
    this.#scheduler = scheduler
  }

  /** Every row as a process that opens the store now would find it. */
  rows(): ReadonlyMap<string, Buffer> {
    return this.#table.values
  }

  /** The value of the last row of a family. */
  lastOf(family: number): Buffer | undefined {
    const name = this.#table.names[this.#table.place(String.fromCharCode(family + 1)) - 1]
    return name !== undefined && name.charCodeAt(0) === family ? this.#table.values.get(name) : undefined
  }

  /** The process is gone. A write that was under way may have reached the disk, or not. */
  crash(how: Crash): void {
    this.#process++
    const pending = this.#pending
    this.#pending = undefined
    let kept = this.#sickFrom ?? this.writes.length
    if (how === 'power') {
      const unsynced = Math.max(0, kept - this.#synced)
      kept -= this.#random.below(unsynced + 1)
    }
    const isWhole = kept === this.writes.length
    this.#keep(this.writes.slice(0, kept))
    if (pending && isWhole && this.#random.chance(0.5)) this.#apply(pending)
    this.#synced = this.writes.length
    for (const slot of this.#marks) {
      const place = how === 'power' ? this.#random.below(slot.length) : slot.length - 1
      slot.splice(0, slot.length, slot[place])
    }
    this.#sickFrom = undefined
    this.failNext = false
  }

  /** RocksDB skips a damaged block of its log without a word. */
  lose(index: number): void {
    this.#keep(this.writes.filter((_, i) => i !== index))
  }

  #keep(writes: Write[]): void {
    if (writes.length === this.writes.length) return
    this.writes = writes
    this.#table = new Table()
    for (const write of writes) this.#table.apply(write)
  }

  #apply(write: Write): void {
    this.writes.push(write)
    this.#table.apply(write)
    if (write.synced && this.#sickFrom === undefined) this.#synced = this.writes.length
  }

  markFile(): MarkFile {
    const process = this.#process
    const slot = (index: number) => this.#marks[index] as (Buffer | undefined)[]
    return {
      read: (index) => slot(index).at(-1),
      write: (index, bytes) => {
        if (process === this.#process) slot(index).push(Buffer.from(bytes))
      },
      sync: () => {
        if (process === this.#process) for (const each of this.#marks) each.splice(0, each.length - 1)
      },
      close: () => {},
    }
  }

  /** The store, as one process has it open. */
  open(): Storage {
    const process = this.#process
    /** Runs at a moment of the scheduler's choice; its answer may come later still. */
    const operate = <T>(run: () => T): Promise<T> =>
      new Promise((resolve, reject) => {
        const later = (answer: () => void) => {
          if (this.#random.chance(0.5)) answer()
          else this.#scheduler.add(answer)
        }
        if (process !== this.#process) return
        this.#scheduler.add(() => {
          let result: T
          try {
            result = run()
          } catch (error) {
            later(() => reject(error as Error))
            return
          }
          later(() => resolve(result))
        })
      })
    const getMany = (keys: readonly Buffer[]) =>
      operate(() => keys.map((key) => this.#table.values.get(key.toString('latin1'))))
    const page = (range: RangeOptions) => operate(() => pageOf(this.#table, range))
    return {
      get: async (key) => (await getMany([key]))[0],
      getMany,
      page,
      async *scan(range) {
        const snapshot = await page({ ...range, limit: Number.MAX_SAFE_INTEGER, bytesMax: Number.MAX_SAFE_INTEGER })
        // At least two pages, so that what goes over a page's end is met.
        const half = snapshot.keys.length >> 1
        if (half > 0) yield { keys: snapshot.keys.slice(0, half), values: snapshot.values.slice(0, half), more: true }
        yield { keys: snapshot.keys.slice(half), values: snapshot.values.slice(half), more: false }
      },
      async *texts(range) {
        const limit = range.limit < 0 ? Number.MAX_SAFE_INTEGER : range.limit
        const { values } = await page({ ...range, limit, bytesMax: Number.MAX_SAFE_INTEGER })
        yield values.map((value) => value.toString())
      },
      write: async (fill, sync) => {
        const write = writeOf(fill, sync)
        if (process === this.#process) {
          if (this.#pending) throw new Error('two writes in flight')
          this.#pending = write
        }
        await operate(() => {
          this.#pending = undefined
          if (this.failNext) {
            this.failNext = false
            // What failed may be on the disk all the same, but nothing after it will be.
            if (this.#random.chance(0.5)) this.#apply(write)
            this.#sickFrom ??= this.writes.length
            throw new MillraceError('IO_FAILED', 'input/output error')
          }
          this.#apply(write)
        })
      },
      compactRange: async () => {},
      approximateSize: async () => 0,
      property: () => '',
      close: async () => {},
    }
  }
}

function writeOf(fill: (batch: StorageBatch) => void, synced: boolean): Write {
  const changes: [string, Buffer | undefined][] = []
  fill({
    put: (key, value) => changes.push([key.toString('latin1'), Buffer.from(value)]),
    delete: (key) => changes.push([key.toString('latin1'), undefined]),
  })
  return { changes, synced }
}

function pageOf(table: Table, range: RangeOptions): Page {
  const { names, values } = table
  const place = (key: Buffer, after: boolean) => {
    const name = key.toString('latin1')
    const at = table.place(name)
    return after && names[at] === name ? at + 1 : at
  }
  const from = range.gt ? place(range.gt, true) : range.gte ? place(range.gte, false) : 0
  const to = range.lt ? place(range.lt, false) : range.lte ? place(range.lte, true) : names.length
  const page = { keys: [] as Buffer[], values: [] as Buffer[], more: false }
  let bytes = 0
  for (let i = 0; i < to - from; i++) {
    if (page.keys.length >= range.limit || bytes > range.bytesMax) return { ...page, more: true }
    const name = names[range.reverse ? to - 1 - i : from + i] as string
    const value = values.get(name) as Buffer
    page.keys.push(Buffer.from(name, 'latin1'))
    page.values.push(range.values === false ? Buffer.alloc(0) : value)
    bytes += name.length + value.length
  }
  return page
}
