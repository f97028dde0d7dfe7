/** A row on its way through a pipeline's steps. */
export interface Row {
  readonly value: unknown
  /** Event time, milliseconds since 1970: what the last `eventTime` step gave, else the record's own. */
  readonly time: number
  /**
   * The watermark of the row's own source when the row was read there: the row is late by this one, never by how far
   * another source is. `-Infinity` while that source has none.
   */
  readonly stamp: number
  /** Sequence number of the record that it was made of. */
  readonly sequence: number
  /** How many rows were put together in it by the operator's combiner; 0 or absent: it is one as it came. */
  readonly parts?: number
}

/**
 * Puts rows of one key together before they are sent to the operator, which then gets a row whose value is the accumulator and
 * whose `parts` says of how many. It may only do what leaves the operator's results as they are.
 */
export interface RowCombiner {
  /** Which rows of a key may be put together: those with the same number. undefined: this one may not. */
  partOf(row: Pick<Row, 'time' | 'stamp'>): number | undefined
  /** The accumulator with one more value, or a promise of it; undefined is the one of none. */
  add(accumulator: unknown, value: unknown, row: Pick<Row, 'time' | 'stamp' | 'sequence'>, key: unknown): unknown
  /** Event time that must not pass before the rows of that number are there. */
  heldUntil(part: number): number
}

/** Names a cell of a key: a window's start, a bucket of time. The main cell has no name. */
export type CellName = string | number

export type TimeDomain = 'event' | 'processing'

/** A timer that is due. */
export interface DueTimer {
  /** The time that it was set for, milliseconds since 1970. */
  readonly time: number
  readonly tag: CellName | undefined
  readonly domain: TimeDomain
}

/** What a keyed operator may do with the key whose row or timer it is given. */
export interface KeyedContext {
  /** The key as user functions see it. */
  readonly key: unknown
  /** No row at or before this event time is awaited any more, the lowest over the live inputs of the task. */
  readonly watermark: number
  /** Processing time, milliseconds since 1970; it stands still within a batch, and never goes back. */
  readonly now: number
  /** State of this step for the key; undefined where there is none. Only cells that were brought may be asked for. */
  get(name?: CellName): unknown
  /** Changes state; undefined removes the cell. Whoever changes an object in place has to put it too. */
  put(value: unknown, name?: CellName): void
  /** Fetches cells that the operator could not name before; undefined when all are in memory. */
  bring(names: readonly (CellName | undefined)[]): Promise<void> | undefined
  /** Gives a value to the next steps; its time is that of the row or timer unless another is given. */
  emit(value: unknown, time?: number): void
  /** Gives a value to whoever takes the output of that name from the step; nobody may. */
  side(output: string, value: unknown, time?: number): void
  /** Sets a timer of this key, once for each (domain, time, tag). One that is due already fires after this call. */
  setTimer(time: number, tag?: CellName, domain?: TimeDomain): void
  clearTimer(time: number, tag?: CellName, domain?: TimeDomain): void
  /** Counts something for the metrics, such as `late` or `evicted`, under the step's name. */
  count(event: string, by?: number): void
}

/**
 * What a stateful step does. One instance serves all keys of a task, so whatever it must remember it puts into cells: those
 * are committed with positions, timers and outputs, and moved when tasks are. User functions may give promises; what
 * `onRow` and `onTimer` give is awaited before the next row of the task.
 */
export interface KeyedOperator {
  /**
   * True: the operator keeps no value of a row beyond `onRow`, nor a part of one. Otherwise values that are views into the
   * records that were read are made whole before.
   */
  readonly keepsNoValue?: boolean
  /** Absent: each row is wanted as it is. */
  readonly combiner?: RowCombiner | undefined
  /** Cells that a row will touch, so that those of a whole batch are fetched in one go. Without it: the main cell. */
  cellsOf?(row: Row, input: number): readonly (CellName | undefined)[]
  /** The same for a timer. Without it: the main cell. */
  cellsOfTimer?(timer: DueTimer): readonly (CellName | undefined)[]
  /** `input` says which input of the step the row came by: 0, or 1 for the right side of a join. */
  onRow(row: Row, input: number, context: KeyedContext): void | Promise<void>
  onTimer?(timer: DueTimer, context: KeyedContext): void | Promise<void>
}
