import { Family, type RowEffect } from '../../commit/index.js'
import type { Storage } from '../../storage/index.js'
import type { TableRow } from '../catalogue/table-row.js'
import { type Members, mergeMembers } from './members.js'

/*
 * The members of tables that were deleted here: a region that was away when it was taken out asks for its replica when it comes
 * back, and this is all that can tell it. `replication`, table 0, 02, name of the table. Value: version u8 (1), JSON.
 */
const version = 1
const head = Buffer.from([Family.replication, 0, 0, 0, 0, 2])
/** Of more tables than this the one that was deleted first is forgotten. */
const tablesMax = 1000

interface Stored {
  readonly name: string
  readonly members: Members
}

const keyOf = (name: string): Buffer => Buffer.concat([head, Buffer.from(name)])

export class PastMembers {
  /** The one that was deleted first is first. */
  readonly #tables = new Map<string, Members>()

  static async open(storage: Pick<Storage, 'scan'>): Promise<PastMembers> {
    const past = new PastMembers()
    const found: (Stored & { readonly at: number })[] = []
    const end = Buffer.from(head)
    end[5] = (head[5] as number) + 1
    for await (const { values } of storage.scan({ gte: head, lt: end, bytesMax: 1 << 20 }))
      for (const value of values) found.push(JSON.parse(value.toString('utf8', 1)))
    for (const { name, members } of found.sort((a, b) => a.at - b.at)) past.#tables.set(name, members)
    return past
  }

  of(name: string): Members {
    return this.#tables.get(name) ?? {}
  }

  /** The rows for the commit that deletes a table, at a time (milliseconds since 1970); none of a table without replicas. */
  rowsOfDeleted({ name, replication }: TableRow, at: number): RowEffect[] {
    const known = replication?.past ?? replication?.members ?? {}
    if (Object.values(known).every(({ state }) => state === 'in')) return []
    const members = mergeMembers(this.of(name), known)
    this.#tables.delete(name)
    this.#tables.set(name, members)
    const value = Buffer.from(JSON.stringify({ name, members, at }))
    const rows: RowEffect[] = [{ key: keyOf(name), value: Buffer.concat([Buffer.from([version]), value]) }]
    for (const oldest of this.#tables.keys()) {
      if (this.#tables.size <= tablesMax) break
      this.#tables.delete(oldest)
      rows.push({ key: keyOf(oldest), value: undefined })
    }
    return rows
  }
}
