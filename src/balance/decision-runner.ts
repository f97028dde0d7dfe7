import type { Commit } from '../commit/index.js'
import type { RowsInCommit, Shard, ShardedLog, ShardId, Stream, StreamId } from '../log/index.js'
import {
  asMillraceError,
  type Clock,
  type Hash64,
  hashText,
  type Logger,
  type MillraceError,
} from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import { parked } from './decide.js'
import { DecisionHistory, type DecisionRecord, type NewDecision, type ShownKey } from './history.js'
import { remedies } from './remedies.js'
import type { StreamBalance } from './stream-balance.js'
import type { Decision, HeavyKey, ShardLoad } from './types.js'
import type { WatchedShard } from './watched-shard.js'

/** Hears of every change and every pause, for the metrics. */
export type BalanceObserver = (decision: { readonly kind: Decision['kind']; readonly reason: string }) => void

export interface DecisionRunnerOptions {
  readonly log: ShardedLog
  readonly commit: Commit
  readonly storage: Storage
  readonly clock: Clock
  readonly logger: Logger
  /** A record's key as people read it. */
  readonly showKey: (stream: Stream, key: Buffer) => string
  /** What is measured of a shard; undefined when it is not watched. */
  readonly loadOf: (shard: ShardId) => ShardLoad | undefined
}

/** Carries decisions out through the log, those of the balancer and those by hand, each with its row in the history. */
export class DecisionRunner {
  readonly #options: DecisionRunnerOptions
  readonly #history: DecisionHistory
  readonly #changing = new Set<Promise<void>>()
  #observer: BalanceObserver = () => {}
  #isClosed = false

  constructor(options: DecisionRunnerOptions) {
    this.#options = options
    this.#history = new DecisionHistory(options.storage)
  }

  observe(observer: BalanceObserver): void {
    this.#observer = observer
  }

  /** These are the streams that there are: what is known of others is forgotten. */
  keepOnly(streams: ReadonlySet<StreamId>): void {
    this.#history.keepOnly(streams)
  }

  /** Begins what was decided. */
  begin(stream: Stream, balance: StreamBalance, decision: Decision, now: number): void {
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
          isolated: decision.plan.isolated.map((key) => this.shown(stream, key)),
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
    const shown = key && this.shown(stream, key)
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
    const load = this.#options.loadOf(shard)
    return this.#split(stream, shard, at, { reason: 'manual', load: load ? [load] : [], isolated: [], pieces: [] })
  }

  /** Merges by hand; written into the history. Errors as `ShardedLog.merge`. */
  async merge(stream: Stream, left: ShardId, right: ShardId): Promise<Shard> {
    const load = [left, right].flatMap((id) => this.#options.loadOf(id) ?? [])
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

  shown(stream: Stream, { hash, key, share }: HeavyKey): ShownKey {
    return { hash: hashText(hash), key: this.#options.showKey(stream, key), share }
  }

  /** The decisions about a stream, newest first. */
  history(stream: StreamId, limit: number): Promise<readonly DecisionRecord[]> {
    return this.#history.newest(stream, limit)
  }

  /** Waits for the changes that are under way. */
  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all(this.#changing)
  }
}
