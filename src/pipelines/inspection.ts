import { Family } from '../commit/index.js'
import { type Group, lagRecords, lagSeconds } from '../groups/index.js'
import type { ShardedLog, ShardId } from '../log/index.js'
import type { NodeId, PlanDescription } from '../operators/index.js'
import { guaranteeOf, nodeDetail, placedLabel } from '../operators/plan/index.js'
import { nodeOfPlace, type Stage, stagesOf } from '../operators/task/index.js'
import type { Clock } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import type { OwnedTimes } from './event-times.js'
import { placesOf } from './park-places.js'
import type { Pipeline } from './pipeline.js'
import type { PipelineView } from './pipeline-parts.js'
import { sourceName, stageLabel } from './plan-steps.js'
import { rowsWith } from './rows.js'

/** Shards that are listed of each source, those that hold event time back the most first. */
const shardsListedMax = 100
/** Timers are counted up to here: a look at a pipeline must not walk over millions of rows. */
const timersCountedMax = 1000

/** How far event time is somewhere; no watermark where it is not known yet. */
interface TimeView {
  /** Milliseconds since 1970. */
  readonly watermark?: number
  /** It gave nothing for so long that it holds nothing back. */
  readonly isIdle: boolean
}

/** A source as it is read. */
export interface InputView {
  readonly source: string
  readonly node: NodeId
  readonly group: string
  readonly lagRecords: number
  readonly lagSeconds: number
  /** Shards that are read; absent where the pipeline does not run, or nothing asks for event time. */
  readonly shards?: readonly ({ readonly shard: ShardId } & TimeView)[]
  /** Shards beside those. */
  readonly moreShards?: number
}

/** The part of the graph that one task runs without sending rows. */
export interface StageView extends Partial<TimeView> {
  readonly stage: number
  readonly kind: Stage['kind']
  readonly label: string
}

/** A step, a source or a sink of the graph, with what was counted there since the daemon began. */
export interface GraphNode {
  readonly node: NodeId
  readonly kind: string
  readonly label: string
  readonly detail: string
  readonly inputs: readonly NodeId[]
  /** More than one where steps follow a merge of several sources. */
  readonly stages: readonly number[]
  readonly guarantee?: string
  readonly rowsIn: number
  /** Over the last ten seconds. */
  readonly rowsPerSecond: number
  readonly failures: number
  readonly parked: number
}

/** Everything that is known of one pipeline. */
export interface PipelineInspection extends PipelineView {
  /** When this was so, milliseconds since 1970: watermarks are behind it. */
  readonly at: number
  readonly inputs: readonly InputView[]
  readonly stages: readonly StageView[]
  readonly graph: readonly GraphNode[]
  /** The shard that holds event time back; absent where none does. */
  readonly heldBy?: { readonly source: string; readonly shard: ShardId; readonly hasTime: boolean }
  /** About so many bytes of the store, compressed; what was written last may not count yet. */
  readonly stateBytes: number
  /** Committed timers that wait; `isMore`: there are more than were counted. */
  readonly timers: { readonly count: number; readonly isMore: boolean }
}

export interface InspectionSurroundings {
  readonly storage: Storage
  readonly log: ShardedLog
  readonly clock: Pick<Clock, 'now'>
}

export async function inspect(pipeline: Pipeline, around: InspectionSurroundings): Promise<PipelineInspection> {
  const { row, eventTimes } = pipeline
  const [inputs, stateBytes, timers] = await Promise.all([
    Promise.all(pipeline.sources.map(({ row: { node }, group }) => inputOf(row.plan, node, group, eventTimes, around))),
    stateBytesOf(row.id, around.storage),
    timersOf(row.id, around.storage),
  ])
  const held = heldBy(inputs)
  return {
    ...pipeline.view(),
    at: around.clock.now(),
    inputs,
    stages: stagesOfView(row.plan, inputs, eventTimes),
    graph: graphOf(pipeline),
    ...(held ? { heldBy: held } : {}),
    stateBytes,
    timers,
  }
}

/** About how many bytes of the store the state and timers of a pipeline take. */
export async function stateBytesOf(pipeline: number, storage: Pick<Storage, 'approximateSize'>): Promise<number> {
  let bytes = 0
  for (const family of [Family.state, Family.timer]) {
    const { gte, lt } = rowsWith(family, pipeline)
    bytes += await storage.approximateSize(gte, lt)
  }
  return bytes
}

async function timersOf(pipeline: number, storage: Pick<Storage, 'page'>): Promise<PipelineInspection['timers']> {
  const range = { ...rowsWith(Family.timer, pipeline), limit: timersCountedMax, bytesMax: 1 << 20, values: false }
  const { keys, more } = await storage.page(range)
  return { count: keys.length, isMore: more }
}

