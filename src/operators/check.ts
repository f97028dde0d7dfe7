import { MillraceError } from '../runtime/errors.js'
import { type Plan, planMark, type SinkPlan, type SourcePlan, type Step } from './types.js'

/** Steps of one pipeline. */
export const stepsMax = 100

/** A pipeline as the main thread knows it: no functions. */
export interface PlanDescription {
  readonly name: string
  readonly source: SourcePlan
  readonly steps: readonly StepDescription[]
}

export type StepDescription =
  | { readonly kind: Exclude<Step['kind'], 'sink'>; readonly name?: string }
  | { readonly kind: 'sink'; readonly sink: { readonly kind: SinkPlan['kind']; readonly target: string } }

const nameRule = /^(?!\.{1,2}$)[A-Za-z0-9_.-]{1,128}$/

/** The plan that a module exports. Throws PIPELINE_INVALID, which names the step and what to do. */
export function planOf(exported: unknown): Plan {
  const plan =
    typeof exported === 'object' && exported !== null ? (exported as { [planMark]?: Plan })[planMark] : undefined
  if (!plan)
    throw invalid(
      'The module exports no pipeline as its default.',
      'End the module with: export default pipeline(NAME).from(...)...to(...)',
    )
  if (plan.version !== 1)
    throw invalid(
      `The pipeline was made for version ${String(plan.version)} of the plan.`,
      'Deploy it with the millrace command of this version.',
    )
  checkPlan(plan)
  return plan
}

function checkPlan({ name, source, steps }: Plan): void {
  if (typeof name !== 'string' || !nameRule.test(name))
    throw invalid(
      `${JSON.stringify(String(name).slice(0, 200))} is no name for a pipeline.`,
      'Use 1 to 128 letters, digits, dots, dashes and underscores.',
    )
  if (typeof source.name !== 'string' || source.name === '')
    throw invalid(`The source of ${name} has no name.`, 'Name the table or stream.')
  if (steps.length > stepsMax)
    throw invalid(
      `${name} has ${steps.length} steps; ${stepsMax} are allowed.`,
      'Split it into two pipelines with a stream between them.',
    )
  if (!steps.some((step) => step.kind === 'sink'))
    throw invalid(
      `${name} has no sink: its results would go nowhere.`,
      'End it with .to(table(...)), .to(stream(...)) or .to(file(...)).',
    )
  const states = new Set<string>()
  steps.forEach((step, i) => {
    const where = `Step ${i + 1} of ${name} (${step.kind})`
    if ('run' in step && typeof step.run !== 'function') throw invalid(`${where} has no function.`, 'Give it one.')
    if (step.kind === 'aggregate' && typeof step.initial !== 'function')
      throw invalid(
        `${where} has no function that gives its first state.`,
        "aggregate('name', () => initial, (state, value, key) => next)",
      )
    if (step.kind === 'sink') checkSink(step.sink, where)
    if (!('name' in step)) return
    if (typeof step.name !== 'string' || !nameRule.test(step.name))
      throw invalid(`${where} has no name for its state.`, "Name it: .count('perKey').")
    if (states.has(step.name))
      throw invalid(
        `${where} has the name ${step.name}, which another step has.`,
        'State belongs to a name: give each step its own.',
      )
    states.add(step.name)
  })
}

function checkSink(sink: SinkPlan, where: string): void {
  const target = sink.kind === 'file' ? sink.path : sink.name
  if (typeof target !== 'string' || target === '')
    throw invalid(`${where} has no ${sink.kind === 'file' ? 'path' : 'name'}.`, 'Name where its results go.')
  if (sink.kind !== 'file' && typeof sink.run !== 'function')
    throw invalid(`${where} has no function.`, 'Give it one that makes the item or record.')
  if (sink.kind === 'file' && sink.run !== undefined && typeof sink.run !== 'function')
    throw invalid(`${where} was given something that is no function.`, 'Leave it out or give a function.')
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

const invalid = (message: string, remedy: string): MillraceError =>
  new MillraceError('PIPELINE_INVALID', message, { remedy })
