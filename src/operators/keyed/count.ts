import type { KeyedContext, KeyedOperator, Row } from '../task/keyed-operator.js'
import { stateIn } from './envelope.js'

/** How many values the key has had. */
export class Count implements KeyedOperator {
  readonly keepsNoValue = true

  onRow(_row: Row, _input: number, context: KeyedContext): void {
    const count = ((stateIn(context) as number | undefined) ?? 0) + 1
    context.put(count)
    context.emit(count)
  }
}
