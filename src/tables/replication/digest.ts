import { createHash } from 'node:crypto'
import type { Storage } from '../../storage/index.js'
import { decodeItem, segmentRange, tablePrefix } from '../items/item-row.js'
import { versionOfItem } from '../items/item-value.js'
import { versionOf } from './apply.js'
import type { Replication } from './members.js'

/** Ranges of key hashes that a table is cut into, by the first byte of the hash. */
export const digestRanges = 256
const pageRows = 1000
const pageBytesMax = 1 << 20

export interface RangeDigest {
  readonly range: number
  readonly items: number
  /** SHA-256 over keys, stamps, regions and items; the first 16 bytes in hex. */
  readonly digest: string
}

/** The digests of some ranges of a table: equal in two regions exactly when they hold the same versions of the same items. */
export async function digestsOf(
  storage: Storage,
  table: number,
  replication: Replication,
  ranges: readonly number[],
): Promise<RangeDigest[]> {
  const prefix = tablePrefix(table)
  const digests: RangeDigest[] = []
  for (const range of ranges) {
    const hash = createHash('sha256')
    const { gte, lt } = segmentRange(prefix, range, digestRanges)
    let [items, from, more] = [0, { gte } as { gte: Buffer } | { gt: Buffer }, true]
    while (more) {
      const page = await storage.page({ ...from, lt, limit: pageRows, bytesMax: pageBytesMax })
      page.keys.forEach((key, i) => {
        const value = page.values[i] as Buffer
        const { stamp, region } = versionOf(versionOfItem(value), replication)
        hash.update(key.subarray(prefix.length)).update(` ${stamp.ms}.${stamp.counter} ${region} `)
        hash.update(decodeItem(value).json)
      })
      items += page.keys.length
      const last = page.keys.at(-1)
      more = page.more && last !== undefined
      if (last) from = { gt: last }
    }
    digests.push({ range, items, digest: hash.digest('hex').slice(0, 32) })
  }
  return digests
}
