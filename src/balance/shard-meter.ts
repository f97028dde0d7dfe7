import type { SplitPolicy } from '../config/index.js'
import { MovingAverage } from './moving-average.js'
import { Peak } from './peak.js'
import type { LoadKind, ShardLoad } from './types.js'

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
  #hotMs = 0
  #surgeMs = 0
  #ageMs = 0
  load: ShardLoad = idle

  /** @param ms since the tick before; @param now on the monotonic clock */
  tick(counts: Counts, ms: number, now: number, policy: SplitPolicy): ShardLoad {
    const perSecond = 1000 / ms
    const [records, bytes] = [counts.records * perSecond, counts.bytes * perSecond]
    this.#records.add(records)
    this.#bytes.add(bytes)
    this.#cpu.add(counts.cpu)
    this.#queue.add(counts.queueMs)
    const now1 = inTargets(records, bytes, counts.cpu, counts.queueMs, policy)
    const now10 = inTargets(this.#records.value, this.#bytes.value, this.#cpu.value, this.#queue.value, policy)
    this.#long.add(now1.u)
    this.#peak.add(this.#long.value, now, policy.mergeMs)
    this.#ageMs += ms
    this.#hotMs = now10.u > policy.splitAbove ? this.#hotMs + ms : 0
    this.#surgeMs = now1.u > policy.surgeAbove ? this.#surgeMs + ms : 0
    this.load = {
      recordsPerSecond: this.#records.value,
      bytesPerSecond: this.#bytes.value,
      cpu: this.#cpu.value,
      queueMs: this.#queue.value,
      u1: now1.u,
      u10: now10.u,
      u60: this.#long.value,
      u60Max: this.#peak.value,
      demand: Math.max(now1.demand, now10.demand),
      by: now10.by,
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
  { target, watchAbove }: SplitPolicy,
): { u: number; demand: number; by: LoadKind } {
  const records = recordsPerSecond / target.recordsPerSecond
  const bytes = bytesPerSecond / target.bytesPerSecond
  const needed = cpu / target.cpu
  const queue = queueMs / target.queueMs
  const u = Math.max(records, bytes, needed, queue)
  const by = u === records ? 'records' : u === bytes ? 'bytes' : u === needed ? 'cpu' : 'queue'
  return { u, demand: Math.max(records, bytes, needed, Math.min(queue, 2 * watchAbove)), by }
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
  demand: 0,
  by: 'records',
  hotMs: 0,
  surgeMs: 0,
  ageMs: 0,
}
