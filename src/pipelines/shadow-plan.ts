import { parse } from 'node:path'
import type { NodeDescription, PlanDescription, SinkDescription } from '../operators/index.js'
import { MillraceError } from '../runtime/index.js'
import { checkNotReserved, shadowSuffix } from './reserved-names.js'

/** The name of the shadow of a pipeline. */
export const shadowName = (name: string): string => `${name}${shadowSuffix}`

/** What a shadow writes to in the place of a table, stream or file: `T.shadow`, `orders.shadow.csv`. */
export function shadowTarget(kind: string, target: string): string {
  if (kind !== 'file') return `${target}${shadowSuffix}`
  const { ext } = parse(target)
  return `${target.slice(0, target.length - ext.length)}${shadowSuffix}${ext}`
}

const nameMax = 128

/**
 * The plan as that of a shadow: sinks write to targets of its own, and those that go outside are held back. Numbers of
 * nodes and names of sinks and states are those of the plan. Throws PIPELINE_INVALID where it cannot have one.
 */
export function shadowPlan(plan: PlanDescription): PlanDescription {
  checkNotReserved(plan.name)
  const name = shadowName(plan.name)
  if (name.length > nameMax)
    throw new MillraceError('PIPELINE_INVALID', `The shadow would be called ${name}, which is too long.`, {
      remedy: `Give the pipeline a name of ${nameMax - shadowSuffix.length} letters at most.`,
    })
  checkNoThrough(plan)
  return { ...plan, name, nodes: plan.nodes.map(shadowNode) }
}

/** A stream in between is source and sink at once, so a place in that of a shadow means nothing in the real one. */
export function checkNoThrough(plan: PlanDescription): void {
  const through = plan.nodes.findIndex(({ kind }) => kind === 'through')
  if (through < 0) return
  throw new MillraceError(
    'PIPELINE_INVALID',
    `Step ${through} of ${plan.name} (through): a pipeline with a stream in between has no shadow.`,
    { remedy: 'Make two pipelines of it, one on each side of the stream, or put keyBy in the place of through.' },
  )
}

function shadowNode(node: NodeDescription): NodeDescription {
  if (node.kind !== 'sink') return node
  return { ...node, sink: shadowSink(node.sink) }
}

/** What is written within the daemon can be written beside; everything else is held back. */
function shadowSink({ delivery: _delivery, ...sink }: SinkDescription): SinkDescription {
  const { kind, target } = sink
  if (kind === 'table' || kind === 'stream' || kind === 'file') return { ...sink, target: shadowTarget(kind, target) }
  return { ...sink, isHeld: true }
}
