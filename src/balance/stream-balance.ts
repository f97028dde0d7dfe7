import type { SplitPolicy } from '../config/index.js'
import type { MeteredShard, ShardId, Stream } from '../log/index.js'
import type { PolicyOverrides } from './policy.js'
import { WatchedShard } from './watched-shard.js'

/** One stream as the balancer keeps it in memory: its open shards and the policy in force. */
export class StreamBalance {
  readonly shards = new Map<ShardId, WatchedShard>()
  mergedAtMs: number | undefined
  policy: SplitPolicy
  /** The overrides that `policy` was made from. */
  overrides: PolicyOverrides | undefined
  /** The shards of the first look were there before: what they hold came at another time. */
  #isFirst = true

  constructor(policy: SplitPolicy) {
    this.policy = policy
  }

  /** Takes up what was opened and lets go of what was sealed, by whomever. */
  follow(open: readonly MeteredShard[], random: () => number): void {
    const before = new Map(this.shards)
    const present = new Set<ShardId>()
    for (const metered of open) {
      const { id, parents } = metered.shard
      present.add(id)
      if (this.shards.has(id)) continue
      const known = parents.flatMap((parent) => before.get(parent) ?? [])
      this.shards.set(id, new WatchedShard(metered, known, !this.#isFirst, random))
    }
    for (const [id, watched] of before) {
      if (present.has(id)) continue
      watched.advance('sealed')
      this.shards.delete(id)
    }
    this.#isFirst = false
  }

  maxLoad(): number {
    let most = 0
    for (const { load } of this.shards.values()) most = Math.max(most, load.u10)
    return most
  }
}

/** Merges by themselves are for plain streams: a reader of a table's AWS stream knows one parent of a shard. */
export const isMergeable = (stream: Stream): boolean => stream.kind === 'plain'
