import type { Commit } from '../../commit/index.js'
import { asMillraceError, type Clock, type Logger, MillraceError, type Timer } from '../../runtime/index.js'
import type { Storage } from '../../storage/index.js'
import type { Catalogue, Table } from '../catalogue/catalogue.js'
import type { Writer } from '../items/writer.js'
import { decodeExpiryKey, expirySecondsMax, expiryStart } from './expiry-row.js'

/** What expired longer ago than five years stays for good, as on AWS. */
export const expiredSecondsMax = Math.round(5 * 365.2425 * 24 * 60 * 60)
/** Between two looks at everything; the others look only where something is known to be due. */
const wholeLookMs = 10_000
const pageBytesMax = 1 << 20
/** Bytes of the items that one batch deletes, since their old images may go into the log. */
const batchBytesMax = 4 << 20

export interface SweeperOptions {
  readonly storage: Storage
  readonly commit: Commit
  readonly catalogue: Catalogue
  readonly writer: Writer
  readonly clock: Clock
  readonly logger: Logger
  readonly sweepMs: number
  readonly rowsAtOnceMax: number
}

/** A table that is being swept. */
interface Place {
  readonly table: Table
  /** The next row to look at, and whether the row itself is done. */
  from: { readonly gte: Buffer } | { readonly gt: Buffer }
  /** The first time that is not due. */
  readonly until: number
}

/**
 * Deletes the items whose time to live is over. A look goes through the expiry rows that are due, table by table in turns
 * of `rowsAtOnceMax` rows; each item is deleted by a decision of its own, under its latch, which reads the item again: one
 * that was written since, with another time or none, stays. A batch waits for its commit before the next begins, so that
 * writers find room. Nothing is deleted while the clock is not believed.
 */
export class Sweeper {
  readonly #options: SweeperOptions
  /** By table: the earliest time that a row of it has, as far as is known. A table that is not here is looked at whole. */
  readonly #floors = new Map<number, number>()
  #wholeLookAt = Number.NEGATIVE_INFINITY
  /** The oldest time that is due and not worked off. */
  #oldest: number | undefined
  #onDeleted: (items: number) => void = () => {}
  #timer: Timer | undefined
  #round: Promise<void> | undefined
  #isClosed = false

  constructor(options: SweeperOptions) {
    this.#options = options
  }

  observe(onDeleted: (items: number) => void): void {
    this.#onDeleted = onDeleted
  }

  /** How long the oldest item has been due that is still there, at a wall time in milliseconds. */
  lagSeconds(now: number): number {
    return this.#oldest === undefined ? 0 : Math.max(0, now / 1000 - this.#oldest)
  }

  /** A row with this time is there, or is being written. */
  lower(table: number, seconds: number): void {
    const floor = this.#floors.get(table)
    if (floor !== undefined && seconds < floor) this.#floors.set(table, seconds)
  }

  /** Rows of a table were made that nobody told of. */
  forget(table: number): void {
    this.#floors.delete(table)
  }

  /** A look every `sweepMs`. */
  start(): void {
    if (this.#isClosed) return
    this.#timer = this.#options.clock.setTimeout(() => void this.run().then(() => this.start()), this.#options.sweepMs)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    await this.#round
  }

  /** One look at everything. What fails is logged, and tried again at the next look. */
  run(): Promise<void> {
    this.#round ??= this.#look()
      .catch((error: unknown) => {
        // Where a look ended is not known: the next one begins with the oldest rows.
        this.#floors.clear()
        if (this.#isClosed || isExpected(error)) return
        this.#options.logger.warn(`Time to live: ${asMillraceError(error).message}`)
      })
      .finally(() => {
        this.#round = undefined
      })
    return this.#round
  }

  async #look(): Promise<void> {
    const { commit, catalogue, clock } = this.#options
    const tables = [...catalogue.tables()].filter(({ row }) => row.expiry?.attribute !== undefined)
    if (tables.length === 0) {
      this.#oldest = undefined
      return
    }
    if (!commit.time.mayExpire()) return
    const now = commit.time.next()
    if (clock.monotonic() - this.#wholeLookAt >= wholeLookMs) {
      this.#wholeLookAt = clock.monotonic()
      this.#floors.clear()
    }
    let places = tables.flatMap((table) => this.#placeOf(table, now) ?? [])
    // What was queued when the floors were taken is in the store when it is read.
    if (places.length > 0) await commit.settled()
    while (places.length > 0 && !this.#isClosed) places = await this.#turn(places)
    if (!this.#isClosed) this.#oldest = undefined
  }

  /** Undefined when nothing of the table is due. What is written from here on lowers its floor again. */
  #placeOf(table: Table, now: number): Place | undefined {
    const { id, backfills } = table.row
    const until = Math.ceil(now / 1000)
    // Rows that a backfill makes are not told of.
    if (backfills) this.forget(id)
    const floor = Math.max(0, until - expiredSecondsMax, this.#floors.get(id) ?? 0)
    if (floor >= until) return undefined
    if (!backfills) this.#floors.set(id, Number.POSITIVE_INFINITY)
    return { table, from: { gte: expiryStart(id, floor) }, until }
  }

  /** One batch of each table; gives those that have more. */
  async #turn(places: readonly Place[]): Promise<Place[]> {
    const left: Place[] = []
    let oldest: number | undefined
    for (const place of places) {
      const { seconds, more } = await this.#batch(place)
      if (seconds !== undefined) oldest = Math.min(seconds, oldest ?? seconds)
      if (more) left.push(place)
      if (this.#isClosed) return []
    }
    this.#oldest = oldest
    return left
  }

  async #batch(place: Place): Promise<{ readonly seconds: number | undefined; readonly more: boolean }> {
    const { storage, commit, writer, rowsAtOnceMax } = this.#options
    const { table, until } = place
    const { id } = table.row
    const range = { ...place.from, lt: expiryStart(id, expirySecondsMax + 1), limit: rowsAtOnceMax }
    const page = await storage.page({ ...range, bytesMax: pageBytesMax, values: false })
    const found = page.keys.map(decodeExpiryKey)
    const due = found.filter(({ seconds }) => seconds < until)
    const next = found[due.length]
    if (next) this.lower(id, next.seconds)
    if (due.length === 0) return { seconds: undefined, more: false }
    const { seconds } = due[0] as (typeof due)[number]
    // Read together, which the decisions then find in the row cache.
    const items = await commit.readDurableMany(due.map(({ itemRow }) => itemRow))
    const rows = due.slice(0, fitting(items))
    const last = page.keys[rows.length - 1] as Buffer
    const more = rows.length < due.length || (page.more && next === undefined)
    this.#oldest = Math.min(seconds, this.#oldest ?? seconds)
    const outcomes = await Promise.allSettled(rows.map((row) => writer.expire(table, row.seconds, row.itemRow)))
    const deleted = outcomes.filter((outcome) => outcome.status === 'fulfilled' && outcome.value).length
    if (deleted > 0) this.#onDeleted(deleted)
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed) throw failed.reason
    place.from = { gt: last }
    return { seconds, more }
  }
}

/** How many of the first items fit into a batch: one at least. */
function fitting(items: readonly (Buffer | undefined)[]): number {
  let bytes = 0
  const past = items.findIndex((item, i) => {
    bytes += item?.length ?? 0
    return i > 0 && bytes > batchBytesMax
  })
  return past < 0 ? items.length : past
}

/** There is no room for a while: the next look goes on. */
const isExpected = (error: unknown): boolean =>
  error instanceof MillraceError && (error.code === 'TOO_BUSY' || error.code === 'STORAGE_FULL')
