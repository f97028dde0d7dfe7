/** A user's function as operators call it: with the value and the key. */
export type Run = (value: unknown, key: unknown) => unknown

/** A user's fold: the state, the value and the key. */
export type Fold = (state: unknown, value: unknown, key?: unknown) => unknown
