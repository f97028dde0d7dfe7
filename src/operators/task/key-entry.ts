import type { CellName, TimeDomain } from './keyed-operator.js'

/** Index of a keyed step among those of its stage. */
export type Slot = number

/** A cell of state: what a step keeps for one key under one name. */
export interface Cell {
  /** undefined: nothing. */
  value: unknown
  readonly slot: Slot
  readonly name: CellName | undefined
  readonly entry: KeyEntry
  isDirty: boolean
  /** Whether the store may have it, so that its removal has to be written. */
  isStored: boolean
  /** Sequence number of the row that changed it last. */
  sequence: number
  /** The barrier that took its last change; it may be dropped from memory once that has committed. */
  barrier: number
  /** What it counts against the bound. */
  bytes: number
}

/** A timer in memory. */
export interface Timer {
  readonly time: number
  readonly tag: CellName | undefined
  readonly domain: TimeDomain
  readonly slot: Slot
  readonly entry: KeyEntry
  /** Breaks ties, so that equal timers fire in the order in which they were set. */
  readonly order: number
  /** Fired or cleared. It is remembered until the store has forgotten it too. */
  isGone: boolean
  /** Another one with the same time and tag has taken its place. */
  isReplaced: boolean
  /** Its place among those that changed since the last barrier; -1: it did not. */
  dirtyAt: number
  /** The store may have one like it that memory does not know of: then its removal is written in any case. */
  isUnsure: boolean
  /** Whether it is in the store when every barrier so far has committed. */
  isStored: boolean
  /** Whether it, or one that it replaced, has ever been in the store: a page may still bring it. */
  wasStored: boolean
  /** The barrier that took its last change. */
  barrier: number
  /** Another one of the key, while these are few. */
  nextOfKey: Timer | undefined
}

/** What a task knows of one key: found by one look into a map, it has the cells and timers of all steps. */
export class KeyEntry {
  /** As user functions see it. */
  readonly shown: unknown
  /** What it is found under. */
  readonly mapKey: unknown
  /** The bytes that state is kept under, and their hash; made when something is fetched or written. */
  bytes: Buffer | undefined
  hashHi = 0
  hashLo = 0
  /** Cells without a name, by slot. */
  readonly main: (Cell | undefined)[]
  /** Cells with a name, by slot. */
  named: (NamedCells | undefined)[] | undefined
  /** Most keys have none. */
  timers: KeyTimers | undefined
  cellCount = 0

  constructor(mapKey: unknown, shown: unknown, slots: number) {
    this.mapKey = mapKey
    this.shown = shown
    this.main = new Array<Cell | undefined>(slots).fill(undefined)
  }

  get isEmpty(): boolean {
    return this.cellCount === 0 && (this.timers === undefined || this.timers.size === 0)
  }

  cell(slot: Slot, name: CellName | undefined): Cell | undefined {
    return name === undefined ? this.main[slot] : this.named?.[slot]?.get(name)
  }

  add(cell: Cell): void {
    this.cellCount++
    if (cell.name === undefined) {
      this.main[cell.slot] = cell
      return
    }
    this.named ??= new Array<NamedCells | undefined>(this.main.length).fill(undefined)
    const named = this.named[cell.slot]
    if (named) named.add(cell)
    else this.named[cell.slot] = new NamedCells(cell)
  }

  drop(cell: Cell): void {
    this.cellCount--
    if (cell.name === undefined) this.main[cell.slot] = undefined
    else this.named?.[cell.slot]?.drop(cell)
  }

  *cells(): IterableIterator<Cell> {
    for (const cell of this.main) if (cell) yield cell
    for (const named of this.named ?? []) if (named) yield* named.all()
  }
}

/** Cells of a key and step above which they are looked up by their name. */
const scannedCellsMax = 8

/** The cells of one key and step that have names. Most keys have few, for which a map would be the largest part of them. */
class NamedCells {
  #few: Cell[]
  #byName: Map<CellName, Cell> | undefined

  constructor(first: Cell) {
    this.#few = [first]
  }

