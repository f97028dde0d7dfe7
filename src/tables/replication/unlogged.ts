import { type Commit, Family, type RowEffect } from '../../commit/index.js'
import type { Storage } from '../../storage/index.js'
import { after, decodeItem } from '../items/item-row.js'
import { type Stamp, type StoredVersion, versionOfItem } from '../items/item-value.js'
import { type RemoteChange, versionOf } from './apply.js'
import { decodeChangeVersion, encodeChangeVersion } from './change-version.js'
import type { Replication } from './members.js'
import { decodeTombstone, tombstoneKey } from './tombstone.js'

/*
 * What another region must get although no record of the change log is there to bring it: a write that left its item as it is,
 * which no stream shows, and a write of this region that was lost here and came back from another one. One row for each such item
 * and region, written in the commit of the item: `replication`, table u32be, 04, length of the region's name u8, the name in
 * UTF-8, place of the item. Value: as the end of a change (change-version.ts); one that came back has replaced nothing.
 */
const kindOfUnlogged = 4
/** Where the length of the region's name stands in a key, and where the place of an item begins in that of its row. */
const regionAt = 6
const placeAt = 5

const rowsMax = 1000
const rowsBytesMax = 256 * 1024
/** Items that are read at once. */
const itemsMax = 16

export interface UnloggedRow {
  readonly key: Buffer
  readonly value: Buffer
}

export interface UnloggedChange {
  readonly change: RemoteChange
  /** When the write was that the row is there for. */
  readonly stamp: Stamp
  /** What it replaced is not known. */
  readonly cameBack: boolean
}

export interface UnloggedPage {
  /** To be taken away when the region has the changes. */
  readonly rows: readonly UnloggedRow[]
  /** The versions of the items as they are now, those that were written in this region. */
  readonly changes: readonly UnloggedChange[]
  readonly more: boolean
}

export function unloggedPrefix(table: number, region: string): Buffer {
  const name = Buffer.from(region)
  const head = Buffer.alloc(regionAt + 1)
  head[0] = Family.replication
  head.writeUInt32BE(table, 1)
  head[5] = kindOfUnlogged
  head[regionAt] = name.length
  return Buffer.concat([head, name])
}

/** The table and region of a row's key; undefined of other rows. */
export function unloggedOf(key: Buffer): { readonly table: number; readonly region: string } | undefined {
  if (key[0] !== Family.replication || key[5] !== kindOfUnlogged) return undefined
  const begin = regionAt + 1
  return { table: key.readUInt32BE(1), region: key.toString('utf8', begin, begin + (key[regionAt] as number)) }
}

/** The rows of a write, for other regions. */
export function unloggedRows(
  table: number,
  regions: readonly string[],
  itemRow: Buffer,
  stamp: Stamp,
  replaced: StoredVersion | undefined,
): RowEffect[] {
  const value = encodeChangeVersion(stamp, replaced)
  const place = itemRow.subarray(placeAt)
  return regions.map((region) => ({ key: Buffer.concat([unloggedPrefix(table, region), place]), value }))
}

/** Some of what a region must get, in the order of places. What has been written over by another region is that one's to bring. */
export async function unloggedPage(
  storage: Pick<Storage, 'page' | 'getMany'>,
  { id, replication }: { readonly id: number; readonly replication: Replication },
  region: string,
  bytesMax: number,
): Promise<UnloggedPage> {
  const prefix = unloggedPrefix(id, region)
  const { keys, values, more } = await storage.page({
    gte: prefix,
    lt: after(prefix),
    limit: rowsMax,
    bytesMax: rowsBytesMax,
  })
  const rows: UnloggedRow[] = []
  const changes: UnloggedChange[] = []
  let bytes = 0
  while (rows.length < keys.length && bytes < bytesMax) {
    const from = rows.length
    const some = keys.slice(from, from + itemsMax)
    const items = some.map((key) => itemRowOf(key, prefix.length))
    const present = await storage.getMany([...items, ...items.map(tombstoneKey)])
    some.forEach((key, i) => {
      const value = values[from + i] as Buffer
      rows.push({ key, value })
      const [item, tombstone] = [present[i], present[some.length + i]]
      const stored = item ? versionOfItem(item) : tombstone && decodeTombstone(tombstone)
      if (stored?.origin !== 0) return
      const { stamp, replaced } = decodeChangeVersion(value, 0)
      const change: RemoteChange = {
        place: key.subarray(prefix.length),
        version: versionOf(stored, replication),
        replaced: replaced && versionOf(replaced, replication),
        image: item && decodeItem(item),
      }
      changes.push({ change, stamp, cameBack: replaced === undefined })
      bytes += item?.length ?? 0
    })
  }
  return { rows, changes, more: more || rows.length < keys.length }
}

/** Takes rows away whose changes have arrived; not where the item was written in such a way again since. */
export async function forgetUnlogged(rows: readonly UnloggedRow[], commit: Commit): Promise<void> {
  if (rows.length === 0) return
  const release = await commit.latch(rows.map(({ key }) => itemRowOf(key, regionAt + 1 + (key[regionAt] as number))))
  let durable: Promise<unknown> | undefined
  try {
    const present = await commit.readMany(rows.map(({ key }) => key))
    const gone = rows.filter(({ value }, i) => present[i]?.equals(value)).map(({ key }) => ({ key, value: undefined }))
    if (gone.length > 0) durable = commit.submit({ rows: gone, essential: true })
  } finally {
    release()
  }
  await durable
}

function itemRowOf(key: Buffer, at: number): Buffer {
  const row = Buffer.allocUnsafe(placeAt + key.length - at)
  row[0] = Family.item
  key.copy(row, 1, 1, placeAt)
  key.copy(row, placeAt, at)
  return row
}
