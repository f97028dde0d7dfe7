import { MillraceError } from '../../runtime/errors.js'
import type { CellName, DueTimer, KeyedContext, KeyedOperator, Row } from '../task/keyed-operator.js'
import { after, inOrder } from './after.js'
import type { WindowAggregate } from './aggregates/aggregate.js'
import { give, giveLate, mergedOf, overTag } from './giving.js'
import {
  addPane,
  dropPanesBefore,
  indexOfStart,
  noPanes,
  type OpenPanes,
  panesIn,
  placeOfStart,
  setPane,
  startsWithin,
  valueOfPane,
} from './open-panes.js'
import type { ResultKind } from './result.js'
import type { WindowClock } from './window-clock.js'

/** Cells that the rows of one window are spread over: a row changes one of them. */
const panesPerWindow = 8
/** Different times of rows in one such cell. */
export const slidingTimesMax = 10_000

/** Milliseconds. */
export interface SlidingShape {
  readonly sizeMs: number
  readonly latenessMs: number
  readonly clock: WindowClock
}

/** The rows of a stretch of time: an accumulator for each time at which there are some, ascending. */
interface Times {
  readonly times: number[]
  readonly accumulators: unknown[]
}

/**
 * Sliding windows: for each time at which a key has rows, one window that ends there and begins `size` before, both of
 * them within it. It is over when nothing at or before its end is awaited; a row is late when the window that ends at it is.
 */
export class SlidingWindows implements KeyedOperator {
  readonly cellsOf?: (row: Row) => readonly (CellName | undefined)[]
  readonly keepsNoValue: boolean
  readonly #shape: SlidingShape
  readonly #aggregate: WindowAggregate
  readonly #paneMs: number

  constructor(shape: SlidingShape, aggregate: WindowAggregate) {
    this.#shape = shape
    this.#aggregate = aggregate
    this.keepsNoValue = !aggregate.keepsValues
    this.#paneMs = Math.ceil(shape.sizeMs / panesPerWindow)
    if (shape.clock.domain === 'event') this.cellsOf = (row) => [undefined, this.#paneOf(row.time)]
  }

  onRow(row: Row, _input: number, context: KeyedContext): void | Promise<void> {
    const { clock, latenessMs } = this.#shape
    const time = clock.timeOf(row, context)
    if (clock.stampOf(row, context) >= time + latenessMs) return giveLate(row, context)
    const panes = panesIn(context) ?? noPanes()
    const pane = this.#paneOf(time)
    return after(context.bring([pane]), () => {
      const found = valueOfPane(panes, pane, context) as Times | undefined
      const at = found ? indexOfStart(found.times, time) : -1
      return after(this.#aggregate.add(found?.accumulators[at], row, context), (accumulator) => {
        if (found) {
          if (at >= 0) found.accumulators[at] = accumulator
          else insert(found, time, accumulator)
          setPane(panes, pane, found, context)
        } else {
          const last = pane + this.#paneMs - 1
          // One behind the last window over it, whose own timer is to fire first.
          clock.set(context, last + this.#shape.sizeMs + latenessMs + 1, overTag)
          addPane(panes, pane, { times: [time], accumulators: [accumulator] } satisfies Times, context, 0)
        }
        if (time <= clock.passed(context)) return this.#correct(time, panes, context)
        if (at < 0) clock.set(context, time)
      })
    })
  }

  onTimer(timer: DueTimer, context: KeyedContext): void | Promise<void> {
    const { clock, sizeMs, latenessMs } = this.#shape
    const panes = panesIn(context)
    if (!panes) return
    const moment = clock.momentOf(timer)
    if (timer.tag !== overTag) return this.#give(moment, 'onTime', panes, context)
    const before = this.#paneOf(moment - sizeMs - latenessMs)
    const own = startsWithin(panes.own, Number.NEGATIVE_INFINITY, before)
    return after(context.bring(own), () => dropPanesBefore(panes, before, context))
  }

  #paneOf(time: number): number {
    return Math.floor(time / this.#paneMs) * this.#paneMs
  }

  /** Gives anew the windows around a late row that have given their result already. */
  #correct(time: number, panes: OpenPanes, context: KeyedContext): void | Promise<void> {
    const { clock, sizeMs } = this.#shape
    const to = Math.min(clock.passed(context), time + sizeMs)
    const own = this.#panesOver(time, to, panes)
    return after(context.bring(own), () => {
      const ends = own
        .flatMap((pane) => (valueOfPane(panes, pane, context) as Times).times)
        .filter((end) => end >= time && end <= to)
      return inOrder(ends, (end) => this.#give(end, 'late', panes, context))
    })
  }

  /** Gives the window that ends at a time, if there are rows. */
  #give(end: number, kind: ResultKind, panes: OpenPanes, context: KeyedContext): void | Promise<void> {
    const start = end - this.#shape.sizeMs
    const own = this.#panesOver(start, end, panes)
    return after(context.bring(own), () => {
      const values: unknown[] = []
      let isThere = false
      for (const pane of own) {
        const { times, accumulators } = valueOfPane(panes, pane, context) as Times
        for (let i = 0; i < times.length; i++) {
          const time = times[i] as number
          if (time < start || time > end) continue
          values.push(accumulators[i])
          if (time === end) isThere = true
        }
      }
      if (!isThere) return
      return after(mergedOf(this.#aggregate, values, context), (merged) =>
        give(this.#aggregate, merged, { start, end, kind, time: end, isKept: false }, context),
      )
    })
  }

  #panesOver(from: number, to: number, panes: OpenPanes): number[] {
    return startsWithin(panes.own, this.#paneOf(from), to + 1)
  }
}

function insert({ times, accumulators }: Times, time: number, accumulator: unknown): void {
  if (times.length >= slidingTimesMax)
    throw new MillraceError(
      'TOO_LARGE',
      `A sliding window of one key has rows at more than ${slidingTimesMax} different times within an eighth of its size.`,
      { remedy: 'Use hopping windows, which keep one value for each step, or round the event time.' },
    )
  const i = placeOfStart(times, time)
  times.splice(i, 0, time)
  accumulators.splice(i, 0, accumulator)
}

/** The state with a function applied to each accumulator. */
export function mapTimes(value: unknown, run: (accumulator: unknown) => unknown): unknown {
  const { times, accumulators } = value as Times
  return { times, accumulators: accumulators.map(run) } satisfies Times
}
