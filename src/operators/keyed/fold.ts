import { kept } from '../kept.js'
import type { KeyedContext, KeyedOperator, Row } from '../task/keyed-operator.js'
import { stateIn } from './envelope.js'
import { isThenable } from './thenable.js'
import type { Fold } from './user-run.js'

/** Folds values into a state: what `initial` gives, or without it the first value, then what `fold` returns. */
export class Folding implements KeyedOperator {
  readonly #step: string
  readonly #initial: (() => unknown) | undefined
  readonly #fold: Fold

  constructor(name: string, initial: (() => unknown) | undefined, fold: Fold) {
    this.#step = `${initial ? 'aggregate' : 'reduce'}('${name}')`
    this.#initial = initial
    this.#fold = fold
  }

  onRow(row: Row, _input: number, context: KeyedContext): void | Promise<void> {
    const state = stateIn(context)
    if (state === undefined && !this.#initial) return this.#set(row.value, context)
    const before = state === undefined ? this.#initial?.() : state
    const next = this.#fold(before, row.value, context.key)
    if (isThenable(next)) return Promise.resolve(next).then((each) => this.#set(each, context))
    this.#set(next, context)
  }

  #set(next: unknown, context: KeyedContext): void {
    if (next === undefined) throw new TypeError(`${this.#step} returned undefined, which is no state.`)
    const state = kept(next)
    context.put(state)
    context.emit(state)
  }
}
