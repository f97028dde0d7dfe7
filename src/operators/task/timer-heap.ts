import type { Timer } from './key-entry.js'
import type { CellName } from './keyed-operator.js'

/** Timers with the earliest one first: a binary heap. Those that are gone stay in it until they come up, or are too many. */
export class TimerHeap {
  #timers: Timer[] = []
  #gone = 0

  /** How many are in it that are not gone. */
  get size(): number {
    return this.#timers.length - this.#gone
  }

  add(timer: Timer): void {
    const timers = this.#timers
    let at = timers.length
    timers.push(timer)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const other = timers[parent] as Timer
      if (compareTimers(other, timer) <= 0) break
      timers[at] = other
      at = parent
    }
    timers[at] = timer
  }

  /** One of them is gone now. */
  lost(): void {
    this.#gone++
    if (this.#gone > 64 && this.#gone > this.#timers.length / 2) this.replace(this.alive())
  }

  /** The earliest timer that is not gone. */
  first(): Timer | undefined {
    for (;;) {
      const timer = this.#timers[0]
      if (timer === undefined || !timer.isGone) return timer
      this.#pop()
      this.#gone--
    }
  }

  /** Takes out what `first` gave. */
  shift(): void {
    this.#pop()
  }

  #pop(): void {
    const timers = this.#timers
    const last = timers.pop() as Timer
    const { length } = timers
    if (length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= length) break
      if (child + 1 < length && compareTimers(timers[child + 1] as Timer, timers[child] as Timer) < 0) child++
      if (compareTimers(last, timers[child] as Timer) <= 0) break
      timers[at] = timers[child] as Timer
      at = child
    }
    timers[at] = last
  }

  /** Timers that are due at a time, in no order, up to a number of them. */
  due(until: number, most: number): Timer[] {
    const found: Timer[] = []
    const visit = (at: number): void => {
      const timer = this.#timers[at]
      if (timer === undefined || timer.time > until || found.length >= most) return
      if (!timer.isGone) found.push(timer)
      visit(2 * at + 1)
      visit(2 * at + 2)
    }
    visit(0)
    return found
  }

  alive(): Timer[] {
    return this.#timers.filter((timer) => !timer.isGone)
  }

  replace(timers: Timer[]): void {
    // What is sorted is a heap.
    this.#timers = timers.sort(compareTimers)
    this.#gone = 0
  }
}

/** By time; of one key those of one time by their tags, so that they fire as they would have before a restart. */
export function compareTimers(a: Timer, b: Timer): number {
  return a.time - b.time || (a.entry === b.entry && a.tag !== b.tag ? compareTags(a.tag, b.tag) : a.order - b.order)
}

function compareTags(a: CellName | undefined, b: CellName | undefined): number {
  if (typeof a !== typeof b) return rank(a) - rank(b)
  if (a === b || a === undefined || b === undefined) return 0
  return a < b ? -1 : 1
}

const rank = (tag: CellName | undefined): number => (tag === undefined ? 0 : typeof tag === 'number' ? 1 : 2)
