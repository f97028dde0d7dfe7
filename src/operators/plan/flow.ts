import { type Awaitable, planMark, type StreamRecord } from '../types.js'
import type { Sink, Source } from './ends.js'
import { invalid } from './invalid.js'
import { KeyedFlow } from './keyed-flow.js'
import { keyedSteps } from './keyed-steps.js'
import type { RowKey } from './keys.js'
import type { OnError } from './nodes.js'
import {
  type AsyncMapOptions,
  branched,
  type EventTimeOptions,
  merged,
  withAsyncMap,
  withEventTime,
  withFunction,
  withSink,
  withThrough,
} from './steps.js'
import type { StreamKey } from './tables.js'
import { begun, extended, nextStep, type Trail } from './trail.js'

/** What `through` appends to its stream. */
export interface ThroughRecord<Value> {
  readonly key: string
  readonly value: Value
  /** Milliseconds since 1970; the time of the value it was made of by default. */
  readonly time?: number
}

/** A pipeline's name, to begin its flows with: one for each source. */
export interface PipelineStart {
  /**
   * What becomes of a record that its step cannot take: it is parked with what comes behind it of its key, or the pipeline
   * stops as failed before it. Without this, `pipelines.onError` of the daemon says it.
   */
  onError(what: OnError): PipelineStart
  from<Value, Key>(source: Source<Value, Key>): Flow<Value, Key>
}

/** Begins a pipeline. The module that defines it exports the flow, or an array of its ends, as default. */
export function pipeline(name: string): PipelineStart {
  return startOf(name, undefined)
}

function startOf(name: string, onError: OnError | undefined): PipelineStart {
  return {
    onError: (what) => startOf(name, what),
    from<Value, Key>(from: Source<Value, Key>): Flow<Value, Key> {
      // Plain JavaScript may give anything.
      const source = (from as Partial<Source<Value, Key>> | undefined)?.source
      if (!source)
        throw invalid(
          `The pipeline ${name} reads from something that is no source.`,
          'Give from() a table(name) or a stream(name) without a function.',
        )
      return new Flow<Value, Key>(begun(name, source, onError))
    },
  }
}

type FlowValue<AnyFlow> = AnyFlow extends Flow<infer Value, infer _Key> ? Value : never
type FlowSourceKey<AnyFlow> = AnyFlow extends Flow<infer _Value, infer SourceKey> ? SourceKey : never

type Guard<Value, Kept extends Value> = (value: Value) => value is Kept

/** The flows of a branch: one of each function, narrowed where that is a type guard, then the rest. */
type Branches<Value, SourceKey, Tests extends readonly unknown[]> = [
  ...{
    [I in keyof Tests]: Tests[I] extends Guard<Value, infer Kept> ? Flow<Kept, SourceKey> : Flow<Value, SourceKey>
  },
  Flow<Value, SourceKey>,
]

/** A pipeline under construction, and a whole one: every call gives a new value. */
export class Flow<Value, SourceKey> {
  readonly [planMark]: Trail

  constructor(trail: Trail) {
    this[planMark] = trail
  }

  /** Keeps the values for which the function gives true. */
  filter<Kept extends Value>(keep: (value: Value) => value is Kept): Flow<Kept, SourceKey>
  filter(keep: (value: Value) => Awaitable<boolean>): Flow<Value, SourceKey>
  filter(keep: (value: never) => unknown): Flow<never, SourceKey> {
    return new Flow(withFunction(this[planMark], 'filter', keep))
  }

  /** Makes one value of each. */
  map<Next>(make: (value: Value) => Awaitable<Next>): Flow<Next, SourceKey> {
    return new Flow(withFunction(this[planMark], 'map', make))
  }

  /** Makes any number of values of each. */
  flatMap<Next>(make: (value: Value) => Awaitable<Iterable<Next>>): Flow<Next, SourceKey> {
    return new Flow(withFunction(this[planMark], 'flatMap', make))
  }

  /** Looks at each value, which goes on as it is. */
  peek(look: (value: Value) => Awaitable<unknown>): Flow<Value, SourceKey> {
    return new Flow(withFunction(this[planMark], 'peek', look))
  }

  /** Like `map` for what takes long: several promises of a task at a time, results in order unless told otherwise. */
  asyncMap<Next>(make: (value: Value) => Awaitable<Next>, options?: AsyncMapOptions): Flow<Next, SourceKey> {
    return new Flow(withAsyncMap(this[planMark], make, options))
  }

  /**
   * Says when things happened: `time` gives milliseconds since 1970 of a value; undefined stands for the record's own time.
   * Windows, joins and timers go by it.
   */
  eventTime(time?: ((value: Value) => number) | undefined, options?: EventTimeOptions): Flow<Value, SourceKey> {
    return new Flow(withEventTime(this[planMark], time, options))
  }

  /** Gives each value to the flow of the first function that is true, to the last flow when none is. */
  branch<Tests extends readonly ((value: Value) => Awaitable<boolean>)[]>(
    ...tests: Tests
  ): Branches<Value, SourceKey, Tests> {
    return branched(this[planMark], tests).map((trail) => new Flow(trail)) as Branches<Value, SourceKey, Tests>
  }

  /** One flow of this and others of the same pipeline. */
  merge<Others extends readonly Flow<unknown, unknown>[]>(
    ...others: Others
  ): Flow<Value | FlowValue<Others[number]>, SourceKey | FlowSourceKey<Others[number]>> {
    return new Flow(merged(this[planMark], others))
  }

  /** What follows keeps state per the key that the function gives; values move to the task that owns it, in memory. */
  keyBy<NewKey extends RowKey>(key: (value: Value) => NewKey): KeyedFlow<Value, NewKey> {
    return new KeyedFlow(withFunction(this[planMark], 'keyBy', key))
  }

  /** Takes the source's own partition key: what follows keeps state per key, and nothing is moved. */
  keyByPartition(): KeyedFlow<Value, SourceKey> {
    return new KeyedFlow(extended(this[planMark], { kind: 'keyByPartition' }))
  }

  /** A durable stream in between: each value is appended to it, and what follows reads it. */
  through<Next>(
    stream: string,
    record: (value: Value) => Awaitable<ThroughRecord<Next>>,
  ): Flow<StreamRecord<Next>, StreamKey> {
    return new Flow(withThrough(this[planMark], stream, record))
  }

  /** Sends every value to a sink as well; more steps and sinks may follow. */
  to(sink: Sink<Value, undefined>, name?: string): Flow<Value, SourceKey> {
    return new Flow(withSink(this[planMark], sink, name))
  }
}

/** Who writes plain JavaScript and forgets the key is told so, instead of that there is no such function. */
for (const step of keyedSteps)
  Object.defineProperty(Flow.prototype, step, {
    value(this: Flow<unknown, unknown>) {
      throw invalid(
        `${nextStep(this[planMark], step)} keeps state per key, but nothing says which key.`,
        'Put .keyBy((value) => key) or .keyByPartition() before it.',
      )
    },
  })
