import type { SplitPolicy } from '../config/index.js'
import { type ShardId, splitCutsMax } from '../log/index.js'
import { hashText } from '../runtime/index.js'
import type { ShownKey } from './history.js'
import { planSplit } from './plan-split.js'
import { remedies } from './remedies.js'
import type { ShardPhase } from './shard-phase.js'
import type { HeavyKey, LoadKind, ParkReason } from './types.js'
import type { WatchedShard } from './watched-shard.js'

/** Keys with less than this part of a shard's load are not worth a line. */
const shareMin = 0.01

/** One shard as `millrace shards top` shows it. Rates and load are of the last 10 s. */
export interface TopShard {
  readonly shard: ShardId
  readonly low: string
  readonly high: string
  readonly phase: ShardPhase
  /** In targets, and what it is made of. */
  readonly load: number
  readonly by: LoadKind
  readonly recordsPerSecond: number
  readonly bytesPerSecond: number
  /** Threads that the most expensive consumer needs. */
  readonly cpu: number
  readonly queueMs: number
  /** Whether its keys are looked at: `keys` and `next` say nothing otherwise. */
  readonly isSampled: boolean
  readonly keys: readonly (ShownKey & { readonly recordsPerSecond: number })[]
  /** What a split would do now, whether or not one is due. */
  readonly next:
    | { readonly cuts: readonly string[]; readonly isolated: readonly string[]; readonly pieces: readonly number[] }
    | { readonly none: ParkReason; readonly key?: ShownKey | undefined; readonly remedies: readonly string[] }
    | undefined
  readonly pauseLeftMs: number | undefined
}

export function topShard(
  watched: WatchedShard,
  policy: SplitPolicy,
  room: number,
  now: number,
  shown: (key: HeavyKey) => ShownKey,
): TopShard {
  const { load, park, isSampled, phase } = watched
  const { id, low, high } = watched.metered.shard
  const samples = watched.samples()
  return {
    shard: id,
    low: hashText(low),
    high: hashText(high),
    phase,
    load: load.u10,
    by: load.by,
    recordsPerSecond: load.recordsPerSecond,
    bytesPerSecond: load.bytesPerSecond,
    cpu: load.cpu,
    queueMs: load.queueMs,
    isSampled,
    keys: samples.heavy
      .filter(({ share }) => share >= shareMin)
      .map((key) => ({ ...shown(key), recordsPerSecond: key.share * load.recordsPerSecond })),
    next: isSampled ? nextOf() : undefined,
    pauseLeftMs: park && phase === 'parked' ? Math.max(0, park.untilMs - now) : undefined,
  }

  function nextOf(): TopShard['next'] {
    // A shard that is not over its target is shown what would happen if it were, just so.
    const demand = Math.max(load.demand, policy.splitAbove)
    const planned = planSplit({ id, low, high }, demand, samples, policy, Math.min(splitCutsMax, room))
    if ('none' in planned)
      return { none: planned.none, key: planned.key && shown(planned.key), remedies: remedies[planned.none] }
    const { cuts, isolated, pieces } = planned.plan
    return { cuts: cuts.map(hashText), isolated: isolated.map((key) => shown(key).key), pieces }
  }
}
