import { MillraceError } from '../../runtime/errors.js'
import { type NodeDescription, nodeLabel, type PlanDescription, type SinkDescription } from './description.js'
import { invalid } from './invalid.js'
import { checkKeptKeys } from './kept-keys.js'
import type { NodeId } from './nodes.js'
import { nodeDetail } from './topology.js'

/** What a redeploy does to the state of a step, or to the place of a source or sink. */
export type StateFate =
  /** It is found again as it is. */
  | 'kept'
  /** The step's migrate makes the new state of it, once it is read. */
  | 'migrated'
  /** The step is gone, and its state with it. */
  | 'dropped'
  /** The step is new and begins with none. */
  | 'new'
  /** The newer version is not deployed: it would take the state for something else, or not find it. */
  | 'refused'

/** One difference of two versions of a pipeline. */
export interface PlanChange {
  readonly change: 'added' | 'removed' | 'changed' | 'same'
  /** The step, by number in the newer version, or in the older one where it was removed. */
  readonly step: number
  readonly label: string
  /** Only where the step keeps state. */
  readonly state?: StateFate
  /** What is different of a step that changed, for people. */
  readonly detail?: string
}

type Keyed = Extract<NodeDescription, { kind: 'keyed' }>

/**
 * Compares two versions of a pipeline, step by step. Steps with a name (state, sinks, sources) are the same step when their
 * names are; the others when they are the same in order. What functions do is not compared: only a new module says so.
 */
export function diffPlans(older: PlanDescription, newer: PlanDescription): PlanChange[] {
  const [from, to] = [identities(older), identities(newer)]
  const pairs = matched(from, to)
  const changes = newer.nodes.map((node, step): PlanChange => {
    const before = older.nodes[pairs.get(step) ?? -1]
    const label = nodeLabel(node)
    if (!before) return { change: 'added', step, label, ...(node.kind === 'keyed' ? { state: 'new' } : {}) }
    const detail = differenceOf(before, node)
    const state = before.kind === 'keyed' && node.kind === 'keyed' ? fateOf(older, newer, before, step) : undefined
    return {
      change: detail === '' ? 'same' : 'changed',
      step,
      label,
      ...(state ? { state } : {}),
      ...(detail === '' ? {} : { detail }),
    }
  })
  const matchedBefore = new Set(pairs.values())
  const removed = older.nodes.flatMap((node, step): PlanChange[] => {
    if (matchedBefore.has(step)) return []
    return [{ change: 'removed', step, label: nodeLabel(node), ...(node.kind === 'keyed' ? { state: 'dropped' } : {}) }]
  })
  return [...changes, ...removed]
}

/** For each step of the newer version that the older one has too, its number there. */
export function sameSteps(older: PlanDescription, newer: PlanDescription): ReadonlyMap<NodeId, NodeId> {
  return matched(identities(older), identities(newer))
}

/** What makes a node the same in another version, beside its place in the order. */
function identities({ nodes }: PlanDescription): string[] {
  return nodes.map((node) => {
    switch (node.kind) {
      case 'keyed':
        return `state ${node.name}`
      case 'sink':
        return `sink ${node.name}`
      case 'source':
      case 'through':
        return nodeLabel(node)
      default:
        return nodeLabel(node)
    }
  })
}

/** Pairs (newer, older) of equal identities, in order where one occurs several times: a longest common subsequence. */
function matched(from: readonly string[], to: readonly string[]): Map<number, number> {
  const pairs = new Map<number, number>()
  const isNamed = (identity: string) => /^(state|sink) /.test(identity)
  // Named ones are found wherever they are.
  to.forEach((identity, i) => {
    const at = isNamed(identity) ? from.indexOf(identity) : -1
    if (at >= 0) pairs.set(i, at)
  })
  const unnamed = (all: readonly string[]) => [...all.keys()].filter((i) => !isNamed(all[i] as string))
  const [a, b] = [unnamed(from), unnamed(to)]
  const lengths = commonLengths(
    a.map((i) => from[i] as string),
    b.map((i) => to[i] as string),
  )
  let [i, j] = [0, 0]
  while (i < a.length && j < b.length) {
    if (from[a[i] as number] === to[b[j] as number]) pairs.set(b[j++] as number, a[i++] as number)
    else if (lengthAt(lengths, i + 1, j) >= lengthAt(lengths, i, j + 1)) i++
    else j++
  }
  return pairs
}

const lengthAt = (lengths: readonly (readonly number[])[], i: number, j: number): number => lengths[i]?.[j] ?? 0

