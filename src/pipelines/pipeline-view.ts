import { type NodeId, withoutSecrets } from '../operators/index.js'
import type { Outbox } from '../sinks/index.js'
import type { ParkedIndex } from './parked-index.js'
import type { PipelineState } from './pipeline-lifecycle.js'
import type { PipelineParts, PipelineView } from './pipeline-parts.js'
import { sinksOf, sourceName, stepsOf } from './plan-steps.js'
import type { Failure, PipelineRow } from './rows.js'
import type { PipelineRun } from './run.js'

/** What a pipeline knows of itself. */
export interface Viewed {
  readonly row: PipelineRow
  readonly state: PipelineState
  readonly parts: PipelineParts
  readonly run: PipelineRun | undefined
  readonly attempts: number
  readonly committed: number
  readonly secondsLast: number
  /** By node. */
  readonly rowsIn: readonly number[]
  /** The same, per second. */
  readonly rates: readonly number[]
  readonly failure: Failure | undefined
  readonly outboxes: readonly { readonly sink: string; readonly outbox: Outbox }[]
  readonly onError: PipelineView['onError']
  readonly parked: ParkedIndex
  /** Results that were dropped since the start of the daemon, by sink. */
  readonly held: ReadonlyMap<NodeId, number>
}

/** What is shown of a pipeline, without anything secret. */
export function pipelineView(of: Viewed): PipelineView {
  const { row, parts, run, rowsIn, outboxes, parked } = of
  const { plan, createdAt, sources, revision = 1, bounded, takeOver } = row
  const names = sources.filter(({ feed }) => feed !== 'snapshot').map(({ node }) => sourceName(plan, node))
  const watermark = run?.watermark
  return {
    name: plan.name,
    source: names[0] as string,
    sources: names,
    state: of.state,
    group: parts.sources[0]?.group.name as string,
    groups: parts.sources.map(({ group }) => group.name),
    attempts: of.attempts,
    createdAt,
    revision,
    ...(bounded ? { bounded: { ...bounded, ...parts.passed(), ...(run?.files ? { files: run.files } : {}) } } : {}),
    ...(row.shadow ? { shadow: { of: row.shadow.of, isWhole: row.shadow.isWhole, held: heldOf(of) } } : {}),
    ...(takeOver ? { takeOver: { tables: takeOver.tables } } : {}),
    recordsPerSecond: sources.reduce((sum, { node }) => sum + recordsOf(row, node, of.rates), 0),
    steps: stepsOf(plan).map((node, i) => ({
      kind: node.kind === 'keyed' ? node.operator : node.kind,
      ...(node.kind === 'keyed' ? { name: node.name } : {}),
      rowsIn: rowsIn[i + 1] as number,
    })),
    barrier: { inFlight: run?.barrierInFlight ?? false, committed: of.committed, secondsLast: of.secondsLast },
    tasks: run?.taskCount ?? 0,
    ...(watermark === undefined ? {} : { watermark }),
    error: of.failure,
    ...(outboxes.length === 0 ? {} : { outboxes: outboxes.map(({ sink, outbox }) => ({ sink, ...outbox.view() })) }),
    onError: of.onError,
    parked: { records: parked.count, keys: parked.queues().length, isFull: parked.isFull },
    plan: withoutSecrets(plan),
  }
}

/** The stream of a `through` is written by the pipeline itself: its records are counted where they go in. */
const recordsOf = ({ plan }: PipelineRow, node: number, rates: readonly number[]): number =>
  plan.nodes[node]?.kind === 'source' ? (rates[node] ?? 0) : 0

const heldOf = ({ row: { plan }, held }: Viewed) =>
  sinksOf(plan).flatMap(({ node, name, isHeld }) => (isHeld ? [{ sink: name, records: held.get(node) ?? 0 }] : []))
