import { kept } from '../kept.js'
import type { KeyedContext, KeyedOperator, Row, RowCombiner } from '../task/keyed-operator.js'
import { stateIn } from './envelope.js'
import { runningCombiner } from './running-combiner.js'
import { isThenable } from './thenable.js'
import type { Fold } from './user-run.js'

/** Folds values into a state: what `initial` gives, or without it the first value, then what `fold` returns. */
export class Folding implements KeyedOperator {
  readonly #step: string
  readonly #initial: (() => unknown) | undefined
  readonly #fold: Fold
  /** A part of a reduce is a value like another. */
  readonly combiner: RowCombiner | undefined

  constructor(name: string, initial: (() => unknown) | undefined, fold: Fold, combines = false) {
    this.#step = `${initial ? 'aggregate' : 'reduce'}('${name}')`
    this.#initial = initial
    this.#fold = fold
    this.combiner = combines
      ? runningCombiner((before, value, _row, key) => (before === undefined ? value : fold(before, value, key)))
      : undefined
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
