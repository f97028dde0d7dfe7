import type { Commit } from '../../commit/index.js'
import type { Catalogue } from '../catalogue.js'
import type { StoredItem } from '../item-row.js'
import type { Writer, Written } from '../writer.js'
import type { CancellationReason, TransactAction, TransactGet } from './actions.js'
import { cancelled } from './cancellation.js'
import { actionTargets, getTargets } from './targets.js'

/** Most actions or gets of one transaction. */
export const actionsMax = 100
/** Most bytes that a transaction is given, and that one of gets answers with. */
export const transactionBytesMax = 4 * 1024 * 1024

/**
 * Transactions over any tables: all of it, in one commit, or nothing. Serialisable: the rows of a transaction stay latched
 * from before its reads until its effects are queued, so that it stands before or behind every other write as a whole.
 * Where AWS answers TransactionConflict, an action waits here.
 */
export class Transactions {
  readonly #commit: Commit
  readonly #catalogue: Catalogue
  readonly #writer: Writer

  constructor(commit: Commit, catalogue: Catalogue, writer: Writer) {
    this.#commit = commit
    this.#catalogue = catalogue
    this.#writer = writer
  }

  /**
   * Runs the actions as one transaction and tells what became of each item; resolves when that is durable. Throws
   * TransactionCanceledException with a reason for each action, ValidationException for two actions on one item,
   * ResourceNotFoundException.
   */
  async write(actions: readonly TransactAction[]): Promise<readonly Written[]> {
    const reasons: (CancellationReason | undefined)[] = actions.map(() => undefined)
    const prepared = await this.#writer.prepare(actionTargets(actions, this.#catalogue, reasons))
    let durable: Promise<unknown> | undefined
    try {
      const { rows, records } = prepared.effects
      if (rows.length > 0) durable = this.#commit.submit({ rows, records })
      else if (prepared.seen !== undefined) durable = this.#commit.returned(prepared.seen)
    } finally {
      prepared.release()
    }
    await durable
    if (reasons.some((reason) => reason !== undefined)) throw cancelled(reasons)
    return prepared.outcomes
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
}
