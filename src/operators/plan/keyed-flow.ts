import {
  type IntervalJoinOptions,
  intervalJoinStep,
  type JoinType,
  type LateRow,
  type LeftOf,
  type RightOf,
  type TableJoinOptions,
  type TableJoinType,
  type TableRowOf,
  type TableRowOption,
  type TablesJoinOptions,
  tableJoinStep,
  tablesJoinStep,
} from '../joins/index.js'
import {
  Average,
  Count,
  Deduplicate,
  Distinct,
  Extreme,
  Folding,
  type Ordered,
  Process,
  type ProcessDefinition,
  type StateDeclarations,
  Sum,
  Top,
} from '../keyed/index.js'
import type { Fold, Run } from '../keyed/user-run.js'
import { type PatternGiven, type PatternMatch, type PatternOptions, patternStep } from '../patterns/index.js'
import { type Awaitable, planMark, type StreamRecord } from '../types.js'
import { WindowedFlow, type WindowOptions, type WindowSpec } from '../windows/index.js'
import { type Duration, durationMs, durationText } from './duration.js'
import type { Sink } from './ends.js'
import { Flow, type ThroughRecord } from './flow.js'
import { atLeast, functionOf, invalid } from './invalid.js'
import { type KeyedStep, withKeyedStep } from './keyed-step.js'
import type { RowKey } from './keys.js'
import { checkMembers, type Members } from './members.js'
import { type CombinedOptions, combinedMembers, type StateOptions, stateMembers } from './state-plan.js'
import { type AsyncMapOptions, branched, merged, withAsyncMap, withFunction, withSink, withThrough } from './steps.js'
import type { StreamKey } from './tables.js'
import { extended, nextStep, type Trail, trailOf } from './trail.js'

/** Values that `distinct` remembers per key, and `topN` with `id` keeps, unless they are told otherwise. */
const distinctMaxDefault = 10_000
const topMaxDefault = 1000

export interface DistinctOptions extends StateOptions {
  /** Values remembered per key; 10,000 by default. Later ones are not counted, but as `dropped` in the metrics. */
  readonly max?: number
}

export interface TopOptions<Value, Key> extends StateOptions {
  /** The score; the largest is first. */
  readonly by: (value: Value, key: Key) => Awaitable<Ordered>
  /** What a value is about: a later value about the same replaces it, also with a lower score. */
  readonly id?: (value: Value, key: Key) => unknown
  /** With `id`, entries kept per key, from which one may rise when others fall; 1000 by default. */
  readonly max?: number
}

export interface DeduplicateOptions<Value, Key> extends StateOptions {
  /** Values that give the same are alike; without it, all values of the key are. */
  readonly by?: (value: Value, key: Key) => unknown
  /** Values this far apart in event time are not alike; without it they are for ever, or until the ttl. */
  readonly within?: Duration
}

const distinctMembers: Members<DistinctOptions> = { ...stateMembers, max: true }
const topMembers: Members<TopOptions<never, never>> = { ...stateMembers, by: true, id: true, max: true }
const deduplicateMembers: Members<DeduplicateOptions<never, never>> = { ...stateMembers, by: true, within: true }
const processMembers: Members<ProcessDefinition<never, never, NoSides, never, never>> = {
  state: true,
  emits: true,
  sides: true,
  onRow: true,
  onTimer: true,
}

type FlowValue<AnyFlow> = AnyFlow extends KeyedFlow<infer Value, infer _Key, infer _Sides> ? Value : never

type Guard<Value, Key, Kept extends Value> = (value: Value, key: Key) => value is Kept

/** The flows of a branch: one of each function, narrowed where that is a type guard, then the rest. */
type KeyedBranches<Value, Key, Tests extends readonly unknown[]> = [
  ...{
    [I in keyof Tests]: Tests[I] extends Guard<Value, Key, infer Kept> ? KeyedFlow<Kept, Key> : KeyedFlow<Value, Key>
  },
  KeyedFlow<Value, Key>,
]

/** No side outputs. */
export type NoSides = Record<never, never>

/**
 * A flow whose values belong to a key. Every function is given the key as its second argument. `Sides` are the side outputs
 * of the step that was made last.
 */
