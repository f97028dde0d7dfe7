import type { PlanDescription } from '../operators/index.js'
import { sameSteps } from '../operators/plan/index.js'
import { isEntryPlace, nodeOfPlace, stagesOf } from '../operators/task/index.js'
import { MillraceError } from '../runtime/index.js'
import { type PlaceOfPlan, placesOf } from './park-places.js'
import type { PipelineRow } from './rows.js'

/**
 * Whether what is parked finds its step again in a newer version: its place has the name that it had, and is the same step.
 * `counts`: how many rows wait, by the numbers of their places. Throws CONFLICT, which names the step.
 */
export function checkParkedPlaces(
  older: PipelineRow,
  plan: PlanDescription,
  counts: ReadonlyMap<number, number>,
): void {
  if (counts.size === 0) return
  const labels = new Map(Object.entries(older.steps ?? {}).map(([label, number]) => [number, label]))
  const before = byLabel(older.plan)
  const after = byLabel(plan)
  const pairs = sameSteps(older.plan, plan)
  for (const [number, count] of counts) {
    const label = labels.get(number) ?? `${number}`
    const [was, is] = [before.get(label), after.get(label)]
    const isSame =
      was !== undefined &&
      is !== undefined &&
      was.isEntry === is.isEntry &&
      // A node that was put in between to send rows is in no plan: its name says which it is.
      (is.node >= plan.nodes.length ? was.node >= older.plan.nodes.length : pairs.get(is.node) === was.node)
    if (isSame) continue
    throw new MillraceError(
      'CONFLICT',
      `${count} records are parked at ${label}, and the newer ${plan.name} has not that step at that place.`,
      { remedy: `Retry or drop them first: millrace parked list --pipeline ${plan.name}` },
    )
  }
}

interface LabelledPlace {
  readonly node: number
  readonly isEntry: boolean
}

function byLabel(plan: PlanDescription): ReadonlyMap<string, LabelledPlace> {
  const stages = stagesOf(plan.nodes)
  const { length } = stages.nodes
  const labelled = ({ label, place }: PlaceOfPlan): [string, LabelledPlace] => [
    label,
    { node: nodeOfPlace(length, place), isEntry: isEntryPlace(length, place) },
  ]
  return new Map(placesOf(plan, stages).map(labelled))
}
