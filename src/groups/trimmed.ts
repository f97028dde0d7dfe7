import type { Log, Sequence, Shard, ShardId } from '../log/index.js'
import type { Group, Position } from './types.js'

type ReadLog = Pick<Log, 'shards' | 'shard'> & { lastSequence(shard: ShardId): Sequence }

/** The group has not read all of this shard: from which number on it needs it; undefined when it has its SHARD_END. */
export function neededFrom(position: Position | undefined, shard: Shard): Sequence | undefined {
  if (position?.ended) return undefined
  // A shard without a position comes after others that the group is still in: all of it is needed.
  return position?.next ?? shard.firstSequence
}

/**
 * Whether records that the group has yet to read are gone. It cannot go on: it gets TRIMMED and must seek, since only
 * joining and seeking count what is trimmed as read.
 */
export function isTrimmed(log: ReadLog, group: Group): boolean {
  const positions = new Map(group.positions().map((position) => [position.shard, position]))
  return log.shards(group.stream).some((shard) => {
    if (shard.trimmed === undefined) return false
    const from = neededFrom(positions.get(shard.id), shard)
    return from !== undefined && from < shard.lowWatermark && isMissing(log, shard, from)
  })
}

/** Between a position and the low watermark there may be no record at all. */
function isMissing(log: ReadLog, shard: Shard, from: Sequence): boolean {
  return from <= shard.firstSequence ? (shard.trimmed?.bytes ?? 0) > 0 : from <= log.lastSequence(shard.id)
}

/**
 * The shards of its stream that a group can do without when they hold nothing any more: those of which it has the
 * SHARD_END, and those that it cannot come to before it is told that records are gone. The shards that it stands in are
 * never among them: they are where it is told.
 */
export function dispensable(log: ReadLog, group: Group): ReadonlySet<ShardId> {
  const positions = new Map(group.positions().map((position) => [position.shard, position]))
  const standing = new Map(group.readable().map((position) => [position.shard, position]))
  const told = new Set<ShardId>()
  const without = new Set<ShardId>()
  const isToldIn = (id: ShardId): boolean => {
    if (positions.get(id)?.ended) return false
    const shard = log.shard(id)
    // Gone without the end of this group: so it is told in one before.
    if (!shard) return true
    const at = standing.get(id)
    return at ? at.next < shard.lowWatermark && isMissing(log, shard, at.next) : told.has(id)
  }
  // Parents come before their children.
  for (const { id, parents } of log.shards(group.stream)) {
    const position = positions.get(id)
    if (position?.ended) without.add(id)
    else if (!position && !standing.has(id) && parents.some(isToldIn)) {
      told.add(id)
      without.add(id)
    }
  }
  return without
}
