import { csvHeader, type NodeDescription, type NodeId, type PlanDescription } from '../operators/index.js'
import { type SourceStage, type Stages, stagesOf } from '../operators/task/index.js'
import { MillraceError } from '../runtime/index.js'
import type { FileShape } from '../sinks/index.js'

/** Steps are the nodes behind the first source, as errors and people count them: the first one is step 0 here, 1 there. */
export const stepOf = (node: NodeId): number => Math.max(0, node - 1)

export const stepsOf = ({ nodes }: PlanDescription): readonly NodeDescription[] => nodes.slice(1)

/** The name that a step has in metrics: that of its state, or its place and kind, so that no two of a pipeline are one. */
export function stepLabel(node: NodeDescription, step: number): string {
  return node.kind === 'keyed' ? node.name : `${step}-${node.kind}`
}

/** For each node those that take what it gives; sinks of a step take it as well as what follows. */
export function consumersOf(nodes: PlanDescription['nodes']): readonly (readonly NodeId[])[] {
  const consumers: NodeId[][] = nodes.map(() => [])
  nodes.forEach(({ inputs }, id) => {
    for (const input of inputs) consumers[input]?.push(id)
  })
  return consumers
}

/** What a source reads, as groups and people name it: a stream, or `table:NAME`. */
export function sourceName({ nodes }: PlanDescription, id: NodeId): string {
  const node = nodes[id]
  if (node?.kind === 'through') return node.stream
  if (node?.kind !== 'source') return ''
  const { source } = node
  if (source.kind === 'files') return source.path
  return source.kind === 'table' ? `table:${source.name}` : source.name
}

/** The sinks of a plan, those of `through` among them. */
export interface PlanSink {
  readonly node: NodeId
  readonly name: string
  readonly kind: string
  readonly target: string
}

export function sinksOf({ nodes }: PlanDescription): readonly PlanSink[] {
  return nodes.flatMap((node, id) => {
    if (node.kind === 'through')
      return [{ node: id, name: `through:${node.stream}`, kind: 'stream', target: node.stream }]
    if (node.kind !== 'sink') return []
    return [{ node: id, name: node.name, kind: node.sink.kind, target: node.sink.target }]
  })
}

/** What the file of a sink is to be like. */
export function fileShape({ nodes }: PlanDescription, id: NodeId): FileShape {
  const node = nodes[id]
  if (node?.kind !== 'sink') return {}
  const { columns, roll } = node.sink
  return { header: columns && csvHeader(columns), roll }
}

/** Where a source stage without an `eventTime` step has none said, ms: how long a silent shard holds event time back. */
const idleMsDefault = 60_000

/** How long, ms, a shard of a source stage may give nothing before it is idle. */
export function idleMsOf({ nodes }: PlanDescription, stage: SourceStage): number {
  const idleMs = stage.nodes.flatMap((id) => {
    const node = nodes[id]
    return node?.kind === 'eventTime' ? [node.idleMs] : []
  })
  return idleMs.length === 0 ? idleMsDefault : Math.max(...idleMs)
}

/** Names of the steps of a stage that keep state, or what it begins with. */
export function stageLabel({ nodes }: PlanDescription, stages: Stages, stage: number): string {
  const names = (stages.stages[stage]?.nodes ?? []).flatMap((id) => {
    const node = nodes[id]
    return node?.kind === 'keyed' ? [node.name] : []
  })
  return names.length > 0 ? names.join(', ') : `stage ${stage}`
}

/** Throws PIPELINE_INVALID for a plan that cannot be cut into stages, or has what is not run yet. */
export function checkRunnable(plan: PlanDescription): void {
  stagesOf(plan.nodes)
  plan.nodes.forEach((node, id) => {
    const what = notRun(node)
    if (what !== undefined)
      throw new MillraceError('PIPELINE_INVALID', `Step ${id} of ${plan.name} (${node.kind}): ${what} not run yet.`, {
        remedy:
          'Use tables and streams as sources; for Kafka, send to a stream and bridge it: millrace bridges create.',
      })
  })
}

function notRun(node: NodeDescription): string | undefined {
  if (node.kind === 'source') {
    if (node.source.kind === 'files') return 'files as a source are'
    return node.source.kind === 'table' && node.source.snapshot ? 'snapshots of tables are' : undefined
  }
  if (node.kind !== 'sink') return undefined
  const { kind } = node.sink
  if (kind === 'kafka') return 'Kafka sinks are'
  return undefined
}

/** Whether a pipeline reads what it wrote. */
export function writesToItsSource(plan: PlanDescription): boolean {
  const sources = plan.nodes.flatMap((node) =>
    node.kind === 'source' && node.source.kind !== 'files' ? [`${node.source.kind} ${node.source.name}`] : [],
  )
  return sinksOf(plan).some(({ kind, target }) => sources.includes(`${kind} ${target}`))
}

/** The steps behind the source, with the rows that came to each. `rowsIn` is by node. */
export const shownSteps = (plan: PlanDescription, rowsIn: readonly number[]) =>
  stepsOf(plan).map((node, i) => ({
    kind: node.kind === 'keyed' ? node.operator : node.kind,
    ...(node.kind === 'keyed' ? { name: node.name } : {}),
    rowsIn: rowsIn[i + 1] as number,
  }))
