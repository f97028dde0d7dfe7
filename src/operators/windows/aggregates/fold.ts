import { kept } from '../../kept.js'
import type { Fold } from '../../keyed/user-run.js'
import { after } from '../after.js'
import type { WindowAggregate } from './aggregate.js'
import { copyOf } from './copy.js'

/** Folds values into one of their kind. The fold also puts parts of a window together: it must not matter how it is grouped. */
export function reduceAggregate(name: string, fold: Fold): WindowAggregate {
  const step = `reduce('${name}')`
  return {
    isSmall: false,
    isCombined: true,
    keepsValues: true,
    add: (state, row, context) =>
      state === undefined
        ? stateOf(step, row.value)
        : after(fold(state, row.value, context.key), (next) => stateOf(step, next)),
    merge: (into, from, context) =>
      into === undefined ? copyOf(from) : after(fold(into, from, context.key), (next) => ownState(step, next, from)),
    result: (state, _window, isKept) => (isKept ? copyOf(state) : state),
  }
}

export interface WindowFold {
  readonly initial: () => unknown
  readonly fold: Fold
  /** Puts two states together. */
  readonly merge: ((into: unknown, from: unknown) => unknown) | undefined
}

/** Folds values into a state of the user's own. */
export function foldAggregate(name: string, { initial, fold, merge }: WindowFold): WindowAggregate {
  const step = `aggregate('${name}')`
  return {
    isSmall: false,
    isCombined: merge !== undefined,
    keepsValues: true,
    add: (state, row, context) =>
      after(fold(state === undefined ? initial() : state, row.value, context.key), (next) => stateOf(step, next)),
    ...(merge && {
      merge: (into, from) =>
        after(merge(into === undefined ? initial() : into, from), (next) => ownState(step, next, from)),
    }),
    result: (state, _window, isKept) => (isKept ? copyOf(state) : state),
  }
}

function stateOf(step: string, next: unknown): unknown {
  if (next === undefined) throw new TypeError(`${step} returned undefined, which is no state.`)
  return kept(next)
}

/** What a merge gave, which may be `from` itself: that one lives on and must not be changed by the next merge. */
function ownState(step: string, next: unknown, from: unknown): unknown {
  return next === from ? copyOf(next) : stateOf(step, next)
}
