import { planMark } from '../types.js'
import { invalid } from './invalid.js'
import type { OnError, PlanNode } from './nodes.js'
import type { SourcePlan } from './source-plan.js'

type WithoutInputs<Node> = Node extends unknown ? Omit<Node, 'inputs'> : never

/** A node that is not numbered yet. */
export type LinkNode = WithoutInputs<PlanNode>

/** A node and what it reads from. Two flows that came from one share its links. */
export interface PlanLink {
  readonly node: LinkNode
  readonly inputs: readonly PlanLink[]
}

/**
 * What a flow carries: the links that were made on the way to it, inputs before what reads them, and the one that gives its
 * values. It crosses from the user's bundle, which has a copy of this package, to the daemon's: it is data and functions,
 * never an instance to be recognised.
 */
export interface Trail {
  readonly version: 2
  readonly name: string
  /** What the pipeline says of records that fail; undefined: nothing. Modules that an earlier Millrace bundled never do. */
  readonly onError?: OnError | undefined
  readonly links: readonly PlanLink[]
  readonly head: PlanLink
}

/** What a module exports: a flow of any kind. */
export interface Marked {
  readonly [planMark]: Trail
}

export function begun(name: string, source: SourcePlan, onError: OnError | undefined): Trail {
  const head: PlanLink = { node: { kind: 'source', source }, inputs: [] }
  return { version: 2, name, onError, links: [head], head }
}

/** The trail with one more step, whose values come next. */
export function extended(trail: Trail, node: LinkNode): Trail {
  const head: PlanLink = { node, inputs: [trail.head] }
  return { ...trail, links: [...trail.links, head], head }
}

/** The trail with a sink, which gives nothing on. */
export function tapped(trail: Trail, node: LinkNode): Trail {
  return { ...trail, links: [...trail.links, { node, inputs: [trail.head] }] }
}

/** Several trails of one pipeline, met in one step. */
export function joined(trails: readonly [Trail, ...Trail[]], node: LinkNode): Trail {
  const [first] = trails
  const { name } = first
  const other = trails.find((trail) => trail.name !== name)
  if (other)
    throw invalid(
      `A step of the pipeline ${name} (${node.kind}) takes a flow of the pipeline ${other.name}.`,
      'Begin both with pipeline() of one name, or put a stream between the two pipelines.',
    )
  const head: PlanLink = { node, inputs: trails.map((trail) => trail.head) }
  return { version: 2, name, onError: onErrorOf(trails), links: [...linksOf(trails), head], head }
}

/** What those of one pipeline that say something of failures say alike. Throws PIPELINE_INVALID. */
export function onErrorOf(trails: readonly Trail[]): OnError | undefined {
  const said = [...new Set(trails.flatMap(({ onError }) => onError ?? []))]
  if (said.length > 1)
    throw invalid(
      `The pipeline ${trails[0]?.name} is begun with onError('${said[0]}') and with onError('${said[1]}').`,
      'Say it once: what fails is parked or stops all of the pipeline.',
    )
  return said[0]
}

/** The links of all trails, each once, inputs before what reads them. */
export function linksOf(trails: readonly Trail[]): PlanLink[] {
  return [...new Set(trails.flatMap(({ links }) => links))]
}

/** The trail of another flow; `where` names the step that it was given to. */
export function trailOf(flow: unknown, where: string): Trail {
  const trail = typeof flow === 'object' && flow !== null ? (flow as Partial<Marked>)[planMark] : undefined
  if (trail) return trail
  throw invalid(`${where} was given something that is no flow.`, 'Give it what a step of the same pipeline returned.')
}

/** Names the step that comes next, for errors. */
export function nextStep({ name, links }: Trail, kind: string): string {
  return `Step ${links.length} of ${name} (${kind})`
}
