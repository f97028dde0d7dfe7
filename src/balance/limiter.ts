import type { SplitPolicy } from '../config/index.js'

/** What goes through at once without waiting. */
const burstMs = 1000
/** While a split is on its way, so many seconds of target above the limit are let through. */
const pendingTargetMs = 10_000

/**
 * The limiter of one shard: a token bucket for records and one for bytes, each kept as the time until which what was let
 * through has used up its rate. First come, first served, since everybody waits for their own time.
 */
export class ShardLimiter {
  #recordsUntil = 0
  #bytesUntil = 0

  /** Milliseconds to wait. What would wait longer than `waitMsMax` is not counted as let through. */
  take(records: number, bytes: number, now: number, policy: SplitPolicy, isSplitPending: boolean): number {
    const { limit, target } = policy
    const slack = (rate: number, aim: number) => burstMs + (isSplitPending ? (pendingTargetMs * aim) / rate : 0)
    const [recordRate, byteRate] = [limit.recordsPerSecond, limit.bytesPerSecond]
    const recordsFrom = Math.max(this.#recordsUntil, now)
    const bytesFrom = Math.max(this.#bytesUntil, now)
    const recordsWait = recordRate > 0 ? recordsFrom - now - slack(recordRate, target.recordsPerSecond) : 0
    const bytesWait = byteRate > 0 ? bytesFrom - now - slack(byteRate, target.bytesPerSecond) : 0
    const wait = Math.max(0, recordsWait, bytesWait)
    if (wait > limit.waitMsMax) return wait
    if (recordRate > 0) this.#recordsUntil = recordsFrom + (records * 1000) / recordRate
    if (byteRate > 0) this.#bytesUntil = bytesFrom + (bytes * 1000) / byteRate
    return wait
  }
}

export const hasLimit = ({ limit }: SplitPolicy): boolean => limit.recordsPerSecond > 0 || limit.bytesPerSecond > 0
