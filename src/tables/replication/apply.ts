import type { Commit, RowEffect } from '../../commit/index.js'
import { MillraceError } from '../../runtime/index.js'
import type { Table } from '../catalogue/catalogue.js'
import { keyAttributesOf, tablePrefix } from '../items/item-row.js'
import type { StoredVersion } from '../items/item-value.js'
import type { Present } from '../items/present.js'
import type { Decision, Target, Writer } from '../items/writer.js'
import type { Item } from '../values/index.js'
import { type Conflict, type Conflicts, conflictItemBytesMax } from './conflicts.js'
import type { Replication } from './members.js'
import { presentVersion } from './replicated-effects.js'
import { compareStamps, compareVersions, type Version } from './stamps.js'

/** A version of an item, or its deletion, as another region has it. */
export interface RemoteChange {
  /** Hash of the partition key 8 bytes, encoded partition key and sort key: the item's place in every region. */
  readonly place: Buffer
  readonly version: Version
  /** The version that it replaced where it was written; undefined when there was none, or it is not known. */
  readonly replaced: Version | undefined
  /** DynamoDB JSON and bytes by AWS's count; undefined for a deletion. */
  readonly image: { readonly json: Buffer; readonly size: number } | undefined
}

export interface AppliedCounts {
  /** Newer than what was there. */
  applied: number
  /** Older, or there already. */
  ignored: number
  conflicts: number
}

export interface ApplyRooms {
  readonly commit: Commit
  readonly writer: Pick<Writer, 'prepare'>
  readonly conflicts: Conflicts
}

export interface ApplyOptions {
  readonly countsConflicts: boolean
  /** Whether a version was here once: where nothing is left of it, not even a tombstone, it was deleted long ago. */
  readonly hasSeen?: (version: Version) => boolean
  /** Rows that are written behind the changes. */
  readonly rows: readonly RowEffect[]
}

/** Changes and bytes of them that one effect set takes: with the old images it may be a multiple of that. */
const sliceChangesMax = 256
const sliceBytesMax = 512 * 1024

/**
 * Applies changes of another region, each of another item: whatever is newer than what is there takes its place. The same again
 * changes nothing. Resolves when all of it is durable, with the rows that are given along, which are written behind it.
 */
export async function applyChanges(
  table: Table,
  changes: readonly RemoteChange[],
  options: ApplyOptions,
  rooms: ApplyRooms,
): Promise<AppliedCounts> {
  const counts: AppliedCounts = { applied: 0, ignored: 0, conflicts: 0 }
  const durable: Promise<unknown>[] = []
  const apply = async (slice: readonly RemoteChange[]): Promise<void> => {
    try {
      durable.push(...(await applySlice(table, slice, options, counts, rooms)))
    } catch (error) {
      // Old images count, too, and nobody knows them before.
      if (!(error instanceof MillraceError && error.code === 'EFFECT_TOO_LARGE') || slice.length < 2) throw error
      const half = slice.length >> 1
      await apply(slice.slice(0, half))
      await apply(slice.slice(half))
    }
  }
  for (const slice of slicesOf(changes)) await apply(slice)
  if (options.rows.length > 0) durable.push(rooms.commit.submit({ rows: options.rows, essential: true }))
  await Promise.all(durable)
  return counts
}

function* slicesOf(changes: readonly RemoteChange[]): Generator<readonly RemoteChange[]> {
  let from = 0
  let bytes = 0
  for (let i = 0; i < changes.length; i++) {
    bytes += changes[i]?.image?.json.length ?? 0
    if (i + 1 - from < sliceChangesMax && bytes < sliceBytesMax) continue
    yield changes.slice(from, i + 1)
    from = i + 1
    bytes = 0
  }
  if (from < changes.length) yield changes.slice(from)
}

async function applySlice(
  table: Table,
  changes: readonly RemoteChange[],
  { countsConflicts, hasSeen }: ApplyOptions,
  counts: AppliedCounts,
  { commit, writer, conflicts }: ApplyRooms,
): Promise<Promise<unknown>[]> {
  const { id, schema } = table.row
  const prefix = tablePrefix(id)
  const found: Conflict[] = []
  let [applied, ignored] = [0, 0]
  const targets = changes.map((change): Target => {
    const keyAttributes = keyAttributesOf(Buffer.concat([prefix, change.place]), schema)
    const decide = (before: Present): Decision => {
      const replication = table.row.replication as Replication
      const present = presentVersion(before)
      const known = present && versionOf(present, replication)
      const order = known ? compareVersions(change.version, known) : 1
      const conflict =
        countsConflicts && known && present?.origin === 0
          ? conflictOf(change, before, known, keyAttributes, commit.time.next())
          : undefined
      if (conflict) found.push(conflict)
      if (order <= 0 || (!known && change.image && hasSeen?.(change.version))) {
        ignored++
        return { kind: 'keep' }
      }
      applied++
      const remote = { stamp: change.version.stamp, origin: originOf(change.version.region, replication) }
      if (!change.image) return { kind: 'delete', remote }
      const item = JSON.parse(change.image.json.toString()) as Item
      return { kind: 'put', item, size: change.image.size, remote }
    }
    return { table, keyAttributes, decide }
  })
  const { effects, seen, release } = await writer.prepare(targets)
  try {
    const rows = [...effects.rows, ...conflicts.rows(id, found)]
    const durable =
      rows.length > 0
        ? [commit.submit({ rows, records: effects.records })]
        : seen === undefined
          ? []
          : [commit.returned(seen)]
    conflicts.added(id, found.length)
    counts.applied += applied
    counts.ignored += ignored
    counts.conflicts += found.length
    return durable
  } finally {
    release()
  }
}

export const versionOf = ({ stamp, origin }: StoredVersion, { origins }: Replication): Version => ({
  stamp,
  region: origins[origin] ?? `unknown-${origin}`,
})

export function originOf(region: string, { origins }: Replication): number {
  const origin = origins.indexOf(region)
  if (origin < 0) throw new MillraceError('INTERNAL', `The region ${region} has no number in its table.`)
  return origin
}

/**
 * What of the two has lost, when neither knew the other: the change, which is older than what was written here, or what was
 * written here, which the change has not replaced where it was made. Two deletions, and two equal items, are none.
 */
function conflictOf(change: RemoteChange, before: Present, here: Version, key: Item, at: number): Conflict | undefined {
  const order = compareVersions(change.version, here)
  const isKnown =
    change.replaced !== undefined &&
    change.replaced.region === here.region &&
    compareStamps(change.replaced.stamp, here.stamp) === 0
  if (order === 0 || (order > 0 && isKnown)) return undefined
  const theirs = change.image?.json
  const ours = before.stored?.json
  if (theirs === undefined ? ours === undefined : ours?.equals(theirs)) return undefined
  const [lost, lostVersion, wonVersion, won] =
    order > 0 ? [ours, here, change.version, theirs] : [theirs, change.version, here, ours]
  const isKept = (lost?.length ?? 0) <= conflictItemBytesMax
  return {
    key,
    ...(isKept ? { lost: lost ? (JSON.parse(lost.toString()) as Item) : null } : {}),
    lostVersion,
    wonVersion,
    isDeleted: won === undefined,
    at,
  }
}
