import type { NodeId, PlanNode } from '../plan/nodes.js'
import type { SinkPlan } from '../plan/sink-plan.js'
import type { EventTime } from './event-time.js'
import type { Exit } from './exit.js'
import type { Parking } from './parking.js'
import type { StageRuntime } from './stage-runtime.js'
import { type At, isThenable, type Push } from './step.js'
import { eventTimeOf } from './value-steps.js'

/**
 * The steps that keep nothing, in careful mode. Each does what its sibling in value-steps.ts does, but its user code is an
 * attempt of its own: what it gives goes on only when it has returned, so that there is nothing to put back.
 */

/** Leads the rows of keys that wait at a step aside. */
export function ledAside(parking: Parking, id: NodeId, push: Push): Push {
  return (value, at) => {
    if (!parking.waits(id, at)) return push(value, at)
    parking.join(id, at, { kind: 'row', value, input: 0 })
    return undefined
  }
}

interface Guarded<Result> {
  readonly call: (value: unknown, at: At) => unknown
  readonly finish: (result: unknown, value: unknown, at: At) => Result
  readonly next: (result: Result, value: unknown, at: At) => Promise<void> | undefined
}

function guarded<Result>(
  runtime: StageRuntime,
  parking: Parking,
  id: NodeId,
  { call, finish, next }: Guarded<Result>,
): Push {
  const { rowsIn } = runtime
  return async (value, at) => {
    rowsIn[id] = (rowsIn[id] as number) + 1
    const item = { kind: 'row', value, input: 0 } as const
    if (parking.waits(id, at)) return parking.join(id, at, item)
    const done = await parking.attempt({
      node: id,
      at,
      item,
      call: () => call(value, at),
      finish: (result) => finish(result, value, at),
    })
    if (done) await next(done.result, value, at)
  }
}

const asItIs = (result: unknown): unknown => result

/** A step of careful mode; undefined for nodes without user code. */
export function guardedStep(
  runtime: StageRuntime,
  parking: Parking,
  id: NodeId,
  node: PlanNode,
  next: Push,
): Push | undefined {
  const guard = <Result>(parts: Guarded<Result>): Push => guarded(runtime, parking, id, parts)
  switch (node.kind) {
    case 'filter':
      return guard({
        call: (value, at) => node.run(value as never, at.key as never),
        finish: asItIs,
        next: (keeps, value, at) => (keeps ? next(value, at) : undefined),
      })
    case 'map':
      return guard({
        call: (value, at) => node.run(value as never, at.key as never),
        finish: asItIs,
        next: (made, _value, at) => next(made, at),
      })
    case 'asyncMap':
      return guard({
        call: (value, at) => inTime(runtime, node.timeoutMs, node.run(value as never, at.key as never)),
        finish: asItIs,
        next: (made, _value, at) => next(made, at),
      })
    case 'peek':
      return guard({
        call: (value, at) => node.run(value as never, at.key as never),
        finish: asItIs,
        next: (_, value, at) => next(value, at),
      })
    case 'flatMap':
      return guard({
        call: (value, at) => node.run(value as never, at.key as never),
        finish: spread,
        next: async (values, _value, at) => {
          for (const value of values) await next(value, at)
        },
      })
    default:
      return undefined
  }
}

function spread(values: unknown): unknown[] {
  if (typeof (values as Iterable<unknown> | undefined)?.[Symbol.iterator] !== 'function')
    throw new TypeError('flatMap returned something that is not iterable.')
  return [...(values as Iterable<unknown>)]
}

/** One at a time, so its promise has the time that it has elsewhere. */
function inTime(runtime: StageRuntime, timeoutMs: number, result: unknown): unknown {
  if (!isThenable(result)) return result
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new Error(`asyncMap had no result after ${timeoutMs} ms.`))
    const timer = runtime.host.setTimeout(late, timeoutMs)
    const settled = (): void => timer.cancel()
    result.then(
      (made) => {
        settled()
        resolve(made)
      },
      (error: unknown) => {
        settled()
        reject(error)
      },
    )
  })
}

export function guardedBranch(
  runtime: StageRuntime,
  parking: Parking,
  id: NodeId,
  node: Extract<PlanNode, { kind: 'branch' }>,
  outputs: readonly Push[],
): Push {
  return guarded(runtime, parking, id, {
    call: async (value, at) => {
      for (const [i, run] of node.runs.entries()) if (await run(value as never, at.key as never)) return i
      return node.runs.length
    },
    finish: (index) => index as number,
    next: (index, value, at) => outputs[index]?.(value, at),
  })
}

export function guardedEventTime(
  runtime: StageRuntime,
  parking: Parking,
  id: NodeId,
  node: Extract<PlanNode, { kind: 'eventTime' }>,
  eventTime: EventTime,
  next: Push,
): Push {
  const { run } = node.time
  return guarded(runtime, parking, id, {
    call: (value, at) => (run ? run(value as never, undefined as never) : at.time),
    finish: eventTimeOf,
    next: async (found, value, at) => {
      const { time, stamp } = at
      at.time = found
      // What was parked is late by the watermark of that time.
      at.stamp = parking.markOf(id) ?? eventTime.watermark
      eventTime.observe(found)
      await next(value, at)
      at.time = time
      at.stamp = stamp
    },
  })
}

export function guardedSink(runtime: StageRuntime, parking: Parking, id: NodeId, sink: SinkPlan): Push {
  const run = 'run' in sink ? sink.run : undefined
  return guarded(runtime, parking, id, {
    call: (value, at) => (run ? run(value as never, at.key as never) : value),
    finish: (result, _value, at) => runtime.outputs.take(sink, id, result, at.key),
    next: () => undefined,
  })
}

export function guardedExit(runtime: StageRuntime, parking: Parking, exit: Exit): Push {
  return guarded(runtime, parking, exit.id, {
    call: (value, at) => exit.keyOf(value, at),
    finish: (key, value) => {
      exit.check(key, value)
      return key
    },
    next: (key, value, at) => exit.give(key, value, at),
  })
}
