import {
  ChunkCursor,
  type LogPage,
  RecordFlag,
  RecordKind,
  type Sequence,
  type ShardedLog,
  type ShardId,
} from '../log/index.js'
import { changeVersionOf, decodeChange, type RemoteChange, type Replication } from '../tables/index.js'
import { changeBytes, encodeChanges, RegionNumbers } from './wire.js'

/** What is read of a shard at once. */
const pageBytesMax = 256 * 1024
/** What is read in all for one batch: much of it may be of other regions, or of items that are written again and again. */
const readBytesMax = 8 * 1024 * 1024

export interface Collected {
  readonly body: Buffer
  readonly regions: readonly string[]
  readonly changes: number
  /** Where each shard that was read is, behind what was collected. */
  readonly moved: ReadonlyMap<ShardId, { readonly next: Sequence; readonly ended: boolean }>
  /** Whether all shards were read to their ends. */
  readonly isWhole: boolean
  /** Commit time and number of the oldest record; undefined when there was none. */
  readonly oldest: number | undefined
  readonly lowest: Sequence | undefined
}

/**
 * Reads what this region has written from where each shard stands, one version of each item: the last one, with what the first
 * one replaced. What came from other regions is passed over: those bring it themselves.
 */
export async function collect(
  log: Pick<ShardedLog, 'read'>,
  from: ReadonlyMap<ShardId, Sequence>,
  { origins, home }: Replication,
  bytesMax: number,
  readMax = readBytesMax,
): Promise<Collected> {
  const found = new Map<string, RemoteChange>()
  const moved = new Map<ShardId, { readonly next: Sequence; readonly ended: boolean }>()
  let [bytes, bytesRead] = [0, 0]
  let isWhole = true
  let oldest: number | undefined
  let lowest: Sequence | undefined
  const take = (page: LogPage, from: Sequence): void => {
    /** Of this page, whose memory is given back. */
    const fresh = new Set<string>()
    for (const chunk of page.chunks) {
      bytesRead += chunk.length
      const cursor = new ChunkCursor(chunk)
      while (cursor.next()) {
        if (cursor.sequence < from || (cursor.flags & RecordFlag.replicated) !== 0) continue
        const change = changeOf(cursor, origins, home)
        if (!change) continue
        oldest = Math.min(oldest ?? cursor.commitTime, cursor.commitTime)
        lowest = lowest === undefined || cursor.sequence < lowest ? cursor.sequence : lowest
        const name = change.place.toString('latin1')
        const before = found.get(name)
        bytes += changeBytes(change) - (before ? changeBytes(before) : 0)
        found.set(name, before ? { ...change, replaced: before.replaced } : change)
        fresh.add(name)
      }
    }
    for (const name of fresh) found.set(name, withOwnImage(found.get(name) as RemoteChange))
    page.release?.()
  }
  for (const [shard, start] of from) {
    let next = start
    for (;;) {
      if (bytes >= bytesMax || bytesRead >= readMax) {
        isWhole = false
        break
      }
      const page = await log.read(shard, next, { bytesMax: pageBytesMax })
      take(page, next)
      if (page.next !== next || page.ended) moved.set(shard, { next: page.next, ended: page.ended })
      const isAtEnd = page.ended || page.chunks.length === 0
      next = page.next
      if (isAtEnd) break
    }
  }
  const regions = new RegionNumbers()
  const body = encodeChanges(found.values(), regions)
  return { body, regions: regions.names, changes: found.size, moved, isWhole, oldest, lowest }
}

function withOwnImage(change: RemoteChange): RemoteChange {
  const { image } = change
  return image ? { ...change, image: { ...image, json: Buffer.from(image.json) } } : change
}

function changeOf(cursor: ChunkCursor, origins: readonly string[], home: string): RemoteChange | undefined {
  const { body } = cursor
  const version = changeVersionOf(body)
  if (!version) return undefined
  const place = Buffer.allocUnsafe(8 + cursor.bodyStart - cursor.keyStart)
  place.writeUInt32BE(cursor.hashHi, 0)
  place.writeUInt32BE(cursor.hashLo, 4)
  cursor.chunk.copy(place, 8, cursor.keyStart, cursor.bodyStart)
  const { newImage, newSize } = decodeChange(body)
  const region = version.replaced && origins[version.replaced.origin]
  return {
    place,
    version: { stamp: version.stamp, region: home },
    replaced: version.replaced && region !== undefined ? { stamp: version.replaced.stamp, region } : undefined,
    image: cursor.kind === RecordKind.remove || !newImage ? undefined : { json: newImage, size: newSize },
  }
}