/** Longest common subsequences of what follows each pair of places. */
function commonLengths(a: readonly string[], b: readonly string[]): number[][] {
  const lengths: number[][] = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0))
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      (lengths[i] as number[])[j] =
        a[i] === b[j]
          ? lengthAt(lengths, i + 1, j + 1) + 1
          : Math.max(lengthAt(lengths, i + 1, j), lengthAt(lengths, i, j + 1))
  return lengths
}

function differenceOf(before: NodeDescription, after: NodeDescription): string {
  const parts: string[] = []
  if (nodeLabel(before) !== nodeLabel(after)) parts.push(`was ${nodeLabel(before)}`)
  if (nodeDetail(before) !== nodeDetail(after))
    parts.push(`${nodeDetail(before) || 'nothing'} → ${nodeDetail(after) || 'nothing'}`)
  if (before.kind === 'sink' && after.kind === 'sink' && JSON.stringify(before.sink) !== JSON.stringify(after.sink))
    parts.push('the sink is set up otherwise')
  return parts.join('; ')
}

function fateOf(older: PlanDescription, newer: PlanDescription, before: Keyed, step: number): StateFate {
  const after = newer.nodes[step] as Keyed
  try {
    checkState(newer.name, step, before, after)
    checkKeptKeys(older, newer, after.name)
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'PIPELINE_INVALID') return 'refused'
    throw error
  }
  return before.state.version === after.state.version ? 'kept' : 'migrated'
}

/**
 * Whether a pipeline may go on as its newer version with the state of the older one. Throws PIPELINE_INVALID, which names
 * the step and the remedy. Pure: the older description is the one that was stored at its deploy.
 */
export function checkRedeploy(older: PlanDescription, newer: PlanDescription): void {
  const before = new Map(older.nodes.flatMap((node) => (node.kind === 'keyed' ? [[node.name, node]] : [])))
  newer.nodes.forEach((node, id) => {
    const old = node.kind === 'keyed' ? before.get(node.name) : undefined
    if (node.kind === 'keyed' && old) checkState(newer.name, id, old, node)
  })
  checkKeptKeys(older, newer)
  checkFileForms(older, newer)
}

/** Throws PIPELINE_INVALID where a file that stays would get lines of another form behind those that it has. */
export function checkFileForms(older: PlanDescription, newer: PlanDescription): void {
  const before = new Map(older.nodes.flatMap((node) => (node.kind === 'sink' ? [[node.sink.target, node.sink]] : [])))
  newer.nodes.forEach((node, id) => {
    if (node.kind !== 'sink' || node.sink.kind !== 'file') return
    const old = before.get(node.sink.target)
    if (old?.kind !== 'file' || formOf(old) === formOf(node.sink)) return
    throw invalid(
      `Step ${id} of ${newer.name} (sink): the file ${node.sink.target} has ${formOf(old)}, and would go on with ${formOf(node.sink)}.`,
      'Give the newer sink a file of its own.',
    )
  })
}

const formOf = ({ format, columns }: SinkDescription): string =>
  columns ? `the columns ${columns.join(', ')}` : `${format ?? 'ndjson'} lines`

function checkState(pipeline: string, id: number, before: Keyed, { name, operator, state, windows }: Keyed): void {
  const where = `Step ${id} of ${pipeline} (${operator})`
  if (before.operator !== operator)
    throw invalid(
      `${where} has the name ${name}, under which ${before.operator} has kept its state, which means something else.`,
      'Give the step another name: it then begins anew, and the old state goes.',
    )
  if (before.windows !== undefined && windows !== undefined && before.windows !== windows)
    throw invalid(
      `${where} has ${windows}, and ${before.windows} have kept their state under the name ${name}.`,
      'Give the step another name: it then begins anew, and the old state goes. Or deploy a shadow, which reads everything again: millrace pipelines deploy FILE --shadow.',
    )
  if (state.version < before.state.version)
    throw invalid(
      `${where} has version ${state.version} of the state ${name}, but version ${before.state.version} is stored.`,
      'Raise the version above the stored one and give a migrate that makes the state as it shall be.',
    )
  if (state.version > before.state.version && !state.canMigrate)
    throw invalid(
      `${where} raises the state ${name} from version ${before.state.version} to ${state.version} without a migrate function.`,
      `Give it one: { version: ${state.version}, migrate: (state, fromVersion) => newState }, or another name to begin anew.`,
    )
}

/** A line for each difference, for people. */
export function differenceText(changes: readonly PlanChange[]): string {
  const marks = { added: '+', removed: '-', changed: '~', same: ' ' } as const
  return changes
    .map(({ change, step, label, state, detail }) => {
      const fate = state === undefined ? '' : state === 'refused' ? '  [refused]' : `  [state ${state}]`
      return `${marks[change]} ${step} ${label}${detail === undefined ? '' : `  (${detail})`}${fate}`
    })
    .join('\n')
}
