import { kept } from '../kept.js'
import type { KeyedNode, NodeId } from '../plan/nodes.js'
import { Journal } from './journal.js'
import type { KeyEntry, Slot, Timer } from './key-entry.js'
import type { KeyFloor } from './key-floors.js'
import { StepContext } from './keyed-context.js'
import type { CellName, KeyedOperator, Row, TimeDomain } from './keyed-operator.js'
import type { WantedCell } from './keyed-state.js'
import { type ParkedRow, timerMark } from './parked.js'
import type { ParkItem, Parking } from './parking.js'
import type { StageRuntime } from './stage-runtime.js'
import { type At, isThenable, newAt, type Push } from './step.js'
import type { StepTimers } from './step-timers.js'

/** A row whose cells are not in memory. */
interface WaitingRow {
  readonly row: Row
  readonly input: number
  readonly entry: KeyEntry
  readonly names: readonly (CellName | undefined)[] | undefined
}

/** Rows that wait for their cells before the batch is over. */
const waitingRowsMax = 4096

export interface KeyedStepOptions {
  readonly runtime: StageRuntime
  readonly id: NodeId
  readonly node: KeyedNode
  readonly operator: KeyedOperator
  readonly slot: Slot
  readonly eventTimers: StepTimers
  readonly processingTimers: StepTimers
  readonly next: Push
  readonly sides: ReadonlyMap<string, Push>
  /** undefined: nothing waits at the step, and an error ends the task. */
  readonly parking?: Parking | undefined
}

/**
 * A step with state. A row whose cells are in memory runs at once; from the first one on that has to wait for the store, the
 * rows of the batch wait with it, so that all their cells are fetched in one go and their order stays.
 */
export class KeyedStep {
  readonly id: NodeId
  readonly slot: Slot
  readonly #options: KeyedStepOptions
  readonly #operator: KeyedOperator
  readonly #context: StepContext
  #waiting: WaitingRow[] = []
  /** Timers of event time are due that wait for the next commit; those of a key fire before its next row. */
  #isBehind = false
  /** The row or timer under way, as it would be parked. */
  readonly #parkAt: At = newAt()

  constructor(options: KeyedStepOptions) {
    this.id = options.id
    this.slot = options.slot
    this.#options = options
    this.#operator = options.operator
    this.#context = new StepContext(options)
  }

  get watermark(): number {
    return this.#context.fired
  }

  get isIdle(): boolean {
    return this.#waiting.length === 0
  }

  /** Whether it has not reached the event time that it was told: timers up to that wait for the next commit. */
  get isBehind(): boolean {
    return this.#isBehind
  }

