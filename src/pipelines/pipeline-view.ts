import { type NodeId, withoutSecrets } from '../operators/index.js'
import type { Outbox } from '../sinks/index.js'
import type { ParkedIndex } from './parked-index.js'
import type { PipelineState } from './pipeline-lifecycle.js'
import type { PipelineView } from './pipeline-parts.js'
import { sinksOf, sourceName, stepsOf } from './plan-steps.js'
import type { Failure, PipelineRow } from './rows.js'
import type { PipelineRun } from './run.js'

/** What a pipeline knows of itself. */
export interface PipelineStatus {
  readonly row: PipelineRow
  readonly state: PipelineState
  readonly attempts: number
  readonly group: string
  readonly passed: () => { readonly passed: number; readonly all: number }
  readonly rowsIn: readonly number[]
  readonly run: PipelineRun | undefined
  readonly committed: number
  readonly secondsLast: number
  readonly error: Failure | undefined
  readonly outboxes: readonly { readonly sink: string; readonly outbox: Outbox }[]
  readonly parked: ParkedIndex
  /** Results that were dropped since the start of the daemon, by sink. */
  readonly held: ReadonlyMap<NodeId, number>
}

/** A pipeline as it is shown. */
export function pipelineView(status: PipelineStatus): PipelineView {
  const { row, run, outboxes, parked, rowsIn } = status
  const { plan, createdAt, sources, revision = 1, bounded, takeOver } = row
  const names = sources.map(({ node }) => sourceName(plan, node))
  return {
    name: plan.name,
    source: names[0] as string,
    sources: names,
    state: status.state,
    group: status.group,
    attempts: status.attempts,
    createdAt,
    revision,
    ...(bounded ? { bounded: { ...bounded, ...status.passed() } } : {}),
    ...(row.shadow ? { shadow: { of: row.shadow.of, isWhole: row.shadow.isWhole, held: heldOf(status) } } : {}),
    ...(takeOver ? { takeOver: { tables: takeOver.tables } } : {}),
    steps: stepsOf(plan).map((node, i) => ({
      kind: node.kind === 'keyed' ? node.operator : node.kind,
      ...(node.kind === 'keyed' ? { name: node.name } : {}),
      rowsIn: rowsIn[i + 1] as number,
    })),
    barrier: {
      inFlight: run?.barrierInFlight ?? false,
      committed: status.committed,
      secondsLast: status.secondsLast,
    },
    tasks: run?.taskCount ?? 0,
    ...(run?.watermark === undefined ? {} : { watermark: run.watermark }),
    error: status.error,
    ...(outboxes.length === 0 ? {} : { outboxes: outboxes.map(({ sink, outbox }) => ({ sink, ...outbox.view() })) }),
    parked: {
      records: parked.count,
      keys: parked.queues().length,
      isFull: parked.isFull,
    },
    plan: withoutSecrets(plan),
  }
}

const heldOf = ({ row: { plan }, held }: PipelineStatus) =>
  sinksOf(plan).flatMap(({ node, name, isHeld }) => (isHeld ? [{ sink: name, records: held.get(node) ?? 0 }] : []))
