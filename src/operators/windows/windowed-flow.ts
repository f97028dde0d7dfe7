import type { Ordered } from '../keyed/index.js'
import type { Fold, Run } from '../keyed/user-run.js'
import { atLeast, functionOf, invalid } from '../plan/invalid.js'
import { KeyedFlow } from '../plan/keyed-flow.js'
import { withKeyedStep } from '../plan/keyed-step.js'
import { checkMembers, type Members } from '../plan/members.js'
import type { StateOptions } from '../plan/state-plan.js'
import { nextStep, type Trail } from '../plan/trail.js'
import type { Awaitable } from '../types.js'
import type { WindowAggregate } from './aggregates/aggregate.js'
import { collectAggregate, type ProcessedWindow, type ProcessRun } from './aggregates/collect.js'
import { averageAggregate, countAggregate, sumAggregate } from './aggregates/count-sum.js'
import { distinctAggregate } from './aggregates/distinct.js'
import { extremeAggregate } from './aggregates/extreme.js'
import { foldAggregate, reduceAggregate } from './aggregates/fold.js'
import { topAggregate } from './aggregates/top.js'
import { lateOutput } from './giving.js'
import type { WindowResult } from './result.js'
import { windowOperator } from './window-operator.js'
import { type CheckedOptions, checkedOptions, type WindowOptions } from './window-options.js'
import { type CheckedSpec, checkedSpec, type WindowSpec } from './window-spec.js'

/** Values that `distinct` and `process` keep per window, and `topN` with `id`, unless they are told otherwise. */
const valuesMaxDefault = 10_000
const topMaxDefault = 1000

/** State of windows goes with them, so it has no time to live. */
export type WindowStateOptions<State = unknown> = Omit<StateOptions<State>, 'ttl'>

export interface WindowMaxOptions extends WindowStateOptions {
  /** Values kept per window; 10,000 by default. What comes beyond is left out, and counted as `dropped` in the metrics. */
  readonly max?: number
}

export interface WindowTopOptions<Value, Key> extends WindowStateOptions {
  /** The score; the largest is first. */
  readonly by: (value: Value, key: Key) => Awaitable<Ordered>
  /** What a value is about: a later value about the same replaces it, also with a lower score. */
  readonly id?: (value: Value, key: Key) => unknown
  /** With `id`, entries kept per window, from which one may rise when others fall; 1000 by default. */
  readonly max?: number
}

export interface WindowAggregateOptions<State> extends WindowStateOptions<State> {
  /**
   * Puts two states together. Hopping windows then add a value once and not to each window; sliding windows and sessions
   * cannot do without. It may change its first state, never its second.
   */
  readonly merge?: (a: State, b: State) => Awaitable<State>
}

const stateMembers: Members<WindowStateOptions> = { version: true, migrate: true }
const maxMembers: Members<WindowMaxOptions> = { ...stateMembers, max: true }
const topMembers: Members<WindowTopOptions<never, never>> = { ...stateMembers, by: true, id: true, max: true }
const aggregateMembers: Members<WindowAggregateOptions<never>> = { ...stateMembers, merge: true }

/** What a window gives, and beside it what came too late for all windows. */
type Windowed<Result, Value, Key> = KeyedFlow<WindowResult<Result, Key>, Key, { late: Value }>

/** A keyed flow cut into windows: what is made of the values of each. */
export class WindowedFlow<Value, Key> {
  readonly #trail: Trail
  readonly #spec: CheckedSpec
  readonly #options: CheckedOptions

  constructor(trail: Trail, spec: WindowSpec, options: WindowOptions) {
    const where = nextStep(trail, 'window')
    this.#trail = trail
    this.#spec = checkedSpec(spec, where)
    this.#options = checkedOptions(options, this.#spec, where)
  }

  /** How many values a window has. */
  count(name: string, options?: WindowStateOptions): Windowed<number, Value, Key> {
    this.#check('count', options, stateMembers)
    return this.#windows('count', name, countAggregate(), options)
  }

  /** The sum of what the function gives. */
  sum(
    name: string,
    amount: (value: Value, key: Key) => Awaitable<number>,
    options?: WindowStateOptions,
  ): Windowed<number, Value, Key> {
    this.#check('sum', options, stateMembers)
    return this.#windows('sum', name, sumAggregate(name, this.#function('sum', amount)), options)
  }

  /** The least of the values, or of what the function gives of them. */
  min(this: WindowedFlow<Value & Ordered, Key>, name: string): Windowed<Value, Value, Key>
  min<Of extends Ordered>(
    name: string,
    of: (value: Value, key: Key) => Awaitable<Of>,
    options?: WindowStateOptions,
  ): Windowed<Of, Value, Key>
  min(name: string, of?: unknown, options?: WindowStateOptions): Windowed<never, never, Key> {
    this.#check('min', options, stateMembers)
    return this.#windows('min', name, extremeAggregate('min', name, this.#functionOrNone('min', of)), options)
  }

