import type { KeyedContext, KeyedOperator, Row, RowCombiner } from '../task/keyed-operator.js'
import { stateIn } from './envelope.js'
import { added, finite } from './numbers.js'
import { runningCombiner } from './running-combiner.js'
import { isThenable } from './thenable.js'
import type { Run } from './user-run.js'

/** The sum of what the function gives. */
export class Sum implements KeyedOperator {
  readonly #step: string
  readonly #amount: Run
  readonly keepsNoValue = true

  readonly combiner: RowCombiner | undefined

  constructor(name: string, amount: Run, combines = false) {
    this.#step = `sum('${name}')`
    this.#amount = amount
    this.combiner = combines ? runningCombiner((sum, value, _row, key) => this.#part(sum, value, key)) : undefined
  }

  #part(sum: unknown, value: unknown, key: unknown): unknown {
    const plus = (amount: unknown): number =>
      added(this.#step, (sum as number | undefined) ?? 0, finite(this.#step, amount))
    const amount = this.#amount(value, key)
    return isThenable(amount) ? Promise.resolve(amount).then(plus) : plus(amount)
  }

  onRow(row: Row, _input: number, context: KeyedContext): void | Promise<void> {
    if (row.parts) return this.#add(row.value, context)
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
