import type { CommitTime, RecordEffect, RowEffect } from '../../commit/index.js'
import { RecordFlag } from '../../log/index.js'
import type { ItemKey } from '../items/item-row.js'
import { encodeItem, type StoredItem, type StoredVersion, versionOfItem } from '../items/item-value.js'
import type { Present } from '../items/present.js'
import type { Decision } from '../items/writer.js'
import type { ImageBytes } from '../streams/change.js'
import type { Item } from '../values/index.js'
import { encodeChangeVersion } from './change-version.js'
import type { HybridClock } from './hybrid-clock.js'
import { othersOf, type Replication } from './members.js'
import { compareStamps, tick } from './stamps.js'
import { decodeTombstone, encodeTombstone, tombstoneKey } from './tombstone.js'
import { unloggedRows } from './unlogged.js'

/** The version of the item that is there, or of its tombstone. */
export function presentVersion({ value, tombstone }: Present): StoredVersion | undefined {
  if (value) return versionOfItem(value)
  return tombstone ? decodeTombstone(tombstone) : undefined
}

export interface ReplicatedWrite {
  readonly table: number
  readonly replication: Replication
  readonly key: ItemKey
  readonly before: Present
  readonly decision: Extract<Decision, { readonly kind: 'put' | 'delete' }>
  readonly clock: HybridClock
  readonly time: Pick<CommitTime, 'next'>
  readonly isSame: (old: StoredItem, json: Buffer, item: Item) => boolean
  /** Rows that follow from the item before and after. */
  readonly derived: (after: { readonly item: Item; readonly value: Buffer } | undefined) => readonly RowEffect[]
  readonly record: (
    kind: 'insert' | 'modify' | 'remove',
    image: ImageBytes | undefined,
    flags: number,
    version: Buffer | undefined,
  ) => readonly RecordEffect[]
}

/**
 * What a write of a table with replicas makes. A write of this region gets a stamp above the version that it replaces, whatever
 * the clocks say; the deletion of an item whose time is over gets that of the version it removes and one tick, so that no
 * write that came later loses against it. A write of another region keeps its own. One that leaves the item as it is has no
 * record, as on AWS, and is a write all the same: it has a stamp, and the other regions get it.
 */
export function replicatedEffects(
  write: ReplicatedWrite,
): { readonly rows: readonly RowEffect[]; readonly records: readonly RecordEffect[] } | undefined {
  const { key, before, decision, clock } = write
  const { remote } = decision
  const old = before.stored
  if (decision.kind === 'delete' && !old && !remote) return undefined
  const replaced = presentVersion(before)
  const json = decision.kind === 'put' ? Buffer.from(JSON.stringify(decision.item)) : undefined
  const isSame = decision.kind === 'put' && old !== undefined && isSameItem(write, old, json as Buffer)
  const stamp = remote?.stamp ?? stampOf(write, replaced)
  if (remote) clock.see(remote.stamp)
  const origin = remote?.origin ?? 0
  const version = remote ? undefined : encodeChangeVersion(stamp, replaced)
  const flags = remote ? RecordFlag.replicated : 0
  const rows: RowEffect[] = []
  let records: readonly RecordEffect[] = []
  if (decision.kind === 'delete') {
    rows.push({ key: tombstoneKey(key.row), value: encodeTombstone(stamp, origin, write.time.next()) })
    if (old) {
      rows.push({ key: key.row, value: undefined }, ...write.derived(undefined))
      const service = decision.byService && !remote ? RecordFlag.service : 0
      records = write.record('remove', undefined, flags | service, version)
    }
  } else {
    const value = encodeItem(json as Buffer, decision.size, stamp, origin)
    rows.push({ key: key.row, value }, ...write.derived({ item: decision.item, value }))
    if (before.tombstone) rows.push({ key: tombstoneKey(key.row), value: undefined })
    const image = { json: json as Buffer, size: decision.size }
    if (!isSame) records = write.record(old ? 'modify' : 'insert', image, flags, version)
  }
  if (isUnlogged(write, isSame, replaced))
    rows.push(...unloggedRows(write.table, othersOf(write.replication), key.row, stamp, remote ? undefined : replaced))
  const ahead = clock.row()
  if (ahead) rows.push(ahead)
  return { rows, records }
}

/** Whether no record that links look at brings the write to other regions: it leaves the item as it is, or was lost here before. */
function isUnlogged({ decision }: ReplicatedWrite, isSame: boolean, replaced: StoredVersion | undefined): boolean {
  const { remote } = decision
  if (!remote) return isSame
  return remote.origin === 0 && !(replaced?.origin === 0 && compareStamps(replaced.stamp, remote.stamp) === 0)
}

function isSameItem({ decision, isSame }: ReplicatedWrite, old: StoredItem, json: Buffer): boolean {
  return decision.kind === 'put' && old.size === decision.size && isSame(old, json, decision.item)
}

function stampOf({ decision, clock }: ReplicatedWrite, replaced: StoredVersion | undefined): StoredVersion['stamp'] {
  if (decision.kind === 'delete' && decision.byService && replaced) return tick(replaced.stamp)
  return clock.after(replaced?.stamp)
}
