import { MillraceError } from '../runtime/errors.js'
import type {
  Awaitable,
  Change,
  ItemKey,
  ItemValue,
  Plan,
  SinkItem,
  SinkPlan,
  SinkRecord,
  SourcePlan,
  Step,
  StreamRecord,
} from './types.js'
import { planMark } from './types.js'

/** Where a pipeline's records come from: their type, and that of the source's own key. */
export interface Source<Value, Key> {
  readonly source: SourcePlan
  /** Types only. */
  readonly value?: Value
  readonly key?: Key
}

/** Where results go. */
export interface Sink<Value, Key> {
  readonly sink: SinkPlan
  /** Types only: sinks take values, so this is contravariant. */
  readonly takes?: (value: Value, key: Key) => void
}

/** The key of a plain stream's records after `keyByPartition`. */
export interface StreamKey {
  readonly key: string
}

export type Item = Readonly<Record<string, ItemValue>>

/** The changes of a table, as a source. */
export function table<Row = Item>(name: string): Source<Change<Row>, ItemKey>
/** A table as a sink: each result is put as an item; null or undefined writes nothing. Exactly once. */
export function table<Value, Key>(
  name: string,
  item: (value: Value, key: Key) => SinkItem | null | undefined,
): Sink<Value, Key>
export function table(name: string, item?: (value: never, key: never) => SinkItem | null | undefined): object {
  return item ? { sink: { kind: 'table', name, run: item } } : { source: { kind: 'table', name } }
}

/** The records of a plain stream, as a source. */
export function stream<Value = unknown>(name: string): Source<StreamRecord<Value>, StreamKey>
/** A plain stream as a sink: each result is appended as a record; null or undefined appends nothing. Exactly once. */
export function stream<Value, Key>(
  name: string,
  record: (value: Value, key: Key) => SinkRecord | null | undefined,
): Sink<Value, Key>
export function stream(name: string, record?: (value: never, key: never) => SinkRecord | null | undefined): object {
  return record ? { sink: { kind: 'stream', name, run: record } } : { source: { kind: 'stream', name } }
}

/**
 * A file of JSON lines as a sink: each result, or what the function makes of it, is one line. Exactly once. A relative
 * path lies in the folder `files` of the data directory.
 */
export function file<Value = unknown, Key = unknown>(
  path: string,
  line?: (value: Value, key: Key) => unknown,
): Sink<Value, Key> {
  return { sink: { kind: 'file', path, run: line as never } }
}

/** Begins a pipeline. The module that defines it exports it as default. */
export function pipeline(name: string): { from<Value, Key>(source: Source<Value, Key>): Flow<Value, Key> } {
  return {
    from<Value, Key>(from: Source<Value, Key>): Flow<Value, Key> {
      // Plain JavaScript may give anything.
      const source = (from as Partial<Source<Value, Key>> | undefined)?.source
      if (!source)
        throw invalid(
          `The pipeline ${name} reads from something that is no source.`,
          'Give from() a table(name) or a stream(name) without a function.',
        )
      return new Flow<Value, Key>({ version: 1, name, source, steps: [] })
    },
  }
}

/** A pipeline under construction, and a whole one: every call gives a new value. */
export class Flow<Value, SourceKey> {
  readonly [planMark]: Plan

  constructor(plan: Plan) {
    this[planMark] = plan
  }

  /** Keeps the values for which the function gives true. */
  filter<Kept extends Value>(keep: (value: Value) => value is Kept): Flow<Kept, SourceKey>
  filter(keep: (value: Value) => Awaitable<boolean>): Flow<Value, SourceKey>
  filter(keep: (value: never) => unknown): Flow<never, SourceKey> {
    return new Flow(withStep(this[planMark], { kind: 'filter', run: keep }))
  }

  /** Makes one value of each. */
  map<Next>(make: (value: Value) => Awaitable<Next>): Flow<Next, SourceKey> {
    return new Flow(withStep(this[planMark], { kind: 'map', run: make as never }))
  }

  /** Makes any number of values of each. */
  flatMap<Next>(make: (value: Value) => Awaitable<Iterable<Next>>): Flow<Next, SourceKey> {
    return new Flow(withStep(this[planMark], { kind: 'flatMap', run: make as never }))
  }

  /** Takes the source's own partition key: what follows keeps state per key, and nothing is moved. */
  keyByPartition(): KeyedFlow<Value, SourceKey> {
    return new KeyedFlow(withStep(this[planMark], { kind: 'keyByPartition' }))
  }

  /** Sends every value to a sink as well; more steps and sinks may follow. */
  to(sink: Sink<Value, undefined>): Flow<Value, SourceKey> {
    return new Flow(withSink(this[planMark], sink))
  }
}

/** A flow whose values belong to a key. Every function is given the key as its second argument. */
export class KeyedFlow<Value, Key> {
  readonly [planMark]: Plan

  constructor(plan: Plan) {
    this[planMark] = plan
  }

  filter(keep: (value: Value, key: Key) => Awaitable<boolean>): KeyedFlow<Value, Key> {
    return new KeyedFlow(withStep(this[planMark], { kind: 'filter', run: keep as never }))
  }

  map<Next>(make: (value: Value, key: Key) => Awaitable<Next>): KeyedFlow<Next, Key> {
    return new KeyedFlow(withStep(this[planMark], { kind: 'map', run: make as never }))
  }

  flatMap<Next>(make: (value: Value, key: Key) => Awaitable<Iterable<Next>>): KeyedFlow<Next, Key> {
    return new KeyedFlow(withStep(this[planMark], { kind: 'flatMap', run: make as never }))
  }

  /** How many values the key has had. The name keeps the state across deploys. */
  count(name: string): KeyedFlow<number, Key> {
    return new KeyedFlow(withStep(this[planMark], { kind: 'count', name }))
  }

  /** The sum of what the function gives, per key. */
  sum(name: string, amount: (value: Value, key: Key) => Awaitable<number>): KeyedFlow<number, Key> {
    return new KeyedFlow(withStep(this[planMark], { kind: 'sum', name, run: amount as never }))
  }

  /** Folds the values of a key; the first one is the first state. */
  reduce(name: string, fold: (state: Value, value: Value) => Awaitable<Value>): KeyedFlow<Value, Key> {
    return new KeyedFlow(withStep(this[planMark], { kind: 'reduce', name, run: fold as never }))
  }

  /** Folds the values of a key into a state of your own: what `initial` gives, then what `fold` returns. */
  aggregate<State>(
    name: string,
    initial: () => State,
    fold: (state: State, value: Value, key: Key) => Awaitable<State>,
  ): KeyedFlow<State, Key> {
    return new KeyedFlow(withStep(this[planMark], { kind: 'aggregate', name, initial, run: fold as never }))
  }

  to(sink: Sink<Value, Key>): KeyedFlow<Value, Key> {
    return new KeyedFlow(withSink(this[planMark], sink))
  }
}

function withStep(plan: Plan, step: Step): Plan {
  return { ...plan, steps: [...plan.steps, step] }
}

function withSink(plan: Plan, to: { readonly sink?: SinkPlan } | undefined): Plan {
  const sink = to?.sink
  if (!sink)
    throw invalid(
      `Step ${plan.steps.length + 1} of ${plan.name} sends to something that is no sink.`,
      'Give to() a table, stream or file with the function that makes its item, record or line.',
    )
  return withStep(plan, { kind: 'sink', sink })
}

const invalid = (message: string, remedy: string): MillraceError =>
  new MillraceError('PIPELINE_INVALID', message, { remedy })
