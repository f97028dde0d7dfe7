import { Family, type RowEffect } from '../commit/index.js'
import { MillraceError } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import { unloggedOf } from '../tables/index.js'
import type { Gap, StoreLife, WirePosition } from './types.js'

/*
 * `replication`: table u32be, kind u8, region in UTF-8. Kind 1: how far a link to another region is; kind 2: how far the changes of
 * another region are here. Version u8 (1), JSON.
 */
const version = 1
const kinds = { outgoing: 1, incoming: 2 } as const
type Kind = keyof typeof kinds
const scanBytesMax = 1 << 20

/** A link to another region. */
export interface Outgoing {
  /** Filling: the region does not have all items yet. */
  readonly phase: 'filling' | 'following'
  /** Of a fill: what was brought last, tombstones come after items; absent before the first. */
  readonly fill?: { readonly what: 'items' | 'tombstones'; readonly after?: string }
  /** Who the other side was. */
  readonly remote?: StoreLife & { readonly table: string }
  /** Below this sequence number the log repeats what the fill has brought. */
  readonly repeatsBelow?: number
  /** The regions that had been forced out when the fill began (`forcedOut`): it has brought what is here of their writes. */
  readonly without?: readonly string[]
  /** Commit time at which the fill was through. */
  readonly filledAt?: number
}

/** What came from another region. */
export interface Incoming {
  readonly store: StoreLife
  /** Absent until its first fill is through. */
  readonly positions?: readonly WirePosition[]
  readonly through: number
  readonly stable: number
  /** What that region may have lost when it was opened from an older copy. */
  readonly gaps?: readonly Gap[]
}

interface Rows {
  readonly outgoing: Outgoing
  readonly incoming: Incoming
}

function keyOf(table: number, kind: Kind, region: string): Buffer {
  const head = Buffer.alloc(6)
  head[0] = Family.replication
  head.writeUInt32BE(table, 1)
  head[5] = kinds[kind]
  return Buffer.concat([head, Buffer.from(region)])
}

export function rowOf<K extends Kind>(table: number, kind: K, region: string, value: Rows[K] | undefined): RowEffect {
  const encoded = value && Buffer.concat([Buffer.from([version]), Buffer.from(JSON.stringify(value))])
  return { key: keyOf(table, kind, region), value: encoded }
}

export async function readRow<K extends Kind>(
  storage: Pick<Storage, 'get'>,
  table: number,
  kind: K,
  region: string,
): Promise<Rows[K] | undefined> {
  const value = await storage.get(keyOf(table, kind, region))
  if (!value) return undefined
  if (value[0] !== version)
    throw new MillraceError(
      'DATA_DIR_NEWER',
      `A row of a replica has version ${value[0]}; this version of Millrace knows ${version}.`,
    )
  return JSON.parse(value.toString('utf8', 1)) as Rows[K]
}

/**
 * The rows of all tables that are not wanted any more, to be deleted: of links, and without a region what else is kept of a table (its
 * conflicts).
 */
export async function strayRows(
  storage: Pick<Storage, 'scan'>,
  isWanted: (table: number, region: string | undefined) => boolean,
): Promise<RowEffect[]> {
  const stray: RowEffect[] = []
  const range = { gte: Buffer.from([Family.replication, 0, 0, 0, 1]), lt: Buffer.from([Family.replication + 1]) }
  for await (const page of storage.scan({ ...range, bytesMax: scanBytesMax, values: false }))
    for (const key of page.keys) {
      const isOfLink = key[5] === kinds.outgoing || key[5] === kinds.incoming
      const region = isOfLink ? key.toString('utf8', 6) : unloggedOf(key)?.region
      if (!isWanted(key.readUInt32BE(1), region)) stray.push({ key, value: undefined })
    }
  return stray
}
