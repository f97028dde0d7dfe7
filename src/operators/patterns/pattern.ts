import { type Duration, durationMs } from '../plan/duration.js'
import { invalid } from '../plan/invalid.js'
import { isNegative, type Relation, type StageCondition, type StagePlan } from './stages.js'

/** Rows that one stage takes at most; `oneOrMore` ends there. */
export const stageRowsMax = 1000

/** The rows of a match, or of a part of one, by the names of the stages; those of a stage that took none are empty. */
export type PatternMatch<Stages> = { readonly [Name in keyof Stages]: readonly Stages[Name][] }

/** What a condition sees of the match so far: the rows of the stages before, and those of its own. */
export type SoFar<Stages, Name extends string, Value> = PatternMatch<Stages> & {
  readonly [Own in Name]: readonly Value[]
}

/** Whether a row belongs to a stage. It may look at the partial match, and gives its answer at once: no promise. */
export type Condition<Value, Key, Stages, Name extends string> = (
  value: Value,
  soFar: SoFar<Stages, Name, Value>,
  key: Key,
) => boolean

/** The same as a type guard: the stage's rows have the narrower type. */
export type Guard<Value, Key, Stages, Name extends string, Kept extends Value> = (
  value: Value,
  soFar: SoFar<Stages, Name, Value>,
  key: Key,
) => value is Kept

/** A pattern without a stage. */
export interface PatternStart<Value, Key> {
  /** The first row of a match: any row that fulfils the condition begins one. */
  begin<Name extends string, Kept extends Value>(
    name: Name,
    condition: Guard<Value, Key, NoStages, Name, Kept>,
  ): Pattern<Value, Key, Record<Name, Kept>>
  begin<Name extends string>(
    name: Name,
    condition: Condition<Value, Key, NoStages, Name>,
  ): Pattern<Value, Key, Record<Name, Value>>
}

export type NoStages = Record<never, never>

/** Begins a pattern over the rows of one key, in the order of their event times. */
export function pattern<Value = unknown, Key = unknown>(): PatternStart<Value, Key> {
  return {
    begin(name: string, condition: StageCondition): Pattern<Value, Key, never> {
      return new Pattern([stage(name, 'begin', condition)], undefined)
    },
  }
}

/** A pattern as a flow takes it. */
export interface WholePattern<Value, Key, Stages> {
  readonly stages: readonly StagePlan[]
  /** Longest time from the first to the last row of a match, ms. */
  readonly withinMs: number | undefined
  /** Types only: conditions take rows, so a pattern of a wider type of rows is one of these too. */
  readonly takes?: (value: Value, key: Key) => void
  readonly gives?: Stages
}

/** A pattern under construction, and a whole one: every call gives a new one. `Stages` are the rows' types by stage. */
export class Pattern<Value, Key, Stages> implements WholePattern<Value, Key, Stages> {
  readonly stages: readonly StagePlan[]
  readonly withinMs: number | undefined
  readonly takes?: (value: Value, key: Key) => void
  readonly gives?: Stages

  constructor(stages: readonly StagePlan[], withinMs: number | undefined) {
    this.stages = stages
    this.withinMs = withinMs
  }

  /** The very next row of the key must be it. */
  next<Name extends string, Kept extends Value>(
    name: Name,
    condition: Guard<Value, Key, Stages, Name, Kept>,
  ): Pattern<Value, Key, With<Stages, Name, Kept>>
  next<Name extends string>(
    name: Name,
    condition: Condition<Value, Key, Stages, Name>,
  ): Pattern<Value, Key, With<Stages, Name, Value>>
  next(name: string, condition: StageCondition): Pattern<Value, Key, never> {
    return this.#with(stage(name, 'next', condition))
  }

  /** The first row from here on that fulfils the condition; others may lie between. */
  followedBy<Name extends string, Kept extends Value>(
    name: Name,
    condition: Guard<Value, Key, Stages, Name, Kept>,
  ): Pattern<Value, Key, With<Stages, Name, Kept>>
  followedBy<Name extends string>(
    name: Name,
    condition: Condition<Value, Key, Stages, Name>,
  ): Pattern<Value, Key, With<Stages, Name, Value>>
  followedBy(name: string, condition: StageCondition): Pattern<Value, Key, never> {
    return this.#with(stage(name, 'followedBy', condition))
  }

