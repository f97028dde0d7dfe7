import { compareHash, type Hash64 } from '../../runtime/hash.js'
import type { KeyEntry } from './key-entry.js'
import type { NodeWatermark } from './stage-task.js'

/** Hashes of keys, both ends included. */
export interface KeyRange {
  readonly low: Hash64
  readonly high: Hash64
}

/** How far event time was for some keys. */
export interface KeyFloor {
  readonly watermark: number
  readonly keys: KeyRange
}

/**
 * A shard that two were merged into begins at the lower event time of theirs. For the keys of the other one a step in place
 * has fired timers up to a later time: this is their floor, until the shard has come so far too. So event time of no key
 * ever goes back.
 */
export class KeyFloors {
  #floors: readonly KeyFloor[] = []

  /** Takes what is above the event time of all keys. */
  restore(floors: readonly KeyFloor[], watermark: number): void {
    this.#floors = floors
    this.advance(watermark)
  }

  /** Event time of all keys has come so far. */
  advance(watermark: number): void {
    if (this.#floors.length > 0) this.#floors = this.#floors.filter((floor) => floor.watermark > watermark)
  }

  /** -Infinity for a key without one. */
  of({ hashHi: hi, hashLo: lo }: Pick<KeyEntry, 'hashHi' | 'hashLo'>): number {
    let highest = Number.NEGATIVE_INFINITY
    for (const { watermark, keys } of this.#floors)
      if (watermark > highest && compareHash(keys.low, { hi, lo }) <= 0 && compareHash({ hi, lo }, keys.high) <= 0)
        highest = watermark
    return highest
  }

  get all(): readonly KeyFloor[] {
    return this.#floors
  }
}

/**
 * Where the tasks of a keyed stage are: at each node the lowest, and idle only where all are. They differ where the timers of
 * some wait for the next commit.
 */
export function lowestWatermarks(tasks: readonly (readonly NodeWatermark[])[]): readonly NodeWatermark[] {
  const lowest = new Map<number, NodeWatermark>()
  for (const each of tasks.flat()) {
    const other = lowest.get(each.node)
    if (!other) lowest.set(each.node, each)
    else
      lowest.set(each.node, {
        node: each.node,
        watermark: Math.min(each.watermark, other.watermark),
        isIdle: each.isIdle && other.isIdle,
      })
  }
  return [...lowest.values()]
}

/** A shard that a child comes from: what its last barrier said, and its range where it is known. */
export interface ParentTimes {
  readonly watermarks: readonly NodeWatermark[]
  readonly keys: KeyRange | undefined
}

/**
 * Where a child shard begins: at each node the lowest watermark of its parents, and idle only if all of them were; what is
 * above it stays as a floor of its own keys. Until the child begins, every parent that has ended holds its event time, so
 * that no task's can run ahead of the child.
 */
export function inheritedWatermarks(parents: readonly ParentTimes[]): readonly NodeWatermark[] {
  const lowest = new Map<number, NodeWatermark>()
  for (const { node, watermark, isIdle, keys } of parents.flatMap(({ watermarks }) => watermarks)) {
    if (keys) continue
    const other = lowest.get(node)
    lowest.set(node, {
      node,
      watermark: Math.min(watermark, other?.watermark ?? Number.POSITIVE_INFINITY),
      isIdle: isIdle && (other?.isIdle ?? true),
    })
  }
  const floors = parents.flatMap(({ watermarks, keys: all }) =>
    watermarks.flatMap((each): readonly NodeWatermark[] => {
      const keys = each.keys ?? all
      const isAbove = each.watermark > (lowest.get(each.node)?.watermark ?? Number.POSITIVE_INFINITY)
      if (!isAbove || !keys) return []
      const { low, high } = keys
      return [{ node: each.node, watermark: each.watermark, isIdle: false, keys: { low, high } }]
    }),
  )
  return [...lowest.values(), ...floors]
}
