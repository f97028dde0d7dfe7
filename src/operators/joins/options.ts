import type { Duration } from '../plan/duration.js'
import type { StateOptions } from '../plan/state-plan.js'
import type { Change } from '../types.js'

/** State of a key that was not written for so long is forgotten. */
export type TimeToLive = Pick<StateOptions, 'ttl'>

export type JoinSide = 'left' | 'right'

/**
 * Which rows come out without a partner: none, those of the left side, those of the right, both. What is missing is
 * undefined.
 */
export type JoinType = 'inner' | 'left' | 'right' | 'outer'

/** What `combine` is given for the left side. */
export type LeftOf<Type extends JoinType, Left> = Type extends 'right' | 'outer' ? Left | undefined : Left
/** What `combine` is given for the right side. */
export type RightOf<Type extends JoinType, Right> = Type extends 'left' | 'outer' ? Right | undefined : Right

/** How far a right row may be from a left one, both ends included. `forever` wants `max` as well. */
export type JoinWithin = Duration | { readonly before: Duration; readonly after: Duration } | 'forever'

export interface IntervalJoinOptions<Type extends JoinType> extends TimeToLive {
  /**
   * The longest time between the two rows of a pair, or how long before and after the left row the right one may be.
   * `forever` joins all rows that are still kept, of which `max` says how many.
   */
  readonly within: JoinWithin
  /** `inner` by default. */
  readonly type?: Type
  /**
   * Rows kept for a key and side, 10,000 by default. Of more the one with the earliest time goes, as if its time were over;
   * it is counted as `dropped`.
   */
  readonly max?: number
  /** Rows that are so far behind their source's watermark are still joined; state is kept so much longer. 0 by default. */
  readonly allowedLateness?: Duration
}

/** Makes of what a change flow gives the row that is there now; undefined or null when there is none any more. */
export type RowOf<Value, Key, Row> = (value: Value, key: Key) => Row | undefined | null

/** The row that a value of a flow stands for when nothing else is said: that of a table's change. */
export type TableRowOf<Value> = [Value] extends [Change<infer Item>] ? Item : never

/** A flow that is not of a table's changes has to say what its values stand for. */
export type TableRowOption<Name extends string, Value, Key, Row> = [Value] extends [Change<infer _Item>]
  ? { readonly [Option in Name]?: RowOf<Value, Key, Row> }
  : { readonly [Option in Name]: RowOf<Value, Key, Row> }

export type TableJoinType = 'inner' | 'left'

export interface LatestJoinOptions<Type extends TableJoinType> extends TimeToLive {
  /** The row that is there when the value of the stream arrives: the default. */
  readonly mode?: 'latest'
  /** `inner` by default. */
  readonly type?: Type
}

export interface AsOfJoinOptions<Type extends TableJoinType> extends TimeToLive {
  /** The row that was there at the event time of the stream's value, which waits until the watermark has passed that. */
  readonly mode: 'asOf'
  /** How long older versions of a row are kept, and so how far a value may be behind its source's watermark. */
  readonly keep: Duration
  /** `inner` by default. */
  readonly type?: Type
  /**
   * Values that wait, and versions, of one key; 10,000 by default. Of more the earliest value is joined with what is known,
   * and the earliest version goes; both are counted as `dropped`.
   */
  readonly max?: number
}

export type TableJoinOptions<Type extends TableJoinType> = LatestJoinOptions<Type> | AsOfJoinOptions<Type>

export interface TablesJoinOptions<Type extends JoinType> extends TimeToLive {
  /** `inner` by default. */
  readonly type?: Type
}

/** A row that came too late, on the side output `late`. */
export type LateRow<Left, Right> =
  | { readonly side: 'left'; readonly value: Left }
  | { readonly side: 'right'; readonly value: Right }

/** Rows that a join keeps of a key and side when `max` says nothing else. */
export const joinRowsMax = 10_000
