import type { StreamId } from '../log/index.js'
import type { NodeDescription, PlanDescription } from '../operators/index.js'
import { groupNameOf, type PipelineRow } from './rows.js'

/** A step as pipelines of version 1 stored it. */
type Step1 =
  | { readonly kind: 'filter' | 'map' | 'flatMap' | 'keyByPartition' }
  | { readonly kind: 'count' | 'sum' | 'reduce' | 'aggregate'; readonly name: string }
  | { readonly kind: 'sink'; readonly sink: { readonly kind: 'table' | 'stream' | 'file'; readonly target: string } }

/** A pipeline's row of version 1: one source, and steps in one line. */
export interface PipelineRow1 extends Omit<PipelineRow, 'plan' | 'sources' | 'states' | 'files'> {
  readonly plan: {
    readonly name: string
    readonly source: { readonly kind: 'table' | 'stream'; readonly name: string }
    readonly steps: readonly Step1[]
  }
  readonly stream: StreamId
  readonly hashKeyName?: string
}

/**
 * A row of version 1 as one of today: its steps become nodes behind that of the source, in the same order as the module's own
 * plan does in a worker. State and files stay under the numbers of their steps.
 */
export function upgraded(row: PipelineRow1): PipelineRow {
  const { plan, stream, hashKeyName, ...rest } = row
  const nodes = nodesOf(plan)
  const states: Record<string, number> = {}
  const files: Record<string, number> = {}
  nodes.forEach((node, i) => {
    if (node.kind === 'keyed') states[node.name] = i - 1
    if (node.kind === 'sink' && node.sink.kind === 'file') files[node.name] = i - 1
  })
  return {
    ...rest,
    plan: { version: 2, name: plan.name, nodes },
    sources: [{ node: 0, group: groupNameOf(plan.name), stream, hashKeyName }],
    states,
    files,
  }
}

function nodesOf({ source, steps }: PipelineRow1['plan']): PlanDescription['nodes'] {
  const nodes: NodeDescription[] = [{ kind: 'source', inputs: [], source }]
  const sinks = new Map<string, number>()
  let last = 0
  for (const step of steps) {
    const inputs = [last]
    // A sink gives nothing on: what follows it takes what it took.
    if (step.kind !== 'sink') last = nodes.length
    if (step.kind === 'sink') {
      const target = `${step.sink.kind}:${step.sink.target}`
      const many = (sinks.get(target) ?? 0) + 1
      sinks.set(target, many)
      nodes.push({ kind: 'sink', inputs, name: many === 1 ? target : `${target}#${many}`, sink: step.sink })
    } else if ('name' in step) {
      const state = { version: 1, canMigrate: false }
      nodes.push({ kind: 'keyed', inputs, operator: step.kind, name: step.name, sides: [], state })
    } else nodes.push({ kind: step.kind, inputs })
  }
  return nodes
}
