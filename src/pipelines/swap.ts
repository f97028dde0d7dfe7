import { type Commit, Family, type RowEffect } from '../commit/index.js'
import type { Groups } from '../groups/index.js'
import type { NodeId, PlanDescription } from '../operators/index.js'
import { checkFileForms } from '../operators/plan/index.js'
import { MillraceError } from '../runtime/index.js'
import type { CommittedFile } from '../sinks/index.js'
import type { Storage } from '../storage/index.js'
import { sinksOf, sourceName } from './plan-steps.js'
import { checkOutboxKinds, type RedeployedOutboxes } from './redeploy-outboxes.js'
import {
  decodeSinkFile,
  groupNameOf,
  numbered,
  type OutboxRow,
  type PipelineRow,
  pipelineRow,
  rowsWith,
  type ShadowRow,
  sinkFileKey,
  sinkFileRow,
  type TakeOver,
} from './rows.js'
import { checkNoThrough, shadowTarget } from './shadow-plan.js'
import { goneTargets, targetsOf } from './shadow-targets.js'

/** A row of a shadow. */
export type RowOfShadow = PipelineRow & { readonly shadow: ShadowRow }

/** What becomes of items that the shadow's tables have not; by default what the shadow is good for. */
export type SwappedItems = 'replace' | 'merge'

/** Everything that the one commit of a swap changes. */
export interface Swap {
  /** The shadow in the place of the older pipeline. */
  readonly row: PipelineRow
  /** What is left of the older pipeline, to be removed. */
  readonly gone: PipelineRow
  readonly change: Parameters<Groups['replace']>[0]
}

export interface SwapParts {
  readonly older: PipelineRow
  readonly shadow: RowOfShadow
  readonly outboxes: RedeployedOutboxes
  /** Files that the older pipeline does not have, by the nodes of their sinks: they are made already. */
  readonly files: ReadonlyMap<NodeId, CommittedFile>
  readonly items: SwappedItems | undefined
  /** The plans of all other pipelines: a table that one of them writes to is not the pipeline's own. */
  readonly others: readonly PlanDescription[]
}

interface SwapRooms {
  readonly storage: Storage
  readonly commit: Commit
  readonly groups: Groups
}

/** Both stand still and are stopped. What is read here nobody changes any more. */
export async function swapOf(parts: SwapParts, { storage, commit, groups }: SwapRooms): Promise<Swap> {
  const { older, shadow, outboxes } = parts
  const { plan } = shadow.shadow
  const renamed = new Map(shadow.sources.map(({ group }) => [group, realGroup(group, shadow)]))
  const { shadow: _shadow, failure: _failure, ...rest } = shadow
  const row: PipelineRow = {
    ...rest,
    plan,
    sources: shadow.sources.map((source) => ({ ...source, group: realGroup(source.group, shadow) })),
    ...(Object.keys(outboxes.all).length > 0 ? { outboxes: outboxes.all } : {}),
    createdAt: older.createdAt,
    revision: (older.revision ?? 1) + 1,
    takeOver: await takeOverOf(parts, commit),
    state: older.state === 'paused' ? 'paused' : 'running',
  }
  const gone = goneRow(older, outboxes.dropped)
  const rows = [
    pipelineRow(row),
    pipelineRow(gone),
    ...(await filesOf(parts, commit)),
    ...(await outboxRows(older.id, shadow.id, outboxes, storage)),
  ]
  const leaving = [...older.sources.map(({ group }) => group), ...(older.dropped?.groups ?? [])]
  const made = Object.values(outboxes.added).map(({ group, stream }) => ({
    name: group,
    stream,
    start: 'oldest' as const,
  }))
  const change = { gone: leaving.filter((name) => groups.group(name)), renamed, made, kind: 'pipeline' as const, rows }
  return { row, gone, change }
}

const realGroup = (group: string, { shadow, plan }: RowOfShadow): string =>
  `${groupNameOf(shadow.of)}${group.slice(groupNameOf(plan.name).length)}`