export class KeyedFlow<Value, Key, Sides = NoSides> {
  readonly [planMark]: Trail

  constructor(trail: Trail) {
    this[planMark] = trail
  }

  filter<Kept extends Value>(keep: (value: Value, key: Key) => value is Kept): KeyedFlow<Kept, Key>
  filter(keep: (value: Value, key: Key) => Awaitable<boolean>): KeyedFlow<Value, Key>
  filter(keep: (value: never, key: never) => unknown): KeyedFlow<never, Key> {
    return new KeyedFlow(withFunction(this[planMark], 'filter', keep))
  }

  map<Next>(make: (value: Value, key: Key) => Awaitable<Next>): KeyedFlow<Next, Key> {
    return new KeyedFlow(withFunction(this[planMark], 'map', make))
  }

  flatMap<Next>(make: (value: Value, key: Key) => Awaitable<Iterable<Next>>): KeyedFlow<Next, Key> {
    return new KeyedFlow(withFunction(this[planMark], 'flatMap', make))
  }

  /** Looks at each value, which goes on as it is. */
  peek(look: (value: Value, key: Key) => Awaitable<unknown>): KeyedFlow<Value, Key> {
    return new KeyedFlow(withFunction(this[planMark], 'peek', look))
  }

  /** Like `map` for what takes long: several promises of a task at a time, results in order unless told otherwise. */
  asyncMap<Next>(make: (value: Value, key: Key) => Awaitable<Next>, options?: AsyncMapOptions): KeyedFlow<Next, Key> {
    return new KeyedFlow(withAsyncMap(this[planMark], make, options))
  }

  /** Gives each value to the flow of the first function that is true, to the last flow when none is. */
  branch<Tests extends readonly ((value: Value, key: Key) => Awaitable<boolean>)[]>(
    ...tests: Tests
  ): KeyedBranches<Value, Key, Tests> {
    return branched(this[planMark], tests).map((trail) => new KeyedFlow(trail)) as KeyedBranches<Value, Key, Tests>
  }

  /** One flow of this and others of the same pipeline and the same keys. */
  merge<Others extends readonly KeyedFlow<unknown, Key>[]>(
    ...others: Others
  ): KeyedFlow<Value | FlowValue<Others[number]>, Key> {
    return new KeyedFlow(merged(this[planMark], others))
  }

  /** What follows belongs to another key; values move to the task that owns it, in memory. */
  keyBy<NewKey extends RowKey>(key: (value: Value, key: Key) => NewKey): KeyedFlow<Value, NewKey> {
    return new KeyedFlow(withFunction(this[planMark], 'keyBy', key))
  }

  /** A durable stream in between: each value is appended to it, and what follows reads it. */
  through<Next>(
    stream: string,
    record: (value: Value, key: Key) => Awaitable<ThroughRecord<Next>>,
  ): Flow<StreamRecord<Next>, StreamKey> {
    return new Flow(withThrough(this[planMark], stream, record))
  }

  /** How many values the key has had. The name keeps the state across deploys, as for every step that keeps some. */
  count(name: string, options?: CombinedOptions<number>): KeyedFlow<number, Key> {
    this.#check('count', options, combinedMembers)
    const make = () => new Count(options?.combine)
    return this.#keyed({ operator: 'count', name, options, bound: 'per key: one number', make })
  }

  /** The sum of what the function gives. */
  sum(
    name: string,
    amount: (value: Value, key: Key) => Awaitable<number>,
    options?: CombinedOptions<number>,
  ): KeyedFlow<number, Key> {
    this.#check('sum', options, combinedMembers)
    const run = this.#function<Run>('sum', amount)
    const make = () => new Sum(name, run, options?.combine)
    return this.#keyed({ operator: 'sum', name, options, bound: 'per key: one number', make })
  }

  /** The least of the key's values, or of what the function gives of them. */
  min(this: KeyedFlow<Value & Ordered, Key>, name: string): KeyedFlow<Value, Key>
  min<Of extends Ordered>(
    name: string,
    of: (value: Value, key: Key) => Awaitable<Of>,
    options?: StateOptions<Of>,
  ): KeyedFlow<Of, Key>
  min(name: string, of?: unknown, options?: StateOptions): KeyedFlow<never, Key> {
    return this.#extreme('min', name, of, options)
  }

