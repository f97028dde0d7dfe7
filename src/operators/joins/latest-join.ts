import { settle } from '../settle.js'
import type { KeyedContext, KeyedOperator, Row } from '../task/keyed-operator.js'
import type { Awaitable } from '../types.js'
import type { TableJoinType } from './options.js'
import type { TableRow } from './table-row.js'

export interface LatestJoinPlan {
  readonly type: TableJoinType
  readonly row: TableRow
  readonly combine: (left: unknown, right: unknown, key: unknown) => unknown
}

/** Joins each value of a stream with the row of a table that is there when it arrives. Keeps that one row per key. */
export class LatestJoin implements KeyedOperator {
  readonly #plan: LatestJoinPlan

  constructor(plan: LatestJoinPlan) {
    this.#plan = plan
  }

  onRow(row: Row, input: number, context: KeyedContext): Awaitable<void> {
    const { type, combine } = this.#plan
    if (input === 1)
      return settle(this.#plan.row(row.value, context.key), (right) => context.put(right === null ? undefined : right))
    const right = context.get()
    if (right === undefined && type === 'inner') return undefined
    return settle(combine(row.value, right, context.key), (value) => context.emit(value))
  }
}
