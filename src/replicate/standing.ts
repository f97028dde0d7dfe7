import type { Group, Position } from '../groups/index.js'
import type { Sequence, ShardId } from '../log/index.js'
import type { WirePosition } from './types.js'

/** Where a link is in each shard that it may read: what the other region has, not what its group has saved. */
export class Standing {
  readonly #group: Group
  readonly #next = new Map<ShardId, Position>()

  /** @param theirs what the other region says that it has */
  constructor(group: Group, theirs: readonly WirePosition[] = []) {
    this.#group = group
    const known = new Map(theirs.map(([shard, next, ended]) => [shard, { next, ended }]))
    for (const position of group.readable()) {
      const at = known.get(position.shard)
      const isFurther = at !== undefined && at.next >= position.next
      this.#next.set(
        position.shard,
        isFurther ? { ...position, next: at.next as Sequence, ended: at.ended === 1 } : position,
      )
    }
  }

  /** The next sequence number of each shard that is not at its end. */
  reading(): Map<ShardId, Sequence> {
    const reading = new Map<ShardId, Sequence>()
    for (const { shard, next, ended } of this.#next.values()) if (!ended) reading.set(shard, next)
    return reading
  }

  positions(): readonly Position[] {
    return [...this.#next.values()]
  }

  get hasEnded(): boolean {
    return this.positions().some(({ ended }) => ended)
  }

  move(moved: ReadonlyMap<ShardId, { readonly next: Sequence; readonly ended: boolean }>): void {
    for (const [shard, at] of moved) this.#next.set(shard, { shard, ...at })
  }

  wire(): WirePosition[] {
    return this.positions().map(({ shard, next, ended }) => [shard, next, ended ? 1 : 0])
  }

  /** The group has these positions: shards that are done with go, and their children come. */
  saved(positions: readonly Position[]): void {
    for (const { shard, ended } of positions) if (ended) this.#next.delete(shard)
    for (const position of this.#group.readable())
      if (!this.#next.has(position.shard)) this.#next.set(position.shard, position)
  }
}

/**
 * Whether another region has everything before the positions of the group: one that was restored from an older copy of its data
 * has not.
 */
export function hasAll(group: Group, theirs: readonly WirePosition[]): boolean {
  const known = new Map(theirs.map(([shard, next]) => [shard, next]))
  return group.positions().every(({ shard, next, ended }) => ended || (known.get(shard) ?? -1) >= next)
}
