import type { KeyedContext, KeyedOperator, Row } from '../task/keyed-operator.js'
import { stateIn } from './envelope.js'
import { added, finite } from './numbers.js'
import { isThenable } from './thenable.js'
import type { Run } from './user-run.js'

interface Mean {
  readonly sum: number
  readonly count: number
}

/** The mean of what the function gives. */
export class Average implements KeyedOperator {
  readonly #step: string
  readonly #of: Run
  readonly keepsNoValue = true

  constructor(name: string, of: Run) {
    this.#step = `average('${name}')`
    this.#of = of
  }

  onRow(row: Row, _input: number, context: KeyedContext): void | Promise<void> {
    const amount = this.#of(row.value, context.key)
    if (isThenable(amount)) return Promise.resolve(amount).then((each) => this.#add(each, context))
    this.#add(amount, context)
  }

  #add(amount: unknown, context: KeyedContext): void {
    const { sum, count } = (stateIn(context) as Mean | undefined) ?? { sum: 0, count: 0 }
    const next: Mean = { sum: added(this.#step, sum, finite(this.#step, amount)), count: count + 1 }
    context.put(next)
    context.emit(next.sum / next.count)
  }
}
