import { decide, isHot } from '../../src/balance/decide.js'
import { Reservoir } from '../../src/balance/reservoir.js'
import { ShardMeter } from '../../src/balance/shard-meter.js'
import { SpaceSaving } from '../../src/balance/space-saving.js'
import type { Decision, OpenShard, Park, ShardLoad, ShardSamples } from '../../src/balance/types.js'
import { type SplitPolicy, splitSchema } from '../../src/config/index.js'
import type { ShardId } from '../../src/log/index.js'
import { compareHash, type Hash64, hashBefore, hashMax, hashMin } from '../../src/runtime/index.js'
import type { KeyLoad } from './zipf.js'

interface SimulatedShard {
  readonly id: ShardId
  readonly low: Hash64
  readonly high: Hash64
  /** Its keys in the sorted ones. */
  readonly from: number
  readonly to: number
  readonly meter: ShardMeter
  readonly sampler: { readonly reservoir: Reservoir; readonly counters: SpaceSaving }
  park: Park | undefined
}

function samplesOf({ sampler: { reservoir, counters } }: SimulatedShard): ShardSamples {
  const heavy = counters.heaviest().map(({ hi, lo, key, count, over }) => {
    return { hash: { hi, lo }, key, share: (count - over) / counters.total }
  })
  return { points: reservoir.points(), heavy }
}

export interface SimulationOptions {
  readonly keys: readonly KeyLoad[]
  /** Records a second at a time in seconds from the start. */
  readonly rate: (second: number) => number
  readonly random: () => number
  readonly policy?: Parameters<typeof splitSchema.parse>[0]
}

/** The real meters, samples and `decide` over virtual seconds; a change takes effect at the end of its second. */
export class Simulation {
  readonly policy: SplitPolicy
  readonly decisions: { readonly second: number; readonly decision: Decision }[] = []
  readonly #options: SimulationOptions
  readonly #keys: readonly KeyLoad[]
  /** Cumulative shares: the first i keys have `#below[i]` of the load. */
  readonly #below: Float64Array
  #shards: SimulatedShard[]
  #id = 0
  #mergedAtMs: number | undefined
  second = 0

  constructor(options: SimulationOptions) {
    this.#options = options
    this.policy = splitSchema.parse(options.policy ?? {})
    this.#keys = [...options.keys].sort(compareHash)
    this.#below = new Float64Array(this.#keys.length + 1)
    this.#keys.forEach((key, i) => {
      this.#below[i + 1] = (this.#below[i] as number) + key.share
    })
    this.#shards = [this.#shard(hashMin, hashMax)]
  }

  #shard(low: Hash64, high: Hash64): SimulatedShard {
    const { random } = this.#options
    return {
      id: ++this.#id as ShardId,
      low,
      high,
      from: this.#firstAtOrAbove(low),
      to: compareHash(high, hashMax) === 0 ? this.#keys.length : this.#firstAbove(high),
      meter: new ShardMeter(),
      sampler: { reservoir: new Reservoir(512, 10_000, random), counters: new SpaceSaving(32) },
      park: undefined,
    }
  }

  #firstAtOrAbove(hash: Hash64): number {
    let [low, high] = [0, this.#keys.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (compareHash(this.#keys[middle] as KeyLoad, hash) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  #firstAbove(hash: Hash64): number {
    const at = this.#firstAtOrAbove(hash)
    const key = this.#keys[at]
    return key && compareHash(key, hash) === 0 ? at + 1 : at
  }

  /** One second: records, samples, a tick of every meter, a decision. */
  step(): void {
    const now = this.second * 1000
    const rate = this.#options.rate(this.second)
    const load = new Map<ShardId, ShardLoad>()
    const samples = new Map<ShardId, ShardSamples>()
    for (const shard of this.#shards) {
      const records = rate * this.#share(shard)
      const counts = { records, bytes: records * 200, cpu: 0, queueMs: 0 }
      load.set(shard.id, shard.meter.tick(counts, 1000, now, this.policy))
      const { u1, u10 } = shard.meter.load
      if (Math.max(u1, u10) <= this.policy.watchAbove) continue
      this.#sample(shard, records, now)
      if (isHot(shard.meter.load, this.policy)) samples.set(shard.id, samplesOf(shard))
    }
    this.second++
    const layout = {
      shards: this.#shards.map(({ id, low, high, park }): OpenShard => ({ id, low, high, park })),
      isMergeable: true,
      mergedAtMs: this.#mergedAtMs,
      shardsMax: 256,
    }
    for (const decision of decide(layout, load, samples, this.policy, now)) this.#carryOut(decision, now)
  }

  #share({ from, to }: SimulatedShard): number {
    return (this.#below[to] as number) - (this.#below[from] as number)
  }

  /** One record in 16, as the packer's sampler sees them. */
  #sample(shard: SimulatedShard, records: number, now: number): void {
    const { reservoir, counters } = shard.sampler
    counters.fade(Math.exp(-0.1))
    const [start, width] = [this.#below[shard.from] as number, this.#share(shard)]
    for (let i = 0; i < records / 16; i++) {
      const key = this.#keyAt(start + this.#options.random() * width, shard)
      reservoir.add(key.hi, key.lo, 1, now)
      counters.add(key.hi, key.lo, 1, key.key, 0, key.key.length)
    }
  }

  #keyAt(below: number, { from, to }: SimulatedShard): KeyLoad {
    let [low, high] = [from, to - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#below[middle + 1] as number) <= below) low = middle + 1
      else high = middle
    }
    return this.#keys[low] as KeyLoad
  }

  #carryOut(decision: Decision, now: number): void {
    this.decisions.push({ second: this.second, decision })
    const index = (id: ShardId) => this.#shards.findIndex((shard) => shard.id === id)
    if (decision.kind === 'park') (this.#shards[index(decision.shard)] as SimulatedShard).park = decision.park
    else if (decision.kind === 'merge') {
      const at = index(decision.left)
      const [left, right] = [this.#shards[at] as SimulatedShard, this.#shards[at + 1] as SimulatedShard]
      this.#shards.splice(at, 2, this.#shard(left.low, right.high))
      this.#mergedAtMs = now
    } else {
      const at = index(decision.shard)
      const { low, high } = this.#shards[at] as SimulatedShard
      const { cuts } = decision.plan
      const children = [low, ...cuts].map((start, i) =>
        this.#shard(start, i < cuts.length ? hashBefore(cuts[i] as Hash64) : high),
      )
      this.#shards.splice(at, 1, ...children)
    }
  }

  /** True loads now, in targets; what holds a single key cannot be cut and does not count as unbalanced. */
  loads(): { readonly load: number; readonly isOneKey: boolean }[] {
    const rate = this.#options.rate(this.second)
    return this.#shards.map((shard) => ({
      load: (rate * this.#share(shard)) / this.policy.target.recordsPerSecond,
      isOneKey: compareHash(shard.low, shard.high) === 0,
    }))
  }

  isBalanced(): boolean {
    return this.loads().every(({ load, isOneKey }) => isOneKey || load <= this.policy.splitAbove)
  }

  count(kind: Decision['kind']): number {
    return this.decisions.filter(({ decision }) => decision.kind === kind).length
  }
}
