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

/** A named consumer with a durable position in every shard. Pipelines and bridges are groups too. */
export interface Group {
  readonly name: string
  readonly stream: StreamId
  positions(): readonly Position[]
  /**
   * The shards that may be read now: every parent has this group's durable SHARD_END and was itself opened legally.
   * Never inferred from positions (an empty parent would let grandchildren overtake).
   */
  readable(): readonly Position[]
  /**
   * The rows that move the group, for an effect set that carries the effects of the records before the position. After
   * the commit returned, call `moved` with the same positions.
   */
  rowsFor(positions: readonly Position[]): RowEffect[]
  moved(positions: readonly Position[]): void
}

export interface Groups {
  list(): readonly Group[]
  group(name: string): Group | undefined
  /** Makes a group at a start position, by the join rule (SHARD_END for exactly the shards that ended before it). */
  create(name: string, stream: StreamId, start: StartPosition, rows?: readonly RowEffect[]): Promise<Group>
  /** With `rows`, these go into the same commit (a pipeline's own row, a bridge's). */
  delete(name: string, rows?: readonly RowEffect[]): Promise<void>
}
