import { type Commit, Family, type RowEffect } from '../../commit/index.js'
import type { Storage } from '../../storage/index.js'
import { after, tablePrefix } from '../items/item-row.js'
import type { Replication } from './members.js'
import { decodeTombstone, itemRowOf } from './tombstone.js'

const pageRows = 256
const pageBytesMax = 1 << 20

/** Whether a tombstone that a region made may go: `at` is when it was written here, milliseconds since 1970. */
export type MayGo = (tombstone: { readonly region: string; readonly at: number }) => boolean

/** Removes tombstones that may go, each under the latch of its item. Gives how many went and how many are left. */
export async function sweepTombstones(
  table: number,
  { origins }: Replication,
  mayGo: MayGo,
  { storage, commit }: { readonly storage: Storage; readonly commit: Commit },
): Promise<{ readonly gone: number; readonly left: number }> {
  const prefix = tablePrefix(table, Family.tombstone)
  let [gone, left] = [0, 0]
  const isDue = (value: Buffer): boolean => {
    const { origin, at } = decodeTombstone(value)
    return mayGo({ region: origins[origin] ?? '', at })
  }
  for (let from: { gte: Buffer } | { gt: Buffer } = { gte: prefix }; ; ) {
    const page = await storage.page({ ...from, lt: after(prefix), limit: pageRows, bytesMax: pageBytesMax })
    const due = page.keys.filter((_, i) => isDue(page.values[i] as Buffer))
    left += page.keys.length - due.length
    if (due.length > 0) {
      const release = await commit.latch(due.map(itemRowOf))
      let durable: Promise<unknown> | undefined
      try {
        // A deletion may have been written again since.
        const values = await commit.readMany(due)
        const rows: RowEffect[] = due
          .filter((_, i) => values[i] !== undefined && isDue(values[i] as Buffer))
          .map((key) => ({ key, value: undefined }))
        gone += rows.length
        if (rows.length > 0) durable = commit.submit({ rows, essential: true })
      } finally {
        release()
      }
      await durable
    }
    const last = page.keys.at(-1)
    if (!page.more || !last) return { gone, left }
    from = { gt: last }
  }
}
