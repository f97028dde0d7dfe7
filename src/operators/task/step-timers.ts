import type { NodeId } from '../plan/nodes.js'
import type { KeyDirectory } from './key-directory.js'
import { type KeyEntry, KeyTimers, type Slot, type Timer } from './key-entry.js'
import type { CellName, TimeDomain } from './keyed-operator.js'
import type { TimerChange, TimerPage, TimerRequest } from './stage-task.js'
import { compareTimers, TimerQueue } from './timer-queue.js'

export interface StepTimersOptions {
  readonly node: NodeId
  readonly slot: Slot
  readonly domain: TimeDomain
  readonly directory: KeyDirectory
  /** Whether the store has none. */
  readonly isNew: boolean
  /** Timers in memory; later ones lie in the store alone once they are committed. */
  readonly most: number
  readonly fetch: (request: TimerRequest) => Promise<TimerPage>
  /** Called with a key that has lost a timer. */
  readonly released: (entry: KeyEntry) => void
}

/** Timers that are fetched at once: at first, and when page follows page, since each looks into every key group. */
const pageTimersMax = 1024
const laterPageTimersMax = 16_384

/**
 * The timers of one step and one kind of time, for all keys of a task. In memory are those that the store does not have
 * yet, and of the others all before a point of time; what comes behind is fetched when that point is due.
 */
export class StepTimers {
  readonly #options: StepTimersOptions
  readonly #queue = new TimerQueue()
  /** Those that a barrier has to look at, in no order. */
  #dirty: Timer[] = []
  /** Gone, but perhaps not from the store yet: what a page brings of them is passed over. */
  #leaving: Timer[] = []
  /** Keys whose last timer went. */
  #emptied: KeyEntry[] = []
  #order = 0
  #barrier = 0
  #committed = 0
  #sweptAt = 0
  /** Every timer before this time is in memory. */
  #from: number
  /** Where the next page goes on, and how much it has. */
  #after: unknown
  #pageTimers = pageTimersMax

  constructor(options: StepTimersOptions) {
    this.#options = options
    this.#from = options.isNew ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY
  }

  /** Throws TypeError unless the time is whole milliseconds. */
  set(entry: KeyEntry, time: number, tag: CellName | undefined): void {
    const { slot, domain } = this.#options
    if (!Number.isSafeInteger(time))
      throw new TypeError(`A timer was set for ${time}: give whole milliseconds since 1970.`)
    const found = entry.timers?.find(slot, domain, time, tag)
    if (found && !found.isGone) return
    if (found) {
      // Its removal has not committed. The queue may still have it, so a new one takes its place.
      entry.timers?.remove(found)
      found.isReplaced = true
    }
    const timer = this.#add(entry, time, tag, found?.isStored ?? false, found !== undefined)
    if (found?.isUnsure) timer.isUnsure = true
    this.#touch(timer)
  }

  clear(entry: KeyEntry, time: number, tag: CellName | undefined): void {
    const { slot, domain } = this.#options
    const found = entry.timers?.find(slot, domain, time, tag)
    if (found?.isGone) return
    if (found) {
      this.#gone(found)
      this.#queue.lost()
      return
    }
    // Where it may lie in the store alone, its removal is written without a look.
    if (time < this.#from || !Number.isSafeInteger(time)) return
    const timer = this.#make(entry, time, tag, true, true)
    addTo(entry, timer)
    this.#gone(timer)
  }

  #add(entry: KeyEntry, time: number, tag: CellName | undefined, isStored: boolean, wasStored: boolean): Timer {
    const timer = this.#make(entry, time, tag, isStored, wasStored)
    addTo(entry, timer)
    this.#queue.add(timer)
    return timer
  }

