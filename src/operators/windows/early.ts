import type { CellName, KeyedContext } from '../task/keyed-operator.js'

/** When a window gives results before it is over; neither: not at all. */
export interface EarlyTrigger {
  /** At most one such result in so many milliseconds of processing time, if there is something new. */
  readonly everyMs: number | undefined
  /** One such result whenever so many rows have come since the last one. */
  readonly count: number | undefined
}

/** What a window remembers of its early results. */
export interface EarlyState {
  /** Rows since its last early result. */
  rows: number
  /** When the timer of the next one is due, ms of processing time; 0: there is none. */
  earlyAt: number
}

/** Counts a row. True: it is time for a result. */
export function isEarlyDue(state: EarlyState, { count }: EarlyTrigger): boolean {
  state.rows++
  if (count === undefined || state.rows < count) return false
  state.rows = 0
  return true
}

/** Sets the timer of the next early result, if there is none. */
export function armEarly(state: EarlyState, { everyMs }: EarlyTrigger, tag: CellName, context: KeyedContext): void {
  if (everyMs === undefined || state.earlyAt !== 0) return
  state.earlyAt = context.now + everyMs
  context.setTimer(state.earlyAt, tag, 'processing')
}

/** The timer has fired. True: there is something new to give. */
export function takeEarly(state: EarlyState): boolean {
  state.earlyAt = 0
  const isNew = state.rows > 0
  state.rows = 0
  return isNew
}

/** The window is over: no early result any more. */
export function disarmEarly(state: EarlyState, tag: CellName, context: KeyedContext): void {
  if (state.earlyAt !== 0) context.clearTimer(state.earlyAt, tag, 'processing')
  state.earlyAt = 0
  state.rows = 0
}
