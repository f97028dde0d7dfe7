import type { RowEffect } from '../commit/index.js'
import type { Log, Sequence, ShardId, StreamId } from '../log/index.js'
import { type GroupRow, positionKey, positionRow } from './rows.js'
import type { Group, GroupKind, LeasedPosition, Position } from './types.js'

type ReadLayout = Pick<Log, 'shards' | 'shard'>

/**
 * A group with its positions, twice: as the next commit will find them (`packed`, what a commit checks and changes when it
 * is packed) and as they are durable (what members and readers are told).
 */
export class DurableGroup implements Group {
  #row: GroupRow
  /** Set at packing: nothing of a deleted group is written any more. */
  isDeleted = false
  /** Number of its newest start or seek, set when that is packed; 0 for none since the opening. */
  started = 0
  #shownStart = 0
  hasDueTimers = false
  readonly #log: ReadLayout
  #durable = new Map<ShardId, LeasedPosition>()
  #packed = new Map<ShardId, LeasedPosition>()
  /** What the commit in flight will make durable. */
  #changed = new Map<ShardId, LeasedPosition | undefined>()
  #lastLease = 0
  readonly #listeners = new Set<() => void>()

  constructor(row: GroupRow, log: ReadLayout) {
    this.#row = row
    this.#log = log
  }

  get row(): GroupRow {
    return this.#row
  }

  /** The commit of its new name has returned. */
  renamed(row: GroupRow): void {
    this.#row = row
  }

  get name(): string {
    return this.row.name
  }

  get stream(): StreamId {
    return this.row.stream
  }

  get kind(): GroupKind {
    return this.row.kind
  }

  /** Whether records that the group has not passed are kept, within the bound of retention. */
  get hold(): boolean {
    return this.row.hold
  }

  /** A position as it was read from the store. */
  load(position: LeasedPosition): void {
    this.#durable.set(position.shard, position)
    this.#packed.set(position.shard, position)
    this.#lastLease = Math.max(this.#lastLease, position.lease)
  }

  positions(): readonly LeasedPosition[] {
    return [...this.#durable.values()]
  }

  position(shard: ShardId): LeasedPosition | undefined {
    return this.#durable.get(shard)
  }

  readable(): readonly LeasedPosition[] {
    const readable: LeasedPosition[] = []
    for (const shard of this.#log.shards(this.stream)) {
      const position = readablePosition(this.#durable, shard)
      if (position) readable.push(position)
    }
    return readable
  }

  rowsFor(positions: readonly Position[]): RowEffect[] {
    return positions.map((position) =>
      positionRow(this.row.id, { ...position, lease: this.#packed.get(position.shard)?.lease ?? 0 }),
    )
  }

  moved(positions: readonly Position[]): void {
    for (const position of positions) {
      this.load({ ...position, lease: this.#packed.get(position.shard)?.lease ?? 0 })
    }
  }

  // What follows runs while a commit is packed.

  packedPosition(shard: ShardId): LeasedPosition | undefined {
    return this.#packed.get(shard)
  }

  packedPositions(): Iterable<LeasedPosition> {
    return this.#packed.values()
  }

  /** The position of a shard that may be read, as the next commit finds it. */
  packedReadable(shard: ShardId): LeasedPosition | undefined {
    const description = this.#log.shard(shard)
    return description && readablePosition(this.#packed, description)
  }

  /** A number above that of every lease so far. */
  takeLease(): number {
    this.#lastLease += 1
    return this.#lastLease
  }

  put(position: LeasedPosition): RowEffect {
    this.#packed.set(position.shard, position)
    this.#changed.set(position.shard, position)
    return positionRow(this.row.id, position)
  }

  drop(shard: ShardId): RowEffect {
    this.#packed.delete(shard)
    this.#changed.set(shard, undefined)
    return { key: positionKey(this.row.id, shard), value: undefined }
  }

  /** Whether the positions that readers are told are those of the newest start or seek. */
  get isStartShown(): boolean {
    return this.#shownStart === this.started
  }

  /** The commit that was packed last has returned. */
  show(): void {
    this.#shownStart = this.started
    if (this.#changed.size === 0) return
    const changed = this.#changed
    this.#changed = new Map()
    let isOther = false
    for (const [shard, position] of changed) {
      isOther ||= !position || position.ended || position.lease !== this.#durable.get(shard)?.lease
      if (position) this.#durable.set(shard, position)
      else this.#durable.delete(shard)
    }
    if (isOther) for (const listener of this.#listeners) listener()
  }

  /** Calls back after each commit that ended a shard or changed a lease, inside of its return: it may only note that. */
  onMoved(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}

/** Only the SHARD_END of every parent opens a child; a parent without a position was itself never opened. */
function readablePosition(
  positions: ReadonlyMap<ShardId, LeasedPosition>,
  shard: { readonly id: ShardId; readonly parents: readonly ShardId[]; readonly firstSequence: Sequence },
): LeasedPosition | undefined {
  const position = positions.get(shard.id)
  if (position) return position.ended ? undefined : position
  if (shard.parents.length === 0) return undefined
  for (const parent of shard.parents) if (!positions.get(parent)?.ended) return undefined
  return { shard: shard.id, next: shard.firstSequence, ended: false, lease: 0 }
}
