/** How a stage's first row lies behind the row before it, or that none such may come. */
export type Relation = 'begin' | 'next' | 'followedBy' | 'followedByAny' | 'notNext' | 'notFollowedBy'

/** Whether a row belongs to a stage, given the rows of the stages so far by their names, and the key. */
export type StageCondition = (value: never, soFar: never, key: never) => unknown

/** One stage of a pattern as it was written. */
export interface StagePlan {
  readonly name: string
  readonly relation: Relation
  readonly condition: StageCondition
  /** Rows that it takes. */
  readonly min: number
  readonly max: number
  /** Whether it may take none. */
  readonly isOptional: boolean
  /** Whether its own rows follow each other directly. */
  readonly isConsecutive: boolean
}

/**
 * A way on from a stage: what the next row of a partial match may be. `strict`: the very next row; `relaxed`: the first row
 * that fulfils the condition; `any`: each one that does.
 */
export interface Edge {
  /** Index of the stage that the row would belong to; undefined: the end, which is reached when time runs out. */
  readonly to: number | undefined
  readonly mode: 'strict' | 'relaxed' | 'any'
  /** What the very next row must not be. */
  readonly notNext: readonly StageCondition[]
  /** What no row on the way must be. */
  readonly notFollowedBy: readonly StageCondition[]
}

export interface Stage {
  readonly name: string
  readonly condition: StageCondition
  readonly min: number
  readonly max: number
  /** The first one stays in the stage. */
  readonly edges: readonly Edge[]
  /** Whether a match is whole when the stage has its rows. */
  readonly isEnd: boolean
}

/** A pattern as the matcher walks through it: the stages that take rows, and the ways between them. */
export interface CompiledPattern {
  readonly stages: readonly Stage[]
  /** Stages that a match may begin with. */
  readonly starts: readonly number[]
}

export const isNegative = ({ relation }: StagePlan): boolean => relation === 'notNext' || relation === 'notFollowedBy'

export function compileStages(plans: readonly StagePlan[]): CompiledPattern {
  const positives = plans.filter((plan) => !isNegative(plan))
  const indexOf = new Map(positives.map((plan, i) => [plan, i]))
  const stages = positives.map((plan): Stage => {
    const { name, condition, min, max, isConsecutive } = plan
    const loop: Edge = {
      to: indexOf.get(plan),
      mode: isConsecutive ? 'strict' : 'relaxed',
      notNext: [],
      notFollowedBy: [],
    }
    const { edges, isEnd } = waysFrom(plans, plans.indexOf(plan), indexOf)
    return { name, condition, min, max, edges: [loop, ...edges], isEnd }
  })
  const starts: number[] = []
  for (const [i, { isOptional }] of positives.entries()) {
    starts.push(i)
    if (!isOptional) break
  }
  return { stages, starts }
}

/** The ways behind a stage, up to the first stage that must take a row. */
function waysFrom(
  plans: readonly StagePlan[],
  from: number,
  indexOf: ReadonlyMap<StagePlan, number>,
): { edges: readonly Edge[]; isEnd: boolean } {
  const edges: Edge[] = []
  const notNext: StageCondition[] = []
  const notFollowedBy: StageCondition[] = []
  for (const plan of plans.slice(from + 1)) {
    if (plan.relation === 'notNext') notNext.push(plan.condition)
    else if (plan.relation === 'notFollowedBy') notFollowedBy.push(plan.condition)
    else {
      const mode = plan.relation === 'next' ? 'strict' : plan.relation === 'followedByAny' ? 'any' : 'relaxed'
      edges.push({ to: indexOf.get(plan), mode, notNext: [...notNext], notFollowedBy: [...notFollowedBy] })
      if (!plan.isOptional) return { edges, isEnd: false }
    }
  }
  if (notNext.length + notFollowedBy.length === 0) return { edges, isEnd: true }
  edges.push({ to: undefined, mode: 'any', notNext, notFollowedBy })
  return { edges, isEnd: false }
}
