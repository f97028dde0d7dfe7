import type { Commit } from '../commit/index.js'
import type { Groups } from '../groups/index.js'
import type { ShardedLog } from '../log/index.js'
import type { NodeId, PlanDescription } from '../operators/index.js'
import { killPoint, MillraceError } from '../runtime/index.js'
import type { CommittedFile } from '../sinks/index.js'
import type { Storage } from '../storage/index.js'
import { type BehindRooms, behindRecords, furthest } from './behind.js'
import { closeOutboxes } from './outboxes.js'
import type { Pipeline } from './pipeline.js'
import type { PipelineState } from './pipeline-lifecycle.js'
import type { PipelineLimits } from './pipeline-parts.js'
import { redeployOutboxes } from './redeploy-outboxes.js'
import type { PipelineRow } from './rows.js'
import type { SinkTargets } from './sink-targets.js'
import { asShadow, checkSwap, fileSinks, type Swap, type SwappedItems, swapOf } from './swap.js'

export interface SwapRequest {
  /** Where they stand, though the shadow is far behind or one of them does not run. */
  readonly isForced?: boolean
  /** By default `replace` where the shadow has seen everything, and nothing else writes to the table. */
  readonly items?: SwappedItems
}

export interface SwapRun {
  readonly older: Pipeline
  readonly shadow: Pipeline
  /** The plans of all other pipelines. */
  readonly others: readonly PlanDescription[]
  readonly request: SwapRequest
  readonly targets: SinkTargets
}

interface SwapRooms {
  readonly storage: Storage
  readonly commit: Commit
  readonly groups: Groups
  readonly log: ShardedLog
  readonly limits: Pick<PipelineLimits, 'swapBehindMax'>
}

/** How long, ms, the two may take to come to the same record. */
const meetMsMax = 60_000

/**
 * Brings both to the same record, has them stand still there, and gives the name, outboxes and files of the older one to the
 * shadow with one commit. Where it throws, nothing has changed but that they stand still or are stopped.
 */
export async function swapPipelines(run: SwapRun, rooms: SwapRooms): Promise<Swap> {
  const { older, shadow, others, request, targets } = run
  const { isForced = false, items } = request
  const { plan } = asShadow(shadow.row).shadow
  checkSwap(older.row.plan, plan)
  if (!isForced) checkBehind(run, rooms)
  targets.checkThere(plan)
  targets.checkFiles(plan, others)
  await Promise.all([older, shadow].map(stand))
  if (!isForced) await meet(run, rooms)
  await Promise.all([older.haltRemoval(), shadow.haltRemoval()])
  killPoint('pipeline:swapping')
  const outboxes = await redeployOutboxes(older.row, plan, rooms)
  try {
    const files = await newFiles(older.row, plan, targets)
    await Promise.all([older.stop(), shadow.stop()])
    const parts = { older: older.row, shadow: asShadow(shadow.row), outboxes, files, items, others }
    const swap = await swapOf(parts, rooms)
    await rooms.groups.replace(swap.change)
    killPoint('pipeline:swapped')
    return swap
  } catch (error) {
    await closeOutboxes(rooms.log, Object.values(outboxes.added))
    throw error
  }
}

const isRunning = (state: PipelineState): boolean => state === 'starting' || state === 'running' || state === 'retrying'

/** What runs stands still after a last barrier, and the store does not hear of it. */
async function stand(pipeline: Pipeline): Promise<void> {
  if (isRunning(pipeline.state)) await pipeline.pause({ quietly: true })
}

/** Throws CONFLICT where the two cannot be brought to the same record soon. */
function checkBehind({ older, shadow }: SwapRun, rooms: BehindRooms & Pick<SwapRooms, 'limits'>): void {
  const forced = 'With --force they are swapped where they stand.'
  for (const { state, row } of [older, shadow]) {
    if (isRunning(state)) continue
    const { name } = row.plan
    throw new MillraceError('CONFLICT', `The pipeline ${name} is ${state}: the two cannot come to the same record.`, {
      remedy: `Have it run: millrace pipelines resume ${name}. ${forced}`,
    })
  }
  const { swapBehindMax } = rooms.limits
  const behind = behindRecords(shadow.row, older.row, rooms)
  if (behind <= swapBehindMax) return
  throw new MillraceError(
    'CONFLICT',
    `The shadow of ${older.row.plan.name} is ${behind} records behind it, more than ${swapBehindMax} (pipelines.swapBehindMax).`,
    { remedy: `Wait until it has caught up: millrace pipelines show ${shadow.row.plan.name}. ${forced}` },
  )
}

/** Brings the two, which stand still, to the same record of their sources. Throws CONFLICT. */
async function meet({ older, shadow }: SwapRun, rooms: BehindRooms): Promise<void> {
  const until = furthest([older.row, shadow.row], rooms)
  const met = await Promise.allSettled([older, shadow].map((pipeline) => pipeline.runTo(until, meetMsMax)))
  for (const each of met) if (each.status === 'rejected') throw each.reason
}

/** The files that the older pipeline does not write to are made. Throws ALREADY_EXISTS. */
function newFiles(
  older: PipelineRow,
  plan: PlanDescription,
  targets: SinkTargets,
): Promise<ReadonlyMap<NodeId, CommittedFile>> {
  const known = new Set(fileSinks(older.plan).map(({ target }) => target))
  const added = new Set(fileSinks(plan).flatMap(({ node, target }) => (known.has(target) ? [] : [node])))
  return targets.createFiles(plan, (node) => added.has(node))
}
