import type { ShardId } from '../log/index.js'
import type { Hash64 } from '../runtime/index.js'

/** What a load can be made of. */
export type LoadKind = 'records' | 'bytes' | 'cpu' | 'queue'

/** What a shard is given and costs, measured. Rates are averages of the last 10 s (of its life, when it is younger). */
export interface ShardLoad {
  readonly recordsPerSecond: number
  readonly bytesPerSecond: number
  /** Threads that its source task needs, in the pipeline that needs most: cost of a record x records per second. */
  readonly cpu: number
  /** Mean wait at its limiter, milliseconds. */
  readonly queueMs: number
  /** Load in targets: the largest of the four above, each divided by its target; of the last 1, 10 and 60 s. */
  readonly u1: number
  readonly u10: number
  readonly u60: number
  /** The largest u60 within `mergeMs`; with it two neighbours can be told to have been cold together. */
  readonly u60Max: number
  /**
   * How many targets' worth is asked for, which says how many pieces are needed. A wait at the limiter hides what is asked
   * for, so it counts as two pieces however long it is.
   */
  readonly demand: number
  /** What the load is made of at most. */
  readonly by: LoadKind
  /** How long u10 has been above `splitAbove`, and u1 above `surgeAbove`, without a pause. */
  readonly hotMs: number
  readonly surgeMs: number
  /** How long it has been measured: since it was made or the daemon opened it. */
  readonly ageMs: number
}

/** A key hash that takes much of a shard's load. */
export interface HeavyKey {
  readonly hash: Hash64
  /** The first bytes of the key, as the records carry it. */
  readonly key: Buffer
  /** Its part of the shard's load, 0 to 1; never more than it has, so nothing is isolated by mistake. */
  readonly share: number
}

/** What was seen of a shard's keys. */
export interface ShardSamples {
  /** Key hashes drawn in proportion to their load, ascending; each stands for the same part of it. */
  readonly points: readonly Hash64[]
  /** Heaviest first. */
  readonly heavy: readonly HeavyKey[]
}

/** A shard that no cut helped is left alone for a while. */
export interface Park {
  /** On the clock of `now`. */
  readonly untilMs: number
  /** How long this pause is; the next one is twice as long. */
  readonly ms: number
}

export interface OpenShard {
  readonly id: ShardId
  /** Inclusive. */
  readonly low: Hash64
  readonly high: Hash64
  readonly park?: Park | undefined
}

/** One stream's open shards, in the order of their ranges. */
export interface LayoutView {
  readonly shards: readonly OpenShard[]
  /** Whether its kind may be merged without being asked. */
  readonly isMergeable: boolean
  /** When the last merge was decided; undefined when none was. */
  readonly mergedAtMs: number | undefined
  /** The daemon's own bound of open shards. */
  readonly shardsMax: number
}

/** Why a hot shard is left alone. */
export type ParkReason =
  /** It holds one key hash, or one key has nearly all of its load. */
  | 'unsplittable'
  /** Its stream has as many open shards as it may have. */
  | 'shardsMax'
  /** Too few records were seen to know where the load is. */
  | 'noSamples'
  /** The log refused the change. */
  | 'refused'

/** A cut set and what it would do. */
export interface SplitPlan {
  /** First hash of each child but the first, ascending. */
  readonly cuts: readonly Hash64[]
  /** Keys that get a shard of their own. */
  readonly isolated: readonly HeavyKey[]
  /** Expected load of each child, in targets. */
  readonly pieces: readonly number[]
}

export type Decision =
  | { readonly kind: 'split'; readonly shard: ShardId; readonly load: ShardLoad; readonly plan: SplitPlan }
  | {
      readonly kind: 'merge'
      readonly left: ShardId
      readonly right: ShardId
      readonly load: readonly [ShardLoad, ShardLoad]
    }
  | {
      readonly kind: 'park'
      readonly shard: ShardId
      readonly reason: ParkReason
      readonly load: ShardLoad
      readonly park: Park
      /** The key that cannot be cut, when it is one. */
      readonly key?: HeavyKey | undefined
    }
