import type { SplitPolicy } from '../config/index.js'
import type { Stream } from '../log/index.js'
import { type Clock, MillraceError } from '../runtime/index.js'
import type { WatchedShard } from './watched-shard.js'

/** Where the records of one append go. */
export interface Arriving {
  readonly hi: number
  readonly lo: number
  readonly bytes: number
}

export interface Admission {
  readonly stream: Stream
  readonly policy: SplitPolicy
  readonly arriving: Iterable<Arriving>
  readonly clock: Clock
  readonly shardOf: (arriving: Arriving) => WatchedShard | undefined
}

/**
 * Lets an append through the limiters of its shards; undefined when it need not wait. Throws TOO_BUSY when the wait would be
 * longer than `limit.waitMsMax`.
 */
export function admit({ stream, policy, arriving, clock, shardOf }: Admission): Promise<void> | undefined {
  const now = clock.monotonic()
  const parts = new Map<WatchedShard, { records: number; bytes: number }>()
  for (const each of arriving) {
    const watched = shardOf(each)
    if (!watched) continue
    const part = parts.get(watched) ?? { records: 0, bytes: 0 }
    part.records++
    part.bytes += each.bytes
    parts.set(watched, part)
  }
  let wait = 0
  for (const [watched, { records, bytes }] of parts) {
    const ms = watched.limiter.take(records, bytes, now, policy, watched.isSplitPending)
    watched.waited(ms)
    wait = Math.max(wait, ms)
  }
  if (wait > policy.limit.waitMsMax) {
    throw new MillraceError(
      'TOO_BUSY',
      `The limit of a shard of ${stream.name} would hold this append for ${Math.ceil(wait)} ms.`,
      {
        details: { waitMs: Math.ceil(wait), limit: policy.limit },
      },
    )
  }
  return wait === 0 ? undefined : new Promise((resolve) => clock.setTimeout(resolve, wait))
}
