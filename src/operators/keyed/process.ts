import { isEventTime } from '../event-times.js'
import type { CellName, DueTimer, KeyedContext, KeyedOperator, Row, TimeDomain } from '../task/keyed-operator.js'
import type { Awaitable } from '../types.js'
import { EndTimers } from './end-timers.js'
import { isReservedTag } from './envelope.js'
import { isThenable } from './thenable.js'
import { type DeclaredState, pieceOf, type StateDeclaration } from './user-state.js'

/** Declares the type of what a step gives on: `emits: typed<Session>()`. Nothing is kept of it at run time. */
export function typed<Value>(): Typed<Value> {
  return {}
}

/** A type, as a value. */
export interface Typed<Value> {
  readonly type?: Value
}

export type StateDeclarations = Readonly<Record<string, StateDeclaration<unknown>>>

/** What `onRow` and `onTimer` are given beside the value or the timer. Valid until they return, or their promise is done. */
export interface ProcessContext<Key, State, Out, Sides> {
  readonly key: Key
  /** Event time of the value, or the time that the timer was set for; milliseconds since 1970. */
  readonly time: number
  /** No value at or before this event time is awaited any more. */
  readonly watermark: number
  /** Processing time, milliseconds since 1970. */
  readonly now: number
  /** The declared state, of this key. */
  readonly state: State
  /** Gives a value to the next steps; its event time is `time` unless another is given. */
  emit(value: Out, time?: number): void
  /** Gives a value to who takes it with `.side(output)`. */
  side<Output extends keyof Sides & string>(output: Output, value: Sides[Output], time?: number): void
  /**
   * Sets a timer of this key, once for each (domain, time, tag); one that is past fires at once. When event time is over
   * (`watermark` is Infinity), the timers of a key may set 1000 more of event time until its step gets a value again: what
   * they set beyond is dropped and counted as `timersDropped`.
   */
  setTimer(time: number, tag?: string | number, domain?: TimeDomain): void
  clearTimer(time: number, tag?: string | number, domain?: TimeDomain): void
  /** Counts something of your own for the metrics. */
  count(event: string, by?: number): void
}

/** A timer of a `process` step that is due. */
export interface ProcessTimer {
  /** The time that it was set for, milliseconds since 1970. */
  readonly time: number
  readonly tag: string | number | undefined
  readonly domain: TimeDomain
}

/** What a `process` step is: state, types of its outputs, and what to do with a value or a timer. */
export interface ProcessDefinition<Value, Key, Declarations extends StateDeclarations, Out, Sides> {
  readonly state?: Declarations
  /** The type of what it emits: `typed<Session>()`. */
  readonly emits?: Typed<Out>
  /** Side outputs by name, each with its type: `{ refused: typed<Click>() }`. */
  readonly sides?: { readonly [Name in keyof Sides]: Typed<Sides[Name]> }
  onRow(value: Value, context: ProcessContext<Key, DeclaredState<Declarations>, Out, Sides>): Awaitable<void>
  onTimer?(timer: ProcessTimer, context: ProcessContext<Key, DeclaredState<Declarations>, Out, Sides>): Awaitable<void>
}

/** The definition as the operator calls it. */
export interface UntypedProcess {
  readonly state: StateDeclarations
  readonly sides: readonly string[]
  readonly onRow: (value: unknown, context: OperatorContext) => unknown
  readonly onTimer: ((timer: ProcessTimer, context: OperatorContext) => unknown) | undefined
}

/** A step of the user's own: each piece of its state is a cell of the key. */
export class Process implements KeyedOperator {
  readonly #definition: UntypedProcess
  readonly #cells: readonly string[]
  /** Rows and timers come one after the other, so one context serves all; between them it serves nobody. */
  readonly #context: OperatorContext

  constructor(name: string, definition: UntypedProcess) {
    this.#definition = definition
    this.#cells = Object.keys(definition.state)
    this.#context = new OperatorContext(`process('${name}')`, definition)
  }

  cellsOf(): readonly CellName[] {
    return this.#cells
  }

  cellsOfTimer(): readonly CellName[] {
    return this.#cells
  }