  /** Each row from here on that fulfils the condition, one match for each. */
  followedByAny<Name extends string, Kept extends Value>(
    name: Name,
    condition: Guard<Value, Key, Stages, Name, Kept>,
  ): Pattern<Value, Key, With<Stages, Name, Kept>>
  followedByAny<Name extends string>(
    name: Name,
    condition: Condition<Value, Key, Stages, Name>,
  ): Pattern<Value, Key, With<Stages, Name, Value>>
  followedByAny(name: string, condition: StageCondition): Pattern<Value, Key, never> {
    return this.#with(stage(name, 'followedByAny', condition))
  }

  /** The very next row must not be it. The row that the next stage takes may be that very next row. */
  notNext<Name extends string>(
    name: Name,
    condition: (value: Value, soFar: PatternMatch<Stages>, key: Key) => boolean,
  ): Pattern<Value, Key, Stages> {
    return this.#with(stage(name, 'notNext', condition as StageCondition))
  }

  /**
   * No row before the one that the next stage takes may be it. As the last stage: none within the time of the pattern, and
   * the match comes out when that is over.
   */
  notFollowedBy<Name extends string>(
    name: Name,
    condition: (value: Value, soFar: PatternMatch<Stages>, key: Key) => boolean,
  ): Pattern<Value, Key, Stages> {
    return this.#with(stage(name, 'notFollowedBy', condition as StageCondition))
  }

  /** The last stage takes so many rows. Between them others may lie, unless it is `consecutive`. */
  times(count: number): Pattern<Value, Key, Stages>
  times(min: number, max: number): Pattern<Value, Key, Stages>
  times(min: number, max = min): Pattern<Value, Key, Stages> {
    const isRight = Number.isSafeInteger(min) && Number.isSafeInteger(max) && min >= 1 && max >= min
    if (!isRight || max > stageRowsMax)
      throw invalid(
        `times(${min}, ${max}) of the stage ${this.#last.name} says no number of rows.`,
        `Give whole numbers from 1 to ${stageRowsMax}, the smaller one first; optional() stands for none.`,
      )
    return this.#change('times', { min, max })
  }

  /** The last stage takes one row or more, up to 1000: each number of rows gives a match of its own. */
  oneOrMore(): Pattern<Value, Key, Stages> {
    return this.#change('oneOrMore', { min: 1, max: stageRowsMax })
  }

  /** The last stage may take no row. */
  optional(): Pattern<Value, Key, Stages> {
    return this.#change('optional', { isOptional: true })
  }

  /** Between the rows of the last stage no other may lie. */
  consecutive(): Pattern<Value, Key, Stages> {
    return this.#change('consecutive', { isConsecutive: true })
  }

  /** Longest time from the first row of a match to its last; both ends are included. */
  within(duration: Duration): Pattern<Value, Key, Stages> {
    return new Pattern(this.stages, durationMs(duration, 'within of a pattern'))
  }

  get #last(): StagePlan {
    return this.stages.at(-1) as StagePlan
  }

  #with<Next>(plan: StagePlan): Pattern<Value, Key, Next> {
    const isTaken = this.stages.some(({ name }) => name === plan.name)
    if (isTaken) throw invalid(`A pattern has two stages of the name ${plan.name}.`, 'Give each stage its own.')
    return new Pattern([...this.stages, plan], this.withinMs)
  }

  #change(method: string, change: Partial<StagePlan>): Pattern<Value, Key, Stages> {
    if (isNegative(this.#last))
      throw invalid(
        `${method}() stands behind the stage ${this.#last.name}, which takes no rows.`,
        'Put it behind begin, next, followedBy or followedByAny.',
      )
    return new Pattern([...this.stages.slice(0, -1), { ...this.#last, ...change }], this.withinMs)
  }
}

/** The stages with one more. */
export type With<Stages, Name extends string, Value> = Stages & Record<Name, Value>

function stage(name: string, relation: Relation, condition: StageCondition): StagePlan {
  if (typeof name !== 'string' || name === '' || name === '__proto__')
    throw invalid(
      `A stage of a pattern has ${JSON.stringify(name)} as its name.`,
      `${relation}('name', (value) => ...)`,
    )
  if (typeof condition !== 'function')
    throw invalid(
      `The stage ${name} of a pattern has no condition.`,
      `${relation}('${name}', (value) => true or false)`,
    )
  return { name, relation, condition, min: 1, max: 1, isOptional: false, isConsecutive: false }
}