  #make(entry: KeyEntry, time: number, tag: CellName | undefined, isStored: boolean, wasStored: boolean): Timer {
    const { slot, domain } = this.#options
    return {
      time,
      tag,
      domain,
      slot,
      entry,
      order: this.#order++,
      isGone: false,
      isReplaced: false,
      dirtyAt: -1,
      isUnsure: time >= this.#from,
      isStored,
      wasStored,
      barrier: 0,
      nextOfKey: undefined,
    }
  }

  #touch(timer: Timer): void {
    if (timer.dirtyAt >= 0) return
    timer.dirtyAt = this.#dirty.length
    this.#dirty.push(timer)
  }

  /** What was set and went between two barriers is nothing to the next one, and need not live until then. */
  #untouch(timer: Timer): void {
    const { dirtyAt } = timer
    if (dirtyAt < 0) return
    const last = this.#dirty.pop() as Timer
    timer.dirtyAt = -1
    if (last === timer) return
    this.#dirty[dirtyAt] = last
    last.dirtyAt = dirtyAt
  }

  #gone(timer: Timer): void {
    timer.isGone = true
    if (timer.wasStored || timer.isStored || timer.isUnsure) return this.#touch(timer)
    this.#untouch(timer)
    this.#forget(timer)
  }

  /** When something is due: the time of the earliest timer, or the point behind which the store has to be asked. */
  get next(): number {
    const first = this.#queue.first()
    return first === undefined || first.time > this.#from ? this.#from : first.time
  }

  /** Takes out the earliest timer up to a time, `load` where one may lie in the store, undefined when none is due. */
  take(until: number): Timer | 'load' | undefined {
    const first = this.#queue.first()
    if (
      this.#from <= until &&
      this.#from < Number.POSITIVE_INFINITY &&
      (first === undefined || first.time > this.#from)
    )
      return 'load'
    if (first === undefined || first.time > until) return undefined
    this.#queue.shift(first)
    this.#gone(first)
    return first
  }

  /** Whether one is due at a time, or may be. */
  isDue(until: number): boolean {
    const { next } = this
    return next <= until && next < Number.POSITIVE_INFINITY
  }

  /** Whether some that are due at a time may lie in the store alone. */
  lacks(until: number): boolean {
    return this.#from <= until && this.#from < Number.POSITIVE_INFINITY
  }

  /** The timers of a key up to a time, of those in memory. */
  dueOf(entry: KeyEntry, until: number): Timer[] {
    const { slot, domain } = this.#options
    const isDue = (timer: Timer): boolean =>
      timer.slot === slot && timer.domain === domain && !timer.isGone && timer.time <= until
    return entry.timers ? entry.timers.all().filter(isDue) : []
  }

  /** Takes out the earliest timer of a key up to a time, of those in memory. */
  takeOf(entry: KeyEntry, until: number): Timer | undefined {
    const [first] = this.dueOf(entry, until).sort(compareTimers)
    if (first === undefined) return undefined
    this.#gone(first)
    this.#queue.lost()
    return first
  }

  /** Timers in memory that are due soon, for the cells that they will want. */
  due(until: number): readonly Timer[] {
    return this.#queue.due(until, pageTimersMax)
  }

  /** Fetches the timers behind the point up to which memory has all. */
  async load(): Promise<void> {
    const { node, domain, slot, directory, fetch, most } = this.#options
    const limit = Math.min(this.#pageTimers, most)
    this.#pageTimers = Math.min(laterPageTimersMax, 2 * this.#pageTimers)
    const page = await fetch({ node, domain, from: this.#from, after: this.#after, limit })
    for (const { key, hashHi, hashLo, time, tag } of page.timers) {
      const entry = directory.ofStored(key, hashHi, hashLo)
      if (!entry.timers?.find(slot, domain, time, tag)) this.#add(entry, time, tag, true, true).isUnsure = false
      this.#from = time
    }
    this.#after = page.next
    if (page.next !== undefined) return
    this.#from = Number.POSITIVE_INFINITY
    this.#pageTimers = pageTimersMax
  }

  /** Takes what changed since the last barrier. */
  barrier(number: number, changes: TimerChange[]): void {
    this.#barrier = number
    for (const timer of this.#dirty) {
      timer.dirtyAt = -1
      if (timer.isReplaced) continue
      timer.barrier = number
      if (timer.isGone) this.#leaving.push(timer)
      const isSet = !timer.isGone
      if (timer.isStored === isSet && !timer.isUnsure) continue
      timer.isUnsure = false
      timer.isStored = isSet
      timer.wasStored = true
      changes.push(this.#change(timer, isSet))
    }
    this.#dirty = []
  }

  #change({ entry, time, tag }: Timer, isSet: boolean): TimerChange {
    const { node, domain, directory } = this.#options
    const key = directory.name(entry)
    return { node, hashHi: entry.hashHi, hashLo: entry.hashLo, key, domain, time, tag, isSet }
  }

  committed(number: number): void {
    this.#committed = Math.min(number, this.#barrier)
  }

  /** Forgets what need not be in memory. Only where no row is on its way. */
  sweep(): void {
    if (this.#sweptAt !== this.#committed) {
      this.#sweptAt = this.#committed
      this.#leaving = this.#leaving.filter((timer) => {
        if (timer.barrier > this.#committed) return true
        this.#forget(timer)
        return false
      })
      if (this.#queue.size > this.#options.most) this.#spill()
    }
    for (const entry of this.#emptied) this.#options.released(entry)
    if (this.#emptied.length > 0) this.#emptied = []
  }

  #forget(timer: Timer): void {
    const { entry } = timer
    entry.timers?.remove(timer)
    if (entry.timers?.size === 0) this.#emptied.push(entry)
  }

  /** Leaves later timers to the store, which has them. */
  #spill(): void {
    const timers = this.#queue.alive().sort(compareTimers)
    const left = timers.slice(0, this.#options.most / 2)
    let first = Number.POSITIVE_INFINITY
    for (const timer of timers.slice(left.length)) {
      if (timer.dirtyAt >= 0 || !timer.isStored || timer.barrier > this.#committed) {
        left.push(timer)
        continue
      }
      if (timer.time < first) first = timer.time
      this.#forget(timer)
    }
    this.#queue.replace(left)
    if (first > this.#from) return
    this.#from = first
    this.#after = undefined
  }

  get size(): number {
    return this.#queue.size
  }
}

function addTo(entry: KeyEntry, timer: Timer): void {
  entry.timers ??= new KeyTimers()
  entry.timers.add(timer)
}
