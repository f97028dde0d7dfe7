import type { KeyedContext, KeyedOperator, Row } from '../task/keyed-operator.js'
import { stateIn } from './envelope.js'
import { added, finite } from './numbers.js'
import { isThenable } from './thenable.js'
import type { Run } from './user-run.js'

/** The sum of what the function gives. */
export class Sum implements KeyedOperator {
  readonly #step: string
  readonly #amount: Run
  readonly keepsNoValue = true

  constructor(name: string, amount: Run) {
    this.#step = `sum('${name}')`
    this.#amount = amount
  }

  onRow(row: Row, _input: number, context: KeyedContext): void | Promise<void> {
    const amount = this.#amount(row.value, context.key)
    if (isThenable(amount)) return Promise.resolve(amount).then((each) => this.#add(each, context))
    this.#add(amount, context)
  }

  #add(amount: unknown, context: KeyedContext): void {
    const sum = (stateIn(context) as number | undefined) ?? 0
    const next = added(this.#step, sum, finite(this.#step, amount))
    context.put(next)
    context.emit(next)
  }
}
