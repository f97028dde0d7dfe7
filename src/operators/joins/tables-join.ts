import { settle } from '../settle.js'
import type { KeyedContext, KeyedOperator, Row } from '../task/keyed-operator.js'
import type { Awaitable } from '../types.js'
import type { JoinType } from './options.js'
import type { TableRow } from './table-row.js'

export interface TablesJoinPlan {
  readonly type: JoinType
  readonly leftRow: TableRow
  readonly rightRow: TableRow
  readonly combine: (left: unknown, right: unknown, key: unknown) => unknown
}

/** The rows of a key that are there now. */
interface TablesState {
  left?: unknown
  right?: unknown
}

/**
 * Joins two tables: gives the joined row anew whenever one side changes, and undefined when there was one and there is none
 * any more. Keeps a row per key and side.
 */
export class TablesJoin implements KeyedOperator {
  readonly #plan: TablesJoinPlan

  constructor(plan: TablesJoinPlan) {
    this.#plan = plan
  }

  onRow(row: Row, input: number, context: KeyedContext): Awaitable<void> {
    const { leftRow, rightRow } = this.#plan
    return settle((input === 0 ? leftRow : rightRow)(row.value, context.key), (changed) => {
      const before = (context.get() as TablesState | undefined) ?? {}
      const after = input === 0 ? withSide(before, 'left', changed) : withSide(before, 'right', changed)
      context.put('left' in after || 'right' in after ? after : undefined)
      if (!this.#holds(after)) return this.#holds(before) ? context.emit(undefined) : undefined
      return settle(this.#plan.combine(after.left, after.right, context.key), (value) => context.emit(value))
    })
  }

  #holds(state: TablesState): boolean {
    switch (this.#plan.type) {
      case 'inner':
        return 'left' in state && 'right' in state
      case 'left':
        return 'left' in state
      case 'right':
        return 'right' in state
      case 'outer':
        return 'left' in state || 'right' in state
    }
  }
}

function withSide(state: TablesState, side: 'left' | 'right', row: unknown): TablesState {
  const { [side]: _, ...rest } = state
  return row === null ? rest : { ...rest, [side]: row }
}