async function inputOf(
  plan: PlanDescription,
  node: NodeId,
  group: Group,
  times: readonly OwnedTimes[] | undefined,
  { log, clock }: InspectionSurroundings,
): Promise<InputView> {
  const shards = (times ?? []).flatMap(({ owner, watermarks }) =>
    owner.kind === 'shard' && owner.root === node
      ? [{ shard: owner.shard, ...timeOf(watermarks, timeNodes(plan, node, watermarks)) }]
      : [],
  )
  return {
    source: sourceName(plan, node),
    node,
    group: group.name,
    lagRecords: lagRecords(log, group),
    lagSeconds: await lagSeconds(log, group, clock.now()),
    ...(shards.length === 0
      ? {}
      : {
          shards: shards.toSorted(byHolding).slice(0, shardsListedMax),
          moreShards: Math.max(0, shards.length - shardsListedMax),
        }),
  }
}

/** Where a source has `eventTime` steps these say its time, else that of its records does. */
function timeNodes(plan: PlanDescription, root: NodeId, watermarks: OwnedTimes['watermarks']): readonly NodeId[] {
  const steps = watermarks.map(({ node }) => node).filter((node) => plan.nodes[node]?.kind === 'eventTime')
  return steps.length > 0 ? steps : [root]
}

/** The lowest of some nodes that are not idle. */
function timeOf(watermarks: OwnedTimes['watermarks'], nodes: readonly NodeId[]): TimeView {
  const own = watermarks.filter(({ node, keys }) => nodes.includes(node) && !keys)
  const awake = own.filter(({ isIdle }) => !isIdle)
  const watermark = Math.min(...(awake.length > 0 ? awake : own).map((mark) => mark.watermark))
  return { ...(Number.isFinite(watermark) ? { watermark } : {}), isIdle: own.length > 0 && awake.length === 0 }
}

/** What holds event time back the most comes first: what has none yet, then the lowest; what is idle comes last. */
const byHolding = (a: TimeView, b: TimeView): number =>
  Number(a.isIdle) - Number(b.isIdle) || (a.watermark ?? -Infinity) - (b.watermark ?? -Infinity) || 0

function heldBy(inputs: readonly InputView[]): PipelineInspection['heldBy'] {
  const [first] = inputs
    .flatMap(({ source, shards = [] }) => shards.slice(0, 1).map((time) => ({ source, ...time })))
    .filter(({ isIdle }) => !isIdle)
    .toSorted(byHolding)
  return first && { source: first.source, shard: first.shard, hasTime: first.watermark !== undefined }
}

/** A source stage is as far as the shard of its own that holds it back. */
function stagesOfView(
  plan: PlanDescription,
  inputs: readonly InputView[],
  times: readonly OwnedTimes[] = [],
): readonly StageView[] {
  const stages = stagesOf(plan.nodes)
  return stages.stages.map((stage): StageView => {
    const { id, kind } = stage
    if (kind === 'source') {
      const { watermark, isIdle } = inputs.find(({ node }) => node === stage.root)?.shards?.[0] ?? {}
      const known = { ...(watermark === undefined ? {} : { watermark }), ...(isIdle === undefined ? {} : { isIdle }) }
      return { stage: id, kind, label: `source ${sourceName(plan, stage.root)}`, ...known }
    }
    const own = times.find(({ owner }) => owner.kind === 'stage' && owner.stage === id)
    const label = stageLabel(plan, stages, id)
    return { stage: id, kind, label, ...(own ? timeOf(own.watermarks, stage.entries) : {}) }
  })
}

function graphOf(pipeline: Pipeline): readonly GraphNode[] {
  const { row, meter } = pipeline
  const { rates, rowsIn, failuresOf } = meter
  const { plan } = row
  const stages = stagesOf(plan.nodes)
  const parked = parkedByNode(pipeline)
  const nodes = pipeline.view().plan.nodes
  return nodes.map((node, id): GraphNode => {
    const guarantee = guaranteeOf(node)
    return {
      node: id,
      kind: node.kind,
      label: placedLabel(nodes, id),
      detail: nodeDetail(node),
      inputs: node.inputs,
      stages: stages.stages.filter((stage) => stage.nodes.includes(id)).map((stage) => stage.id),
      ...(guarantee === undefined ? {} : { guarantee }),
      rowsIn: rowsIn[id] ?? 0,
      rowsPerSecond: rates[id] ?? 0,
      failures: failuresOf[id] ?? 0,
      parked: parked.get(id) ?? 0,
    }
  })
}

/** Rows that wait where they come into a stage count at the node that leads there. */
function parkedByNode(pipeline: Pipeline): ReadonlyMap<NodeId, number> {
  const { plan } = pipeline.row
  const stages = stagesOf(plan.nodes)
  const places = new Map(
    placesOf(plan, stages).map(({ label, place }) => [label, nodeOfPlace(stages.nodes.length, place)]),
  )
  const counts = new Map<NodeId, number>()
  for (const [label, count] of pipeline.parkedByPlace()) {
    const node = places.get(label)
    if (node !== undefined) counts.set(node, (counts.get(node) ?? 0) + count)
  }
  return counts
}
