import { isThenable } from '../keyed/thenable.js'
import type { CompiledPattern, Stage, StageCondition } from './stages.js'

/** A match that is not whole, or may still grow. Rows are numbers in the list of rows that the key keeps. */
export interface PartialMatch {
  readonly rows: readonly number[]
  /** The stage of each row. */
  readonly stages: readonly number[]
  /** Ways on that are still open: indexes into the last stage's edges. */
  live: readonly number[]
  /** No row has come since its last one. */
  isFresh: boolean
  /** Something came of it: a match, or a longer partial match. */
  isTold: boolean
}

type KeptRow = readonly [row: number, time: number, value: unknown]

/** What is kept of a key between rows. */
export interface MatcherState {
  readonly rows: readonly KeptRow[]
  readonly partials: readonly PartialMatch[]
  readonly next: number
}

export type Skip = 'none' | 'pastLast' | 'toNext' | { readonly toFirst: string }

export interface MatcherPlan {
  readonly name: string
  readonly pattern: CompiledPattern
  /** Longest time from the first to the last row of a match, ms; undefined: any. */
  readonly withinMs: number | undefined
  readonly skip: Skip
  /** Partial matches of a key. */
  readonly partialMax: number
}

export interface MatcherOutput {
  readonly isMatch: boolean
  /** The rows of each stage by its name. */
  readonly rows: Readonly<Record<string, readonly unknown[]>>
  readonly time: number
}

/**
 * Finds the matches of one key. It is a list of partial matches: each row is offered to every way that is open in each of
 * them. Rows come in the order of their times; what it gives depends on nothing else.
 */
export class Matcher {
  readonly outputs: MatcherOutput[] = []
  /** Partial matches that went for want of room. */
  dropped = 0
  readonly #plan: MatcherPlan
  readonly #key: unknown
  readonly #rows: Map<number, KeptRow>
  readonly #partials: Set<PartialMatch>
  #next: number

  constructor(plan: MatcherPlan, state: MatcherState | undefined, key: unknown) {
    this.#plan = plan
    this.#key = key
    this.#rows = new Map(state?.rows.map((row) => [row[0], row]))
    this.#partials = new Set(state?.partials.map((partial) => ({ ...partial })))
    this.#next = state?.next ?? 0
  }

  /** When the first partial match runs out of time. */
  get firstEnd(): number | undefined {
    let first: number | undefined
    for (const partial of this.#partials) {
      const end = this.#end(partial)
      if (end !== undefined && (first === undefined || end < first)) first = end
    }
    return first
  }

