import type { Timer } from './key-entry.js'
import type { CellName } from './keyed-operator.js'

/** The timers of one time, in the order in which they were set. */
interface Instant {
  readonly time: number
  readonly timers: Timer[]
  /** Where those begin that have not been taken out. */
  next: number
  /** Whether tags differ, so that a key may be there more than once. */
  isMixed: boolean
}

/**
 * Timers with the earliest one first: those of one time lie behind each other, and a binary heap has the times. Windows of all keys
 * end together, so setting and firing one mostly touches no other. Those that are gone stay until they come up, or are too many.
 */
export class TimerQueue {
  #heap: Instant[] = []
  #instants = new Map<number, Instant>()
  /** The one that a timer was added to last. */
  #last: Instant | undefined
  #count = 0
  #gone = 0

  /** How many are in it that are not gone. */
  get size(): number {
    return this.#count - this.#gone
  }

  add(timer: Timer): void {
    const { time } = timer
    let instant = this.#last
    if (instant === undefined || instant.time !== time) {
      instant = this.#instants.get(time) ?? this.#open(time)
      this.#last = instant
    }
    const { timers } = instant
    if (timers.length > 0 && (timers[timers.length - 1] as Timer).tag !== timer.tag) instant.isMixed = true
    timers.push(timer)
    this.#count++
  }

  #open(time: number): Instant {
    const instant: Instant = { time, timers: [], next: 0, isMixed: false }
    this.#instants.set(time, instant)
    const heap = this.#heap
    let at = heap.length
    heap.push(instant)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const other = heap[parent] as Instant
      if (other.time <= time) break
      heap[at] = other
      at = parent
    }
    heap[at] = instant
    return instant
  }

  /** One of them is gone now. */
  lost(): void {
    this.#gone++
    if (this.#gone > 64 && this.#gone > this.#count / 2) this.replace(this.alive())
  }

  /** The earliest timer that is not gone. */
  first(): Timer | undefined {
    for (;;) {
      const instant = this.#heap[0]
      if (instant === undefined) return undefined
      const { timers } = instant
      while (instant.next < timers.length) {
        const timer = timers[instant.next] as Timer
        if (!timer.isGone) return instant.isMixed ? firstOfKey(timer) : timer
        this.#pass(instant)
        this.#gone--
      }
      this.#close()
    }
  }

  /** Takes out what `first` gave. */
  shift(timer: Timer): void {
    const instant = this.#heap[0] as Instant
    if (instant.timers[instant.next] === timer) return this.#pass(instant)
    // Another one of its key was before it, and its place is passed when that comes up.
    this.#gone++
  }

  /** Nothing keeps a timer that was passed. */
  #pass(instant: Instant): void {
    instant.timers[instant.next++] = nobody
    this.#count--
  }

  /** Takes out the earliest time, of which nothing is left. */
  #close(): void {
    const heap = this.#heap
    const first = heap[0] as Instant
    this.#instants.delete(first.time)
    if (this.#last === first) this.#last = undefined
    const last = heap.pop() as Instant
    const { length } = heap
    if (length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= length) break
      if (child + 1 < length && (heap[child + 1] as Instant).time < (heap[child] as Instant).time) child++
      if (last.time <= (heap[child] as Instant).time) break
      heap[at] = heap[child] as Instant
      at = child
    }
    heap[at] = last
  }

  /** Timers that are due at a time, in no order, up to a number of them. */
  due(until: number, most: number): Timer[] {
    const found: Timer[] = []
    const visit = (at: number): void => {
      const instant = this.#heap[at]
      if (instant === undefined || instant.time > until) return
      for (let i = instant.next; i < instant.timers.length && found.length < most; i++) {
        const timer = instant.timers[i] as Timer
        if (!timer.isGone) found.push(timer)
      }
      if (found.length >= most) return
      visit(2 * at + 1)
      visit(2 * at + 2)
    }
    visit(0)
    return found
  }

  alive(): Timer[] {
    const alive: Timer[] = []
    for (const { timers, next } of this.#heap)
      for (let i = next; i < timers.length; i++) if (!(timers[i] as Timer).isGone) alive.push(timers[i] as Timer)
    return alive
  }

  replace(timers: Timer[]): void {
    this.#heap = []
    this.#instants.clear()
    this.#last = undefined
    this.#count = 0
    this.#gone = 0
    for (const timer of timers.sort(compareTimers)) this.add(timer)
  }
}

/** In the places of those that were taken out. */
const nobody = undefined as unknown as Timer

/** Of the timers of a key at one time the one whose tag is the first. */
function firstOfKey(timer: Timer): Timer {
  let first = timer
  const of = timer.entry.timers?.at(timer.slot, timer.domain, timer.time) ?? []
  for (const other of of) if (!other.isGone && compareTags(other.tag, first.tag) < 0) first = other
  return first
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
