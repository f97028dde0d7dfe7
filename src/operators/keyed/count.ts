import type { KeyedContext, KeyedOperator, Row, RowCombiner } from '../task/keyed-operator.js'
import { stateIn } from './envelope.js'
import { runningCombiner } from './running-combiner.js'

/** How many values the key has had. */
export class Count implements KeyedOperator {
  readonly keepsNoValue = true
  readonly combiner: RowCombiner | undefined

  constructor(combines = false) {
    this.combiner = combines ? runningCombiner((count) => ((count as number | undefined) ?? 0) + 1) : undefined
  }

  onRow(row: Row, _input: number, context: KeyedContext): void {
    const count = ((stateIn(context) as number | undefined) ?? 0) + (row.parts || 1)
    context.put(count)
    context.emit(count)
  }
}
