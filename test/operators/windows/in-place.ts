import type { KeyedContext } from '../../../src/operators/task/keyed-operator.js'
import type { operatorOf } from './made.js'

/** Plays rows of one key without the harness, whose clones of large cells would take minutes. Gives what was emitted. */
export async function playedInPlace(
  make: ReturnType<typeof operatorOf>,
  times: readonly number[],
): Promise<{ readonly emitted: readonly unknown[]; readonly counts: ReadonlyMap<string, number> }> {
  const cells = new Map<unknown, unknown>()
  const emitted: unknown[] = []
  const counts = new Map<string, number>()
  const nothing = (): void => undefined
  const context: KeyedContext = {
    key: 'a',
    watermark: Number.NEGATIVE_INFINITY,
    now: 0,
    get: (name) => cells.get(name),
    put: (cell, name) => void cells.set(name, cell),
    bring: () => undefined,
    emit: (value) => void emitted.push(value),
    side: nothing,
    setTimer: nothing,
    clearTimer: nothing,
    count: (event, by = 1) => void counts.set(event, (counts.get(event) ?? 0) + by),
  }
  const operator = make()
  for (const [i, time] of times.entries()) {
    const value = { n: 1, serial: i }
    await operator.onRow({ value, time, stamp: Number.NEGATIVE_INFINITY, sequence: i }, 0, context)
  }
  return { emitted, counts }
}
