import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import type { Clock } from './clock.js'

const lookMs = 1000
/** What may be allocated between two full collections while the heap is small. */
const headroomBytes = 64 * 1024 * 1024
/** The heap grows to four times what was live: the most that V8 allows itself, too. */
const growthPercentMax = 300
/** A larger heap is left to V8, which gives it as much by itself. */
const growthPercentMin = 75
const growthPercentStep = 25

/**
 * How far V8 may let the heap grow before its next full collection, in percent of what is live; 0 leaves it to V8.
 *
 * @param liveBytes what a full collection left in the heap outside of its young generation
 */
export function growthPercentFor(liveBytes: number): number {
  const percent = (100 * headroomBytes) / Math.max(1, liveBytes)
  if (percent < growthPercentMin) return 0
  // In steps, so that it is not another one with every look.
  return Math.min(Math.floor(percent / growthPercentStep) * growthPercentStep, growthPercentMax)
}

/**
 * Keeps room between the live heap of this process and its next full collection, from now on. V8 counts the memory of Buffers,
 * which lies outside of its heap, against a limit that follows the heap's own size: with 16 MiB of it, every 13 MB that were
 * read from the store cost a full collection, and these were half of an export's processor time. Young collections alone free
 * such Buffers.
 *
 * It looks at the heap once a second: the limit is computed at the end of a collection, with what is set by then.
 */
export function keepHeapHeadroom(clock: Clock): void {
  const headroom = new HeapHeadroom()
  let percent = 0
  const look = (): void => {
    let oldBytes = 0
    for (const { space_name: name, space_used_size: bytes } of getHeapSpaceStatistics())
      if (!name.startsWith('new_')) oldBytes += bytes
    const wanted = headroom.percentAt(oldBytes)
    if (wanted !== percent) setFlagsFromString(`--heap-growing-percent=${wanted}`)
    percent = wanted
    clock.setTimeout(look, lookMs)
  }
  look()
}

/** Knows what of a heap is live by what is seen of it from time to time. */
export class HeapHeadroom {
  #last = Number.POSITIVE_INFINITY
  #live = 0
  #percent = 0

  /** @param oldBytes what lies in the heap outside of its young generation, garbage too */
  percentAt(oldBytes: number): number {
    // It falls by a collection alone, and gets so far only where one has come meanwhile; what else was added may be garbage.
    const most = Math.max(this.#live * (1 + this.#percent / 100), this.#live + headroomBytes)
    if (oldBytes < this.#last || oldBytes > most) this.#live = oldBytes
    this.#last = oldBytes
    this.#percent = growthPercentFor(this.#live)
    return this.#percent
  }
}
