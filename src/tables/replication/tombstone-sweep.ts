import { type Commit, Family, type RowEffect } from '../../commit/index.js'
import type { Storage } from '../../storage/index.js'
import { after, tablePrefix } from '../items/item-row.js'
import type { Replication } from './members.js'
import { decodeTombstone, itemRowOf } from './tombstone.js'

/** Tombstones of one piece. */
export const pieceRows = 256
const pieceBytesMax = 1 << 20

/** Whether a tombstone that a region made may go: `at` is when it was written here, milliseconds since 1970. */
export type MayGo = (tombstone: { readonly region: string; readonly at: number }) => boolean

/** What was found in one piece of a table's tombstones. */
export interface SweptPiece {
  readonly gone: number
  readonly left: number
  /** When the oldest that is left was written; undefined when none is. */
  readonly oldest: number | undefined
  /** The key behind which the next piece begins; undefined when this was the last. */
  readonly next: Buffer | undefined
}

/** Removes those of the tombstones behind a key that may go, each under the latch of its item; one piece of them. */
export async function sweepTombstones(
  table: number,
  { origins }: Replication,
  behind: Buffer | undefined,
  mayGo: MayGo,
  { storage, commit }: { readonly storage: Storage; readonly commit: Commit },
): Promise<SweptPiece> {
  const prefix = tablePrefix(table, Family.tombstone)
  const isDue = (value: Buffer): boolean => {
    const { origin, at } = decodeTombstone(value)
    return mayGo({ region: origins[origin] ?? '', at })
  }
  const page = await storage.page({
    ...(behind ? { gt: behind } : { gte: prefix }),
    lt: after(prefix),
    limit: pieceRows,
    bytesMax: pieceBytesMax,
  })
  const due: Buffer[] = []
  let oldest: number | undefined
  page.keys.forEach((key, i) => {
    const value = page.values[i] as Buffer
    if (isDue(value)) due.push(key)
    else oldest = Math.min(oldest ?? Number.POSITIVE_INFINITY, decodeTombstone(value).at)
  })
  const gone = await remove(due, isDue, commit)
  return { gone, left: page.keys.length - due.length, oldest, next: page.more ? page.keys.at(-1) : undefined }
}

async function remove(due: readonly Buffer[], isDue: (value: Buffer) => boolean, commit: Commit): Promise<number> {
  if (due.length === 0) return 0
  const release = await commit.latch(due.map(itemRowOf))
  let durable: Promise<unknown> | undefined
  let gone: RowEffect[] = []
  try {
    // A deletion may have been written again since.
    const values = await commit.readMany(due)
    gone = due
      .filter((_, i) => values[i] !== undefined && isDue(values[i] as Buffer))
      .map((key) => ({ key, value: undefined }))
    if (gone.length > 0) durable = commit.submit({ rows: gone, essential: true })
  } finally {
    release()
  }
  await durable
  return gone.length
}
