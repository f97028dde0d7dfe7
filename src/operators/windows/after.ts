import { isThenable } from '../keyed/thenable.js'

/** Goes on with a value, or when the promise of it has resolved: no promise is made where there was none. */
export function after<Next>(value: unknown, run: (value: unknown) => Next): Next | Promise<Awaited<Next>> {
  return isThenable(value) ? (Promise.resolve(value).then(run) as Promise<Awaited<Next>>) : run(value)
}

/** Runs one after the other, each when the promise of the one before has resolved. */
export function inOrder<Each>(
  all: readonly Each[],
  run: (each: Each) => void | Promise<void>,
  from = 0,
): void | Promise<void> {
  for (let i = from; i < all.length; i++) {
    const pending = run(all[i] as Each)
    if (pending) return pending.then(() => inOrder(all, run, i + 1))
  }
}
