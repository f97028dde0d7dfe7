import { asMillraceError, type Clock, type Logger, sleep, type Timer } from '../../runtime/index.js'
import type { Storage } from '../../storage/index.js'
import type { Catalogue, Table } from '../catalogue/catalogue.js'
import { after, decodeItem, tablePrefix } from '../items/item-row.js'

const pageRowsMax = 1000
const pageBytesMax = 256 * 1024
/** Between two pages, so that a count takes a small part of what the disk and the thread can do. */
const pauseMs = 5
/** Between two looks for a table whose count is due. */
const lookMs = 60_000

export interface ItemCountsOptions {
  readonly storage: Storage
  readonly catalogue: Catalogue
  readonly clock: Clock
  readonly logger: Logger
  readonly countMs: number
}

/**
 * Counts the items of each table and their bytes by AWS's rules, one table after the other, every `countMs`. What
 * DescribeTable shows is as of the last count, as on AWS; nothing is kept up on the way of a write.
 */
export class ItemCounts {
  readonly #options: ItemCountsOptions
  /** When a table was counted by this process; it may have had the same count before. */
  readonly #countedAt = new Map<number, number>()
  #timer: Timer | undefined
  #round: Promise<void> | undefined
  #isClosed = false

  constructor(options: ItemCountsOptions) {
    this.#options = options
  }

  start(): void {
    if (this.#isClosed) return
    const { clock, countMs } = this.#options
    this.#timer = clock.setTimeout(() => void this.run().then(() => this.start()), Math.min(countMs, lookMs))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    await this.#round
  }

  /** Counts what is due. What fails is logged and due again at the next look. */
  run(): Promise<void> {
    this.#round ??= this.#look()
      .catch((error: unknown) => {
        if (!this.#isClosed) this.#options.logger.warn(`Counting items: ${asMillraceError(error).message}`)
      })
      .finally(() => {
        this.#round = undefined
      })
    return this.#round
  }

  async #look(): Promise<void> {
    const { catalogue, clock, countMs } = this.#options
    const tables = [...catalogue.tables()]
    const ids = new Set(tables.map(({ row }) => row.id))
    for (const id of this.#countedAt.keys()) if (!ids.has(id)) this.#countedAt.delete(id)
    for (const table of tables) {
      const { id, createdAt, details } = table.row
      const last = Math.max(this.#countedAt.get(id) ?? 0, details?.counted?.at ?? createdAt)
      if (clock.now() - last >= countMs) await this.#count(table)
      if (this.#isClosed) return
    }
  }

  async #count(table: Table): Promise<void> {
    const { storage, catalogue, clock } = this.#options
    const prefix = tablePrefix(table.row.id)
    let items = 0
    let bytes = 0
    let from: { gte: Buffer } | { gt: Buffer } = { gte: prefix }
    for (;;) {
      const page = await storage.page({ ...from, lt: after(prefix), limit: pageRowsMax, bytesMax: pageBytesMax })
      for (const value of page.values) bytes += decodeItem(value).size
      items += page.keys.length
      const last = page.keys[page.keys.length - 1]
      if (!page.more || !last) break
      from = { gt: last }
      await sleep(clock, pauseMs)
      if (this.#isClosed || !catalogue.has(table)) return
    }
    const at = clock.now()
    this.#countedAt.set(table.row.id, at)
    const before = table.row.details?.counted
    if (before?.items === items && before.bytes === bytes) return
    if (!before && items === 0) return
    try {
      await catalogue.change(table.row.name, (row) =>
        row.id === table.row.id ? { ...row, details: { ...row.details, counted: { items, bytes, at } } } : row,
      )
    } catch (error) {
      // A table that was deleted meanwhile needs no count.
      if (catalogue.has(table)) throw error
    }
  }
}
