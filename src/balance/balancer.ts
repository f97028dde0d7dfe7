import type { Commit } from '../commit/index.js'
import type { SplitPolicy } from '../config/index.js'
import type { RowsInCommit, Shard, ShardedLog, ShardId, Stream, StreamId } from '../log/index.js'
import {
  asMillraceError,
  type Clock,
  type Hash64,
  hashText,
  type Logger,
  MillraceError,
  type Timer,
} from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import { decide, isHot, parked } from './decide.js'
import { DecisionHistory, type DecisionRecord, type NewDecision, type ShownKey } from './history.js'
import { hasLimit } from './limiter.js'
import type { LoadSink } from './load-sink.js'
import { type PolicyOverrides, patchedOverrides, policyOf } from './policy.js'
import { remedies } from './remedies.js'
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

/** Hears of every change and every pause, for the metrics. */
export type BalanceObserver = (decision: { readonly kind: Decision['kind']; readonly reason: string }) => void

/** Where the records of one append go. */
export interface Arriving {
  readonly hi: number
  readonly lo: number
  readonly bytes: number
}

/**
 * Measures every open shard once a second, asks `decide`, and carries out what it says through the log. What was decided is
 * written in the commit that does it. Effects are here and in the log; the policy is not.
 */
export class Balancer implements LoadSink {
  readonly #options: BalancerOptions
  readonly #history: DecisionHistory
  readonly #streams = new Map<StreamId, StreamBalance>()
  readonly #shards = new Map<ShardId, WatchedShard>()
  readonly #changing = new Set<Promise<void>>()
  #observer: BalanceObserver = () => {}
  #timer: Timer | undefined
  #last: number
  #isClosed = false

  constructor(options: BalancerOptions) {
    this.#options = options
    this.#history = new DecisionHistory(options.storage)
    this.#last = options.clock.monotonic()
  }

