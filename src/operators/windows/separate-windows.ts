import type { CellName, DueTimer, KeyedContext, KeyedOperator, Row } from '../task/keyed-operator.js'
import { after, inOrder } from './after.js'
import type { WindowAggregate } from './aggregates/aggregate.js'
import { type AlignedShape, firstOpenAt, firstStartOf, lastStartAt } from './aligned.js'
import { armEarly, disarmEarly, type EarlyState, type EarlyTrigger, isEarlyDue, takeEarly } from './early.js'
import { give, giveLate, overTag } from './giving.js'
import {
  addPane,
  dropPanesBefore,
  indexOfStart,
  noPanes,
  type OpenPanes,
  panesIn,
  panesInMainCellMax,
  setPane,
  startsWithin,
  valueOfPane,
} from './open-panes.js'
import type { ResultKind } from './result.js'

/** A window by itself. */
interface SeparateWindow extends EarlyState {
  accumulator: unknown
}

/**
 * Tumbling and hopping windows each with an accumulator of its own, to which every row is added that the window holds: for
 * early results, which ask how many rows a window got, and for aggregates that cannot be put together of panes.
 */
export class SeparateWindows implements KeyedOperator {
  readonly cellsOf?: (row: Row) => readonly (CellName | undefined)[]
  readonly keepsNoValue: boolean
  readonly #shape: AlignedShape
  readonly #aggregate: WindowAggregate
  readonly #early: EarlyTrigger
  readonly #inMainMax: number

  constructor(shape: AlignedShape, aggregate: WindowAggregate, early: EarlyTrigger) {
    this.#shape = shape
    this.#aggregate = aggregate
    this.keepsNoValue = !aggregate.keepsValues
    this.#early = early
    this.#inMainMax = aggregate.isSmall ? panesInMainCellMax : 0
    if (!aggregate.isSmall && shape.clock.domain === 'event')
      this.cellsOf = (row) => [undefined, ...this.#startsFrom(firstStartOf(row.time, shape), row.time)]
  }

  cellsOfTimer(timer: DueTimer): readonly (CellName | undefined)[] {
    if (this.#inMainMax > 0 || timer.tag === overTag) return [undefined]
    return [undefined, this.#startOf(timer)]
  }

  onRow(row: Row, _input: number, context: KeyedContext): void | Promise<void> {
    const { clock, latenessMs } = this.#shape
    const time = clock.timeOf(row, context)
    const from = firstOpenAt(firstStartOf(time, this.#shape), clock.stampOf(row, context), latenessMs, this.#shape)
    const starts = this.#startsFrom(from, time)
    if (starts.length === 0) return giveLate(row, context)
    const panes = panesIn(context) ?? noPanes()
    const outside = this.#outsideOfMain(starts, panes)
    return after(outside.length > 0 ? context.bring(outside) : undefined, () =>
      inOrder(starts, (start) => this.#add(start, row, panes, context)),
    )
  }

  onTimer(timer: DueTimer, context: KeyedContext): void | Promise<void> {
    const { clock, sizeMs, stepMs, latenessMs } = this.#shape
    const panes = panesIn(context)
    if (!panes) return
    if (timer.tag === overTag) {
      const before = clock.momentOf(timer) - latenessMs + 1 - sizeMs + stepMs
      const own = startsWithin(panes.own, Number.NEGATIVE_INFINITY, before)
      return after(own.length > 0 ? context.bring(own) : undefined, () => dropPanesBefore(panes, before, context))
    }
    const start = this.#startOf(timer)
    return after(context.bring([start]), () => {
      const window = valueOfPane(panes, start, context) as SeparateWindow | undefined
      if (!window) return
      return timer.tag === undefined
        ? this.#fire(start, window, panes, context)
        : this.#giveEarly(start, window, timer, panes, context)
    })
  }

  /** The windows that have a cell of their own, or will get one. */
  #outsideOfMain(starts: readonly number[], panes: OpenPanes): number[] {
    let room = this.#inMainMax - panes.starts.length
    return starts.filter((start) => {
      if (indexOfStart(panes.starts, start) >= 0) return false
      return indexOfStart(panes.own, start) >= 0 || room-- <= 0
    })
  }

  /** Starts of the windows from one on that hold a time. */
  #startsFrom(from: number, time: number): number[] {
    const last = lastStartAt(time, this.#shape)
    const starts: number[] = []
    for (let start = from; start <= last; start += this.#shape.stepMs) starts.push(start)
    return starts
  }

  /** The window that a timer is of: the tag says it where the time does not. */
  #startOf({ time, tag, domain }: DueTimer): number {
    return typeof tag === 'number' ? tag : this.#shape.clock.momentOf({ time, tag, domain }) + 1 - this.#shape.sizeMs
  }

  #add(start: number, row: Row, panes: OpenPanes, context: KeyedContext): void | Promise<void> {
    const found = valueOfPane(panes, start, context) as SeparateWindow | undefined
    return after(this.#aggregate.add(found?.accumulator, row, context), (accumulator) => {
      const window: SeparateWindow = found ?? { accumulator: undefined, rows: 0, earlyAt: 0 }
      window.accumulator = accumulator
      return after(this.#afterAdd(start, window, !found, context), () => {
        if (found) setPane(panes, start, window, context)
        else addPane(panes, start, window, context, this.#inMainMax)
      })
    })
  }

  #afterAdd(start: number, window: SeparateWindow, isNew: boolean, context: KeyedContext): void | Promise<void> {
    const { clock, sizeMs, latenessMs } = this.#shape
    const moment = start + sizeMs - 1
    const isFired = moment <= clock.passed(context)
    if (isNew && !isFired) clock.set(context, moment)
    if (isNew && latenessMs > 0) clock.set(context, moment + latenessMs, overTag)
    if (isFired) return this.#give(start, window, 'late', context)
    if (isEarlyDue(window, this.#early)) return this.#give(start, window, 'early', context)
    armEarly(window, this.#early, start, context)
  }

  #fire(start: number, window: SeparateWindow, panes: OpenPanes, context: KeyedContext): void | Promise<void> {
    const { latenessMs, stepMs } = this.#shape
    return after(this.#give(start, window, 'onTime', context), () => {
      disarmEarly(window, start, context)
      if (latenessMs === 0) dropPanesBefore(panes, start + stepMs, context)
      else setPane(panes, start, window, context)
    })
  }

  #giveEarly(
    start: number,
    window: SeparateWindow,
    timer: DueTimer,
    panes: OpenPanes,
    context: KeyedContext,
  ): void | Promise<void> {
    if (window.earlyAt !== timer.time) return
    const given = takeEarly(window) ? this.#give(start, window, 'early', context) : undefined
    return after(given, () => setPane(panes, start, window, context))
  }

  #give(start: number, window: SeparateWindow, kind: ResultKind, context: KeyedContext): void | Promise<void> {
    const { sizeMs, latenessMs } = this.#shape
    const end = start + sizeMs
    const isKept = kind !== 'onTime' || latenessMs > 0
    return give(this.#aggregate, window.accumulator, { start, end, kind, time: end - 1, isKept }, context)
  }
}
