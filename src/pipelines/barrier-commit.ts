import { type EffectSet, Family, type RowEffect } from '../commit/index.js'
import type { Position } from '../groups/index.js'
import type { NodeId } from '../operators/index.js'
import { lowestWatermarks, type NodeWatermark, type SinkBatch } from '../operators/task/index.js'
import { MillraceError } from '../runtime/index.js'
import type { FileSink, Outbox, SinkEffects, SinkWork } from '../sinks/index.js'
import type { TableKeys } from '../tables/index.js'
import { type PackedBarrier, type RowsOfPipeline, rowsIn } from '../workers/index.js'
import type { EventTimes } from './event-times.js'
import { sinksOf } from './plan-steps.js'
import { numbered, type PipelineRow, sinkFileRow } from './rows.js'
import type { RunSource, RunTask } from './run-tasks.js'
import type { TimeOwner } from './time-rows.js'

/** What a task gave for a barrier; a source's also where it stands. */
export interface BarrierPart {
  readonly task: RunTask
  readonly result: PackedBarrier
  readonly position: Position | undefined
}

/** The positions of the parts, by source. */
export function positionsOf(parts: readonly BarrierPart[]): ReadonlyMap<RunSource, readonly Position[]> {
  const positions = new Map<RunSource, Position[]>()
  for (const { task, position } of parts) {
    if (!task.source || !position) continue
    const ofSource = positions.get(task.source.of)
    if (ofSource) ofSource.push(position)
    else positions.set(task.source.of, [position])
  }
  return positions
}

/** Where the state of each step lies: under the number of its name. */
export function rowsOfPipeline({ id, plan, states }: PipelineRow): RowsOfPipeline {
  const numbers = plan.nodes.flatMap((node, i) =>
    node.kind === 'keyed' ? [[i, states[node.name] as number] as const] : [],
  )
  return {
    state: numbered(Family.state, id),
    timer: numbered(Family.timer, id),
    parked: numbered(Family.parked, id),
    numbers: Object.fromEntries(numbers),
  }
}

export interface BarrierRows {
  readonly rows: readonly RowEffect[]
  /** Of these, what the steps changed. */
  readonly changes: number
  /** Of those, what is not parked. */
  readonly stateChanges: number
}

/** What state and time of a barrier make of the store. */
export function rowsOf(parts: readonly BarrierPart[], times: EventTimes): BarrierRows {
  const rows: RowEffect[] = []
  let now = 0
  for (const { result } of parts) {
    now = Math.max(now, result.now)
    for (const row of rowsIn(result.rows)) rows.push(row)
  }
  const stateChanges = rows.length
  for (const { result } of parts) if (result.parked) for (const row of rowsIn(result.parked)) rows.push(row)
  const changes = rows.length
  for (const [owner, watermarks] of timesOf(parts)) for (const row of times.take(owner, watermarks)) rows.push(row)
  // Only what steps do with processing time must not see it go back.
  if (stateChanges > 0) for (const row of times.takeNow(now)) rows.push(row)
  return { rows, changes, stateChanges }
}

/** How far event time is in each shard and each keyed stage. */
function timesOf(parts: readonly BarrierPart[]): readonly (readonly [TimeOwner, readonly NodeWatermark[]])[] {
  const stages = new Map<number, { readonly owner: TimeOwner; readonly tasks: (readonly NodeWatermark[])[] }>()
  const times: (readonly [TimeOwner, readonly NodeWatermark[]])[] = []
  for (const { task, result } of parts) {
    const { owner, stage } = task
    if (owner.kind === 'shard') {
      times.push([owner, result.watermarks])
      continue
    }
    const known = stages.get(stage)
    if (known) known.tasks.push(result.watermarks)
    else stages.set(stage, { owner, tasks: [result.watermarks] })
  }
  for (const { owner, tasks } of stages.values()) times.push([owner, lowestWatermarks(tasks)])
  return times
}

export interface SinkParts {
  readonly row: PipelineRow
  readonly sinkKeys: Readonly<Record<NodeId, TableKeys>>
  readonly files: ReadonlyMap<NodeId, FileSink>
  readonly outboxes: ReadonlyMap<NodeId, Outbox>
}

/** What the sinks of a barrier are to write, and how many results are dropped of those that are held back. */
export interface BarrierWork {
  readonly work: readonly SinkWork[]
  readonly held: readonly { readonly sink: NodeId; readonly records: number }[]
}

/** What the sinks are to write, task by task. Files that are due are there without any line, too. */
export function workOf(
  parts: readonly BarrierPart[],
  { row, sinkKeys, files, outboxes }: SinkParts,
  now: number,
): BarrierWork {
  const gathered = new Map<NodeId, { readonly entries: string[]; readonly batches: SinkBatch[] }>()
  for (const { result } of parts)
    for (const { sink, entries, batch } of result.outputs) {
      const all = gathered.get(sink) ?? { entries: [], batches: [] }
      gathered.set(sink, all)
      for (const entry of entries) all.entries.push(entry)
      if (batch) all.batches.push(batch)
    }
  for (const [node, { dueAt }] of files)
    if (dueAt !== undefined && dueAt <= now && !gathered.has(node)) gathered.set(node, { entries: [], batches: [] })
  const sinks = new Map(sinksOf(row.plan).map((sink) => [sink.node, sink]))
  const held: { sink: NodeId; records: number }[] = []
  const work = [...gathered].flatMap(([node, { entries, batches }]): SinkWork[] => {
    const sink = sinks.get(node)
    if (!sink) throw new MillraceError('INTERNAL', `Node ${node} is no sink.`)
    if (sink.isHeld) {
      held.push({ sink: node, records: entries.length })
      return []
    }
    if (sink.kind === 'stream') return [{ kind: 'stream', name: sink.target, batches }]
    if (sink.kind === 'table') {
      const { indexes: _, ...schema } = sinkKeys[node] as TableKeys
      return [{ kind: 'table', name: sink.target, schema, entries }]
    }
    const outbox = outboxes.get(node)
    if (outbox) return [{ kind: 'outbox', outbox, entries }]
    return [{ kind: 'file', index: node, file: files.get(node) as FileSink, entries }]
  })
  return { work, held }
}

/** Everything of a barrier as one effect set. */
export function effectsOf(
  positions: ReadonlyMap<RunSource, readonly Position[]>,
  { rows, changes }: BarrierRows,
  sinks: SinkEffects,
  row: PipelineRow,
): EffectSet {
  const moved = [...positions].flatMap(([{ group }, ofSource]) => group.rowsFor(ofSource))
  const files = [...sinks.files].map(([node, file]) => sinkFileRow(row.id, fileNumber(row, node), file))
  const isPositionOnly = sinks.rows.length === 0 && sinks.records.length === 0 && changes === 0 && files.length === 0
  return {
    rows: [...moved, ...rows, ...sinks.rows, ...files],
    records: sinks.records,
    ...sinks.shapes,
    ...(isPositionOnly ? { essential: true } : {}),
  }
}

export function fileNumber({ plan, files }: PipelineRow, node: NodeId): number {
  const sink = plan.nodes[node]
  return files[sink?.kind === 'sink' ? sink.name : ''] as number
}