/** Its groups go in the commit of the swap, and its outboxes are those of the newer one. */
function goneRow(older: PipelineRow, dropped: readonly OutboxRow[]): PipelineRow {
  const { outboxes: _outboxes, dropped: before, ...rest } = older
  const all = [...(before?.outboxes ?? []), ...dropped]
  return { ...rest, sources: [], dropped: { states: [], groups: [], outboxes: all }, state: 'deleting' }
}

async function takeOverOf(parts: SwapParts, commit: Commit): Promise<TakeOver> {
  const { older, shadow } = parts
  const { plan, isWhole } = shadow.shadow
  const tables = targetsOf(plan, 'table').map((into) => {
    const isOwn = isWhole && !isShared(into, parts)
    return { from: shadowTarget('table', into), into, items: parts.items ?? (isOwn ? 'replace' : 'merge') }
  })
  const left = older.takeOver
  const gone = await goneTargets(shadow, commit)
  if (!left) return { tables, gone }
  // What a swap before had not removed yet.
  return {
    tables,
    gone: {
      tables: [...gone.tables, ...left.gone.tables],
      streams: [...gone.streams, ...left.gone.streams],
      files: [...gone.files, ...left.gone.files],
    },
  }
}

/** Whether others write to a table too: another pipeline, or whoever writes what one of the two reads. */
function isShared(table: string, { older, shadow, others }: SwapParts): boolean {
  const isRead = ({ plan, sources }: PipelineRow) =>
    sources.some(({ node }) => sourceName(plan, node) === `table:${table}`)
  return isRead(older) || isRead(shadow) || others.some((other) => targetsOf(other, 'table').includes(table))
}

/** A file goes on as the older pipeline left it, under the number that its sink has in the newer one. */
async function filesOf({ older, shadow, files }: SwapParts, commit: Commit): Promise<RowEffect[]> {
  const before = new Map(fileSinks(older.plan).map(({ name, target }) => [target, older.files[name] as number]))
  const rows = fileSinks(shadow.shadow.plan).map(async ({ node, name, target }) => {
    const number = before.get(target)
    const value = number === undefined ? undefined : await commit.readDurable(sinkFileKey(older.id, number))
    const file = value ? decodeSinkFile(value) : (files.get(node) as CommittedFile)
    return sinkFileRow(shadow.id, shadow.files[name] as number, file)
  })
  return Promise.all(rows)
}

export const fileSinks = (plan: PlanDescription) => sinksOf(plan).filter(({ kind }) => kind === 'file')

/** What lies in outboxes that go on, and how far their delivery is. */
async function outboxRows(
  older: number,
  newer: number,
  { all, added }: RedeployedOutboxes,
  storage: Storage,
): Promise<RowEffect[]> {
  const kept = new Set(Object.entries(all).flatMap(([name, { number }]) => (name in added ? [] : [number])))
  const rows: RowEffect[] = []
  const prefix = numbered(Family.outbox, newer)
  for await (const { keys, values } of storage.scan({ ...rowsWith(Family.outbox, older), bytesMax: 1 << 20 }))
    keys.forEach((key, i) => {
      if (kept.has(key.readUInt16BE(prefix.length)))
        rows.push({ key: Buffer.concat([prefix, key.subarray(prefix.length)]), value: values[i] as Buffer })
    })
  return rows
}

/** Throws NOT_FOUND where a pipeline is no shadow. */
export function asShadow(row: PipelineRow): RowOfShadow {
  if (row.shadow) return row as RowOfShadow
  throw new MillraceError('NOT_FOUND', `The pipeline ${row.plan.name} is no shadow.`)
}

/** Whether a pipeline may get the place of another one. Throws PIPELINE_INVALID, which names the step and the remedy. */
export function checkSwap(older: PlanDescription, newer: PlanDescription): void {
  checkNoThrough(older)
  checkOutboxKinds(older, newer)
  checkFileForms(older, newer)
}