  /** The step as those before it see it. */
  push(input: number): Push {
    const { runtime } = this.#options
    const { state, rowsIn } = runtime
    const { id, slot } = this
    const operator = this.#operator
    const { floors } = this.#context
    const isKept = operator.keepsNoValue !== true
    return (given, at) => {
      const { row: came } = at
      // Rows that were put together have been counted where that was done.
      if (!came?.parts) rowsIn[id] = (rowsIn[id] as number) + 1
      const value = isKept && typeof given === 'object' ? kept(given) : given
      let row: Row =
        came !== undefined && came.value === value
          ? came
          : { value, time: at.time, stamp: at.stamp, sequence: at.sequence, parts: 0 }
      const entry = at.entry as KeyEntry
      // Late by what has fired of its key in a shard before.
      if (floors.all.length > 0) row = { ...row, stamp: Math.max(row.stamp, floors.of(entry)) }
      const names = operator.cellsOf?.(row, input)
      if (this.#waiting.length === 0 && !this.#isBehind && state.hasAll(entry, slot, names))
        return this.#run(row, input, entry)
      this.#waiting.push({ row, input, entry, names })
      return this.#waiting.length >= waitingRowsMax ? this.flush() : undefined
    }
  }

  #run(row: Row, input: number, entry: KeyEntry): Promise<void> | undefined {
    const { parking } = this.#options
    if (parking) {
      const { value, time, stamp, sequence } = row
      const at = Object.assign(this.#parkAt, { time, stamp, sequence, entry, key: entry.shown })
      const item: ParkItem = { kind: 'row', value, input }
      if (parking.waits(this.id, at)) return void parking.join(this.id, at, item)
      if (parking.isCareful)
        return this.#careful(parking, at, item, () => {
          this.#context.begin(entry, time, sequence)
          return this.#operator.onRow(row, input, this.#context)
        })
    }
    return this.#runAtOnce(row, input, entry)
  }

  /** In careful mode: a call whose cells can be put back, and whose timers and values take effect when it is done. */
  async #careful(parking: Parking, at: At, item: ParkItem, call: () => unknown): Promise<void> {
    const { host } = this.#options.runtime
    const context = this.#context
    // The object that says where is used again for what fires meanwhile.
    const entry = at.entry as KeyEntry
    const journal = new Journal(host)
    context.marked = at
    const done = await parking.attempt({
      node: this.id,
      at,
      item,
      call: () => {
        context.journal = journal
        return call()
      },
      finish: () => journal.check(),
      undo: () => journal.undo(),
    })
    context.journal = undefined
    context.marked = context.at
    if (!done) return
    journal.apply()
    await this.#settle(entry)
  }

  #runAtOnce(row: Row, input: number, entry: KeyEntry): Promise<void> | undefined {
    const context = this.#context
    context.begin(entry, row.time, row.sequence)
    const result = this.#operator.onRow(row, input, context)
    if (isThenable(result)) return this.#finish(result, entry)
    return context.isQuiet ? undefined : this.#settle(entry)
  }

  async #finish(promise: PromiseLike<unknown>, entry: KeyEntry): Promise<void> {
    const { runtime, id } = this.#options
    const pending = runtime.later(promise, id, this.#context.at, () => undefined)
    await pending
    await this.#settle(entry)
  }

  /** What the operator gave on is through, and timers that it set for a time that is past have fired. */
  async #settle(entry: KeyEntry): Promise<void> {
    await this.#context.given()
    if (!this.#context.takeDue()) return
    await this.#fireKey(entry)
    await this.fire('processing')
  }

  /** Fires the timers of event time of a key that are due, however many others wait. */
  async #fireKey(entry: KeyEntry): Promise<void> {
    const { runtime, eventTimers } = this.#options
    const until = this.#context.fired
    await this.#loadDue()
    for (let timer = eventTimers.takeOf(entry, until); timer; timer = eventTimers.takeOf(entry, until)) {
      const names = this.#operator.cellsOfTimer?.(timer)
      if (!runtime.state.hasAll(entry, this.slot, names)) await this.#bring(wanted(entry, this.slot, names))
      await this.#call(timer)
      const turn = runtime.host.turn()
      if (turn) await turn
    }
  }

  /** Brings all timers of event time that are due into memory: a row may be of any key. */
  async #loadDue(): Promise<void> {
    const { runtime, eventTimers } = this.#options
    while (eventTimers.lacks(this.#context.fired)) await runtime.fromHost(eventTimers.load())
  }

  /** The cells of the timers that fire before rows. */
  async #dueCells(rows: readonly WaitingRow[]): Promise<WantedCell[]> {
    if (!this.#isBehind) return []
    await this.#loadDue()
    const { eventTimers } = this.#options
    return rows.flatMap(({ entry }) =>
      eventTimers
        .dueOf(entry, this.#context.fired)
        .flatMap((timer) => wanted(entry, this.slot, this.#operator.cellsOfTimer?.(timer))),
    )
  }

  /** Runs the rows that wait, with cells fetched in one go. */
  async flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const waiting = this.#waiting
      this.#waiting = []
      const due = await this.#dueCells(waiting)
      await this.#bring([...due, ...waiting.flatMap(({ entry, names }) => wanted(entry, this.slot, names))])
      for (const { row, input, entry } of waiting) {
        if (this.#isBehind) await this.#fireKey(entry)
        const pending = this.#run(row, input, entry)
        if (pending) await pending
        const turn = this.#options.runtime.host.turn()
        if (turn) await turn
      }
    }
  }

  async #bring(cells: readonly WantedCell[]): Promise<void> {
    const { runtime } = this.#options
    await runtime.fromHost(runtime.state.bring(cells))
  }

  /** No row at or before this time follows: fires timers up to it. What they give on comes before it. */
  advance(watermark: number): Promise<void> | undefined {
    const context = this.#context
    if (watermark <= context.fired && !this.#isBehind) return undefined
    context.fired = Math.max(context.fired, watermark)
    context.floors.advance(context.fired)
    const pending = this.fire('event')
    if (pending) return pending.then(() => this.#reached())
    this.#reached()
    return undefined
  }

  #reached(): void {
    if (!this.#isBehind) this.#context.reached()
  }

  /** When timers of processing time are due. */
  get nextTick(): number {
    if (this.#options.runtime.firing.isSpent('processing')) return Number.POSITIVE_INFINITY
    return this.#operator.onTimer ? this.#options.processingTimers.next : Number.POSITIVE_INFINITY
  }

  /** Fetches the first timers of processing time, so that `nextTick` is known. */
  prime(): Promise<void> | undefined {
    const { runtime, processingTimers } = this.#options
    if (!this.#operator.onTimer || processingTimers.next !== Number.NEGATIVE_INFINITY) return undefined
    return runtime.fromHost(processingTimers.load())
  }

  /** Up to where timers of some keys have fired in a shard before. */
  get floors(): readonly KeyFloor[] {
    return this.#context.floors.all
  }

  /** Restores a watermark up to which timers have fired. */
  restore(watermark: number, floors: readonly KeyFloor[]): void {
    this.#context.floors.restore(floors, watermark)
    this.#context.fired = watermark
    this.#context.reached()
  }

  /** Fires the timers of a domain that are due, as many as there is room for in the next commit. */
  fire(domain: TimeDomain): Promise<void> | undefined {
    for (;;) {
      const pending = this.#fireNext(domain)
      if (pending === false) return undefined
      if (pending) return this.#fireRest(pending, domain)
    }
  }

  async #fireRest(first: Promise<void>, domain: TimeDomain): Promise<void> {
    for (let pending: Promise<void> | undefined | false = first; pending !== false; pending = this.#fireNext(domain)) {
      if (pending) await pending
      const turn = this.#options.runtime.host.turn()
      if (turn) await turn
    }
  }

  /** Fires one timer, or fetches some. False: none is due. */
  #fireNext(domain: TimeDomain): Promise<void> | undefined | false {
    const { runtime, eventTimers, processingTimers } = this.#options
    const { firing } = runtime
    const timers = domain === 'event' ? eventTimers : processingTimers
    const until = domain === 'event' ? this.#context.fired : runtime.now
    if (firing.isSpent(domain) && timers.isDue(until)) {
      if (domain === 'event') this.#isBehind = true
      firing.hold()
      return false
    }
    const timer = timers.take(until)
    if (timer === undefined) {
      if (domain === 'event') this.#isBehind = false
      return false
    }
    if (timer === 'load') return runtime.fromHost(timers.load())
    firing.fired(timer)
    return this.#fireOne(timer, timers, until) ?? runtime.host.turn()
  }

  #fireOne(timer: Timer, timers: StepTimers, until: number): Promise<void> | undefined {
    const names = this.#operator.cellsOfTimer?.(timer)
    if (this.#options.runtime.state.hasAll(timer.entry, this.slot, names)) return this.#call(timer)
    // With this one, what the other timers in memory will ask for.
    const cells = [timer, ...timers.due(until)].flatMap((due) =>
      wanted(due.entry, this.slot, this.#operator.cellsOfTimer?.(due)),
    )
    return this.#bring(cells).then(() => this.#call(timer))
  }

  #call(timer: Timer): Promise<void> | undefined {
    const context = this.#context
    const { parking } = this.#options
    if (!this.#operator.onTimer) return undefined
    if (parking) {
      const { time, tag, domain, entry } = timer
      this.#options.runtime.options.directory.name(entry)
      const sequence = timerMark(time, entry.hashHi, entry.hashLo)
      const at = Object.assign(this.#parkAt, {
        time,
        stamp: context.watermarkOf(entry),
        sequence,
        entry,
        key: entry.shown,
      })
      const item: ParkItem = { kind: 'timer', value: undefined, input: 0, tag, domain }
      if (parking.waits(this.id, at)) return void parking.join(this.id, at, item)
      if (parking.isCareful)
        return this.#careful(parking, at, item, () => {
          context.begin(entry, time, context.at.sequence)
          return this.#operator.onTimer?.(timer, context)
        })
    }
    context.begin(timer.entry, timer.time, context.at.sequence)
    const result = this.#operator.onTimer(timer, context)
    if (isThenable(result)) return this.#finishTimer(result)
    // Timers that are due now are taken by whoever fires this one.
    context.takeDue()
    return context.isQuiet ? undefined : context.given()
  }

  /** Fires a timer that was parked. */
  async retryTimer({ time, tag, domain = 'event' }: ParkedRow, entry: KeyEntry): Promise<void> {
    const timer = { time, tag, domain, entry } as Timer
    await this.#bring(wanted(entry, this.slot, this.#operator.cellsOfTimer?.(timer)))
    await this.#call(timer)
  }

  async #finishTimer(promise: PromiseLike<unknown>): Promise<void> {
    const { runtime, id } = this.#options
    await runtime.later(promise, id, this.#context.at, () => undefined)
    this.#context.takeDue()
    await this.#context.given()
  }
}

const mainCell = [undefined] as const

function wanted(entry: KeyEntry, slot: Slot, names: readonly (CellName | undefined)[] | undefined): WantedCell[] {
  return (names ?? mainCell).map((name) => ({ entry, slot, name }))
}
