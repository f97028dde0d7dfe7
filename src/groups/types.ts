import type { RowEffect } from '../commit/index.js'
import type { Sequence, ShardId, StartPosition, StreamId } from '../log/index.js'

/** A group's place in one shard. */
export interface Position {
  readonly shard: ShardId
  /** The next sequence number to deliver. */
  readonly next: Sequence
  /** The group's durable SHARD_END: everything of the shard was delivered and its effects are committed. */
  readonly ended: boolean
}

/** A position with the number of its newest lease: raised by each commit that gives the shard to a member or takes it away. */
export interface LeasedPosition extends Position {
  readonly lease: number
}

/**
 * Who moves a group: a pipeline, a bridge, a mapping or a link to another region of the daemon, or members that join over the
 * network.
 */
export type GroupKind = 'pipeline' | 'bridge' | 'mapping' | 'replica' | 'client'

/** A named consumer with a durable position in every shard. Pipelines and bridges are groups too. */
export interface Group {
  readonly name: string
  readonly stream: StreamId
  /**
   * Timers of what it has passed are due and fire in commits that follow, with no record to be read for them. Its lag is 1 then at
   * least. Kept by this process alone: whoever moves the group says it.
   */
  hasDueTimers: boolean
  positions(): readonly Position[]
  position(shard: ShardId): Position | undefined
  /**
   * The shards that may be read now: every parent has this group's durable SHARD_END and was itself opened legally.
   * Never inferred from positions (an empty parent would let grandchildren overtake).
   */
  readable(): readonly Position[]
  /**
   * The rows that move the group, for an effect set that carries the effects of the records before the position. After
   * the commit returned, call `moved` with the same positions. For groups without members: leases are not looked at.
   */
  rowsFor(positions: readonly Position[]): RowEffect[]
  moved(positions: readonly Position[]): void
}

export interface CreateGroup {
  readonly kind?: GroupKind
  /** By default what the kind says: those of the daemon hold, those of clients do not. */
  readonly hold?: boolean
  /** Rows for the same commit (a pipeline's own row, a bridge's). */
  readonly rows?: readonly RowEffect[]
}

/** A group that is to be made: its stream, and where in it it begins. */
export interface NewGroup {
  readonly name: string
  readonly stream: StreamId
  readonly start: StartPosition
}

export interface Groups {
  list(): readonly Group[]
  group(name: string): Group | undefined
  /** Makes a group at a start position, by the join rule (SHARD_END for exactly the shards that ended before it). */
  create(name: string, stream: StreamId, start: StartPosition, options?: CreateGroup): Promise<Group>
  /** The same for several groups in one commit: all of them are made or none. */
  createAll(groups: readonly NewGroup[], options?: CreateGroup): Promise<readonly Group[]>
  /** With `rows`, these go into the same commit (a pipeline's own row, a bridge's). */
  delete(name: string, rows?: readonly RowEffect[]): Promise<void>
  /** Moves a group without members by the join rule; with `rows`, these go into the same commit. Throws NOT_FOUND, BAD_REQUEST. */
  move(name: string, to: StartPosition, rows?: readonly RowEffect[]): Promise<void>
  /** In one commit: groups go, and others, with their positions, get new names; those that go give theirs away. */
  replace(change: ReplaceGroups): Promise<void>
}

export interface ReplaceGroups {
  readonly gone: readonly string[]
  /** The names that groups have, and those that they get. */
  readonly renamed: ReadonlyMap<string, string>
  /** Groups that are made in that commit, too. */
  readonly made?: readonly NewGroup[]
  /** Of those that are made. */
  readonly kind: GroupKind
  /** Rows for the same commit. */
  readonly rows: readonly RowEffect[]
}
