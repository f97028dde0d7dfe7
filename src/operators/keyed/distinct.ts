import type { KeyedContext, KeyedOperator, Row } from '../task/keyed-operator.js'
import { stateIn } from './envelope.js'
import { identityOf } from './identity.js'
import { isThenable } from './thenable.js'
import type { Run } from './user-run.js'

/**
 * How many different values the key has had. They are all remembered, up to a bound: what comes after is not counted any
 * more, but each such value is counted as dropped.
 */
export class Distinct implements KeyedOperator {
  readonly #of: Run | undefined
  readonly #max: number

  constructor(of: Run | undefined, max: number) {
    this.#of = of
    this.#max = max
  }

  onRow(row: Row, _input: number, context: KeyedContext): void | Promise<void> {
    const given = this.#of ? this.#of(row.value, context.key) : row.value
    if (isThenable(given)) return Promise.resolve(given).then((each) => this.#take(each, context))
    this.#take(given, context)
  }

  #take(given: unknown, context: KeyedContext): void {
    const identity = identityOf(given)
    const seen = (stateIn(context) as Set<string> | undefined) ?? new Set<string>()
    if (!seen.has(identity)) {
      if (seen.size >= this.#max) context.count('dropped')
      else {
        seen.add(identity)
        context.put(seen)
      }
    }
    context.emit(seen.size)
  }
}
