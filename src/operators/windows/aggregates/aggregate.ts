import type { KeyedContext, Row } from '../../task/keyed-operator.js'
import type { OpenResult } from '../result.js'

/**
 * What is made of the rows of a window. Accumulators are state: they are stored, so they are of what a state may hold.
 * Those that `add` gives may be the one that it was given, changed in place.
 */
export interface WindowAggregate {
  /** Whether an accumulator is a few numbers, so that many of them may lie in one cell. */
  readonly isSmall: boolean
  /** Whether rows may be put together before they are sent: needs a merge, and nothing that depends on a bound. */
  readonly isCombined?: boolean
  /** Whether accumulators hold values of rows, or parts of them. */
  readonly keepsValues: boolean
  /** The accumulator with one more row, or a promise of it; undefined is the one of no row. */
  add(accumulator: unknown, row: Row, context: KeyedContext): unknown
  /**
   * Both in one, or a promise of it, for windows that are put together of parts. May change `into`, never `from`; when `into`
   * is undefined it gives a copy of `from`. Absent: each window is kept apart.
   */
  readonly merge?: (into: unknown, from: unknown, context: KeyedContext) => unknown
  /** The value of a result, or a promise of it. `isKept`: the accumulator goes on, so what is given must not share with it. */
  result(accumulator: unknown, window: OpenResult, isKept: boolean): unknown
}
