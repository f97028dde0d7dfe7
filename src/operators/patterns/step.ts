import { durationText } from '../plan/duration.js'
import { atLeast, invalid } from '../plan/invalid.js'
import type { KeyedStep } from '../plan/keyed-step.js'
import { checkMembers } from '../plan/members.js'
import type { StateOptions } from '../plan/state-plan.js'
import type { Skip } from './matcher.js'
import { type Pattern, type PatternStart, pattern as patternStart, type WholePattern } from './pattern.js'
import { PatternOperator } from './pattern-operator.js'
import { compileStages, isNegative, type StagePlan } from './stages.js'

/** Partial matches of a key when `partialMax` says nothing else. */
export const partialMatchesMax = 1000
/** Rows of a key that wait for the watermark when `waitingMax` says nothing else. */
export const patternWaitingMax = 10_000

/**
 * What a match ends, of the matches and partial matches that overlap it. `none`: nothing, all are found. `pastLast`: those
 * that begin before its last row or with it. `toNext`: those that begin with its first row. `toFirst`: those that begin
 * before the first row of a stage.
 */
export type SkipStrategy = 'none' | 'pastLast' | 'toNext' | { readonly toFirst: string }

export interface PatternOptions extends Pick<StateOptions, 'ttl'> {
  /** `none` by default. */
  readonly skip?: SkipStrategy
  /** Partial matches of a key, 1000 by default. Of more the one that was made first goes, counted as `dropped`. */
  readonly partialMax?: number
  /**
   * Rows of a key that wait for the watermark, 10,000 by default. Of more the earliest is taken before its time, counted as
   * `early`; a row that should have come before it is late then.
   */
  readonly waitingMax?: number
}

/** A pattern, or a function that makes one of a beginning, whose rows then have the flow's types. */
export type PatternGiven<Value, Key, Stages> =
  | WholePattern<Value, Key, Stages>
  | ((start: PatternStart<Value, Key>) => Pattern<Value, Key, Stages>)

/** The step of `pattern`. Throws PIPELINE_INVALID. `where` names the step. */
export function patternStep(
  where: string,
  name: string,
  given: PatternGiven<never, never, unknown>,
  options: PatternOptions = {},
): KeyedStep {
  checkMembers<PatternOptions>(options, { skip: true, partialMax: true, waitingMax: true, ttl: true }, where)
  const made = typeof given === 'function' ? given(patternStart()) : given
  const { stages, withinMs } = (made ?? {}) as Partial<WholePattern<never, never, unknown>>
  if (!Array.isArray(stages))
    throw invalid(`${where} was given something that is no pattern.`, "pattern().begin('a', condition).next(...)")
  checkStages(where, stages, withinMs)
  const skip = skipOf(where, options.skip, stages)
  const partialMax = atLeast(1, options.partialMax ?? partialMatchesMax, `partialMax of ${where}`)
  const waitingMax = atLeast(1, options.waitingMax ?? patternWaitingMax, `waitingMax of ${where}`)
  const plan = { name, pattern: compileStages(stages), withinMs, skip, partialMax, waitingMax }
  const time = withinMs === undefined ? '' : ` within ${durationText(withinMs)}`
  const bound = `per key: ${partialMax} partial matches${time}, ${waitingMax} rows that wait`
  return {
    operator: 'pattern',
    name,
    options: { ttl: options.ttl },
    sides: ['timedOut', 'late'],
    bound,
    make: () => new PatternOperator(plan),
  }
}

function checkStages(where: string, stages: readonly StagePlan[], withinMs: number | undefined): void {
  const positives = stages.filter((stage) => !isNegative(stage))
  if (positives.every(({ isOptional }) => isOptional))
    throw invalid(`${where} has a pattern that no row must fulfil.`, 'Leave one stage without optional().')
  const lastMust = stages.findLastIndex((stage) => !isNegative(stage) && !stage.isOptional)
  const trailing = stages.slice(lastMust + 1)
  const notNext = trailing.find(({ relation }) => relation === 'notNext')
  if (notNext)
    throw invalid(
      `${where} has a pattern that may end with notNext('${notNext.name}').`,
      `Say what the next row is: next('${notNext.name}', (value) => not this), or notFollowedBy with within.`,
    )
  const never = trailing.find(({ relation }) => relation === 'notFollowedBy')
  if (never && withinMs === undefined)
    throw invalid(
      `${where} has a pattern that may end with notFollowedBy('${never.name}'), and nothing says when that is certain.`,
      "Give the pattern a time: .within('10m').",
    )
}

function skipOf(where: string, skip: unknown, stages: readonly StagePlan[]): Skip {
  if (skip === undefined) return 'none'
  if (skip === 'none' || skip === 'pastLast' || skip === 'toNext') return skip
  if (typeof skip === 'object') checkMembers(skip, { toFirst: true }, `skip of ${where}`)
  const toFirst = typeof skip === 'object' && skip !== null ? (skip as { toFirst?: unknown }).toFirst : undefined
  const positives = stages.filter((stage) => !isNegative(stage))
  if (toFirst === undefined || !positives.some(({ name }) => name === toFirst))
    throw invalid(
      `${where} has ${JSON.stringify(skip)} as skip.`,
      "Choose 'none', 'pastLast', 'toNext', or { toFirst: a stage that takes rows }.",
    )
  if (positives[0]?.name === toFirst)
    throw invalid(
      `${where} skips to the first row of ${String(toFirst)}, with which every match begins: that skips nothing.`,
      "Choose 'none' or 'toNext', or a later stage.",
    )
  return { toFirst: String(toFirst) }
}
