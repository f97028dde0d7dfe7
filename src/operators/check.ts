import { planOf as graphOf } from './plan/index.js'
import { type Plan, planMark, type SinkPlan, type SourcePlan, type Step } from './types.js'
import { asVersion1 } from './version-1.js'

/** A pipeline as the main thread knows it: no functions. */
export interface PlanDescription {
  readonly name: string
  readonly source: SourcePlan
  readonly steps: readonly StepDescription[]
}

export type StepDescription =
  | { readonly kind: Exclude<Step['kind'], 'sink'>; readonly name?: string }
  | { readonly kind: 'sink'; readonly sink: { readonly kind: SinkPlan['kind']; readonly target: string } }

/** The plan that a module exports, for the executor of version 1. Throws PIPELINE_INVALID. */
export function planOf(exported: unknown): Plan {
  const marked =
    typeof exported === 'object' && exported !== null ? (exported as { [planMark]?: Plan })[planMark] : undefined
  // A module that an earlier Millrace bundled; it was checked at its deploy.
  return marked?.version === 1 ? marked : asVersion1(graphOf(exported))
}

export function describePlan(plan: Plan): PlanDescription {
  return {
    name: plan.name,
    source: { kind: plan.source.kind, name: plan.source.name },
    steps: plan.steps.map((step): StepDescription => {
      if (step.kind === 'sink')
        return {
          kind: 'sink',
          sink: { kind: step.sink.kind, target: step.sink.kind === 'file' ? step.sink.path : step.sink.name },
        }
      return 'name' in step ? { kind: step.kind, name: step.name } : { kind: step.kind }
    }),
  }
}