  get(name: CellName): Cell | undefined {
    if (this.#byName) return this.#byName.get(name)
    const few = this.#few
    for (let i = 0; i < few.length; i++) if ((few[i] as Cell).name === name) return few[i]
    return undefined
  }

  /** A cell of a name that none has. */
  add(cell: Cell): void {
    if (this.#byName) {
      this.#byName.set(cell.name as CellName, cell)
      return
    }
    this.#few.push(cell)
    if (this.#few.length <= scannedCellsMax) return
    this.#byName = new Map(this.#few.map((each) => [each.name as CellName, each]))
    this.#few = []
  }

  drop(cell: Cell): void {
    if (this.#byName) {
      this.#byName.delete(cell.name as CellName)
      if (this.#byName.size === 0) this.#byName = undefined
      return
    }
    const at = this.#few.indexOf(cell)
    if (at >= 0) this.#few.splice(at, 1)
  }

  /** As they are now: one may be dropped on the way. */
  all(): readonly Cell[] {
    return this.#byName ? [...this.#byName.values()] : this.#few.slice()
  }
}

/** Timers of a key above which they are looked up by their time. */
const scannedTimersMax = 16

/** The timers of one key, so that each is there once. A few are a chain, so that a key with one timer has no list. */
export class KeyTimers {
  #first: Timer | undefined
  #byTime: Map<number, Timer[]> | undefined
  size = 0

  find(slot: Slot, domain: TimeDomain, time: number, tag: CellName | undefined): Timer | undefined {
    if (this.#byTime === undefined) {
      for (let timer = this.#first; timer !== undefined; timer = timer.nextOfKey)
        if (timer.time === time && timer.slot === slot && timer.tag === tag && timer.domain === domain) return timer
      return undefined
    }
    return this.#byTime.get(time)?.find((timer) => timer.slot === slot && timer.tag === tag && timer.domain === domain)
  }

  /** Those of one time, whatever their tags. */
  at(slot: Slot, domain: TimeDomain, time: number): readonly Timer[] {
    const all = this.#byTime ? (this.#byTime.get(time) ?? []) : this.#chain()
    return all.filter((timer) => timer.time === time && timer.slot === slot && timer.domain === domain)
  }

  /** All of them, in no order. */
  all(): Timer[] {
    return this.#byTime ? [...this.#byTime.values()].flat() : this.#chain()
  }

  #chain(): Timer[] {
    const timers: Timer[] = []
    for (let timer = this.#first; timer !== undefined; timer = timer.nextOfKey) timers.push(timer)
    return timers
  }

  add(timer: Timer): void {
    this.size++
    if (this.#byTime) return this.#file(timer)
    timer.nextOfKey = this.#first
    this.#first = timer
    if (this.size <= scannedTimersMax) return
    this.#byTime = new Map()
    for (const each of this.#chain()) {
      each.nextOfKey = undefined
      this.#file(each)
    }
    this.#first = undefined
  }

  #file(timer: Timer): void {
    const same = this.#byTime?.get(timer.time)
    if (same) same.push(timer)
    else this.#byTime?.set(timer.time, [timer])
  }

  /** Nothing happens where it is not there any more. */
  remove(timer: Timer): void {
    if (this.#byTime) return this.#removeFiled(timer, this.#byTime)
    if (this.#first === timer) this.#first = timer.nextOfKey
    else {
      let before = this.#first
      while (before !== undefined && before.nextOfKey !== timer) before = before.nextOfKey
      if (before === undefined) return
      before.nextOfKey = timer.nextOfKey
    }
    timer.nextOfKey = undefined
    this.size--
  }

  #removeFiled(timer: Timer, byTime: Map<number, Timer[]>): void {
    const timers = byTime.get(timer.time)
    const at = timers?.indexOf(timer) ?? -1
    if (!timers || at < 0) return
    timers[at] = timers[timers.length - 1] as Timer
    timers.pop()
    this.size--
    if (timers.length === 0) byTime.delete(timer.time)
    if (this.size === 0) this.#byTime = undefined
  }
}
