import type { CommitTime, RecordEffect, RowEffect } from '../../commit/index.js'
import { RecordFlag } from '../../log/index.js'
import type { ItemKey } from '../items/item-row.js'
import { encodeItem, type StoredItem, type StoredVersion, versionOfItem } from '../items/item-value.js'
import type { Decision, Present } from '../items/writer.js'
import type { ImageBytes } from '../streams/change.js'
import type { Item } from '../values/index.js'
import { encodeChangeVersion } from './change-version.js'
import type { HybridClock } from './hybrid-clock.js'
import { tick } from './stamps.js'
import { decodeTombstone, encodeTombstone, tombstoneKey } from './tombstone.js'

/** The version of the item that is there, or of its tombstone. */
export function presentVersion({ value, tombstone }: Present): StoredVersion | undefined {
  if (value) return versionOfItem(value)
  return tombstone ? decodeTombstone(tombstone) : undefined
}

export interface ReplicatedWrite {
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
 * write that came later loses against it. A write of another region keeps its own.
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
  if (isSame && !remote) return undefined
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
  const ahead = clock.row()
  if (ahead) rows.push(ahead)
  return { rows, records }
}

function isSameItem({ decision, isSame }: ReplicatedWrite, old: StoredItem, json: Buffer): boolean {
  return decision.kind === 'put' && old.size === decision.size && isSame(old, json, decision.item)
}

function stampOf({ decision, clock }: ReplicatedWrite, replaced: StoredVersion | undefined): StoredVersion['stamp'] {
  if (decision.kind === 'delete' && decision.byService && replaced) return tick(replaced.stamp)
  return clock.after(replaced?.stamp)
}
