import { Flow, type KeyedFlow, pipeline } from './plan/index.js'
import { invalid } from './plan/invalid.js'
import type { Trail } from './plan/trail.js'
import { type Plan, planMark, type SinkPlan, type Step } from './types.js'

/** A plan of version 1, from a module that was bundled by an earlier Millrace, as a trail of this one. */
export function fromVersion1({ name, source, steps }: Plan): Trail {
  let flow: Flow<unknown, unknown> | KeyedFlow<unknown, unknown> = pipeline(name).from({ source })
  for (const step of steps) flow = flow instanceof Flow ? afterUnkeyed(flow, step) : afterKeyed(flow, step)
  return flow[planMark]
}

function afterUnkeyed(flow: Flow<unknown, unknown>, step: Step): Flow<unknown, unknown> | KeyedFlow<unknown, unknown> {
  switch (step.kind) {
    case 'filter':
      return flow.filter(step.run as () => boolean)
    case 'map':
      return flow.map(step.run as (value: unknown) => unknown)
    case 'flatMap':
      return flow.flatMap(step.run as () => Iterable<unknown>)
    case 'keyByPartition':
      return flow.keyByPartition()
    case 'sink':
      return flow.to({ sink: sinkOfVersion2(step.sink) })
    default:
      throw invalid(`A step of ${flow[planMark].name} (${step.kind}) has no key.`, 'Put .keyByPartition() before it.')
  }
}

function afterKeyed(flow: KeyedFlow<unknown, unknown>, step: Step): KeyedFlow<unknown, unknown> {
  switch (step.kind) {
    case 'filter':
      return flow.filter(step.run as () => boolean)
    case 'map':
      return flow.map(step.run as (value: unknown) => unknown)
    case 'flatMap':
      return flow.flatMap(step.run as () => Iterable<unknown>)
    case 'keyByPartition':
      return flow
    case 'count':
      return flow.count(step.name)
    case 'sum':
      return flow.sum(step.name, step.run as () => number)
    case 'reduce':
      return flow.reduce(step.name, step.run as (state: unknown) => unknown)
    case 'aggregate':
      return flow.aggregate(step.name, step.initial, step.run as (state: unknown) => unknown)
    case 'sink':
      return flow.to({ sink: sinkOfVersion2(step.sink) })
  }
}

function sinkOfVersion2(sink: SinkPlan) {
  return sink.kind === 'file' ? { ...sink, format: 'ndjson' as const, columns: undefined, roll: undefined } : sink
}
