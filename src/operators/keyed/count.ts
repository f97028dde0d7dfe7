import type { KeyedContext, KeyedOperator, Row } from '../task/keyed-operator.js'
import type { Step } from '../types.js'
import { stateIn } from './envelope.js'

/** How many values the key has had. */
export class Count implements KeyedOperator {
  readonly version1: Step

  constructor(name: string) {
    this.version1 = { kind: 'count', name }
  }

  onRow(_row: Row, _input: number, context: KeyedContext): void {
    const count = ((stateIn(context) as number | undefined) ?? 0) + 1
    context.put(count)
    context.emit(count)
  }
}
