import type { Commit } from '../../commit/index.js'
import { MillraceError } from '../../runtime/index.js'
import type { Page, Storage } from '../../storage/index.js'
import type { Table } from '../catalogue/catalogue.js'
import type { TableRow } from '../catalogue/table-row.js'
import { after, decodeItem, jsonOf, keyAttributesOf, parseItem, tablePrefix } from './item-row.js'
import type { Target, Writer } from './writer.js'

export interface TakeOptions {
  /** Whether items go that the other table does not have. */
  readonly isReplaced: boolean
  /** Asked before each commit: it ends early where it is not. */
  readonly isWanted: () => boolean
  /** A commit has returned. */
  readonly onCommitted: () => void
}

interface TakeRooms {
  readonly storage: Pick<Storage, 'page'>
  readonly commit: Pick<Commit, 'submit'>
  readonly writer: Pick<Writer, 'prepare'>
}

/** Items of one commit, and bytes of them (one item may be larger). */
const itemsMax = 128
const bytesMax = 512 * 1024
/** Rows that are read at once. */
const pageRows = 512
const pageBytesMax = 1 << 20

/**
 * Puts what another table has and this one has not, or has otherwise, and, where it `isReplaced`, deletes what the other has
 * not. Both lie in the order of their keys, so they are walked side by side; nothing has to be remembered, since whoever
 * begins again finds what is done to be the same. Gives false where it was ended early.
 */
export async function takeItems(
  source: TableRow,
  target: Table,
  options: TakeOptions,
  rooms: TakeRooms,
): Promise<boolean> {
  if (JSON.stringify(source.schema) !== JSON.stringify(target.row.schema))
    throw new MillraceError('CONFLICT', `The tables ${source.name} and ${target.row.name} have not the same key.`)
  const [theirs, ours] = [new ItemWalk(source.id, rooms.storage), new ItemWalk(target.row.id, rooms.storage)]
  const change = new Change(target, options, rooms)
  let [theirItem, ourItem] = [await theirs.next(), await ours.next()]
  while (theirItem || ourItem) {
    const order = theirItem && ourItem ? theirItem.key.compare(ourItem.key) : theirItem ? -1 : 1
    if (theirItem && order <= 0) {
      if (order < 0 || !isSame(theirItem.value, (ourItem as StoredRow).value)) change.put(theirItem)
    } else if (options.isReplaced) change.delete(ourItem as StoredRow)
    const [nextTheirs, nextOurs] = [order <= 0, order >= 0]
    if (nextTheirs) theirItem = await theirs.next()
    if (nextOurs) ourItem = await ours.next()
    if (change.isFull && !(await change.commit())) return false
  }
  return change.commit()
}

/** Equal bytes are equal items; the writer finds out of others whether they are the same by value. */
const isSame = (a: Buffer, b: Buffer): boolean => jsonOf(a).equals(jsonOf(b))

interface StoredRow {
  /** Behind the number of the table. */
  readonly key: Buffer
  readonly row: Buffer
  readonly value: Buffer
}

/** The items of a table in the order of their rows, page by page. */
class ItemWalk {
  readonly #prefix: Buffer
  readonly #storage: Pick<Storage, 'page'>
  #page: Page | undefined
  #at = 0

  constructor(table: number, storage: Pick<Storage, 'page'>) {
    this.#prefix = tablePrefix(table)
    this.#storage = storage
  }

  async next(): Promise<StoredRow | undefined> {
    while (!this.#page || this.#at >= this.#page.keys.length) {
      if (this.#page && !this.#page.more) return undefined
      const last = this.#page?.keys.at(-1)
      const from = last ? { gt: last } : { gte: this.#prefix }
      const range = { ...from, lt: after(this.#prefix), limit: pageRows, bytesMax: pageBytesMax }
      this.#page = await this.#storage.page(range)
      this.#at = 0
    }
    const row = this.#page.keys[this.#at] as Buffer
    const value = this.#page.values[this.#at++] as Buffer
    return { key: row.subarray(this.#prefix.length), row, value }
  }
}

/** What goes into the next commit. */
class Change {
  readonly #table: Table
  readonly #options: TakeOptions
  readonly #rooms: TakeRooms
  #targets: Target[] = []
  #bytes = 0

  constructor(table: Table, options: TakeOptions, rooms: TakeRooms) {
    this.#table = table
    this.#options = options
    this.#rooms = rooms
  }

  get isFull(): boolean {
    return this.#targets.length >= itemsMax || this.#bytes >= bytesMax
  }

  put({ row, value }: StoredRow): void {
    const stored = decodeItem(value)
    const decision = { kind: 'put', item: parseItem(stored), size: stored.size } as const
    this.#add(row, value.length, () => decision)
  }

  delete({ row, value }: StoredRow): void {
    this.#add(row, value.length, () => ({ kind: 'delete' }))
  }

  #add(row: Buffer, bytes: number, decide: Target['decide']): void {
    const table = this.#table
    this.#targets.push({ table, keyAttributes: keyAttributesOf(row, table.row.schema), decide })
    this.#bytes += bytes
  }

  async commit(): Promise<boolean> {
    const targets = this.#targets
    this.#targets = []
    this.#bytes = 0
    if (!this.#options.isWanted()) return false
    if (targets.length === 0) return true
    const { effects, release } = await this.#rooms.writer.prepare(targets)
    let submitted: Promise<unknown> | undefined
    try {
      if (effects.rows.length > 0) submitted = this.#rooms.commit.submit(effects)
    } finally {
      release()
    }
    await submitted
    if (submitted) this.#options.onCommitted()
    return true
  }
}