  /** The greatest of the values, or of what the function gives of them. */
  max(this: WindowedFlow<Value & Ordered, Key>, name: string): Windowed<Value, Value, Key>
  max<Of extends Ordered>(
    name: string,
    of: (value: Value, key: Key) => Awaitable<Of>,
    options?: WindowStateOptions,
  ): Windowed<Of, Value, Key>
  max(name: string, of?: unknown, options?: WindowStateOptions): Windowed<never, never, Key> {
    this.#check('max', options, stateMembers)
    return this.#windows('max', name, extremeAggregate('max', name, this.#functionOrNone('max', of)), options)
  }

  /** The mean of what the function gives. */
  average(
    name: string,
    of: (value: Value, key: Key) => Awaitable<number>,
    options?: WindowStateOptions,
  ): Windowed<number, Value, Key> {
    this.#check('average', options, stateMembers)
    return this.#windows('average', name, averageAggregate(name, this.#function('average', of)), options)
  }

  /** How many different values there are, or different results of the function; compared by what they hold. */
  distinct(
    name: string,
    of?: ((value: Value, key: Key) => unknown) | undefined,
    options?: WindowMaxOptions,
  ): Windowed<number, Value, Key> {
    const max = this.#maxOf('distinct', options)
    return this.#windows('distinct', name, distinctAggregate(this.#functionOrNone('distinct', of), max), options)
  }

  /** The n values with the largest score, best first; of equal scores the earlier in event time is ahead. */
  topN(name: string, n: number, options: WindowTopOptions<Value, Key>): Windowed<readonly Value[], Value, Key> {
    const where = this.#where('topN')
    checkMembers(options, topMembers, where)
    const by = this.#function<Run>('topN', options?.by)
    const id = this.#functionOrNone('topN', options.id)
    const least = atLeast(1, n, `n of ${where}`)
    const max = id ? atLeast(least, options.max ?? Math.max(topMaxDefault, n), `max of ${where}`) : n
    return this.#windows('topN', name, topAggregate(name, { n, by, id, max }), options)
  }

  /**
   * Folds the values of a window; the first one is the first state. Windows that are put together of parts fold those too,
   * so it must not matter how values are grouped, and the fold gives a new value instead of changing its own.
   */
  reduce(
    name: string,
    fold: (state: Value, value: Value, key: Key) => Awaitable<Value>,
    options?: WindowStateOptions<Value>,
  ): Windowed<Value, Value, Key> {
    this.#check('reduce', options, stateMembers)
    return this.#windows('reduce', name, reduceAggregate(name, this.#function<Fold>('reduce', fold)), options)
  }

  /** Folds the values of a window into a state of your own: what `initial` gives, then what `fold` returns. */
  aggregate<State>(
    name: string,
    initial: () => State,
    fold: (state: State, value: Value, key: Key) => Awaitable<State>,
    options: WindowAggregateOptions<State> = {},
  ): Windowed<State, Value, Key> {
    if (typeof initial !== 'function')
      throw invalid(
        `${this.#where('aggregate')} has no function that gives its first state.`,
        "aggregate('name', () => initial, (state, value, key) => next)",
      )
    this.#check('aggregate', options, aggregateMembers)
    const merge = this.#functionOrNone<(a: unknown, b: unknown) => unknown>('aggregate', options.merge)
    const aggregate = foldAggregate(name, { initial, fold: this.#function<Fold>('aggregate', fold), merge })
    return this.#windows('aggregate', name, aggregate, options)
  }

  /** Gives a function all values of the window at once, in the order of their time. */
  process<Result>(
    name: string,
    run: (values: readonly Value[], window: ProcessedWindow, key: Key) => Awaitable<Result>,
    options?: WindowMaxOptions,
  ): Windowed<Result, Value, Key> {
    const max = this.#maxOf('process', options)
    return this.#windows('process', name, collectAggregate(this.#function<ProcessRun>('process', run), max), options)
  }

  #windows<Result>(
    kind: string,
    name: string,
    aggregate: WindowAggregate,
    options: WindowStateOptions = {},
  ): Windowed<Result, Value, Key> {
    const { version, migrate } = options
    const where = this.#where(kind)
    const run = windowOperator(this.#spec, this.#options, aggregate, where)
    const state: StateOptions = {
      ...(version !== undefined && { version }),
      ...(migrate && {
        migrate: (cell, from) => run.mapAccumulators(cell, (accumulator) => migrate(accumulator, from)),
      }),
    }
    const operator = `${this.#spec.kind}.${kind}`
    const { make, bound, windows } = run
    return new KeyedFlow(
      withKeyedStep([this.#trail], { operator, name, make, sides: [lateOutput], bound, windows, options: state }),
    )
  }

  #maxOf(kind: string, options: WindowMaxOptions | undefined): number {
    this.#check(kind, options, maxMembers)
    return atLeast(1, options?.max ?? valuesMaxDefault, `max of ${this.#where(kind)}`)
  }

  #check<Options>(kind: string, options: object | undefined, known: Members<Options>): void {
    checkMembers(options, known, this.#where(kind))
  }

  #where(kind: string): string {
    return nextStep(this.#trail, `${this.#spec.kind}.${kind}`)
  }

  #function<Wanted>(kind: string, given: unknown): Wanted {
    return functionOf(given, this.#where(kind)) as Wanted
  }

  #functionOrNone<Wanted = Run>(kind: string, given: unknown): Wanted | undefined {
    return given === undefined ? undefined : this.#function<Wanted>(kind, given)
  }
}
