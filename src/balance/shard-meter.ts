import type { SplitPolicy } from '../config/index.js'
import { MovingAverage } from './moving-average.js'
import { Peak } from './peak.js'
import type { ShardLoad } from './types.js'

/** What was counted since the last tick. */
export interface Counts {
  readonly records: number
  readonly bytes: number
  /** Threads that its consumers need now. */
  readonly cpu: number
  /** Mean wait at the limiter in this tick. */
  readonly queueMs: number
}

const shortTicks = 10
const longTicks = 60

/** The moving averages of one shard; fed once a second. */
export class ShardMeter {
  readonly #records = new MovingAverage(shortTicks)
  readonly #bytes = new MovingAverage(shortTicks)
  readonly #cpu = new MovingAverage(shortTicks)
  readonly #queue = new MovingAverage(shortTicks)
  readonly #long = new MovingAverage(longTicks)
  readonly #peak = new Peak()
  #u1 = 0
  #hotMs = 0
  #surgeMs = 0
  #ageMs = 0
  load: ShardLoad = idle

  /** @param ms since the tick before; @param now on the monotonic clock */
  tick(counts: Counts, ms: number, now: number, policy: SplitPolicy): ShardLoad {
    const perSecond = 1000 / ms
    const { target } = policy
    const [records, bytes] = [counts.records * perSecond, counts.bytes * perSecond]
    this.#records.add(records)
    this.#bytes.add(bytes)
    this.#cpu.add(counts.cpu)
    this.#queue.add(counts.queueMs)
    this.#u1 = inTargets(records, bytes, counts.cpu, counts.queueMs, target)
    this.#long.add(this.#u1)
    this.#ageMs += ms
    const u10 = inTargets(this.#records.value, this.#bytes.value, this.#cpu.value, this.#queue.value, target)
    const u60 = this.#long.value
    this.#peak.add(u60, now, policy.mergeMs)
    this.#hotMs = u10 > policy.splitAbove ? this.#hotMs + ms : 0
    this.#surgeMs = this.#u1 > policy.surgeAbove ? this.#surgeMs + ms : 0
    this.load = {
      recordsPerSecond: this.#records.value,
      bytesPerSecond: this.#bytes.value,
      cpu: this.#cpu.value,
      queueMs: this.#queue.value,
      u1: this.#u1,
      u10,
      u60,
      u60Max: this.#peak.value,
      hotMs: this.#hotMs,
      surgeMs: this.#surgeMs,
      ageMs: this.#ageMs,
    }
    return this.load
  }
}

function inTargets(
  recordsPerSecond: number,
  bytesPerSecond: number,
  cpu: number,
  queueMs: number,
  target: SplitPolicy['target'],
): number {
  return Math.max(
    recordsPerSecond / target.recordsPerSecond,
    bytesPerSecond / target.bytesPerSecond,
    cpu / target.cpu,
    queueMs / target.queueMs,
  )
}

const idle: ShardLoad = {
  recordsPerSecond: 0,
  bytesPerSecond: 0,
  cpu: 0,
  queueMs: 0,
  u1: 0,
  u10: 0,
  u60: 0,
  u60Max: 0,
  hotMs: 0,
  surgeMs: 0,
  ageMs: 0,
}
