import { csvHeader, type NodeDescription, type NodeId, type PlanDescription, sourceLabel } from '../operators/index.js'
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
  return source.kind === 'table' ? `table:${source.name}` : sourceLabel(source)
}

/** The sinks of a plan, those of `through` among them. */
export interface PlanSink {
  readonly node: NodeId
  readonly name: string
  readonly kind: string
  readonly target: string
  /** Its results are dropped: it is a shadow's, and goes outside. */
  readonly isHeld: boolean
}

export function sinksOf({ nodes }: PlanDescription): readonly PlanSink[] {
  return nodes.flatMap((node, id): PlanSink[] => {
    if (node.kind === 'through')
      return [{ node: id, name: `through:${node.stream}`, kind: 'stream', target: node.stream, isHeld: false }]
    if (node.kind !== 'sink') return []
    const { kind, target, isHeld = false } = node.sink
    return [{ node: id, name: node.name, kind, target, isHeld }]
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

/** Throws PIPELINE_INVALID for a plan that cannot be cut into stages, or cannot be run so. */
export function checkRunnable(plan: PlanDescription, around: { readonly isBounded: boolean } & KafkaNames): void {
  stagesOf(plan.nodes)
  plan.nodes.forEach((node, id) => {
    if (node.kind === 'sink' && node.sink.kafka)
      checkKafka(node.sink.kafka, node.sink.target, `Step ${id} of ${plan.name} (sink)`, around)
    if (node.kind === 'source' && node.source.kind === 'kafka')
      checkKafka(node.source, node.source.name, `The source of ${plan.name} (step ${id})`, around)
    if (node.kind === 'source' && node.source.kind === 'files' && !around.isBounded)
      throw new MillraceError(
        'PIPELINE_INVALID',
        `The source of ${plan.name} (step ${id}) is files: they come to an end, and a deployed pipeline has none.`,
        { remedy: 'Run it to their end: millrace pipelines run FILE. For what goes on coming, append it to a stream.' },
      )
  })
}

/** What the daemon's configuration knows of Kafka. */
interface KafkaNames {
  readonly brokers: readonly string[]
  readonly clusters: readonly string[]
}

function checkKafka(
  named: { readonly brokers: readonly string[]; readonly cluster?: string | undefined },
  topic: string,
  where: string,
  { brokers, clusters }: KafkaNames,
): void {
  const { cluster } = named
  if (cluster !== undefined && !clusters.includes(cluster))
    throw new MillraceError(
      'PIPELINE_INVALID',
      `${where}: no Kafka cluster ${cluster} is configured (${clusters.length === 0 ? 'none is' : `there are ${clusters.join(', ')}`}).`,
      { remedy: 'Add it to kafka.clusters of the configuration and start the daemon again, or name another one.' },
    )
  if (cluster === undefined && named.brokers.length + brokers.length === 0)
    throw new MillraceError('PIPELINE_INVALID', `${where}: no broker is known for the Kafka topic ${topic}.`, {
      remedy: "Name them in the configuration (kafka.brokers), or in place: { brokers: 'host:9092' }.",
    })
}

/** Whether a pipeline writes to what it reads. */
export function writesToItsSource(plan: PlanDescription): boolean {
  const sources = plan.nodes.flatMap((node) =>
    node.kind === 'source' && node.source.kind !== 'files' ? [`${node.source.kind} ${node.source.name}`] : [],
  )
  return sinksOf(plan).some(({ kind, target }) => sources.includes(`${kind} ${target}`))
}

/** Whether a source of a plan is brought by a feed. */
export const isFed = ({ nodes }: PlanDescription): boolean =>
  nodes.some(
    (node) =>
      node.kind === 'source' &&
      (node.source.kind === 'files' ||
        node.source.kind === 'kafka' ||
        (node.source.kind === 'table' && node.source.snapshot === true)),
  )
