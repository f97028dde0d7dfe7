/** Doublings that a wait is counted up to: past it the longest wait holds anyway. */
const doublingsMax = 30

/**
 * The wait after a failed attempt, ms: it doubles from `firstMs` to `longestMs`, and its upper half is left to chance, so
 * that those who failed together do not come again together.
 */
export function backOffMs(attempt: number, firstMs: number, longestMs: number, random: () => number): number {
  const whole = Math.min(longestMs, firstMs * 2 ** Math.min(attempt - 1, doublingsMax))
  return whole * (1 - random() / 2)
}
