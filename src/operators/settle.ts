import { isThenable } from './keyed/thenable.js'
import type { CellName, KeyedContext } from './task/keyed-operator.js'
import type { Awaitable } from './types.js'

/** Goes on with what a user function gave: at once, or when its promise is kept. No promise is made without need. */
export function settle<Next>(given: unknown, then: (value: unknown) => Awaitable<Next>): Awaitable<Next> {
  return isThenable(given) ? Promise.resolve(given).then(then) : then(given)
}

/** Does the same with each of several, one after the other. */
export function settleEach<Each>(
  all: readonly Each[],
  run: (each: Each) => Awaitable<void>,
  from = 0,
): Awaitable<void> {
  for (let i = from; i < all.length; i++) {
    const pending = run(all[i] as Each)
    if (pending) return pending.then(() => settleEach(all, run, i + 1))
  }
}

/** Brings cells, if there are any to bring, and goes on. */
export function withCells(
  names: readonly CellName[],
  context: KeyedContext,
  then: () => Awaitable<void>,
): Awaitable<void> {
  const pending = names.length > 0 ? context.bring(names) : undefined
  return pending ? pending.then(then) : then()
}