  /** The greatest of the key's values, or of what the function gives of them. */
  max(this: KeyedFlow<Value & Ordered, Key>, name: string): KeyedFlow<Value, Key>
  max<Of extends Ordered>(
    name: string,
    of: (value: Value, key: Key) => Awaitable<Of>,
    options?: StateOptions<Of>,
  ): KeyedFlow<Of, Key>
  max(name: string, of?: unknown, options?: StateOptions): KeyedFlow<never, Key> {
    return this.#extreme('max', name, of, options)
  }

  /** The mean of what the function gives. */
  average(
    name: string,
    of: (value: Value, key: Key) => Awaitable<number>,
    options?: StateOptions,
  ): KeyedFlow<number, Key> {
    this.#check('average', options, stateMembers)
    const run = this.#function<Run>('average', of)
    const make = () => new Average(name, run)
    return this.#keyed({ operator: 'average', name, options, bound: 'per key: two numbers', make })
  }

  /** How many different values the key has had, or different results of the function; compared by what they hold. */
  distinct(
    name: string,
    of?: ((value: Value, key: Key) => unknown) | undefined,
    options?: DistinctOptions,
  ): KeyedFlow<number, Key> {
    this.#check('distinct', options, distinctMembers)
    const run = of === undefined ? undefined : this.#function<Run>('distinct', of)
    const max = atLeast(1, options?.max ?? distinctMaxDefault, `max of ${this.#where('distinct')}`)
    const make = () => new Distinct(run, max)
    return this.#keyed({ operator: 'distinct', name, options, bound: `per key: ${max} values`, make })
  }

  /** The n values with the largest score, best first, whenever they change; of equal scores the earlier is ahead. */
  topN(name: string, n: number, options: TopOptions<Value, Key>): KeyedFlow<readonly Value[], Key> {
    const where = this.#where('topN')
    checkMembers(options, topMembers, where)
    const by = this.#function<Run>('topN', options?.by)
    const id = options.id === undefined ? undefined : this.#function<Run>('topN', options.id)
    const least = atLeast(1, n, `n of ${where}`)
    const max = id ? atLeast(least, options.max ?? Math.max(topMaxDefault, n), `max of ${where}`) : n
    const make = () => new Top(name, { n, by, id, max })
    return this.#keyed({ operator: 'topN', name, options, bound: `per key: ${max} values`, make })
  }

  /** Folds the values of a key; the first one is the first state. */
  reduce(
    name: string,
    fold: (state: Value, value: Value, key: Key) => Awaitable<Value>,
    options?: CombinedOptions<Value>,
  ): KeyedFlow<Value, Key> {
    this.#check('reduce', options, combinedMembers)
    const run = this.#function<Fold>('reduce', fold)
    const make = () => new Folding(name, undefined, run, options?.combine)
    return this.#keyed({ operator: 'reduce', name, options, bound: 'per key: one value', make })
  }

  /** Folds the values of a key into a state of your own: what `initial` gives, then what `fold` returns. */
  aggregate<State>(
    name: string,
    initial: () => State,
    fold: (state: State, value: Value, key: Key) => Awaitable<State>,
    options?: StateOptions<State>,
  ): KeyedFlow<State, Key> {
    const where = this.#where('aggregate')
    if (typeof initial !== 'function')
      throw invalid(
        `${where} has no function that gives its first state.`,
        "aggregate('name', () => initial, (state, value, key) => next)",
      )
    checkMembers(options, stateMembers, where)
    const run = this.#function<Fold>('aggregate', fold)
    const make = () => new Folding(name, initial, run)
    return this.#keyed({ operator: 'aggregate', name, options, bound: 'per key: one value', make })
  }

