import { kept } from '../kept.js'
import { withCells } from '../settle.js'
import { SortedRows, type SortedState } from '../sorted-rows.js'
import type { DueTimer, KeyedContext, KeyedOperator, Row } from '../task/keyed-operator.js'
import type { Awaitable } from '../types.js'
import { Matcher, type MatcherPlan, type MatcherState } from './matcher.js'

export interface PatternOperatorPlan extends MatcherPlan {
  /** Rows of a key that wait for the watermark. */
  readonly waitingMax: number
}

interface PatternState {
  waiting?: SortedState | undefined
  matcher?: MatcherState | undefined
  /** When there is something to be done next. */
  due?: number | undefined
  /** Up to here rows were taken before their time, for want of room. */
  takenTo?: number | undefined
}

/**
 * Finds patterns in the rows of a key. Rows wait until the watermark has passed them and are then taken in the order of their
 * times, of equal ones in that of their sequence numbers, so that what is found does not depend on how they arrive.
 */
export class PatternOperator implements KeyedOperator {
  readonly #plan: PatternOperatorPlan

  constructor(plan: PatternOperatorPlan) {
    this.#plan = plan
  }

  onRow(row: Row, _input: number, context: KeyedContext): Awaitable<void> {
    const state = stateOf(context)
    if (row.time <= row.stamp || row.time < (state.takenTo ?? Number.NEGATIVE_INFINITY)) {
      context.count('late')
      return context.side('late', kept(row.value), row.time)
    }
    const waiting = new SortedRows('w', state.waiting, context)
    const isFull = waiting.count >= this.#plan.waitingMax
    const names = waiting.namesFor(row.time, row.sequence)
    if (isFull) names.push(...waiting.namesOfFirst())
    return withCells(names, context, () => {
      waiting.brought(names)
      waiting.insert([row.time, row.sequence, kept(row.value)])
      const first = isFull ? waiting.shift() : undefined
      if (!first) return this.#save(state, waiting, undefined, context)
      context.count('early')
      state.takenTo = first[0]
      const matcher = new Matcher(this.#plan, state.matcher, context.key)
      matcher.feed(first[0], first[2])
      return this.#save(state, waiting, matcher, context)
    })
  }

  onTimer(_timer: DueTimer, context: KeyedContext): Awaitable<void> {
    const state = stateOf(context)
    state.due = undefined
    const { watermark } = context
    const waiting = new SortedRows('w', state.waiting, context)
    const names = waiting.namesIn(Number.NEGATIVE_INFINITY, watermark)
    return withCells(names, context, () => {
      waiting.brought(names)
      const matcher = new Matcher(this.#plan, state.matcher, context.key)
      for (const [time, , value] of waiting.takeUpTo(watermark)) matcher.feed(time, value)
      matcher.advance(watermark)
      if ((state.takenTo ?? watermark) <= watermark) state.takenTo = undefined
      return this.#save(state, waiting, matcher, context)
    })
  }

  /** Keeps what is left, sets the timer, and gives out what was found. `matcher` is undefined if it was not asked. */
  #save(state: PatternState, waiting: SortedRows, matcher: Matcher | undefined, context: KeyedContext): void {
    state.waiting = waiting.save()
    if (matcher) state.matcher = matcher.save()
    const times = [waiting.firstTime, matcher?.firstEnd, state.due].filter((time) => time !== undefined)
    const due = times.length > 0 ? Math.min(...times) : undefined
    if (due !== state.due) {
      if (state.due !== undefined) context.clearTimer(state.due)
      if (due !== undefined) context.setTimer(due)
      state.due = due
    }
    const isEmpty = state.waiting === undefined && state.matcher === undefined && state.takenTo === undefined
    context.put(isEmpty ? undefined : present(state))
    if (!matcher) return
    if (matcher.dropped > 0) context.count('dropped', matcher.dropped)
    for (const { isMatch, rows, time } of matcher.outputs) {
      if (isMatch) context.emit(rows, time)
      else context.side('timedOut', rows, time)
    }
  }
}

const stateOf = (context: KeyedContext): PatternState => ({ ...(context.get() as PatternState | undefined) })

/** Without what is undefined, which would be stored all the same. */
const present = (state: PatternState): PatternState =>
  Object.fromEntries(Object.entries(state).filter(([, value]) => value !== undefined))
