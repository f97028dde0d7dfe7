import type { RowEffect } from '../commit/index.js'
import type { Shard, ShardId } from '../log/index.js'
import {
  inheritedWatermarks,
  type KeyRange,
  type NodeWatermark,
  type StageId,
  type StageTaskOptions,
} from '../operators/task/index.js'
import { nowKey, nowValue, type StoredTimes, type TimeOwner, timeKey, timeValue } from './time-rows.js'

/** How far event time is in a source shard, or in a keyed stage. */
export interface OwnedTimes {
  readonly owner: TimeOwner
  readonly watermarks: readonly NodeWatermark[]
}

type Restored = StageTaskOptions['restored']

/** How far event time is in each source shard and each keyed stage, as the last barrier said it. */
export class EventTimes {
  readonly #pipeline: number
  readonly #times = new Map<string, OwnedTimes & { readonly value: Buffer }>()
  #now: number

  constructor(pipeline: number, { times, now }: StoredTimes) {
    this.#pipeline = pipeline
    this.#now = now
    for (const { owner, watermarks } of times)
      this.#times.set(nameOf(owner), { owner, value: timeValue(watermarks), watermarks })
  }

  /** Whether any step of the pipeline has ever asked for event time. */
  get isAsked(): boolean {
    return this.#times.size > 0
  }

  /**
   * How far the slowest is: of keyed stages where there are any, else of the shards that are still read; undefined while
   * nothing is known.
   */
  lowest(isRead: (root: number, shard: ShardId) => boolean): number | undefined {
    const times = [...this.#times.values()]
    const stages = times.filter(({ owner }) => owner.kind === 'stage')
    const shards = times.filter(({ owner }) => owner.kind === 'shard' && isRead(owner.root, owner.shard))
    const known = (stages.length > 0 ? stages : shards).flatMap(({ watermarks }) =>
      watermarks.filter(({ watermark, isIdle }) => !isIdle && Number.isFinite(watermark)),
    )
    return known.length === 0 ? undefined : Math.min(...known.map(({ watermark }) => watermark))
  }

  all(): readonly OwnedTimes[] {
    return [...this.#times.values()]
  }

  ofStage(stage: StageId): Restored {
    return this.#restored(this.#times.get(nameOf({ kind: 'stage', stage }))?.watermarks)
  }

  /** That of the shard itself; a child shard begins at its parents' lowest. */
  ofShard(
    root: number,
    shard: Pick<Shard, 'id' | 'parents'>,
    rangeOf: (parent: ShardId) => KeyRange | undefined,
  ): Restored {
    const own = this.#ofShard(root, shard.id)
    return this.#restored(
      own ??
        inheritedWatermarks(
          shard.parents.map((parent) => ({ watermarks: this.#ofShard(root, parent) ?? [], keys: rangeOf(parent) })),
        ),
    )
  }

  /** Whether it is known how far a shard was. */
  hasShard(root: number, shard: ShardId): boolean {
    return this.#ofShard(root, shard) !== undefined
  }

  #ofShard(root: number, shard: ShardId): readonly NodeWatermark[] | undefined {
    return this.#times.get(nameOf({ kind: 'shard', root, shard }))?.watermarks
  }

  #restored(watermarks: readonly NodeWatermark[] = []): Restored {
    return watermarks.length > 0 || this.#now > 0 ? { watermarks, now: this.#now } : undefined
  }

  /** Takes what a task said at a barrier; gives the row when it is another than before. */
  take(owner: TimeOwner, watermarks: readonly NodeWatermark[]): readonly RowEffect[] {
    const name = nameOf(owner)
    const before = this.#times.get(name)
    if (watermarks.length === 0 && !before) return []
    const value = timeValue(watermarks)
    if (before?.value.equals(value)) return []
    this.#times.set(name, { owner, value, watermarks })
    return [{ key: timeKey(this.#pipeline, owner), value }]
  }

  /** Takes the processing time that tasks saw. */
  takeNow(now: number): readonly RowEffect[] {
    if (now <= this.#now) return []
    this.#now = now
    return [{ key: nowKey(this.#pipeline), value: nowValue(now) }]
  }

  /** Forgets shards whose children have a time of their own. */
  forget(isPast: (root: number, shard: ShardId) => boolean): RowEffect[] {
    const gone: RowEffect[] = []
    for (const [name, { owner }] of this.#times) {
      if (owner.kind !== 'shard' || !isPast(owner.root, owner.shard)) continue
      this.#times.delete(name)
      gone.push({ key: timeKey(this.#pipeline, owner), value: undefined })
    }
    return gone
  }
}

const nameOf = (owner: TimeOwner): string =>
  owner.kind === 'shard' ? `${owner.root} ${owner.shard}` : `stage ${owner.stage}`
