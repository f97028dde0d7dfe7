import type { KeyedContext, KeyedOperator, Row } from '../task/keyed-operator.js'
import { stateIn } from './envelope.js'
import { compared, type Ordered, ordered } from './numbers.js'
import { isThenable } from './thenable.js'
import type { Run } from './user-run.js'

/** The least or greatest of what the function gives; of equal ones the first. */
export class Extreme implements KeyedOperator {
  readonly #step: string
  readonly #sign: 1 | -1
  readonly #of: Run | undefined

  constructor(kind: 'min' | 'max', name: string, of: Run | undefined) {
    this.#step = `${kind}('${name}')`
    this.#sign = kind === 'min' ? 1 : -1
    this.#of = of
  }

  onRow(row: Row, _input: number, context: KeyedContext): void | Promise<void> {
    const given = this.#of ? this.#of(row.value, context.key) : row.value
    if (isThenable(given)) return Promise.resolve(given).then((each) => this.#take(each, context))
    this.#take(given, context)
  }

  #take(given: unknown, context: KeyedContext): void {
    const value = ordered(this.#step, given)
    const best = stateIn(context) as Ordered | undefined
    if (best !== undefined && compared(this.#step, value, best) * this.#sign >= 0) {
      context.emit(best)
      return
    }
    context.put(value)
    context.emit(value)
  }
}
