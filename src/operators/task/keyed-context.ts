import { kept } from '../kept.js'
import type { NodeId } from '../plan/nodes.js'
import type { Journal } from './journal.js'
import type { KeyEntry, Slot } from './key-entry.js'
import { KeyFloors } from './key-floors.js'
import type { CellName, KeyedContext, TimeDomain } from './keyed-operator.js'
import type { StageRuntime } from './stage-runtime.js'
import { type At, newAt, type Push } from './step.js'
import type { StepTimers } from './step-timers.js'

export interface StepContextOptions {
  readonly runtime: StageRuntime
  readonly id: NodeId
  readonly slot: Slot
  readonly eventTimers: StepTimers
  readonly processingTimers: StepTimers
  readonly next: Push
  readonly sides: ReadonlyMap<string, Push>
}

/** What a keyed step is given with each row or timer: one object, whose key changes. */
export class StepContext implements KeyedContext {
  /** Up to it timers fire. */
  fired = Number.NEGATIVE_INFINITY
  /** For some keys timers have fired up to a later time, in a shard before. */
  readonly floors = new KeyFloors()
  /** The row or timer under way. */
  readonly at: At = newAt()
  /** What names the row or timer under way to who ends the thread; it is another one than `at` for timers in careful mode. */
  marked: At = this.at
  /** In careful mode: what the step has done with the row or timer under way. */
  journal: Journal | undefined
  readonly #options: StepContextOptions
  readonly #runtime: StageRuntime
  readonly #id: NodeId
  readonly #slot: Slot
  readonly #next: Push
  /** The row or timer under way as the next steps see it. */
  readonly #out: At = newAt()
  /** What the next steps know: it follows `fired` when all timers up to that have fired. */
  #reached = Number.NEGATIVE_INFINITY
  #entry!: KeyEntry
  #time = 0
  /** Something that was given on waits, and what was given on since waits behind it. */
  #pending: Promise<void> | undefined
  #isDue = false
  /** Values that were given on so far. */
  emitted = 0

  constructor(options: StepContextOptions) {
    this.#options = options
    this.#runtime = options.runtime
    this.#id = options.id
    this.#slot = options.slot
    this.#next = options.next
  }

  begin(entry: KeyEntry, time: number, sequence: number): void {
    this.#entry = entry
    this.#time = time
    const { at } = this
    at.sequence = sequence
    at.key = entry.shown
    this.#runtime.mark(this.#id, this.marked)
  }

  reached(): void {
    this.#reached = this.fired
  }

  /** Whether nothing is to be done when the operator has returned. */
  get isQuiet(): boolean {
    return this.#pending === undefined && !this.#isDue
  }

  /** Whether timers were set that are due. */
  takeDue(): boolean {
    const isDue = this.#isDue
    this.#isDue = false
    return isDue
  }

  /** Waits until all that was given on is through. */
  async given(): Promise<void> {
    while (this.#pending) {
      const pending = this.#pending
      await pending
      if (this.#pending === pending) this.#pending = undefined
    }
  }

  get key(): unknown {
    return this.#entry.shown
  }

  get watermark(): number {
    return this.watermarkOf(this.#entry)
  }

  /** The same for a key whose call has not begun. */
  watermarkOf(entry: KeyEntry): number {
    return this.floors.all.length === 0 ? this.fired : Math.max(this.fired, this.floors.of(entry))
  }

  get now(): number {
    return this.#runtime.now
  }

  get(name?: CellName): unknown {
    const cell = this.#runtime.state.cell(this.#entry, this.#slot, name)
    this.journal?.touch(cell)
    return cell.value
  }

  put(value: unknown, name?: CellName): void {
    const { state } = this.#runtime
    const cell = state.cell(this.#entry, this.#slot, name)
    this.journal?.touch(cell)
    state.put(cell, value, this.at.sequence)
  }

  bring(names: readonly (CellName | undefined)[]): Promise<void> | undefined {
    const entry = this.#entry
    const slot = this.#slot
    const { state } = this.#runtime
    if (state.hasAll(entry, slot, names)) return undefined
    return this.#runtime.fromHost(state.bring(names.map((name) => ({ entry, slot, name })))).then(() => {
      this.#runtime.mark(this.#id, this.marked)
    })
  }

  emit(value: unknown, time = this.#time): void {
    this.#give(this.#next, value, time)
  }

  side(output: string, value: unknown, time = this.#time): void {
    const push = this.#options.sides.get(output)
    if (push) this.#give(push, value, time)
  }

  #give(push: Push, value: unknown, time: number): void {
    if (this.journal) {
      const waits = kept(value)
      this.journal.defer(() => this.#give(push, waits, time))
      return
    }
    if (this.#pending) {
      const waits = kept(value)
      this.#pending = this.#pending.then(() => this.#push(push, waits, time))
      // Whoever waits for it hears of what it throws.
      this.#pending.catch(() => {})
      return
    }
    const pending = this.#push(push, value, time)
    // What was called since has run under its own name.
    this.#runtime.mark(this.#id, this.marked)
    if (!pending) return
    this.#pending = pending
    pending.catch(() => {})
  }

  #push(push: Push, value: unknown, time: number): Promise<void> | undefined {
    this.emitted++
    const out = this.#out
    out.time = time
    out.stamp = this.#reached
    out.sequence = this.at.sequence
    out.key = this.at.key
    out.entry = this.#entry
    return push(value, out)
  }

  setTimer(time: number, tag?: CellName, domain: TimeDomain = 'event'): void {
    if (this.journal) {
      this.journal.defer(() => this.setTimer(time, tag, domain))
      // What the deferred call would throw is the fault of this one.
      if (!Number.isSafeInteger(time))
        throw new TypeError(`A timer was set for ${time}: give whole milliseconds since 1970.`)
      return
    }
    const { eventTimers, processingTimers } = this.#options
    if (domain === 'event') {
      eventTimers.set(this.#entry, time, tag)
      if (time <= this.fired) this.#isDue = true
    } else {
      processingTimers.set(this.#entry, time, tag)
      if (time <= this.now) this.#isDue = true
    }
  }

  clearTimer(time: number, tag?: CellName, domain: TimeDomain = 'event'): void {
    if (this.journal) {
      this.journal.defer(() => this.clearTimer(time, tag, domain))
      return
    }
    const { eventTimers, processingTimers } = this.#options
    if (domain === 'event') eventTimers.clear(this.#entry, time, tag)
    else processingTimers.clear(this.#entry, time, tag)
  }

  count(event: string, by = 1): void {
    if (this.journal) {
      this.journal.defer(() => this.count(event, by))
      return
    }
    this.#runtime.count(this.#id, event, by)
  }
}