  feed(time: number, value: unknown): void {
    this.#expire((end) => end < time)
    const row = this.#next++
    this.#rows.set(row, [row, time, value])
    const made: PartialMatch[] = []
    for (const partial of this.#partials) this.#advance(partial, row, value, made)
    for (const stage of this.#plan.pattern.starts)
      if (this.#holds(this.#stage(stage).condition, value, noRows(this.#plan.pattern)))
        made.push(this.#made([], [], stage, row))
    for (const partial of made) if (partial.live.length > 0) this.#partials.add(partial)
    this.#tell(
      made.filter((partial) => this.#isWhole(partial)),
      () => time,
    )
    for (const partial of this.#partials) {
      if (this.#partials.size <= this.#plan.partialMax) break
      this.#partials.delete(partial)
      this.dropped++
    }
  }

  /** No row at or before this time will be fed any more. */
  advance(watermark: number): void {
    this.#expire((end) => end <= watermark)
  }

  /** What is to be kept; undefined for nothing. */
  save(): MatcherState | undefined {
    if (this.#partials.size === 0) return undefined
    const partials = [...this.#partials]
    const used = new Set(partials.flatMap(({ rows }) => rows))
    return { rows: [...this.#rows.values()].filter(([row]) => used.has(row)), partials, next: this.#next }
  }

  /** Offers a row to the ways that are open; those that it closes are closed. */
  #advance(partial: PartialMatch, row: number, value: unknown, made: PartialMatch[]): void {
    const { edges } = this.#stage(partial.stages.at(-1) as number)
    const soFar = this.#byStage(partial)
    partial.live = partial.live.filter((index) => {
      const { to, mode, notNext, notFollowedBy } = edges[index] as Stage['edges'][number]
      if (partial.isFresh && notNext.some((condition) => this.#holds(condition, value, soFar))) return false
      const isTaken = to !== undefined && this.#holds(this.#stage(to).condition, value, soFar)
      if (isTaken) {
        made.push(this.#made(partial.rows, partial.stages, to, row))
        partial.isTold = true
      }
      if (mode === 'strict' || (mode === 'relaxed' && isTaken)) return false
      return !notFollowedBy.some((condition) => this.#holds(condition, value, soFar))
    })
    partial.isFresh = false
    if (partial.live.length === 0) this.#partials.delete(partial)
  }

  #made(rows: readonly number[], stages: readonly number[], stage: number, row: number): PartialMatch {
    const made = { rows: [...rows, row], stages: [...stages, stage], live: [], isFresh: true, isTold: false }
    const { min, max, edges } = this.#stage(stage)
    const count = countOf(made)
    const live = edges.map((_, i) => i).filter((i) => (i === 0 ? count < max : count >= min))
    return { ...made, live, isTold: this.#isWhole(made) }
  }

  #isWhole(partial: PartialMatch): boolean {
    const { isEnd, min } = this.#stage(partial.stages.at(-1) as number)
    return isEnd && countOf(partial) >= min
  }

  #expire(isOver: (end: number) => boolean): void {
    const over = [...this.#partials].filter((partial) => {
      const end = this.#end(partial)
      return end !== undefined && isOver(end)
    })
    over.sort((a, b) => (this.#end(a) as number) - (this.#end(b) as number) || compare(a, b))
    for (const partial of over) {
      // A match that came out before may have taken it along.
      if (!this.#partials.delete(partial)) continue
      const { edges } = this.#stage(partial.stages.at(-1) as number)
      if (partial.live.some((index) => edges[index]?.to === undefined))
        this.#tell([partial], () => this.#end(partial) as number)
      else if (!partial.isTold)
        this.outputs.push({ isMatch: false, rows: this.#byStage(partial), time: this.#end(partial) as number })
    }
  }

  /** Gives out matches that are whole at the same time, the first first, unless one skips the other. */
  #tell(matches: PartialMatch[], timeOf: (match: PartialMatch) => number): void {
    const told: PartialMatch[] = []
    for (const match of matches.sort(compare)) {
      if (told.some((earlier) => this.#skips(earlier, match))) continue
      this.outputs.push({ isMatch: true, rows: this.#byStage(match), time: timeOf(match) })
      told.push(match)
      if (this.#plan.skip === 'none') continue
      for (const partial of this.#partials) if (this.#skips(match, partial)) this.#partials.delete(partial)
    }
  }

  /** Whether a match that was given out ends another one, whole or not. */
  #skips(match: PartialMatch, other: PartialMatch): boolean {
    const { skip, pattern } = this.#plan
    const start = other.rows[0] as number
    if (skip === 'none') return false
    if (skip === 'pastLast') return start <= (match.rows.at(-1) as number)
    if (skip === 'toNext') return start === match.rows[0]
    const first = match.stages.findIndex((stage) => pattern.stages[stage]?.name === skip.toFirst)
    return first >= 0 && start < (match.rows[first] as number)
  }

  #end(partial: PartialMatch): number | undefined {
    const { withinMs } = this.#plan
    return withinMs === undefined ? undefined : (this.#rows.get(partial.rows[0] as number) as KeptRow)[1] + withinMs
  }

  #byStage(partial: PartialMatch): Record<string, unknown[]> {
    const rows = noRows(this.#plan.pattern)
    for (const [i, row] of partial.rows.entries())
      rows[this.#stage(partial.stages[i] as number).name]?.push((this.#rows.get(row) as KeptRow)[2])
    return rows
  }

  #holds(condition: StageCondition, value: unknown, soFar: Readonly<Record<string, unknown[]>>): boolean {
    const result = condition(value as never, soFar as never, this.#key as never)
    if (isThenable(result))
      throw new TypeError(
        `A condition of the pattern ${this.#plan.name} gave a promise: ask for what it needs before it.`,
      )
    return Boolean(result)
  }

  #stage(index: number): Stage {
    return this.#plan.pattern.stages[index] as Stage
  }
}

/** Rows that the last stage has taken. */
function countOf({ stages }: PartialMatch): number {
  const last = stages.at(-1)
  return stages.length - stages.indexOf(last as number)
}

/** Whose rows come earlier is first; of two that begin alike, the longer one. */
function compare(a: PartialMatch, b: PartialMatch): number {
  for (let i = 0; i < a.rows.length && i < b.rows.length; i++) {
    const order = (a.rows[i] as number) - (b.rows[i] as number) || (a.stages[i] as number) - (b.stages[i] as number)
    if (order !== 0) return order
  }
  return b.rows.length - a.rows.length
}

function noRows(pattern: CompiledPattern): Record<string, unknown[]> {
  return Object.fromEntries(pattern.stages.map(({ name }) => [name, []]))
}
