import type { Group, Position } from '../../groups/index.js'
import type { Sequence, Shard, ShardedLog, ShardId } from '../../log/index.js'
import { compareHash } from '../../runtime/index.js'

/**
 * Parents that were trimmed and removed before the group came to them, where nothing is left to read before their children:
 * positions at their ends, by which the children may be read. Without them nobody would ever open these.
 *
 * @param last shards that begin behind it are not the group's
 */
export function goneParents(log: Pick<ShardedLog, 'shards' | 'shard'>, group: Group, last: number): Position[] {
  const positions = new Map(group.positions().map((position) => [position.shard, position]))
  const shards = log.shards(group.stream)
  const gone = new Map<ShardId, Position>()
  for (const shard of shards) {
    if (positions.has(shard.id) || shard.firstSequence > last) continue
    const missing = shard.parents.filter((parent) => !positions.get(parent)?.ended && !log.shard(parent))
    if (missing.length === 0) continue
    // Records of its items that lie before it come before it.
    const isFirst = !shards.some((other) => isBefore(other, shard) && !positions.get(other.id)?.ended)
    if (!isFirst) continue
    for (const parent of missing)
      gone.set(parent, { shard: parent, next: shard.firstSequence as Sequence, ended: true })
  }
  return [...gone.values()]
}

function isBefore(other: Shard, shard: Shard): boolean {
  const overlap = compareHash(other.low, shard.high) <= 0 && compareHash(shard.low, other.high) <= 0
  return other.firstSequence < shard.firstSequence && overlap
}
