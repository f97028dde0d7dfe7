import type { Commit, RowEffect } from '../../commit/index.js'
import type { Catalogue } from '../catalogue/catalogue.js'
import type { TableRow } from '../catalogue/table-row.js'
import type { StoredItem } from '../items/item-row.js'
import type { Target, Writer, Written } from '../items/writer.js'
import { readUnits } from '../requests/capacity.js'
import type { Item } from '../values/index.js'
import type { CancellationReason, TransactAction, TransactGet } from './actions.js'
import { cancelled } from './cancellation.js'
import { actionTargets, getTargets } from './targets.js'
import { type ClientToken, type ReadUnits, Tokens, type TokensOptions } from './tokens.js'

/** Most actions or gets of one transaction. */
export const actionsMax = 100
/** Most bytes that a transaction is given, and that one of gets answers with. */
export const transactionBytesMax = 4 * 1024 * 1024

/** What a transaction costs is double, for every action's preparing and committing. */
export const transactionFactor = 2

export interface TransactionsOptions extends TokensOptions {
  readonly catalogue: Catalogue
  readonly writer: Writer
}

/** What a transaction did to one item. */
export interface TransactedItem extends Written {
  readonly row: TableRow
  /** Its key attributes. */
  readonly key: Item
}

/** What a transaction did to each item, or what reading its items again costs when it was done before. */
export type Transacted = { readonly written: readonly TransactedItem[] } | { readonly repeated: ReadUnits }

/**
 * Transactions over any tables: all of it, in one commit, or nothing. Serialisable: the rows of a transaction stay latched
 * from before its reads until its effects are queued, so that it stands before or behind every other write as a whole.
 * Where AWS answers TransactionConflict, an action waits here.
 */
export class Transactions {
  readonly #commit: Commit
  readonly #catalogue: Catalogue
  readonly #writer: Writer
  readonly #tokens: Tokens

  constructor(options: TransactionsOptions) {
    this.#commit = options.commit
    this.#catalogue = options.catalogue
    this.#writer = options.writer
    this.#tokens = new Tokens(options)
  }

  /**
   * Runs the actions as one transaction and tells what became of each item, or that it was done before under the same
   * token; resolves when that is durable. Throws TransactionCanceledException with a reason for each action,
   * ValidationException for two actions on one item, ResourceNotFoundException, and what Tokens throw.
   */
  async write(actions: readonly TransactAction[], token?: ClientToken): Promise<Transacted> {
    if (!token) return { written: await this.#run(actions) }
    const once = await this.#tokens.once(token, (rowOf) =>
      this.#run(actions, (written) => [rowOf(readUnitsOf(actions, written))]),
    )
    return 'result' in once ? { written: once.result } : once
  }

  async #run(
    actions: readonly TransactAction[],
    moreRows: (written: readonly TransactedItem[]) => readonly RowEffect[] = () => [],
  ): Promise<readonly TransactedItem[]> {
    const reasons: (CancellationReason | undefined)[] = actions.map(() => undefined)
    const targets = actionTargets(actions, this.#catalogue, reasons)
    const { outcomes, effects, seen, release } = await this.#writer.prepare(targets)
    const written = outcomes.map((outcome, i): TransactedItem => {
      const { table, keyAttributes } = targets[i] as Target
      return { ...outcome, row: table.row, key: keyAttributes }
    })
    const isCancelled = reasons.some((reason) => reason !== undefined)
    let durable: Promise<unknown> | undefined
    try {
      const rows = isCancelled ? [] : [...effects.rows, ...moreRows(written)]
      if (rows.length > 0) durable = this.#commit.submit({ rows, records: effects.records })
      else if (seen !== undefined) durable = this.#commit.returned(seen)
    } finally {
      release()
    }
    await durable
    if (isCancelled) throw cancelled(reasons)
    return written
  }

  /**
   * The items of all gets as they were at one moment, undefined where there is none. Throws TransactionCanceledException,
   * ValidationException, ResourceNotFoundException.
   */
  async get(gets: readonly TransactGet[]): Promise<readonly (StoredItem | undefined)[]> {
    const { outcomes, seen, release } = await this.#writer.prepare(getTargets(gets, this.#catalogue))
    release()
    if (seen !== undefined) await this.#commit.returned(seen)
    return outcomes.map(({ before }) => before.stored)
  }

  close(): Promise<void> {
    return this.#tokens.close()
  }
}

/** A repetition is charged for reading, by the same sizes as the first time. */
function readUnitsOf(actions: readonly TransactAction[], written: readonly TransactedItem[]): ReadUnits {
  const units = new Map<string, number>()
  actions.forEach(({ table }, i) => {
    const { size } = written[i] as TransactedItem
    units.set(table, (units.get(table) ?? 0) + transactionFactor * readUnits(size, true))
  })
  return [...units]
}
