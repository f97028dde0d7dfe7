/** An epoch of a store, and the first sequence number that may be of it. */
export interface Epoch {
  readonly epoch: number
  readonly first: number
}

/**
 * The epoch in which a sequence number was given: what is said of a record must not change when the epoch rises later.
 *
 * @param epochs from the first on; the last is the store's own
 */
export function epochOf(epochs: readonly Epoch[], sequence: number): number {
  let at = epochs.length - 1
  while (at > 0 && (epochs[at] as Epoch).first > sequence) at--
  return (epochs[at] as Epoch).epoch
}
