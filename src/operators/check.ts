import { type PipelinePlan, planOf as graphOf } from './plan/index.js'
import { type Plan, planMark } from './types.js'
import { fromVersion1 } from './version-1.js'

/** The plan that a module exports; what an earlier Millrace bundled becomes one of today. Throws PIPELINE_INVALID. */
export function planOf(exported: unknown): PipelinePlan {
  const marked =
    typeof exported === 'object' && exported !== null ? (exported as { [planMark]?: Plan })[planMark] : undefined
  return graphOf(marked?.version === 1 ? { [planMark]: fromVersion1(marked) } : exported)
}
