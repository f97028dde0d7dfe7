import type { Commit, Counters, RowEffect } from '../commit/index.js'
import {
  asMillraceError,
  compareHash,
  type Hash64,
  hashAfter,
  hashBefore,
  hashText,
  killPoint,
  MillraceError,
  middleOf,
} from '../runtime/index.js'
import type { MergeGuard, RowsInCommit } from './api.js'
import type { ChangesInFlight } from './changes-in-flight.js'
import { checkCuts } from './cuts.js'
import { reachOf } from './extent.js'
import { evenRanges, type Layout, openShard, type ShardState, type StreamState } from './layout.js'
import { shardRow, streamRow } from './rows.js'
import { takes } from './shard-lifecycle.js'
import type { ImagesKept, Sequence, Shard, ShardId, Stream, StreamId } from './types.js'

export interface LayoutLimits {
  /** Open shards of one stream. */
  readonly shardsMax: number
  /** Sealed shards of one stream that are not trimmed away yet. */
  readonly shardsKeptMax: number
  readonly streamsMax: number
}

export interface LayoutChangerOptions {
  readonly commit: Commit
  readonly counters: Counters
  readonly layout: Layout
  readonly limits: LayoutLimits
  readonly changes: ChangesInFlight
}

type LayoutChange = (context: { commit: number; time: number; takeSequence(): Sequence }) => readonly RowEffect[]

/** Makes, seals and replaces shards. Each change is one effect set that is decided when its commit is packed. */
export class LayoutChanger {
  readonly #commit: Commit
  readonly #counters: Counters
  readonly #layout: Layout
  readonly #limits: LayoutLimits
  readonly #changes: ChangesInFlight
  readonly #mergeGuards: MergeGuard[] = []

  constructor({ commit, counters, layout, limits, changes }: LayoutChangerOptions) {
    this.#commit = commit
    this.#counters = counters
    this.#layout = layout
    this.#limits = limits
    this.#changes = changes
  }