  /**
   * Lets a value through unless one like it was before. Values that come later than `within` behind the watermark cannot be
   * judged any more and go to the side output `late`.
   */
  deduplicate(name: string, options: DeduplicateOptions<Value, Key> = {}): KeyedFlow<Value, Key, { late: Value }> {
    const where = this.#where('deduplicate')
    checkMembers(options, deduplicateMembers, where)
    const by = options.by === undefined ? undefined : this.#function<Run>('deduplicate', options.by)
    const withinMs = options.within === undefined ? undefined : durationMs(options.within, `within of ${where}`)
    if (by && withinMs === undefined && options.ttl === undefined)
      throw invalid(
        `${where} would remember every value that it was ever given.`,
        "Give it within: '1h' in event time, or ttl: '30d' in processing time.",
      )
    const bound =
      withinMs === undefined ? (by ? 'the ttl' : 'per key: one mark') : `${durationText(2 * withinMs)} of event time`
    const make = () => new Deduplicate(by, withinMs)
    return this.#keyed({ operator: 'deduplicate', name, options, bound, sides: ['late'], make })
  }

  /** A step of your own, with state, timers and side outputs. */
  process<Declarations extends StateDeclarations = NoSides, Out = unknown, Outputs = NoSides>(
    name: string,
    definition: ProcessDefinition<Value, Key, Declarations, Out, Outputs>,
    options?: StateOptions,
  ): KeyedFlow<Out, Key, Outputs> {
    this.#check('process', definition, processMembers)
    this.#check('process', options, stateMembers)
    this.#function('process', definition?.onRow)
    const { state = {}, sides = {} } = definition
    if (definition.onTimer !== undefined) this.#function('process', definition.onTimer)
    checkDeclarations(state, this.#where('process'))
    const untyped = {
      state,
      sides: Object.keys(sides),
      onRow: definition.onRow.bind(definition) as never,
      onTimer: definition.onTimer?.bind(definition) as never,
    }
    const make = () => new Process(name, untyped)
    return this.#keyed({ operator: 'process', name, options, sides: untyped.sides, bound: boundOf(state), make })
  }

  /** Cuts the values of each key into windows; what is made of them comes next. */
  window(spec: WindowSpec, options: WindowOptions = {}): WindowedFlow<Value, Key> {
    return new WindowedFlow(this[planMark], spec, options)
  }

  /**
   * Joins values of this flow with those of another whose event times are near. Values that come too late go to the side
   * output `late`.
   */
  join<Right, Result, Type extends JoinType = 'inner'>(
    name: string,
    other: KeyedFlow<Right, Key, unknown>,
    options: IntervalJoinOptions<Type>,
    combine: (left: LeftOf<Type, Value>, right: RightOf<Type, Right>, key: Key) => Awaitable<Result>,
  ): KeyedFlow<Result, Key, { late: LateRow<Value, Right> }> {
    return this.#joined(other, intervalJoinStep({ where: this.#where('join'), name, combine }, options))
  }

  /**
   * Joins each value with the row of a table that has the same key: the one that is there when it arrives, or (`asOf`) the
   * one that was there at its event time. Values that come too late for that go to the side output `late`.
   */
  joinTable<Changed, Result, Type extends TableJoinType = 'inner', Row = TableRowOf<Changed>>(
    name: string,
    changes: KeyedFlow<Changed, Key, unknown>,
    options: TableJoinOptions<Type> & TableRowOption<'row', Changed, Key, Row>,
    combine: (left: Value, right: RightOf<Type, Row>, key: Key) => Awaitable<Result>,
  ): KeyedFlow<Result, Key, { late: LateRow<Value, Changed> }> {
    return this.#joined(changes, tableJoinStep({ where: this.#where('joinTable'), name, combine }, options as never))
  }

  /**
   * Joins two tables, this flow being the changes of one: gives the joined row anew whenever one side changes, and undefined
   * when there is none any more.
   */
  joinTables<
    Own,
    Changed,
    Result,
    Type extends JoinType = 'inner',
    Left = TableRowOf<Own>,
    Right = TableRowOf<Changed>,
  >(
    this: KeyedFlow<Own, Key, unknown>,
    name: string,
    other: KeyedFlow<Changed, Key, unknown>,
    options: TablesJoinOptions<Type> &
      TableRowOption<'row', Own, Key, Left> &
      TableRowOption<'otherRow', Changed, Key, Right>,
    combine: (left: LeftOf<Type, Left>, right: RightOf<Type, Right>, key: Key) => Awaitable<Result>,
  ): KeyedFlow<Result | undefined, Key> {
    return this.#joined(other, tablesJoinStep({ where: this.#where('joinTables'), name, combine }, options as never))
  }

  /**
   * Finds a pattern in the values of a key, in the order of their event times. Partial matches that ran out of time go to
   * the side output `timedOut`, values that come too late to `late`.
   */
  pattern<Own extends Value, OwnKey extends Key, Stages>(
    this: KeyedFlow<Own, OwnKey, unknown>,
    name: string,
    pattern: PatternGiven<Own, OwnKey, Stages>,
    options?: PatternOptions,
  ): KeyedFlow<PatternMatch<Stages>, Key, { timedOut: PatternMatch<Stages>; late: Value }> {
    return this.#keyed(patternStep(this.#where('pattern'), name, pattern as never, options))
  }

  /** What the step before gives to a side output. */
  side<Output extends keyof Sides & string>(output: Output): KeyedFlow<Sides[Output], Key> {
    const trail = this[planMark]
    const { node } = trail.head
    if (node.kind !== 'keyed' || !node.sides.includes(output))
      throw invalid(
        `${this.#where('side')} takes the output ${output}, which the step before has not.`,
        'Take it right behind the step that gives it.',
      )
    return new KeyedFlow(extended(trail, { kind: 'output', output }))
  }

  /** Sends every value to a sink as well; more steps and sinks may follow. */
  to(sink: Sink<Value, Key>, name?: string): KeyedFlow<Value, Key, Sides> {
    return new KeyedFlow(withSink(this[planMark], sink, name))
  }

  #extreme(kind: 'min' | 'max', name: string, of: unknown, options?: StateOptions): KeyedFlow<never, Key> {
    this.#check(kind, options, stateMembers)
    const run = of === undefined ? undefined : this.#function<Run>(kind, of)
    const make = () => new Extreme(kind, name, run)
    return this.#keyed({ operator: kind, name, options, bound: 'per key: one value', make })
  }

