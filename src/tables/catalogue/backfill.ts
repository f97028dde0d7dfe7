import type { Commit, RowEffect } from '../../commit/index.js'
import { type Clock, killPoint, type Logger, MillraceError, type Timer } from '../../runtime/index.js'
import type { Storage } from '../../storage/index.js'
import { after, tablePrefix } from '../items/item-row.js'
import type { Catalogue, Table } from './catalogue.js'
import { sweepSome } from './sweep.js'
import type { TableRow } from './table-row.js'
import { tableEffect } from './table-row.js'

/*
 * What is derived from a table's items (entries of an index, times of expiry) when it is put on, or taken off, a table that
 * has items already.
 *
 * The table's row says what there is to do, so that it goes on after a restart: `backfills` names each job with the last
 * item row that is done, `removals` holds the prefixes of the rows that must go. Whoever adds to these (in a change of the
 * description, alone on the table's gate) calls `wake` after it. From that change on writers keep the derived rows of every
 * item that they touch, so what is left is the items that nobody touches: they are walked in key order, each page latched
 * and read again, and its derived rows are written in the commit that says how far the walk has come.
 */

/** Item rows that are latched at once: writers of these wait for a read of the store. */
const pageRowsMax = 250
/** Bytes of item rows after which a page ends, so that its derived rows mostly fit into one effect set. */
const pageBytesMax = 1 << 20
/** How long to leave a busy or full store alone. */
const retryMs = 1000

/** The rows that belong to an item's row, given by key and value, whatever of them is there already. Pure. */
export type Derive = (row: TableRow, subject: string, key: Buffer, value: Buffer) => readonly RowEffect[]

export interface BackfillOptions {
  readonly storage: Storage
  readonly commit: Commit
  readonly catalogue: Catalogue
  readonly clock: Clock
  readonly logger: Logger
  /** By the first word of a job: the job `index:3` is that of `index` with the subject `3`. */
  readonly derivers: Readonly<Record<string, Derive>>
}

/** A table's row that has one more job to do: nothing of it is done yet. */
export function withBackfill(row: TableRow, job: string): TableRow {
  return { ...row, backfills: { ...row.backfills, [job]: '' } }
}

/** A table's row without a job, done or not. */
export function withoutBackfill(row: TableRow, job: string): TableRow {
  const { backfills, ...rest } = row
  const { [job]: _, ...others } = backfills ?? {}
  return Object.keys(others).length > 0 ? { ...rest, backfills: others } : rest
}

/** A table's row with more rows to remove: all whose keys begin with the prefix. Nobody may write such rows again. */
export function withRemoval(row: TableRow, prefix: Buffer): TableRow {
  return { ...row, removals: [...(row.removals ?? []), prefix.toString('hex')] }
}

function withoutRemoval(row: TableRow, removal: string): TableRow {
  const { removals, ...rest } = row
  const others = (removals ?? []).filter((each) => each !== removal)
  return others.length > 0 ? { ...rest, removals: others } : rest
}

/** Works off what the tables' rows say is to do, one step after the other for each table. */
export class Backfills {
  readonly #options: BackfillOptions
  readonly #running = new Map<Table, Promise<void>>()
  readonly #waiting = new Set<{ readonly timer: Timer; readonly wake: () => void }>()
  #isClosed = false

  constructor(options: BackfillOptions) {
    this.#options = options
    for (const table of options.catalogue.tables()) this.wake(table)
  }

