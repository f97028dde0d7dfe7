/**
 * Why a result is given: before its window was over; as the watermark (or the clock) said that it is; because a late row
 * corrected one that was given.
 */
export type ResultKind = 'early' | 'onTime' | 'late'

/** What a window gives. Of several for one key and start the last one counts. */
export interface WindowResult<Value, Key = unknown> {
  readonly key: Key
  /** First moment of the window, milliseconds since 1970. */
  readonly start: number
  /**
   * Tumbling and hopping windows: the first moment behind the window. Sliding windows: its last moment, which is a row's.
   * Sessions: the time of the last row plus the gap.
   */
  readonly end: number
  readonly value: Value
  readonly kind: ResultKind
}

/** A result whose value is about to be set. */
export interface OpenResult {
  readonly key: unknown
  readonly start: number
  readonly end: number
  value: unknown
  readonly kind: ResultKind
}
