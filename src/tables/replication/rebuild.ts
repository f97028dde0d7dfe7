import type { Commit } from '../../commit/index.js'
import type { Storage } from '../../storage/index.js'
import type { Table } from '../catalogue/catalogue.js'
import { after, keyAttributesOf, tablePrefix } from '../items/item-row.js'
import { versionOfItem } from '../items/item-value.js'
import type { Present } from '../items/present.js'
import type { Decision, Target, Writer } from '../items/writer.js'
import { versionOf } from './apply.js'
import type { Replication } from './members.js'
import { presentVersion } from './replicated-effects.js'
import type { Version } from './stamps.js'

const pageRows = 256
const pageBytesMax = 512 * 1024
/** Pages that are looked through at once: whoever waits for the answer gets it within seconds. */
const pagesMax = 8

/** A stretch of a table as another region has it. */
export interface Stretch {
  /** Behind this place; undefined is the beginning. */
  readonly after: Buffer | undefined
  /** Up to this place; undefined is the end. */
  readonly upTo: Buffer | undefined
  /** The places of all items in it, in latin1. */
  readonly places: ReadonlySet<string>
  /** Whether the other region has seen a version of an item at some time. */
  readonly hasSeen: (version: Version) => boolean
}

/**
 * Deletes the items of a stretch that the other region does not have although it has seen them: they were deleted, and nothing
 * is left that says so. An item that it cannot have seen stays. Gives how many went and, where not all of the stretch was looked
 * through, the place up to which it was.
 */
export async function removeMissing(
  table: Table,
  stretch: Stretch,
  {
    storage,
    commit,
    writer,
  }: { readonly storage: Storage; readonly commit: Commit; readonly writer: Pick<Writer, 'prepare'> },
): Promise<{ readonly gone: number; readonly upTo?: Buffer }> {
  const { id, schema } = table.row
  const prefix = tablePrefix(id)
  const upTo = stretch.upTo && Buffer.concat([prefix, stretch.upTo])
  const end = upTo ? { lte: upTo } : { lt: after(prefix) }
  const isGone = (present: ReturnType<typeof presentVersion>): boolean =>
    present !== undefined && stretch.hasSeen(versionOf(present, table.row.replication as Replication))
  let gone = 0
  let from: { gte: Buffer } | { gt: Buffer } = stretch.after
    ? { gt: Buffer.concat([prefix, stretch.after]) }
    : { gte: prefix }
  for (let pages = 1; ; pages++) {
    const page = await storage.page({ ...from, ...end, limit: pageRows, bytesMax: pageBytesMax })
    const missing = page.keys.filter((key, i) => {
      const place = key.toString('latin1', prefix.length)
      return !stretch.places.has(place) && isGone(versionOfItem(page.values[i] as Buffer))
    })
    if (missing.length > 0) {
      const targets = missing.map((row): Target => {
        const decide = (before: Present): Decision => {
          const present = presentVersion(before)
          if (!before.stored || !present || !isGone(present)) return { kind: 'keep' }
          gone++
          return { kind: 'delete', remote: present }
        }
        return { table, keyAttributes: keyAttributesOf(row, schema), decide }
      })
      const { effects, release } = await writer.prepare(targets)
      let durable: Promise<unknown> | undefined
      try {
        if (effects.rows.length > 0) durable = commit.submit(effects)
      } finally {
        release()
      }
      await durable
    }
    const last = page.keys.at(-1)
    if (!page.more || !last) return { gone }
    if (pages === pagesMax) return { gone, upTo: last.subarray(prefix.length) }
    from = { gt: last }
  }
}
