import type { SplitPolicy } from '../config/index.js'
import { splitCutsMax } from '../log/index.js'
import { compareHash, type Hash64, hashAfter } from '../runtime/index.js'
import type { HeavyKey, OpenShard, ParkReason, ShardSamples, SplitPlan } from './types.js'

/** Pieces of one split at most, keys of their own not counted. */
export const piecesMax = 8
/** Fewer points than this say too little about where the load lies. */
export const pointsMin = 32
/** Without a key of its own in it, a split must leave the heaviest piece below this part of the parent's load. */
export const heaviestMax = 0.9

export type PlannedSplit =
  | { readonly plan: SplitPlan }
  | { readonly none: ParkReason; readonly key?: HeavyKey | undefined }

interface Gap {
  readonly low: Hash64
  readonly high: Hash64
  /** Range of its points in the sorted ones. */
  readonly from: number
  readonly to: number
  pieces: number
}

/**
 * Where a shard with this load (in targets) is cut: keys with at least `isolateAbove` get shards of their own, what lies
 * between them is cut at load quantiles into pieces of about `watchAbove`.
 */
export function planSplit(
  shard: OpenShard,
  load: number,
  samples: ShardSamples,
  policy: Pick<SplitPolicy, 'isolateAbove' | 'watchAbove'>,
  cutsMax: number = splitCutsMax,
): PlannedSplit {
  const heaviest = samples.heavy[0]
  if (compareHash(shard.low, shard.high) === 0)
    return { none: 'unsplittable', key: heaviest && { ...heaviest, share: 1 } }
  if (cutsMax < 1) return { none: 'shardsMax' }
  const isolated: HeavyKey[] = []
  let boundaries: readonly Hash64[] = []
  for (const key of samples.heavy) {
    if (key.share * load < policy.isolateAbove || !isWithin(shard, key.hash)) continue
    const more = withKey(shard, boundaries, key.hash)
    if (more.length > cutsMax) continue
    boundaries = more
    isolated.push(key)
  }
  if (isolated.length === 0 && samples.points.length < pointsMin) return { none: 'noSamples' }
  const cuts = withQuantiles(shard, load, samples.points, boundaries, isolated, policy.watchAbove, cutsMax)
  const shares = sharesOf(shard, cuts, samples.points, isolated)
  if (isolated.length === 0 && (cuts.length === 0 || Math.max(...shares) >= heaviestMax))
    return { none: 'unsplittable', key: heaviest }
  return { plan: { cuts, isolated, pieces: shares.map((share) => share * load) } }
}

const isWithin = ({ low, high }: OpenShard, hash: Hash64): boolean =>
  compareHash(low, hash) <= 0 && compareHash(hash, high) <= 0

const sorted = (cuts: readonly Hash64[]): Hash64[] =>
  [...cuts].sort(compareHash).filter((cut, i, all) => i === 0 || compareHash(cut, all[i - 1] as Hash64) !== 0)

/** Adds the cuts around one hash, as far as they lie within the shard. */
function withKey({ low, high }: OpenShard, cuts: readonly Hash64[], hash: Hash64): Hash64[] {
  const around: Hash64[] = []
  if (compareHash(hash, low) > 0) around.push(hash)
  if (compareHash(hash, high) < 0) around.push(hashAfter(hash))
  return sorted([...cuts, ...around])
}

/** Cuts the gaps between the isolated keys, the heaviest piece first, until each piece is small enough or the cuts run out. */
function withQuantiles(
  shard: OpenShard,
  load: number,
  points: readonly Hash64[],
  boundaries: readonly Hash64[],
  isolated: readonly HeavyKey[],
  aim: number,
  cutsMax: number,
): Hash64[] {
  const each = load / Math.max(1, points.length)
  const gaps = gapsOf(shard, points, boundaries, isolated)
  const weightOf = (gap: Gap) => ((gap.to - gap.from) * each) / gap.pieces
  let left = Math.min(cutsMax - boundaries.length, piecesMax - 1)
  while (left > 0 && gaps.length > 0) {
    const heaviest = gaps.reduce((most, gap) => (weightOf(gap) > weightOf(most) ? gap : most))
    if (weightOf(heaviest) <= aim) break
    heaviest.pieces++
    left--
  }
  return sorted([...boundaries, ...gaps.flatMap((gap) => quantilesOf(gap, points))])
}

function gapsOf(
  { low, high }: OpenShard,
  points: readonly Hash64[],
  boundaries: readonly Hash64[],
  isolated: readonly HeavyKey[],
): Gap[] {
  const starts = [low, ...boundaries]
  return starts.flatMap((start, i) => {
    if (isolated.some((key) => compareHash(key.hash, start) === 0)) return []
    const next = starts[i + 1]
    const from = firstAtOrAbove(points, start)
    return [{ low: start, high, from, to: next ? firstAtOrAbove(points, next) : points.length, pieces: 1 }]
  })
}

/** The cuts of one gap: before or after the key at each quantile, whichever comes nearer to it. */
function quantilesOf({ low, high, from, to, pieces }: Gap, points: readonly Hash64[]): Hash64[] {
  const cuts: Hash64[] = []
  for (let j = 1; j < pieces; j++) {
    const ideal = from + ((to - from) * j) / pieces
    const key = points[Math.min(to - 1, Math.floor(ideal))] as Hash64
    const before = firstAtOrAbove(points, key)
    const isHighest = compareHash(key, high) === 0
    const after = isHighest ? to : firstAtOrAbove(points, hashAfter(key))
    const cut = !isHighest && Math.abs(after - ideal) < Math.abs(before - ideal) ? hashAfter(key) : key
    if (compareHash(cut, low) > 0) cuts.push(cut)
  }
  return cuts
}

/** The part of the load that each child would get: of an isolated key what is known of it, of the rest by the points. */
function sharesOf(
  { low }: OpenShard,
  cuts: readonly Hash64[],
  points: readonly Hash64[],
  isolated: readonly HeavyKey[],
): number[] {
  const starts = [low, ...cuts]
  return starts.map((start, i) => {
    const key = isolated.find(({ hash }) => compareHash(hash, start) === 0)
    const next = starts[i + 1]
    const count = (next ? firstAtOrAbove(points, next) : points.length) - firstAtOrAbove(points, start)
    const share = count / Math.max(1, points.length)
    return key ? Math.max(key.share, share) : share
  })
}

/** Index of the first point at or above a hash. */
function firstAtOrAbove(points: readonly Hash64[], hash: Hash64): number {
  let low = 0
  let high = points.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (compareHash(points[middle] as Hash64, hash) < 0) low = middle + 1
    else high = middle
  }
  return low
}
