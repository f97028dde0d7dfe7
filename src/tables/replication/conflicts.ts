import { type Commit, Family, type RowEffect } from '../../commit/index.js'
import type { Storage } from '../../storage/index.js'
import { after } from '../items/item-row.js'
import type { Item } from '../values/index.js'
import type { Version } from './stamps.js'

/*
 * A write that lost against one of another region which did not know of it. The newest of each table are kept, in rows that are
 * written over in turns: `replication`, table u32be, 03, number of the row u32be. Value: version u8 (1), JSON.
 */
const version = 1
const kindOfConflicts = 3
/** Larger items are named, and not kept. */
export const conflictItemBytesMax = 64 * 1024

export interface Conflict {
  readonly key: Item
  /** The item as it was, or would have been; null for a deletion. Absent where it is larger than 64 KiB. */
  readonly lost?: Item | null
  readonly lostVersion: Version
  readonly wonVersion: Version
  /** Whether the deletion of the item has won. */
  readonly isDeleted: boolean
  /** When it was found, milliseconds since 1970. */
  readonly at: number
}

export interface NumberedConflict extends Conflict {
  /** From 1 on, of each table. */
  readonly number: number
}

const prefixOf = (table: number): Buffer => {
  const prefix = Buffer.alloc(6)
  prefix[0] = Family.replication
  prefix.writeUInt32BE(table, 1)
  prefix[5] = kindOfConflicts
  return prefix
}

export class Conflicts {
  readonly #storage: Storage
  readonly #commit: Pick<Commit, 'settled'>
  readonly #keptMax: number
  /** By table: how many there ever were. */
  readonly #counts = new Map<number, number>()

  constructor(storage: Storage, commit: Pick<Commit, 'settled'>, keptMax: number) {
    this.#storage = storage
    this.#commit = commit
    this.#keptMax = keptMax
  }

  /** To be called before the first `rows` of a table. */
  async open(table: number): Promise<void> {
    if (this.#counts.has(table)) return
    const kept = await this.#kept(table)
    if (!this.#counts.has(table)) this.#counts.set(table, kept.at(-1)?.number ?? 0)
  }

  /** How many a table has had, as far as is known. */
  count(table: number): number {
    return this.#counts.get(table) ?? 0
  }

  /** The rows of more of them, which count once `added` says that they are on their way. */
  rows(table: number, conflicts: readonly Conflict[]): RowEffect[] {
    return conflicts.map((conflict, i) => {
      const number = this.count(table) + 1 + i
      const slot = Buffer.alloc(4)
      slot.writeUInt32BE(number % this.#keptMax)
      const value = Buffer.from(JSON.stringify({ number, ...conflict }))
      return { key: Buffer.concat([prefixOf(table), slot]), value: Buffer.concat([Buffer.from([version]), value]) }
    })
  }

  /** To be called when the rows were submitted, with nothing awaited in between: then their numbers are taken. */
  added(table: number, many: number): void {
    this.#counts.set(table, this.count(table) + many)
  }

  /** The newest first. */
  async list(table: number, limit: number): Promise<NumberedConflict[]> {
    await this.#commit.settled()
    return (await this.#kept(table)).reverse().slice(0, limit)
  }

  async #kept(table: number): Promise<NumberedConflict[]> {
    const prefix = prefixOf(table)
    const kept: NumberedConflict[] = []
    for await (const { values } of this.#storage.scan({ gte: prefix, lt: after(prefix), bytesMax: 1 << 20 }))
      for (const value of values) kept.push(JSON.parse(value.toString('utf8', 1)) as NumberedConflict)
    return kept.sort((a, b) => a.number - b.number)
  }
}
