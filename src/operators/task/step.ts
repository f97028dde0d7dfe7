import type { KeyEntry } from './key-entry.js'
import type { Row } from './keyed-operator.js'

/** What is known of the row on its way, beside its value. One of these is used again for all rows of a task. */
export interface At {
  /** The row as an object, where there is one: steps that want one take it while its value is the same. */
  row: Row | undefined
  time: number
  stamp: number
  sequence: number
  /** As user functions see it; undefined before a keyBy. */
  key: unknown
  /** What the task knows of the key; undefined before a keyBy. */
  entry: KeyEntry | undefined
  /** The source's own partition key, once something asked for it. */
  partition: { readonly shown: unknown } | undefined
}

/** Gives a value to a step. A promise comes only from user code or from a channel without credit. */
export type Push = (value: unknown, at: At) => Promise<void> | undefined

export function newAt(): At {
  return {
    row: undefined,
    time: 0,
    stamp: Number.NEGATIVE_INFINITY,
    sequence: 0,
    key: undefined,
    entry: undefined,
    partition: undefined,
  }
}

/** Waits for what goes on, and then goes on itself; no promise where there is none. */
export function afterwards(
  pending: Promise<void> | undefined,
  next: () => Promise<void> | undefined,
): Promise<void> | undefined {
  return pending === undefined ? next() : pending.then(next)
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}
