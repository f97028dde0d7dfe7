import type { SplitPolicy } from '../config/index.js'
import type { MeteredShard } from '../log/index.js'
import { MillraceError } from '../runtime/index.js'
import { ConsumerCosts } from './consumer-costs.js'
import { KeySampler } from './key-sampler.js'
import { ShardLimiter } from './limiter.js'
import { ShardMeter } from './shard-meter.js'
import { isChanging, type PhaseEvent, type ShardPhase, shardPhases } from './shard-phase.js'
import type { HeavyKey, Park, ShardLoad, ShardSamples } from './types.js'

/** Below `watchAbove` by so much the sampling ends, so that it does not come and go. */
const coolBelow = 0.9

const nothingSeen: ShardSamples = { points: [], heavy: [] }

/** One open shard as the balancer keeps it in memory. */
export class WatchedShard {
  readonly metered: MeteredShard
  readonly costs: ConsumerCosts
  readonly limiter = new ShardLimiter()
  park: Park | undefined
  /** What the last pause was about. */
  parkedFor: { readonly reason: string; readonly key: HeavyKey | undefined } | undefined
  readonly #meter = new ShardMeter()
  readonly #random: () => number
  #sampler: KeySampler | undefined
  #phase: ShardPhase = 'calm'
  #records: number
  #bytes: number
  #waitMs = 0
  #waits = 0
  /** Of those who want to see its keys. */
  #looks = 0

  /** @param isNew made since the opening: everything that was packed into it counts */
  constructor(metered: MeteredShard, parents: readonly WatchedShard[], isNew: boolean, random: () => number) {
    this.metered = metered
    this.costs = new ConsumerCosts(parents.map((parent) => parent.costs))
    this.#random = random
    this.#records = isNew ? 0 : metered.records
    this.#bytes = isNew ? 0 : metered.bytes
  }

  get phase(): ShardPhase {
    return this.#phase
  }

  get load(): ShardLoad {
    return this.#meter.load
  }

  get isChanging(): boolean {
    return isChanging(this.#phase)
  }

  /** A split is on its way, or about to be decided. */
  get isSplitPending(): boolean {
    const { hotMs, surgeMs } = this.load
    return this.#phase === 'splitting' || (this.#phase === 'watched' && hotMs + surgeMs > 0)
  }

  advance(event: PhaseEvent): void {
    const next = shardPhases[this.#phase][event]
    if (next === undefined)
      throw new MillraceError('INTERNAL', `Shard ${this.metered.shard.id} is ${this.#phase} and cannot ${event}.`)
    this.#phase = next
    if (next === 'calm') this.park = undefined
    if (next === 'gone') this.#stopSampling()
  }

  /** Once a second. */
  tick(ms: number, now: number, policy: SplitPolicy): ShardLoad {
    const { records, bytes } = this.metered
    const counts = {
      records: records - this.#records,
      bytes: bytes - this.#bytes,
      cpu: this.costs.tick(((records - this.#records) * 1000) / ms),
      queueMs: this.#waits === 0 ? 0 : this.#waitMs / this.#waits,
    }
    this.#records = records
    this.#bytes = bytes
    this.#waitMs = 0
    this.#waits = 0
    const load = this.#meter.tick(counts, ms, now, policy)
    const u = Math.max(load.u1, load.u10)
    if (u > policy.watchAbove) this.advance('warm')
    else if (u < policy.watchAbove * coolBelow) this.advance('cool')
    this.#sample(now, policy)
    return load
  }

  #sample(now: number, { target }: SplitPolicy): void {
    if (this.#phase === 'calm' && this.#looks === 0) return this.#stopSampling()
    const bytesWeight = target.recordsPerSecond / target.bytesPerSecond
    if (!this.#sampler) {
      this.#sampler = new KeySampler(this.#random, now, bytesWeight)
      this.metered.sampler = this.#sampler
    }
    this.#sampler.tick(now, this.load.recordsPerSecond, bytesWeight)
  }

  #stopSampling(): void {
    this.#sampler = undefined
    this.metered.sampler = undefined
  }

  /** Samples its keys until the look has ended, however cold it is. */
  look(now: number, policy: SplitPolicy): void {
    this.#looks++
    if (this.#phase !== 'gone') this.#sample(now, policy)
  }

  endLook(): void {
    this.#looks--
  }

  get isSampled(): boolean {
    return this.#sampler !== undefined
  }

  samples(): ShardSamples {
    return this.#sampler?.samples() ?? nothingSeen
  }

  waited(ms: number): void {
    this.#waitMs += ms
    this.#waits++
  }
}
