import { type Group, type Groups, lagSeconds, type Position } from '../groups/index.js'
import type { Sequence, ShardedLog } from '../log/index.js'
import type { Behind } from './pipeline-parts.js'
import type { PipelineRow, SourceRow } from './rows.js'

export interface BehindRooms {
  readonly log: ShardedLog
  readonly groups: Groups
}

/** The groups of a source that two pipelines read; `ahead` is undefined where only the one behind reads it. */
interface Pair {
  readonly behind: Group
  readonly ahead: Group | undefined
}

function pairsOf(shadow: PipelineRow, older: PipelineRow, { groups }: BehindRooms): Pair[] {
  return shadow.sources.flatMap(({ group, stream }) => {
    const behind = groups.group(group)
    const other = older.sources.find((source) => source.stream === stream)
    return behind ? [{ behind, ahead: other && groups.group(other.group) }] : []
  })
}

/**
 * How many sequence numbers one pipeline has passed and the other has not: an upper bound of records. What several shards
 * span together counts once. A source that only the one behind reads is compared with its end.
 */
export function behindRecords(shadow: PipelineRow, older: PipelineRow, rooms: BehindRooms): number {
  const { log } = rooms
  const spans = pairsOf(shadow, older, rooms).flatMap(({ behind, ahead }) =>
    log.shards(behind.stream).flatMap(({ id, firstSequence }) => {
      const position = behind.position(id)
      if (position?.ended) return []
      const last = log.lastSequence(id)
      return [{ from: Math.max(position?.next ?? 0, firstSequence + 1), last: ahead ? passed(ahead, id, last) : last }]
    }),
  )
  spans.sort((a, b) => a.from - b.from)
  let [records, counted] = [0, 0]
  for (const { from, last } of spans) {
    records += Math.max(0, last - Math.max(from - 1, counted))
    counted = Math.max(counted, last)
  }
  return records
}

/** The last sequence number of a shard that a group has passed. */
function passed(group: Group, shard: Position['shard'], last: Sequence): number {
  const position = group.position(shard)
  if (!position) return 0
  return position.ended ? last : Math.min(last, position.next - 1)
}

/** How far one pipeline is behind another. */
export async function behindOf(
  shadow: PipelineRow,
  older: PipelineRow,
  rooms: BehindRooms,
  now: number,
): Promise<Behind> {
  const records = behindRecords(shadow, older, rooms)
  let seconds = 0
  for (const { behind, ahead } of pairsOf(shadow, older, rooms)) {
    const [theirs, ours] = await Promise.all([
      lagSeconds(rooms.log, behind, now),
      ahead ? lagSeconds(rooms.log, ahead, now) : 0,
    ])
    seconds = Math.max(seconds, theirs - ours)
  }
  return { records, seconds: records === 0 ? 0 : seconds }
}

/** The highest place that any of them has come to. */
export function furthest(rows: readonly PipelineRow[], { groups }: BehindRooms): Sequence {
  const positions = rows.flatMap(({ sources }) =>
    sources.flatMap(
      ({ group }) =>
        groups
          .group(group)
          ?.positions()
          .map(({ next }) => next) ?? [],
    ),
  )
  return Math.max(0, ...positions) as Sequence
}

/** Whether nothing of the sources that are there now was ever trimmed. */
export function isWhole(sources: readonly SourceRow[], { log }: Pick<BehindRooms, 'log'>): boolean {
  return sources.every(({ stream }) => {
    const shards = log.shards(stream)
    const there = new Set(shards.map(({ id }) => id))
    return shards.every(
      ({ parents, firstSequence, lowWatermark }) =>
        lowWatermark <= firstSequence + 1 && parents.every((parent) => there.has(parent)),
    )
  })
}
