import type { Commit } from '../commit/index.js'
import type { SplitPolicy } from '../config/index.js'
import type { Shard, ShardedLog, ShardId, Stream, StreamId } from '../log/index.js'
import { asMillraceError, type Clock, type Hash64, type Logger, type Timer } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import { type Arriving, admit } from './admission.js'
import { decide, isHot } from './decide.js'
import { type BalanceObserver, DecisionRunner } from './decision-runner.js'
import type { DecisionRecord, ShownKey } from './history.js'
import { hasLimit } from './limiter.js'
import type { LoadSink } from './load-sink.js'
import { type PolicyOverrides, patchedOverrides, policyOf } from './policy.js'
import { isMergeable, StreamBalance } from './stream-balance.js'
import { type TopShard, topShard } from './top.js'
import type { Decision, HeavyKey, LayoutView, ShardLoad, ShardSamples } from './types.js'
import type { WatchedShard } from './watched-shard.js'

/** Between two looks at the shards. */
export const tickMs = 1000

export interface BalancerOptions {
  readonly log: ShardedLog
  readonly commit: Commit
  readonly storage: Storage
  readonly clock: Clock
  readonly logger: Logger
  readonly random: () => number
  /** The configuration's section; streams may have other values. */
  readonly policy: SplitPolicy
  /** log.shardsMax */
  readonly shardsMax: number
  /** A record's key as people read it. */
  readonly showKey: (stream: Stream, key: Buffer) => string
}

/**
 * Measures every open shard once a second, asks `decide`, and has carried out what it says. Effects are in the runner of
 * decisions and in the log; the policy is in neither.
 */
export class Balancer implements LoadSink {
  readonly #options: BalancerOptions
  readonly #runner: DecisionRunner
  readonly #streams = new Map<StreamId, StreamBalance>()
  readonly #shards = new Map<ShardId, WatchedShard>()
  #timer: Timer | undefined
  #last: number
  #isClosed = false

  constructor(options: BalancerOptions) {
    this.#options = options
    this.#runner = new DecisionRunner({ ...options, loadOf: (shard) => this.#shards.get(shard)?.load })
    this.#last = options.clock.monotonic()
  }

  observe(observer: BalanceObserver): void {
    this.#runner.observe(observer)
  }

  start(): void {
    this.#follow()
    this.#schedule()
  }