  #keyed<Next, Outputs>(step: KeyedStep): KeyedFlow<Next, Key, Outputs> {
    return new KeyedFlow(withKeyedStep([this[planMark]], step))
  }

  #joined<Next, Outputs>(other: unknown, step: KeyedStep): KeyedFlow<Next, Key, Outputs> {
    return new KeyedFlow(withKeyedStep([this[planMark], trailOf(other, this.#where(step.operator))], step))
  }

  #check<Options>(kind: string, options: object | undefined, known: Members<Options>): void {
    checkMembers(options, known, this.#where(kind))
  }

  #where(kind: string): string {
    return nextStep(this[planMark], kind)
  }

  #function<Wanted>(kind: string, given: unknown): Wanted {
    return functionOf(given, this.#where(kind)) as Wanted
  }
}

/** Plain JavaScript may give anything. Throws PIPELINE_INVALID, which names the step and the piece. */
function checkDeclarations(state: StateDeclarations, where: string): void {
  for (const [name, piece] of Object.entries(state)) {
    const { kind } = (piece ?? {}) as Partial<StateDeclarations[string]>
    if (kind !== 'value' && kind !== 'list' && kind !== 'map')
      throw invalid(
        `${where} declares the state ${name} as something that is no piece of state.`,
        'Declare it as valueState(), listState() or mapState().',
      )
    if (piece?.kind === 'value' && piece.initial !== undefined && typeof piece.initial !== 'function')
      throw invalid(
        `${where} gives the state ${name} an initial value that is no function.`,
        `Give it a function that makes one for each key: valueState(() => ${shownValue(piece.initial)}).`,
      )
    if (piece?.kind === 'list' || piece?.kind === 'map') atLeast(1, piece.max, `max of the state ${name} of ${where}`)
  }
}

/** A value in a sentence. */
const shownValue = (value: unknown): string => {
  const isShort = typeof value === 'number' || typeof value === 'boolean' || value === null
  return isShort ? String(value) : '...'
}

function boundOf(state: StateDeclarations): string {
  const pieces = Object.entries(state).map(([name, piece]) =>
    piece.kind === 'value' ? name : `${name} (${piece.max} entries)`,
  )
  return pieces.length > 0 ? `per key: ${pieces.join(', ')}` : 'no state'
}