  onRow(row: Row, _input: number, context: KeyedContext): void | Promise<void> {
    const own = this.#context
    own.enter(context, row.time, 'row')
    let result: unknown
    try {
      result = this.#definition.onRow(row.value, own)
    } catch (error) {
      own.leave()
      throw error
    }
    if (isThenable(result)) return this.#awaited(result)
    own.leave()
  }

  onTimer(timer: DueTimer, context: KeyedContext): void | Promise<void> {
    const { onTimer } = this.#definition
    if (!onTimer || isReservedTag(timer.tag)) return
    const { time, tag, domain } = timer
    const own = this.#context
    own.enter(context, time, 'timer')
    let result: unknown
    try {
      result = onTimer({ time, tag, domain }, own)
    } catch (error) {
      own.leave()
      throw error
    }
    if (isThenable(result)) return this.#awaited(result)
    own.leave()
  }

  async #awaited(result: PromiseLike<unknown>): Promise<void> {
    try {
      await result
    } finally {
      this.#context.leave()
    }
  }
}

/** What user code holds; it works for the row or timer under way and for no other. */
class OperatorContext implements ProcessContext<unknown, Readonly<Record<string, unknown>>, unknown, unknown> {
  readonly state: Readonly<Record<string, unknown>>
  readonly #step: string
  readonly #sides: readonly string[]
  #context: KeyedContext | undefined
  #time = 0
  #isFiring = false
  readonly #endTimers = new EndTimers()

  constructor(step: string, { state, sides }: UntypedProcess) {
    this.#step = step
    this.#sides = sides
    this.state = Object.fromEntries(
      Object.entries(state).map(([name, declaration]) => [name, pieceOf(declaration, name, this)]),
    )
  }

  enter(context: KeyedContext, time: number, occasion: 'row' | 'timer'): void {
    this.#context = context
    this.#time = time
    this.#isFiring = occasion === 'timer'
    if (!this.#isFiring) this.#endTimers.begin()
  }

  leave(): void {
    this.#context = undefined
  }

  get context(): KeyedContext {
    if (this.#context) return this.#context
    throw new TypeError(`${this.#step} used its context after its value or timer was done: await what uses it.`)
  }

  get key(): unknown {
    return this.context.key
  }

  get time(): number {
    return this.#time
  }

  get watermark(): number {
    return this.context.watermark
  }

  get now(): number {
    return this.context.now
  }

  // Properties that know their context, so that user code may take them out of it: ({ emit, setTimer }) => ...
  readonly emit = (value: unknown, time?: number): void => {
    this.context.emit(value, time === undefined ? time : this.#eventTime(time))
  }

  readonly side = (output: string, value: unknown, time?: number): void => {
    if (!this.#sides.includes(output))
      throw new TypeError(`${this.#step} has no side output ${output}: declare it in sides.`)
    this.context.side(output, value, time === undefined ? time : this.#eventTime(time))
  }

  readonly setTimer = (time: number, tag?: string | number, domain: TimeDomain = 'event'): void => {
    this.#check(time, tag, domain)
    if (domain === 'event' && this.#isFiring && !this.#endTimers.take(this.context)) return
    this.context.setTimer(time, tag, domain)
  }

  readonly clearTimer = (time: number, tag?: string | number, domain: TimeDomain = 'event'): void => {
    this.#check(time, tag, domain)
    this.context.clearTimer(time, tag, domain)
  }

  readonly count = (event: string, by?: number): void => {
    this.context.count(event, by)
  }

  /** Plain JavaScript may give anything. */
  #eventTime(time: number): number {
    if (isEventTime(time)) return Math.floor(time)
    throw new TypeError(`${this.#step} gave a value the time ${String(time)}: give milliseconds since 1970.`)
  }

  #check(time: number, tag: string | number | undefined, domain: TimeDomain): void {
    if (!Number.isSafeInteger(time))
      throw new TypeError(`${this.#step} set a timer for ${String(time)}: give whole milliseconds since 1970.`)
    if (domain !== 'event' && domain !== 'processing')
      throw new TypeError(`${this.#step} set a timer of ${String(domain)} time: give 'event' or 'processing'.`)
    if (tag !== undefined && typeof tag !== 'string' && typeof tag !== 'number')
      throw new TypeError(`${this.#step} gave a timer a tag that is neither text nor a number.`)
    if (isReservedTag(tag)) throw new TypeError(`${this.#step} gave a timer a tag that begins with U+0000.`)
  }
}
