import type { Sequence, Shard, ShardId, StartPosition } from '../log/index.js'
import type { Position } from './types.js'

export const isTime = (start: StartPosition): start is { readonly timeMs: number } =>
  typeof start === 'object' && 'timeMs' in start

/**
 * Joining at P: SHARD_END for exactly the shards that ended before P, every other position is the larger of P and the
 * oldest number that is kept. Shards whose parents have not ended get their position when the parents end; a parent of
 * theirs that is trimmed away has its SHARD_END here and now, or a merged child would wait for it for ever.
 */
export function joinPositions(shards: readonly Shard[], first: Sequence): Position[] {
  const positions: Position[] = []
  const ended = new Set<ShardId>()
  const known = new Set(shards.map((shard) => shard.id))
  for (const shard of shards) {
    // Joining and seeking, and nothing else, count what is trimmed as read.
    const isEnded = shard.lastSequence !== undefined && shard.lastSequence < Math.max(first, shard.lowWatermark)
    const parentsEnded = shard.parents.every((parent) => ended.has(parent) || !known.has(parent))
    if (isEnded && parentsEnded) ended.add(shard.id)
    if (!parentsEnded) {
      for (const parent of shard.parents) {
        if (known.has(parent)) continue
        known.add(parent)
        ended.add(parent)
        positions.push({ shard: parent, next: shard.firstSequence, ended: true })
      }
      continue
    }
    positions.push({
      shard: shard.id,
      next: Math.max(first, shard.lowWatermark) as Sequence,
      ended: ended.has(shard.id),
    })
  }
  return positions
}
