import { type Log, readChunkHeader, type Sequence, type ShardId } from '../log/index.js'
import type { Group } from './types.js'

type ReadLog = Pick<Log, 'shards' | 'read'> & { lastSequence(shard: ShardId): Sequence }

/**
 * How many sequence numbers the group is behind: an upper bound of its records. Numbers are of one row over all shards, so
 * what several shards span together counts once. 0: everything is read, and its effects are committed, those of due timers too.
 */
export function lagRecords(
  log: ReadLog,
  group: Pick<Group, 'stream' | 'positions'> & Partial<Pick<Group, 'hasDueTimers'>>,
): number {
  const positions = new Map(group.positions().map((position) => [position.shard, position]))
  const spans: { readonly from: number; readonly last: number }[] = []
  for (const { id, firstSequence } of log.shards(group.stream)) {
    const position = positions.get(id)
    if (position?.ended) continue
    spans.push({ from: Math.max(position?.next ?? 0, firstSequence + 1), last: log.lastSequence(id) })
  }
  spans.sort((a, b) => a.from - b.from)
  let lag = 0
  let counted = 0
  for (const { from, last } of spans) {
    lag += Math.max(0, last - Math.max(from - 1, counted))
    counted = Math.max(counted, last)
  }
  return lag === 0 && group.hasDueTimers ? 1 : lag
}

/** Shards that are looked into; the others of a group that lags in more are taken to be no older. */
const shardsMax = 16

/**
 * Age of the oldest record that the group has not passed, by its commit's time; 0 when there is none. What was trimmed has no
 * age any more: the oldest that is kept counts.
 */
export async function lagSeconds(
  log: ReadLog,
  group: Pick<Group, 'stream' | 'readable'>,
  now: number,
): Promise<number> {
  const behind = group
    .readable()
    .filter((position) => position.next <= log.lastSequence(position.shard))
    .sort((a, b) => a.next - b.next)
    .slice(0, shardsMax)
  const kept = new Map(log.shards(group.stream).map(({ id, lowWatermark }) => [id, lowWatermark]))
  let oldest = now
  for (const { shard, next } of behind) {
    const from = Math.max(next, kept.get(shard) ?? 0) as Sequence
    const { chunks, release } = await log.read(shard, from, { bytesMax: 1 })
    if (chunks[0]) oldest = Math.min(oldest, readChunkHeader(chunks[0]).commitTime)
    release?.()
  }
  return (now - oldest) / 1000
}