  #schedule(): void {
    this.#timer = this.#options.clock.setTimeout(() => {
      try {
        this.tick()
      } catch (error) {
        this.#options.logger.error({ stack: asMillraceError(error).stack }, 'The load of the shards cannot be judged.')
      }
      if (!this.#isClosed) this.#schedule()
    }, tickMs)
  }

  /** Measures, decides, and begins what was decided. */
  tick(): void {
    const { clock } = this.#options
    const now = clock.monotonic()
    const ms = now - this.#last
    if (ms <= 0) return
    this.#last = now
    this.#follow()
    for (const [id, balance] of this.#streams) {
      const stream = this.#options.log.stream(id)
      if (!stream) continue
      for (const watched of balance.shards.values()) watched.tick(ms, now, balance.policy)
      for (const decision of this.#decide(stream, balance, now)) this.#runner.begin(stream, balance, decision, now)
    }
  }

  /** Takes up streams and shards that are new, and lets go of those that are gone. */
  #follow(): void {
    const { log, random } = this.#options
    const present = new Set<StreamId>()
    for (const stream of log.streams()) {
      if (stream.closedAt !== undefined) continue
      present.add(stream.id)
      const balance = this.#balanceOf(stream)
      const before = balance.shards.size === 0 ? undefined : [...balance.shards.keys()]
      balance.follow(log.openShards(stream.id), random)
      for (const id of before ?? []) if (!balance.shards.has(id)) this.#shards.delete(id)
      for (const [id, watched] of balance.shards) this.#shards.set(id, watched)
    }
    this.#runner.keepOnly(present)
    for (const [id, balance] of this.#streams) {
      if (present.has(id)) continue
      balance.follow([], random)
      for (const [shard, watched] of this.#shards) if (watched.phase === 'gone') this.#shards.delete(shard)
      this.#streams.delete(id)
    }
  }

  #balanceOf(stream: Stream): StreamBalance {
    let balance = this.#streams.get(stream.id)
    if (!balance) {
      balance = new StreamBalance(this.#options.policy)
      this.#streams.set(stream.id, balance)
    }
    if (balance.overrides !== stream.policy) {
      balance.overrides = stream.policy
      balance.policy = this.policy(stream)
    }
    return balance
  }

  /** The policy in force for a stream. */
  policy(stream: Stream): SplitPolicy {
    try {
      return policyOf(this.#options.policy, stream.policy)
    } catch (error) {
      // Stored by a version that knew other names: what the configuration says is in force.
      this.#options.logger.warn({ stream: stream.name }, asMillraceError(error).message)
      return this.#options.policy
    }
  }

  /** Changes a stream's own values by a merge patch (null takes one back); in force at once. Throws BAD_REQUEST. */
  async setPolicy(stream: Stream, patch: PolicyOverrides | null): Promise<SplitPolicy> {
    const change = (present: Stream): PolicyOverrides | undefined =>
      patch === null ? undefined : patchedOverrides(present.policy ?? {}, patch)
    policyOf(this.#options.policy, change(stream))
    const changed = await this.#options.log.alterStream(stream.id, (present) => {
      const { policy: _, ...rest } = present
      const policy = change(present)
      return policy ? { ...rest, policy } : rest
    })
    return this.#balanceOf(changed).policy
  }

  #decide(stream: Stream, { shards, policy, mergedAtMs }: StreamBalance, now: number): readonly Decision[] {
    const load = new Map<ShardId, ShardLoad>()
    const samples = new Map<ShardId, ShardSamples>()
    for (const [id, watched] of shards) {
      // What is being changed has no load: nothing is decided about it.
      if (watched.isChanging) continue
      load.set(id, watched.load)
      if (isHot(watched.load, policy)) samples.set(id, watched.samples())
    }
    return decide(this.#view(stream, shards, mergedAtMs), load, samples, policy, now)
  }

  #view(stream: Stream, shards: ReadonlyMap<ShardId, WatchedShard>, mergedAtMs: number | undefined): LayoutView {
    const open = this.#options.log.openShards(stream.id).map(({ shard: { id, low, high } }) => {
      return { id, low, high, park: shards.get(id)?.park }
    })
    return { shards: open, isMergeable: isMergeable(stream), mergedAtMs, shardsMax: this.#options.shardsMax }
  }

  /** Splits by hand; written into the history. Errors as `ShardedLog.split`. */
  split(stream: Stream, shard: ShardId, at?: readonly Hash64[]): Promise<readonly Shard[]> {
    return this.#runner.split(stream, shard, at)
  }

  /** Merges by hand; written into the history. Errors as `ShardedLog.merge`. */
  merge(stream: Stream, left: ShardId, right: ShardId): Promise<Shard> {
    return this.#runner.merge(stream, left, right)
  }

  /** The decisions about a stream, newest first. */
  history(stream: StreamId, limit: number): Promise<readonly DecisionRecord[]> {
    return this.#runner.history(stream, limit)
  }

  /** Samples the keys of all shards of a stream, however cold they are, until what it returns is called, once. */
  look(stream: Stream): () => void {
    const now = this.#options.clock.monotonic()
    this.#follow()
    const balance = this.#streams.get(stream.id)
    const looked = [...(balance?.shards.values() ?? [])]
    for (const watched of looked) watched.look(now, (balance as StreamBalance).policy)
    return () => {
      for (const watched of looked) watched.endLook()
    }
  }

  /** The open shards of a stream with their load, heavy keys, and the cut that would be made; hottest first. */
  top(stream: Stream): readonly TopShard[] {
    this.#follow()
    const { shardsMax, clock } = this.#options
    const balance = this.#balanceOf(stream)
    const room = Math.min(shardsMax, balance.policy.shardsMax) - balance.shards.size
    const shown = (key: HeavyKey): ShownKey => this.#runner.shown(stream, key)
    return [...balance.shards.values()]
      .map((watched) => topShard(watched, balance.policy, room, clock.monotonic(), shown))
      .sort((a, b) => b.load - a.load)
  }

  /** For the metrics: the largest load of 10 s, and how many shards are over their target and cannot be cut. */
  summary(stream: StreamId): { readonly load: number; readonly unsplittable: number } {
    const balance = this.#streams.get(stream)
    const parkedShards = [...(balance?.shards.values() ?? [])].filter(
      ({ phase, parkedFor }) => phase === 'parked' && parkedFor?.reason === 'unsplittable',
    )
    return { load: balance?.maxLoad() ?? 0, unsplittable: parkedShards.length }
  }

  spent(shard: ShardId, consumer: string, records: number, milliseconds: number): void {
    this.#shards.get(shard)?.costs.add(consumer, records, milliseconds)
  }

  /**
   * Lets an append through the limiters of its shards, waiting if it must; nothing at all when its stream has no limit.
   * Throws TOO_BUSY when the wait would be longer than `limit.waitMsMax`.
   */
  admit(stream: Stream, arriving: () => Iterable<Arriving>): Promise<void> | undefined {
    const { policy } = this.#balanceOf(stream)
    if (!hasLimit(policy)) return undefined
    const { clock, log } = this.#options
    return admit({
      stream,
      policy,
      arriving: arriving(),
      clock,
      shardOf: ({ hi, lo }) => {
        const shard = log.route(stream.id, { hi, lo })
        return shard && this.#watched(shard.id)
      },
    })
  }

  /** An open shard, also one that was made since the last tick. */
  #watched(shard: ShardId): WatchedShard | undefined {
    if (!this.#shards.has(shard)) this.#follow()
    return this.#shards.get(shard)
  }

  /** Stops looking, and waits for the changes that are under way. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    await this.#runner.close()
  }
}
