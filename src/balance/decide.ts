import type { SplitPolicy } from '../config/index.js'
import { type ShardId, splitCutsMax } from '../log/index.js'
import { planSplit } from './plan-split.js'
import type { Decision, HeavyKey, LayoutView, OpenShard, ParkReason, ShardLoad, ShardSamples } from './types.js'

const noSamples: ShardSamples = { points: [], heavy: [] }

/**
 * What to do about one stream now: splits and parks of hot shards, at most one merge of a cold pair. A pure function of
 * what was measured; the balancer carries it out. Shards without a load are left alone. `now` is in milliseconds.
 */
export function decide(
  layout: LayoutView,
  load: ReadonlyMap<ShardId, ShardLoad>,
  samples: ReadonlyMap<ShardId, ShardSamples>,
  policy: SplitPolicy,
  now: number,
): readonly Decision[] {
  if (!policy.enabled) return []
  const decisions: Decision[] = []
  const shardsMax = Math.min(policy.shardsMax, layout.shardsMax)
  let open = layout.shards.length
  for (const shard of byLoad(layout.shards, load)) {
    const of = load.get(shard.id)
    if (!of || !isHot(of, policy) || (shard.park && now < shard.park.untilMs)) continue
    const planned = planSplit(
      shard,
      of.demand,
      samples.get(shard.id) ?? noSamples,
      policy,
      Math.min(splitCutsMax, shardsMax - open),
    )
    if ('plan' in planned) {
      open += planned.plan.cuts.length
      decisions.push({ kind: 'split', shard: shard.id, load: of, plan: planned.plan })
    } else decisions.push(parked(shard, planned.none, of, policy, now, planned.key))
  }
  if (decisions.every(({ kind }) => kind === 'park')) {
    const merge = coldPair(layout, load, policy, now)
    if (merge) decisions.push(merge)
  }
  return decisions
}

/** The most loaded first: where few shards may still be made, they go where they help most. */
const byLoad = (shards: readonly OpenShard[], load: ReadonlyMap<ShardId, ShardLoad>): OpenShard[] =>
  [...shards].sort((a, b) => (load.get(b.id)?.u10 ?? 0) - (load.get(a.id)?.u10 ?? 0))

/** Whether a split is called for; samples are needed of these shards only. */
export function isHot(load: ShardLoad, policy: SplitPolicy): boolean {
  if (load.ageMs < policy.ageMs) return false
  return load.hotMs >= policy.splitMs || load.surgeMs >= policy.surgeMs
}

/** A short burst hardly shows in a minute's average; whoever has one now is not merged, whether it can be split or not. */
const isWarm = ({ u1, u10 }: ShardLoad, { mergeBelow }: SplitPolicy): boolean => Math.max(u1, u10) >= mergeBelow

/** A pause after which the shard is looked at again: `parkMs`, and twice as long each time up to `parkMsMax`. */
export function parked(
  shard: Pick<OpenShard, 'id' | 'park'>,
  reason: ParkReason,
  load: ShardLoad,
  policy: Pick<SplitPolicy, 'parkMs' | 'parkMsMax'>,
  now: number,
  key?: HeavyKey,
): Decision {
  const ms = Math.min(policy.parkMsMax, shard.park ? shard.park.ms * 2 : policy.parkMs)
  return { kind: 'park', shard: shard.id, reason, load, park: { untilMs: now + ms, ms }, key }
}

/** The coldest neighbours that may be merged now. */
function coldPair(
  { shards, isMergeable, mergedAtMs }: LayoutView,
  load: ReadonlyMap<ShardId, ShardLoad>,
  policy: SplitPolicy,
  now: number,
): Decision | undefined {
  if (!isMergeable || !policy.merge || shards.length <= policy.shardsMin) return undefined
  if (mergedAtMs !== undefined && now - mergedAtMs < policy.mergeEveryMs) return undefined
  let coldest: Decision | undefined
  let least = policy.mergeBelow
  for (let i = 1; i < shards.length; i++) {
    const [left, right] = [shards[i - 1] as OpenShard, shards[i] as OpenShard]
    const [a, b] = [load.get(left.id), load.get(right.id)]
    if (!a || !b || Math.min(a.ageMs, b.ageMs) < Math.max(policy.mergeAgeMs, policy.mergeMs)) continue
    // Each one's own peak: their sum may be a little above the peak of the two together, never below it.
    const together = a.u60Max + b.u60Max
    if (together >= least || isWarm(a, policy) || isWarm(b, policy)) continue
    least = together
    coldest = { kind: 'merge', left: left.id, right: right.id, load: [a, b] }
  }
  return coldest
}
