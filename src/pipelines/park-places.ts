import type { NodeId, PlanDescription } from '../operators/index.js'
import { entryPlace, type ParkPlace, type StageId, type Stages } from '../operators/task/index.js'
import { sourceName, stepLabel, stepOf } from './plan-steps.js'

/** Where rows of a pipeline may wait. */
export interface PlaceOfPlan {
  /** Its name: that of the step, as metrics have it, and where a step is in several stages also that of the source. */
  readonly label: string
  readonly stage: StageId
  readonly place: ParkPlace
}

/** All places of a plan: each step in each stage that runs it, and where rows come into the stage. */
export function placesOf(plan: PlanDescription, { stages, nodes }: Stages): readonly PlaceOfPlan[] {
  const times = new Map<NodeId, number>()
  for (const { nodes: ids } of stages) for (const id of ids) times.set(id, (times.get(id) ?? 0) + 1)
  return stages.flatMap((stage) => {
    const behind = stage.kind === 'source' ? ` of ${sourceName(plan, stage.root)}` : ` in stage ${stage.id}`
    const steps = stage.nodes.map((id): PlaceOfPlan => {
      const label = labelOf(plan, id)
      return { label: times.get(id) === 1 ? label : `${label}${behind}`, stage: stage.id, place: id }
    })
    const begins = stage.kind === 'source' ? [stage.root] : stage.entries
    const entries = begins.map((id): PlaceOfPlan => {
      const label = stage.kind === 'source' ? `records${behind}` : `values of ${labelOf(plan, id)}`
      return { label, stage: stage.id, place: entryPlace(nodes.length, id) }
    })
    return [...steps, ...entries]
  })
}

/** Nodes that were put in between to send rows are behind those of the plan. */
function labelOf(plan: PlanDescription, id: NodeId): string {
  const node = plan.nodes[id]
  return node ? stepLabel(node, stepOf(id)) : `${stepOf(id)}-keyBy`
}

/** Numbers of places by their names: those that there are stay, new ones come behind them. */
export function numberedPlaces(
  places: readonly PlaceOfPlan[],
  known: Readonly<Record<string, number>> = {},
): Readonly<Record<string, number>> {
  const numbers = { ...known }
  let next = Math.max(-1, ...Object.values(numbers)) + 1
  for (const { label } of places) numbers[label] ??= next++
  return numbers
}
