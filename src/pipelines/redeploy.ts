import type { RowEffect } from '../commit/index.js'
import type { PlanDescription } from '../operators/index.js'
import { sameSteps } from '../operators/plan/index.js'
import { type NodeId, type Stages, stagesOf } from '../operators/task/index.js'
import { sinksOf } from './plan-steps.js'
import type { RedeployedOutboxes } from './redeploy-outboxes.js'
import { type Dropped, type PipelineRow, type SourceRow, sinkFileKey } from './rows.js'
import { type StoredTimes, type TimeOwner, timeKey, timeValue } from './time-rows.js'

type Numbers = Readonly<Record<string, number>>

/** A pipeline's row with another module: steps with the same names keep the numbers of their states. */
export function redeployedRow(
  older: PipelineRow,
  plan: PlanDescription,
  module: string,
  sources: readonly SourceRow[],
  outboxes: Pick<RedeployedOutboxes, 'all' | 'dropped'> = { all: older.outboxes ?? {}, dropped: [] },
): PipelineRow {
  const names = plan.nodes.flatMap((node) => (node.kind === 'keyed' ? [node.name] : []))
  const removing: Dropped = older.dropped ?? { states: [], groups: [] }
  const states = numbersFor(names, older.states, [...Object.values(older.states), ...removing.states])
  const kept = new Set(names)
  const groups = new Set(sources.map(({ group }) => group))
  const goneStates = Object.entries(older.states).flatMap(([name, number]) => (kept.has(name) ? [] : [number]))
  const goneGroups = older.sources.flatMap(({ group }) => (groups.has(group) ? [] : [group]))
  const { failure: _failure, dropped: _dropped, outboxes: _outboxes, ...rest } = older
  const goneOutboxes = [...(removing.outboxes ?? []), ...outboxes.dropped]
  const dropped = {
    states: [...removing.states, ...goneStates],
    groups: [...removing.groups, ...goneGroups],
    ...(goneOutboxes.length > 0 ? { outboxes: goneOutboxes } : {}),
  }
  return {
    ...rest,
    plan,
    module,
    sources,
    states,
    files: filesOf(older, plan),
    ...(Object.keys(outboxes.all).length > 0 ? { outboxes: outboxes.all } : {}),
    revision: (older.revision ?? 1) + 1,
    ...(dropped.states.length + dropped.groups.length + goneOutboxes.length > 0 ? { dropped } : {}),
    state: older.state === 'paused' ? 'paused' : 'running',
  }
}

/** The numbers that names have, or new ones that none has had. */
function numbersFor(names: readonly string[], known: Numbers, taken: readonly number[]): Numbers {
  let next = Math.max(-1, ...taken) + 1
  return Object.fromEntries(names.map((name) => [name, Object.hasOwn(known, name) ? (known[name] as number) : next++]))
}

/** A file goes on under its number, whatever its sink is called. */
function filesOf(older: PipelineRow, plan: PlanDescription): Numbers {
  const known = Object.fromEntries(
    fileSinks(older.plan).map(({ name, target }) => [target, older.files[name] as number]),
  )
  const sinks = fileSinks(plan)
  const targets = sinks.map(({ target }) => target)
  const numbers = numbersFor(targets, known, Object.values(older.files))
  return Object.fromEntries(sinks.map(({ name, target }) => [name, numbers[target] as number]))
}

const fileSinks = (plan: PlanDescription) => sinksOf(plan).filter(({ kind }) => kind === 'file')

/** Files that the newer version does not write to any more: what is remembered of them goes, they themselves stay. */
export function goneFiles(older: PipelineRow, newer: PipelineRow): RowEffect[] {
  const kept = new Set(Object.values(newer.files))
  return Object.values(older.files)
    .filter((number) => !kept.has(number))
    .map((number) => ({ key: sinkFileKey(older.id, number), value: undefined }))
}

/**
 * How far event time is, told in the numbers that steps and stages have in the newer version. A step that was not there
 * begins anew; a stage begins at what is known of its steps, so that no window fires twice.
 */
export function timesOf(older: PipelineRow, newer: PipelineRow, { times }: StoredTimes): RowEffect[] {
  const stepsBefore = sameSteps(older.plan, newer.plan)
  const stepsNow = new Map([...stepsBefore].map(([now, before]) => [before, now]))
  const rootsNow = new Map(
    newer.sources.flatMap(({ node, group }) => {
      const before = older.sources.find((source) => source.group === group)
      return before ? [[before.node, node]] : []
    }),
  )
  const stages = stagesOf(newer.plan.nodes)
  const gone = times.map(({ owner }) => ({ key: timeKey(older.id, owner), value: undefined }))
  const now = times.flatMap(({ owner, watermarks }) => {
    const translated = watermarks.flatMap((each) => {
      const node = nodeNow(each.node, rootsNow, stepsNow)
      return node === undefined ? [] : [{ ...each, node }]
    })
    return ownersNow(owner, translated, rootsNow, stages).map((each) => ({ owner: each.owner, watermarks: each.of }))
  })
  const merged = new Map<string, RowEffect>()
  const known = new Map<string, (typeof now)[number]['watermarks']>()
  for (const { owner, watermarks } of now) {
    const key = timeKey(older.id, owner)
    const name = key.toString('hex')
    const all = [...(known.get(name) ?? []), ...watermarks]
    known.set(name, all)
    merged.set(name, { key, value: timeValue(all) })
  }
  return [...gone.filter(({ key }) => !merged.has(key.toString('hex'))), ...merged.values()]
}

function nodeNow(
  node: NodeId,
  roots: ReadonlyMap<NodeId, NodeId>,
  steps: ReadonlyMap<NodeId, NodeId>,
): NodeId | undefined {
  return roots.get(node) ?? steps.get(node)
}

interface OwnedTimes {
  readonly owner: TimeOwner
  readonly of: StoredTimes['times'][number]['watermarks']
}

/** Whose the watermarks of a row are in the newer version: the steps of one stage may have come into several. */
function ownersNow(
  owner: TimeOwner,
  watermarks: OwnedTimes['of'],
  roots: ReadonlyMap<NodeId, NodeId>,
  { stages }: Stages,
): OwnedTimes[] {
  if (owner.kind === 'shard') {
    const root = roots.get(owner.root)
    const stage = stages.find((each) => each.kind === 'source' && each.root === root)
    if (root === undefined || !stage) return []
    const own = watermarks.filter(({ node }) => node === root || stage.nodes.includes(node))
    return own.length === 0 ? [] : [{ owner: { kind: 'shard', root, shard: owner.shard }, of: own }]
  }
  return stages.flatMap((stage) => {
    if (stage.kind !== 'keyed') return []
    const own = watermarks.filter(({ node }) => stage.entries.includes(node) || stage.nodes.includes(node))
    return own.length === 0 ? [] : [{ owner: { kind: 'stage', stage: stage.id }, of: own }]
  })
}