  async createStream(options: {
    name: string
    kind: Stream['kind']
    shards: number
    images: ImagesKept
    own?: Pick<Stream, 'policy' | 'retention'>
    rows?: RowsInCommit
  }): Promise<Stream> {
    const { name, kind, shards, images, own = {}, rows } = options
    if (this.#layout.named(name)) {
      // It may be on its way to the disk: the answer must not be taken back by a kill.
      await this.#commit.settled()
      throw new MillraceError('ALREADY_EXISTS', `A stream named ${name} exists.`)
    }
    if (this.#layout.streamCount >= this.#limits.streamsMax)
      throw tooMany('streams', 'log.streamsMax', this.#limits.streamsMax)
    if (!Number.isInteger(shards) || shards < 1 || shards > this.#limits.shardsMax) {
      throw new MillraceError(
        'BAD_REQUEST',
        `A stream has 1 to ${this.#limits.shardsMax} shards (log.shardsMax), not ${shards}.`,
      )
    }
    const id = this.#counters.take('stream') as StreamId
    let made: Stream | undefined
    await this.#change((context) => {
      if (this.#layout.named(name)) return []
      made = { ...own, id, name, kind, createdAt: context.time }
      killPoint('stream:created')
      const state = this.#layout.addStream(made)
      const opened = evenRanges(shards).map((range) => this.#open(state, { ...range, parents: [], images }, context))
      this.#layout.refresh(state)
      const firstSequence = (opened[0] as Shard).firstSequence
      return [
        streamRow(made),
        ...opened.map(shardRow),
        ...(rows?.({ stream: made, firstSequence, time: context.time, opened }) ?? []),
      ]
    })
    if (!made) throw new MillraceError('ALREADY_EXISTS', `A stream named ${name} exists.`)
    return made
  }

  async closeStream(id: StreamId, rows?: RowsInCommit): Promise<void> {
    const state = this.#layout.streamState(id)
    await this.#change((context) => {
      killPoint('stream:closed')
      const sealed = state.open.map((shard) => this.#seal(state, shard, [], context))
      const stream: Stream =
        state.stream.closedAt === undefined ? { ...state.stream, closedAt: context.time } : state.stream
      this.#layout.closeStream(state, stream)
      this.#layout.refresh(state)
      this.#changes.add(state)
      const firstSequence = context.takeSequence()
      return [
        streamRow(stream),
        ...sealed.map(shardRow),
        ...(rows?.({ stream, firstSequence, time: context.time, opened: [] }) ?? []),
      ]
    })
  }

  async reopenShards(id: StreamId, images: ImagesKept, rows?: RowsInCommit): Promise<Sequence> {
    const state = this.#layout.streamState(id)
    let lowest = 0 as Sequence
    await this.#change((context) => {
      const made: Shard[] = []
      const opened: Shard[] = []
      const parents = state.open
      // All are sealed before the first is opened, so that one number separates the two generations.
      const children = parents.map(() => this.#takeShardId())
      parents.forEach((parent, i) => made.push(this.#seal(state, parent, [children[i] as ShardId], context)))
      parents.forEach((parent, i) => {
        const { low, high } = parent.shard
        const child = this.#open(state, { low, high, parents: [parent.shard.id], images }, context, children[i])
        if (lowest === 0) lowest = child.firstSequence
        opened.push(child)
      })
      this.#layout.refresh(state)
      return [
        ...made.map(shardRow),
        ...opened.map(shardRow),
        ...(rows?.({ stream: state.stream, firstSequence: lowest, time: context.time, opened }) ?? []),
      ]
    })
    return lowest
  }

  async split(id: ShardId, at?: Hash64 | readonly Hash64[], rows?: RowsInCommit): Promise<readonly Shard[]> {
    const parent = this.#layout.visibleShard(id)
    const state = this.#layout.streamState(parent.shard.stream)
    const { low, high, images } = parent.shard
    if (compareHash(low, high) === 0)
      throw new MillraceError('SHARD_UNSPLITTABLE', `Shard ${id} holds the single key hash ${hashText(low)}.`)
    const cuts = at === undefined ? [middleOf(low, high)] : 'hi' in at ? [at] : at
    checkCuts(parent.shard, cuts)
    this.#admitShards(state, cuts.length + 1, 1)
    let children: Shard[] | undefined
    let refused: MillraceError | undefined
    await this.#change((context) => {
      refused = refusalOf(() => {
        if (!takes(parent.shard, 'split')) throw sealedAlready(id)
        // Others may have been packed since it was asked for.
        this.#admitShards(state, cuts.length + 1, 1)
      })
      if (refused) return []
      const ids = Array.from({ length: cuts.length + 1 }, () => this.#takeShardId())
      const sealed = this.#seal(state, parent, ids, context)
      children = ids.map((child, i) => {
        const range = {
          low: i === 0 ? low : (cuts[i - 1] as Hash64),
          high: i === cuts.length ? high : hashBefore(cuts[i] as Hash64),
        }
        return this.#open(state, { ...range, parents: [id], images }, context, child)
      })
      this.#layout.replace(state, [parent], this.#statesOf(ids))
      return this.#rowsOfChange(state, [sealed], children, context, rows)
    })
    if (!children) throw refused
    return children
  }

  async merge(left: ShardId, right: ShardId, rows?: RowsInCommit): Promise<Shard> {
    const parents = [this.#layout.visibleShard(left), this.#layout.visibleShard(right)] as const
    const [lower, upper] = [parents[0].shard, parents[1].shard]
    if (lower.stream !== upper.stream || compareHash(hashAfter(lower.high), upper.low) !== 0)
      throw new MillraceError('BAD_REQUEST', `Shard ${right} does not begin where shard ${left} ends.`, {
        remedy: 'Name two neighbours of one stream, the lower one first.',
      })
    const { old, new: newer } = lower.images
    if (old !== upper.images.old || newer !== upper.images.new)
      throw new MillraceError('CONFLICT', `The shards ${left} and ${right} do not keep the same images.`)
    const state = this.#layout.streamState(lower.stream)
    this.#checkMerge(state)
    this.#admitShards(state, 1, 2)
    let child: Shard | undefined
    let refused: MillraceError | undefined
    await this.#change((context) => {
      refused = refusalOf(() => {
        for (const parent of parents) if (!takes(parent.shard, 'merge')) throw sealedAlready(parent.shard.id)
        this.#checkMerge(state)
        this.#admitShards(state, 1, 2)
      })
      if (refused) return []
      const id = this.#takeShardId()
      killPoint('shard:merged')
      const sealed = parents.map((parent) => this.#seal(state, parent, [id], context))
      const range = { low: lower.low, high: upper.high }
      child = this.#open(state, { ...range, parents: [left, right], images: lower.images }, context, id)
      this.#layout.replace(state, parents, this.#statesOf([id]))
      return this.#rowsOfChange(state, sealed, [child], context, rows)
    })
    if (!child) throw refused
    return child
  }

  guardMerges(guard: MergeGuard): void {
    this.#mergeGuards.push(guard)
  }

  async alterStream(id: StreamId, change: (stream: Stream) => Stream): Promise<Stream> {
    const state = this.#layout.streamState(id)
    await this.#change(() => {
      state.stream = change(state.stream)
      this.#changes.add(state)
      return [streamRow(state.stream)]
    })
    return state.stream
  }

  /** Throws TOO_BUSY where a stream would have too many open shards, or too many that are sealed and still kept. */
  #admitShards(state: StreamState, opened: number, sealed: number): void {
    const { shardsMax, shardsKeptMax } = this.#limits
    if (opened > sealed && state.open.length + opened - sealed > shardsMax)
      throw tooMany('open shards', 'log.shardsMax', shardsMax, 'or merge two neighbours')
    if (state.sealed + sealed > shardsKeptMax) throw tooMany('sealed shards', 'log.shardsKeptMax', shardsKeptMax)
  }

  #checkMerge(state: StreamState): void {
    for (const guard of this.#mergeGuards) {
      const why = guard(state.stream.id)
      if (why !== undefined)
        throw new MillraceError('CONFLICT', `Shards of ${state.stream.name} cannot be merged: ${why}.`)
    }
  }

  #statesOf(ids: readonly ShardId[]): ShardState[] {
    return ids.map((id) => this.#layout.shard(id) as ShardState)
  }

  #rowsOfChange(
    { stream }: StreamState,
    sealed: readonly Shard[],
    opened: readonly Shard[],
    { time }: { time: number },
    rows: RowsInCommit | undefined,
  ): readonly RowEffect[] {
    const { firstSequence } = opened[0] as Shard
    return [
      ...sealed.map(shardRow),
      ...opened.map(shardRow),
      ...(rows?.({ stream, firstSequence, time, opened }) ?? []),
    ]
  }

  /** One effect set; its counters row is made when the numbers have been taken, at packing. */
  async #change(change: LayoutChange): Promise<void> {
    await this.#commit.submit({ essential: true, atPack: (context) => [...change(context), this.#counters.row()] })
  }

  #takeShardId(): ShardId {
    return this.#counters.take('shard') as ShardId
  }

  #open(
    state: StreamState,
    seed: Pick<Shard, 'low' | 'high' | 'parents' | 'images'>,
    context: { time: number; takeSequence(): Sequence },
    id: ShardId = this.#takeShardId(),
  ): Shard {
    killPoint('shard:opened')
    const shard = openShard({ ...seed, id, stream: state.stream.id }, context.takeSequence(), context.time)
    this.#changes.add(state, this.#layout.addShard(shard))
    return shard
  }

  #seal(
    stream: StreamState,
    state: ShardState,
    children: readonly ShardId[],
    context: { time: number; takeSequence(): Sequence },
  ): Shard {
    killPoint('shard:sealed')
    state.shard = {
      ...state.shard,
      state: 'sealed',
      children,
      lastSequence: context.takeSequence(),
      sealedAt: context.time,
      // Its records are all packed: those of this commit go to other shards.
      records: { last: state.packedLast, ...reachOf(state.extent) },
    }
    this.#changes.add(stream, state)
    return state.shard
  }
}

/** Within a commit nothing may be thrown: what refuses a change is kept for who asked for it. */
function refusalOf(check: () => void): MillraceError | undefined {
  try {
    check()
    return undefined
  } catch (error) {
    return asMillraceError(error)
  }
}

const sealedAlready = (id: ShardId): MillraceError => new MillraceError('CONFLICT', `Shard ${id} is sealed already.`)

const whileKept = 'deleted streams and sealed shards count while their records are kept'

const tooMany = (what: string, limit: string, max: number, also = whileKept): MillraceError =>
  new MillraceError('TOO_BUSY', `There are ${max} ${what} already.`, {
    details: { limit },
    remedy: `Raise ${limit}; ${also}.`,
  })
