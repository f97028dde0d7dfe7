import { Family } from '../../commit/index.js'
import type { Storage } from '../../storage/index.js'
import { after, decodeItem, tablePrefix } from '../items/item-row.js'
import { versionOfItem } from '../items/item-value.js'
import { type RemoteChange, versionOf } from './apply.js'
import type { Replication } from './members.js'
import { decodeTombstone } from './tombstone.js'

/** Where the place of an item begins in the key of its row: behind family and table. */
const placeAt = 5

export interface VersionPageRequest {
  readonly what: 'items' | 'tombstones'
  /** The place of the last one before; undefined is the beginning. */
  readonly after: Buffer | undefined
  readonly changesMax: number
  readonly bytesMax: number
}

export interface VersionPage {
  readonly changes: readonly RemoteChange[]
  /** The place of the last of them; undefined where there are none. */
  readonly last: Buffer | undefined
  readonly more: boolean
}

/** The next items of a table, or deletions of items, with their versions, in the order of their places. */
export async function versionPage(
  storage: Storage,
  table: number,
  replication: Replication,
  { what, after: behind, changesMax, bytesMax }: VersionPageRequest,
): Promise<VersionPage> {
  const prefix = tablePrefix(table, what === 'items' ? Family.item : Family.tombstone)
  const from = behind ? { gt: Buffer.concat([prefix, behind]) } : { gte: prefix }
  const { keys, values, more } = await storage.page({ ...from, lt: after(prefix), limit: changesMax, bytesMax })
  const changes = keys.map((key, i): RemoteChange => {
    const value = values[i] as Buffer
    const stored = what === 'items' ? versionOfItem(value) : decodeTombstone(value)
    return {
      place: key.subarray(placeAt),
      version: versionOf(stored, replication),
      replaced: undefined,
      image: what === 'items' ? decodeItem(value) : undefined,
    }
  })
  return { changes, last: keys.at(-1)?.subarray(placeAt), more }
}