  /** There may be something to do for a table. */
  wake(table: Table): void {
    if (this.#isClosed || this.#running.has(table) || !hasWork(table.row)) return
    const work = this.#run(table)
    this.#running.set(table, work)
    void work.finally(() => {
      this.#running.delete(table)
      // What was added after the last look.
      if (!this.#isClosed && this.#isThere(table)) this.wake(table)
    })
  }

  /** Resolves when nothing is left to do for a table, or the daemon closes. */
  async settled(table: Table): Promise<void> {
    for (let work = this.#running.get(table); work; work = this.#running.get(table)) await work
  }

  async #run(table: Table): Promise<void> {
    let rowsMax = pageRowsMax
    while (!this.#isClosed && this.#isThere(table) && hasWork(table.row)) {
      try {
        await this.#step(table, rowsMax)
      } catch (error) {
        if (this.#isClosed) return
        const code = error instanceof MillraceError ? error.code : undefined
        if (code === 'EFFECT_TOO_LARGE' && rowsMax > 1) {
          rowsMax = Math.floor(rowsMax / 2)
          continue
        }
        const canRetry = code === 'TOO_BUSY' || code === 'STORAGE_FULL'
        this.#options.logger.warn(
          { table: table.row.name, error: String(error) },
          canRetry ? 'a backfill waits' : 'a backfill goes on at the next start',
        )
        if (!canRetry) return await this.#untilClosed()
        await this.#pause()
      }
    }
  }

  async #step(table: Table, rowsMax: number): Promise<void> {
    const removal = table.row.removals?.[0]
    if (removal === undefined) return this.#fillSome(table, rowsMax)
    const { storage, commit } = this.#options
    if (await sweepSome(storage, commit, Buffer.from(removal, 'hex'))) return
    await this.#write(table, (row) => ({ row: withoutRemoval(row, removal), rows: [] }))
  }

  /** One page of the first job, of so many rows at most. */
  async #fillSome(table: Table, rowsMax: number): Promise<void> {
    const [job, done] = Object.entries(table.row.backfills ?? {})[0] as [string, string]
    const prefix = tablePrefix(table.row.id)
    const from = done === '' ? { gte: prefix } : { gt: Buffer.from(done, 'base64') }
    const range = { ...from, lt: after(prefix), limit: rowsMax, bytesMax: pageBytesMax }
    const { keys, more } = await this.#options.storage.page(range)
    await this.#write(table, async (row, latch) => {
      // The job may have been taken back, or begun anew, while this waited for the gate.
      if (row.backfills?.[job] !== done) return undefined
      await latch(keys)
      const values = await this.#options.commit.readMany(keys)
      const rows = keys.flatMap((key, i) => {
        const value = values[i]
        return value ? this.#derive(row, job, key, value) : []
      })
      const last = keys[keys.length - 1]
      if (!more || !last) return { row: withoutBackfill(row, job), rows }
      return { row: { ...row, backfills: { ...row.backfills, [job]: last.toString('base64') } }, rows }
    })
  }

  #derive(row: TableRow, job: string, key: Buffer, value: Buffer): readonly RowEffect[] {
    const at = job.indexOf(':')
    const derive = this.#options.derivers[job.slice(0, at)]
    if (!derive) throw new MillraceError('INTERNAL', `Nothing knows how to do the job ${job} of a table.`)
    return derive(row, job.slice(at + 1), key, value)
  }

  /**
   * Writes rows and the table's row in one commit. The gate is shared until that is durable: no change of the description
   * can come in between, and nobody sees an index as ready that a crash would take back.
   */
  async #write(
    table: Table,
    make: (
      row: TableRow,
      latch: (keys: readonly Buffer[]) => Promise<void>,
    ) => Promise<Changed | undefined> | Changed | undefined,
  ): Promise<void> {
    const { commit } = this.#options
    const releaseTable = await table.gate.share()
    let releaseRows: (() => void) | undefined
    try {
      if (!this.#isThere(table)) return
      let durable: Promise<unknown> | undefined
      let changed: Changed | undefined
      try {
        changed = await make(table.row, async (keys) => {
          releaseRows = await commit.latch(keys)
        })
        if (changed) durable = commit.submit({ rows: [...changed.rows, tableEffect(changed.row)] })
      } finally {
        releaseRows?.()
      }
      if (!changed) return
      killPoint('table:backfilled')
      await durable
      table.row = changed.row
    } finally {
      releaseTable()
    }
  }

  #isThere(table: Table): boolean {
    return this.#options.catalogue.has(table)
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const waiting = {
        timer: this.#options.clock.setTimeout(() => {
          this.#waiting.delete(waiting)
          resolve()
        }, retryMs),
        wake: resolve,
      }
      this.#waiting.add(waiting)
    })
  }

  /** A store that failed is opened anew, with rooms of its own: these are not asked again. */
  #untilClosed(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.add({ timer: { cancel: () => {} }, wake: resolve })
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const { timer, wake } of this.#waiting) {
      timer.cancel()
      wake()
    }
    this.#waiting.clear()
    await Promise.all(this.#running.values())
  }
}

interface Changed {
  readonly row: TableRow
  readonly rows: readonly RowEffect[]
}

const hasWork = ({ removals, backfills }: TableRow): boolean => removals !== undefined || backfills !== undefined
