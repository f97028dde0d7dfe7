import { Flow, type KeyedFlow, type PipelinePlan, type PlanNode, pipeline, stepName } from './plan/index.js'
import { invalid } from './plan/invalid.js'
import type { Trail } from './plan/trail.js'
import { type Plan, planMark, type SinkPlan, type Step } from './types.js'

/** A plan of linear steps, as the executor of version 1 takes it. Throws PIPELINE_INVALID for what it cannot say. */
export function asVersion1(plan: PipelinePlan): Plan {
  const { name, nodes } = plan
  const [first] = nodes
  if (first?.kind !== 'source' || first.source.kind === 'files') throw notYet(plan, 0)
  let last = 0
  const steps = nodes.slice(1).map((node, i): Step => {
    const id = i + 1
    const step = node.inputs.length === 1 && node.inputs[0] === last ? stepOf(node) : undefined
    if (!step) throw notYet(plan, id)
    if (node.kind !== 'sink') last = id
    return step
  })
  const { kind, name: from } = first.source
  return { version: 1, name, source: { kind, name: from }, steps }
}

const notYet = (plan: PipelinePlan, id: number) =>
  invalid(
    `${stepName(plan.name, plan.nodes, id)} is not run yet.`,
    'Use one source, filter, map, flatMap, keyByPartition, count, sum, reduce, aggregate and sinks in one line.',
  )

function stepOf(node: PlanNode): Step | undefined {
  switch (node.kind) {
    case 'filter':
    case 'map':
    case 'flatMap':
      return { kind: node.kind, run: node.run }
    case 'keyByPartition':
      return { kind: node.kind }
    case 'keyed':
      return (node.make() as { readonly version1?: Step }).version1
    case 'sink':
      return isOfVersion1(node.sink) ? { kind: 'sink', sink: node.sink } : undefined
    default:
      return undefined
  }
}

function isOfVersion1(sink: { readonly kind: string }): sink is SinkPlan {
  if (sink.kind === 'file') {
    const { format, roll } = sink as { format?: string; roll?: unknown }
    return format === 'ndjson' && roll === undefined
  }
  return sink.kind === 'table' || sink.kind === 'stream'
}

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
