import { isEventTime } from '../event-times.js'
import type { NodeId, PlanNode, UserFunction } from '../plan/nodes.js'
import type { SinkPlan } from '../plan/sink-plan.js'
import type { EventTime } from './event-time.js'
import type { StageRuntime } from './stage-runtime.js'
import { type At, isThenable, type Push } from './step.js'
import { isThenableCode, stepCode } from './step-code.js'

/** Steps that keep nothing. Each is compiled once a task, and gives a promise only when user code did. */

export function passStep(runtime: StageRuntime, id: NodeId, next: Push): Push {
  const { rowsIn } = runtime
  return (value, at) => {
    rowsIn[id] = (rowsIn[id] as number) + 1
    return next(value, at)
  }
}

const enterCode = `
  rowsIn[id]++
  runtime.mark(id, at)`

/** A row comes in, and the user's function gives its result. */
const resultCode = `${enterCode}
  const result = run(value, at.key)
  if (${isThenableCode('result')}) return runtime.later(result, id, at, (given) => settled(given, value, at))`

interface SimpleStep {
  /** What follows a result, as code, and the same as a function where the result was a promise. */
  readonly code: string
  readonly settled: (given: unknown, value: unknown, at: At) => Promise<void> | undefined
}

function simpleStep(
  runtime: StageRuntime,
  id: NodeId,
  run: UserFunction,
  next: Push,
  { code, settled }: SimpleStep,
): Push {
  const { rowsIn } = runtime
  return stepCode(run, `${resultCode}\n${code}`, { runtime, rowsIn, id, next, settled })
}

export function filterStep(runtime: StageRuntime, id: NodeId, run: UserFunction, next: Push): Push {
  return simpleStep(runtime, id, run, next, {
    code: 'return result ? next(value, at) : undefined',
    settled: (keeps, value, at) => (keeps ? next(value, at) : undefined),
  })
}

export function mapStep(runtime: StageRuntime, id: NodeId, run: UserFunction, next: Push): Push {
  return simpleStep(runtime, id, run, next, {
    code: 'return next(result, at)',
    settled: (made, _value, at) => next(made, at),
  })
}

export function peekStep(runtime: StageRuntime, id: NodeId, run: UserFunction, next: Push): Push {
  return simpleStep(runtime, id, run, next, {
    code: 'return next(value, at)',
    settled: (_, value, at) => next(value, at),
  })
}

export function flatMapStep(runtime: StageRuntime, id: NodeId, run: UserFunction, next: Push): Push {
  const spread = (values: unknown, at: At): Promise<void> | undefined => {
    if (Array.isArray(values)) return spreadArray(values, at, 0)
    if (typeof (values as Iterable<unknown> | undefined)?.[Symbol.iterator] !== 'function')
      throw new TypeError('flatMap returned something that is not iterable.')
    return spreadIterator((values as Iterable<unknown>)[Symbol.iterator](), at)
  }
  const spreadArray = (values: readonly unknown[], at: At, from: number): Promise<void> | undefined => {
    for (let i = from; i < values.length; i++) {
      const pending = next(values[i], at)
      if (pending) return pending.then(() => spreadArray(values, at, i + 1))
    }
    return undefined
  }
  const spreadIterator = (values: Iterator<unknown>, at: At): Promise<void> | undefined => {
    for (;;) {
      // A generator is user code, and what ran since was another step's.
      runtime.mark(id, at)
      const each = values.next()
      if (each.done) return undefined
      const pending = next(each.value, at)
      if (pending) return pending.then(() => spreadIterator(values, at))
    }
  }
  return (value, at) => {
    runtime.enter(id, at)
    const result = run(value as never, at.key as never)
    return isThenable(result) ? runtime.later(result, id, at, (values) => spread(values, at)) : spread(result, at)
  }
}

/** Gives each value to the first output whose function is true, else to the last. */
export function branchStep(
  runtime: StageRuntime,
  id: NodeId,
  runs: readonly UserFunction[],
  outputs: readonly Push[],
): Push {
  const from = (index: number, value: unknown, at: At): Promise<void> | undefined => {
    for (let i = index; i < runs.length; i++) {
      const result = (runs[i] as UserFunction)(value as never, at.key as never)
      if (isThenable(result))
        return runtime.later(result, id, at, (takes) =>
          takes ? (outputs[i] as Push)(value, at) : from(i + 1, value, at),
        )
      if (result) return (outputs[i] as Push)(value, at)
    }
    return (outputs[runs.length] as Push)(value, at)
  }
  return (value, at) => {
    runtime.enter(id, at)
    return from(0, value, at)
  }
}

/** Whole milliseconds of what an `eventTime` function gave. Throws TypeError where that is no time. */
export function eventTimeOf(found: unknown): number {
  if (isEventTime(found)) return Math.floor(found)
  throw new TypeError(
    `eventTime gave ${typeof found === 'number' ? found : `a value of type ${typeof found}`}: give milliseconds since 1970.`,
  )
}

/** What is behind it sees the time that a function finds in the value, and the watermark that follows from it. */
export function eventTimeStep(
  runtime: StageRuntime,
  id: NodeId,
  run: UserFunction | undefined,
  eventTime: EventTime,
  next: Push,
): Push {
  const { rowsIn } = runtime
  const given = { runtime, rowsIn, id, eventTime, eventTimeOf, next }
  return run
    ? stepCode(run, `${enterCode}\nconst found = run(value)\n${eventTimeCode}`, given)
    : stepCode(ownTime, `${enterCode}\nconst found = at.time\n${eventTimeCode}`, given)
}

const ownTime: UserFunction = () => undefined

const eventTimeCode = `
  const { time, stamp } = at
  at.time = eventTimeOf(found)
  at.stamp = eventTime.watermark
  eventTime.observe(at.time)
  const pending = next(value, at)
  if (pending) return pending.then(() => { at.time = time; at.stamp = stamp })
  at.time = time
  at.stamp = stamp
  return undefined`

/** Behind it rows belong to the source's partition key, and stay where they are. */
export function partitionStep(runtime: StageRuntime, id: NodeId, next: Push): Push {
  const { rowsIn } = runtime
  return (value, at) => {
    rowsIn[id] = (rowsIn[id] as number) + 1
    const entry = runtime.partitionOf(at) as NonNullable<At['entry']>
    at.entry = entry
    at.key = entry.shown
    const restore = (): void => {
      at.entry = undefined
      at.key = undefined
    }
    const pending = next(value, at)
    if (pending) return pending.then(restore)
    restore()
    return undefined
  }
}

export function sinkStep(runtime: StageRuntime, id: NodeId, sink: SinkPlan): Push {
  const run = 'run' in sink ? sink.run : undefined
  const { outputs } = runtime
  return (value, at) => {
    runtime.enter(id, at)
    const { key } = at
    const result = run ? run(value as never, key as never) : value
    if (!isThenable(result)) {
      outputs.take(sink, id, result, key)
      return undefined
    }
    return runtime.later(result, id, at, (made) => {
      outputs.take(sink, id, made, key)
      return undefined
    })
  }
}

/** The sink that a `through` is to those who write to its stream. */
export function throughSink(node: Extract<PlanNode, { kind: 'through' }>): SinkPlan {
  return { kind: 'stream', name: node.stream, run: node.run }
}