  observe(observer: BalanceObserver): void {
    this.#observer = observer
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
      for (const decision of this.#decide(stream, balance, now)) this.#begin(stream, balance, decision, now)
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
    this.#history.keepOnly(present)
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

  #begin(stream: Stream, balance: StreamBalance, decision: Decision, now: number): void {
    const ids = decision.kind === 'merge' ? [decision.left, decision.right] : [decision.shard]
    const concerned = ids.map((id) => balance.shards.get(id) as WatchedShard)
    for (const watched of concerned) watched.advance(decision.kind)
    if (decision.kind === 'merge') balance.mergedAtMs = now
    const change = this.#carryOut(stream, decision, concerned)
      .catch((error: unknown) => this.#refused(stream, balance, decision, concerned, asMillraceError(error)))
      .finally(() => this.#changing.delete(change))
    this.#changing.add(change)
  }

  async #carryOut(stream: Stream, decision: Decision, [watched]: readonly WatchedShard[]): Promise<void> {
    switch (decision.kind) {
      case 'split':
        await this.#split(stream, decision.shard, decision.plan.cuts, {
          reason: decision.load.by,
          load: [decision.load],
          isolated: decision.plan.isolated.map((key) => this.#shown(stream, key)),
          pieces: decision.plan.pieces,
        })
        return
      case 'merge':
        await this.#merge(stream, decision.left, decision.right, 'cold', decision.load)
        return
      case 'park':
        await this.#park(stream, decision, watched as WatchedShard)
    }
  }

  async #park(stream: Stream, decision: Extract<Decision, { kind: 'park' }>, watched: WatchedShard): Promise<void> {
    const { shard, reason, load, park, key } = decision
    watched.park = park
    watched.parkedFor = { reason, key }
    const shown = key && this.#shown(stream, key)
    this.#options.logger.warn(
      { stream: stream.name, shard, reason, load: load.u10, key: shown?.key, share: shown?.share, pauseMs: park.ms },
      `Shard ${shard} of ${stream.name} is over its target and no cut helps.`,
    )
    this.#observer({ kind: 'park', reason })
    await this.#history.prepare(stream.id)
    const record: NewDecision = {
      kind: 'park',
      reason,
      shard,
      load: [load],
      pauseMs: park.ms,
      key: shown,
      remedies: remedies[reason],
    }
    await this.#options.commit.submit({
      essential: true,
      atPack: ({ time }) => this.#history.rows(stream.id, record, time),
    })
  }

  /** The log did not take it: somebody else was faster, a bound is reached, or the store failed. */
  #refused(
    stream: Stream,
    balance: StreamBalance,
    decision: Decision,
    concerned: readonly WatchedShard[],
    error: MillraceError,
  ): void {
    if (this.#isClosed || error.code === 'STORE_FAILED') return
    this.#options.logger.warn(
      { stream: stream.name, code: error.code },
      `A ${decision.kind} was refused: ${error.message}`,
    )
    if (decision.kind === 'park') return
    for (const watched of concerned) watched.advance('refused')
    const [first] = concerned
    if (decision.kind !== 'split' || !first || first.phase !== 'parked') return
    const now = this.#options.clock.monotonic()
    const { id } = first.metered.shard
    const pause = parked({ id, park: first.park }, 'refused', decision.load, balance.policy, now)
    if (pause.kind === 'park') void this.#park(stream, pause, first).catch(() => {})
  }

  /** Splits by hand; written into the history. Errors as `ShardedLog.split`. */
  async split(stream: Stream, shard: ShardId, at?: readonly Hash64[]): Promise<readonly Shard[]> {
    const load = this.#shards.get(shard)?.load
    return this.#split(stream, shard, at, { reason: 'manual', load: load ? [load] : [], isolated: [], pieces: [] })
  }

  /** Merges by hand; written into the history. Errors as `ShardedLog.merge`. */
  async merge(stream: Stream, left: ShardId, right: ShardId): Promise<Shard> {
    const load = [left, right].flatMap((id) => this.#shards.get(id)?.load ?? [])
    return this.#merge(stream, left, right, 'manual', load)
  }

  async #split(
    stream: Stream,
    shard: ShardId,
    cuts: readonly Hash64[] | undefined,
    why: Pick<Extract<DecisionRecord, { kind: 'split' }>, 'reason' | 'load' | 'isolated' | 'pieces'>,
  ): Promise<readonly Shard[]> {
    const rows = await this.#recorded(stream, (opened) => ({
      kind: 'split',
      ...why,
      parents: [shard],
      children: opened.map(({ id }) => id),
      cuts: opened.slice(1).map(({ low }) => hashText(low)),
    }))
    const children = await this.#options.log.split(shard, cuts, rows)
    this.#observer({ kind: 'split', reason: why.reason })
    return children
  }

  async #merge(
    stream: Stream,
    left: ShardId,
    right: ShardId,
    reason: 'cold' | 'manual',
    load: readonly ShardLoad[],
  ): Promise<Shard> {
    const rows = await this.#recorded(stream, (opened) => ({
      kind: 'merge',
      reason,
      load,
      parents: [left, right],
      children: opened.map(({ id }) => id),
    }))
    const child = await this.#options.log.merge(left, right, rows)
    this.#observer({ kind: 'merge', reason })
    return child
  }

  async #recorded(stream: Stream, decision: (opened: readonly Shard[]) => NewDecision): Promise<RowsInCommit> {
    await this.#history.prepare(stream.id)
    return ({ opened, time }) => this.#history.rows(stream.id, decision(opened), time)
  }

  #shown(stream: Stream, { hash, key, share }: HeavyKey): ShownKey {
    return { hash: hashText(hash), key: this.#options.showKey(stream, key), share }
  }

  /** The decisions about a stream, newest first. */
  history(stream: StreamId, limit: number): Promise<readonly DecisionRecord[]> {
    return this.#history.newest(stream, limit)
  }

  /** Samples the keys of all shards of a stream for so long, however cold they are. */
  want(stream: Stream, ms: number): void {
    const now = this.#options.clock.monotonic()
    this.#follow()
    const balance = this.#streams.get(stream.id)
    for (const watched of balance?.shards.values() ?? []) watched.want(now + ms, now, (balance as StreamBalance).policy)
  }

  /** The open shards of a stream with their load, heavy keys, and the cut that would be made; hottest first. */
  top(stream: Stream): readonly TopShard[] {
    this.#follow()
    const { shardsMax, clock } = this.#options
    const balance = this.#balanceOf(stream)
    const room = Math.min(shardsMax, balance.policy.shardsMax) - balance.shards.size
    const shown = (key: HeavyKey): ShownKey => this.#shown(stream, key)
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
    const now = clock.monotonic()
    const parts = new Map<WatchedShard, { records: number; bytes: number }>()
    for (const { hi, lo, bytes } of arriving()) {
      const shard = log.route(stream.id, { hi, lo })
      const watched = shard && this.#watched(shard.id)
      if (!watched) continue
      const part = parts.get(watched) ?? { records: 0, bytes: 0 }
      part.records++
      part.bytes += bytes
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

  /** An open shard, also one that was made since the last tick. */
  #watched(shard: ShardId): WatchedShard | undefined {
    if (!this.#shards.has(shard)) this.#follow()
    return this.#shards.get(shard)
  }

  /** Stops looking, and waits for the changes that are under way. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    await Promise.all(this.#changing)
  }
}
