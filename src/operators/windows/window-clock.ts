import type { CellName, DueTimer, KeyedContext, Row, TimeDomain } from '../task/keyed-operator.js'

/** The time that windows go by. */
export interface WindowClock {
  readonly domain: TimeDomain
  timeOf(row: Row, context: KeyedContext): number
  /**
   * How far the row's own source is: a window whose last moment (and the lateness allowed) is at or before it takes the row
   * no more. Never less than the task's watermark, behind which windows are gone.
   */
  stampOf(row: Row, context: KeyedContext): number
  /** Windows whose last moment is at or before it have given their result. */
  passed(context: KeyedContext): number
  /** Sets a timer for when nothing at or before a moment is awaited any more. */
  set(context: KeyedContext, moment: number, tag?: CellName): void
  /** The moment of such a timer. */
  momentOf(timer: DueTimer): number
}

export const eventClock: WindowClock = {
  domain: 'event',
  timeOf: (row) => row.time,
  stampOf: (row, context) => Math.max(row.stamp, context.watermark),
  passed: (context) => context.watermark,
  set: (context, moment, tag) => context.setTimer(moment, tag, 'event'),
  momentOf: (timer) => timer.time,
}

/** Processing time never goes back, so nothing is late; rows of a moment may come until the clock shows the next one. */
export const processingClock: WindowClock = {
  domain: 'processing',
  timeOf: (_row, context) => context.now,
  stampOf: () => Number.NEGATIVE_INFINITY,
  passed: () => Number.NEGATIVE_INFINITY,
  set: (context, moment, tag) => context.setTimer(moment + 1, tag, 'processing'),
  momentOf: (timer) => timer.time - 1,
}
