import type { Skip } from '../../../src/operators/patterns/matcher.js'
import type { StagePlan } from '../../../src/operators/patterns/stages.js'

export interface PatternRow {
  readonly time: number
  readonly value: unknown
}

export interface Found {
  readonly isMatch: boolean
  readonly rows: Readonly<Record<string, unknown[]>>
  readonly time: number
}

/** A choice of rows: the index of each, and the stage that it belongs to. */
type Choice = readonly (readonly [row: number, stage: StagePlan])[]

interface Whole {
  readonly choice: Choice
  readonly time: number
  /** Index of the row with which it is whole; for one that ends with its time, the first row behind that. */
  readonly at: number
  readonly isAtEnd: boolean
}

const isNegative = ({ relation }: StagePlan) => relation === 'notNext' || relation === 'notFollowedBy'

/**
 * Finds patterns by their definition: tries every choice of rows for the stages and looks at each gap between two of them.
 * Rows are in order. Nothing here goes from row to row as the matcher does.
 */
export class BruteForce {
  readonly #stages: readonly StagePlan[]
  readonly #withinMs: number | undefined
  readonly #rows: readonly PatternRow[]
  readonly #valid: Choice[] = []

  constructor(stages: readonly StagePlan[], withinMs: number | undefined, rows: readonly PatternRow[]) {
    this.#stages = stages
    this.#withinMs = withinMs
    this.#rows = rows
    for (let row = 0; row < rows.length; row++)
      for (const stage of this.#firstStages()) if (this.#fits([], stage, row)) this.#extend([[row, stage]])
  }

  /** Matches and what ran out of time, in the order in which they come out. */
  find(skip: Skip): Found[] {
    const wholes = this.#valid.flatMap((choice) => this.#wholeOf(choice))
    const over = this.#valid.filter((choice) => this.#isTimedOut(choice))
    const events = [
      ...wholes.map((whole) => ({ ...whole, isMatch: true })),
      ...over.map((choice) => ({
        choice,
        time: this.#end(choice) as number,
        at: this.#firstBehind(choice),
        isAtEnd: true,
        isMatch: false,
      })),
    ].sort(
      (a, b) =>
        a.at - b.at ||
        // What ends with its time ends before the row behind it is looked at.
        Number(b.isAtEnd) - Number(a.isAtEnd) ||
        a.time - b.time ||
        this.#compare(a.choice, b.choice),
    )
    const told: Choice[] = []
    const found: Found[] = []
    for (const { choice, time, isMatch } of events) {
      if (told.some((match) => skips(skip, match, choice))) continue
      if (isMatch) told.push(choice)
      found.push({ isMatch, rows: this.#byStage(choice), time })
    }
    return found
  }

  #extend(choice: Choice): void {
    this.#valid.push(choice)
    for (const next of this.#extensions(choice)) this.#extend(next)
  }

  #extensions(choice: Choice): Choice[] {
    const [last] = choice.at(-1) as Choice[number]
    const extensions: Choice[] = []
    for (const stage of this.#nextStages(choice))
      for (let row = last + 1; row <= this.#lastInTime(choice); row++)
        if (this.#isGapRight(choice, stage, row) && this.#fits(choice, stage, row))
          extensions.push([...choice, [row, stage]])
    return extensions
  }

  #firstStages(): StagePlan[] {
    const positives = this.#stages.filter((stage) => !isNegative(stage))
    const must = positives.findIndex(({ isOptional }) => !isOptional)
    return positives.slice(0, must + 1)
  }

  /** Stages that the next row may belong to. */
  #nextStages(choice: Choice): StagePlan[] {
    const [, stage] = choice.at(-1) as Choice[number]
    const count = choice.filter(([, each]) => each === stage).length
    const next: StagePlan[] = count < stage.max ? [stage] : []
    if (count < stage.min) return next
    for (const behind of this.#stages.slice(this.#stages.indexOf(stage) + 1)) {
      if (isNegative(behind)) continue
      next.push(behind)
      if (!behind.isOptional) break
    }
    return next
  }

  /** Negative stages between the last row's stage and another; all that follow when there is no other. */
  #between(choice: Choice, to: StagePlan | undefined): StagePlan[] {
    const [, stage] = choice.at(-1) as Choice[number]
    const until = to ? this.#stages.indexOf(to) : this.#stages.length
    return this.#stages.slice(this.#stages.indexOf(stage) + 1, until).filter(isNegative)
  }

  #isGapRight(choice: Choice, stage: StagePlan, row: number): boolean {
    const [last, from] = choice.at(-1) as Choice[number]
    const gap = this.#rows.map((_, i) => i).filter((i) => i > last && i < row)
    const isStrict = from === stage ? stage.isConsecutive : stage.relation === 'next'
    if (isStrict && gap.length > 0) return false
    const isRelaxed = from === stage || stage.relation !== 'followedByAny'
    if (isRelaxed && gap.some((i) => this.#fits(choice, stage, i))) return false
    return this.#between(choice, stage).every((never) =>
      never.relation === 'notNext'
        ? !this.#fits(choice, never, last + 1)
        : !gap.some((i) => this.#fits(choice, never, i)),
    )
  }

  #fits(choice: Choice, stage: StagePlan, row: number): boolean {
    return Boolean(stage.condition(this.#rows[row]?.value as never, this.#byStage(choice) as never, 'a' as never))
  }

  #wholeOf(choice: Choice): Whole[] {
    const [last, stage] = choice.at(-1) as Choice[number]
    const count = choice.filter(([, each]) => each === stage).length
    const behind = this.#stages.slice(this.#stages.indexOf(stage) + 1)
    if (count < stage.min || behind.some((each) => !isNegative(each) && !each.isOptional)) return []
    const nevers = this.#between(choice, undefined)
    if (nevers.length === 0) return [{ choice, time: (this.#rows[last] as PatternRow).time, at: last, isAtEnd: false }]
    const until = this.#lastInTime(choice)
    const rest = this.#rows.map((_, i) => i).filter((i) => i > last && i <= until)
    if (rest.some((i) => nevers.some((never) => this.#fits(choice, never, i)))) return []
    return [{ choice, time: this.#end(choice) as number, at: this.#firstBehind(choice), isAtEnd: true }]
  }

  /** Nothing came of it, although something still might have when its time was over. */
  #isTimedOut(choice: Choice): boolean {
    if (this.#withinMs === undefined || this.#wholeOf(choice).length > 0 || this.#extensions(choice).length > 0)
      return false
    // A row that comes just in time would have fitted somewhere: as if any row fitted any stage there.
    return this.#nextStages(choice).some((stage) => this.#couldFollow(choice, stage))
  }

  #couldFollow(choice: Choice, stage: StagePlan): boolean {
    const [last, from] = choice.at(-1) as Choice[number]
    const rest = this.#rows.map((_, i) => i).filter((i) => i > last && i <= this.#lastInTime(choice))
    const isStrict = from === stage ? stage.isConsecutive : stage.relation === 'next'
    if (isStrict && rest.length > 0) return false
    return this.#between(choice, stage).every((never) =>
      never.relation === 'notNext'
        ? rest.length === 0 || !this.#fits(choice, never, last + 1)
        : !rest.some((i) => this.#fits(choice, never, i)),
    )
  }

  #end(choice: Choice): number | undefined {
    const first = this.#rows[choice[0]?.[0] as number] as PatternRow
    return this.#withinMs === undefined ? undefined : first.time + this.#withinMs
  }

  #lastInTime(choice: Choice): number {
    return this.#firstBehind(choice) - 1
  }

  #firstBehind(choice: Choice): number {
    const end = this.#end(choice)
    const behind = end === undefined ? -1 : this.#rows.findIndex(({ time }) => time > end)
    return behind < 0 ? this.#rows.length : behind
  }

  #compare(a: Choice, b: Choice): number {
    for (let i = 0; i < a.length && i < b.length; i++) {
      const [[rowA, stageA], [rowB, stageB]] = [a[i] as Choice[number], b[i] as Choice[number]]
      const order = rowA - rowB || this.#stages.indexOf(stageA) - this.#stages.indexOf(stageB)
      if (order !== 0) return order
    }
    return b.length - a.length
  }

  #byStage(choice: Choice): Record<string, unknown[]> {
    const rows: Record<string, unknown[]> = {}
    for (const stage of this.#stages) if (!isNegative(stage)) rows[stage.name] = []
    for (const [row, stage] of choice) rows[stage.name]?.push(this.#rows[row]?.value)
    return rows
  }
}

function skips(skip: Skip, match: Choice, other: Choice): boolean {
  const start = other[0]?.[0] as number
  switch (skip) {
    case 'none':
      return false
    case 'pastLast':
      return start <= (match.at(-1)?.[0] as number)
    case 'toNext':
      return start === match[0]?.[0]
    default: {
      const first = match.find(([, stage]) => stage.name === skip.toFirst)
      return first !== undefined && start < first[0]
    }
  }
}
