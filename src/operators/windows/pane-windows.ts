import { isThenable } from '../keyed/thenable.js'
import type { CellName, DueTimer, KeyedContext, KeyedOperator, Row, RowCombiner } from '../task/keyed-operator.js'
import { after, inOrder } from './after.js'
import type { WindowAggregate } from './aggregates/aggregate.js'
import { type AlignedShape, firstOpenAt, firstStartOf, lastStartAt } from './aligned.js'
import { partAdder, takesParts } from './combined.js'
import { give, giveLate, mergedOf, overTag } from './giving.js'
import {
  addPane,
  dropPanesBefore,
  firstPaneFrom,
  indexOfStart,
  isEmpty,
  noPanes,
  type OpenPanes,
  onePane,
  panesIn,
  panesInMainCellMax,
  setPane,
  startsWithin,
  valueOfPane,
} from './open-panes.js'
import type { ResultKind } from './result.js'

/**
 * Tumbling and hopping windows without early results. Time is cut where any window begins or ends (one cut a step, or two
 * when the size is no multiple of it), and a row is added to the pane that it falls into, once. A window that is over is
 * put together of its panes.
 *
 * A timer is set for the first window over a new pane; when it fires it sets the one of the next window, as long as panes
 * are left for it: so a key has one timer for each window that is next for some pane, not one for each that is open.
 */
export class PaneWindows implements KeyedOperator {
  readonly cellsOf?: (row: Row) => readonly (CellName | undefined)[]
  readonly cellsOfTimer?: (timer: DueTimer) => readonly (CellName | undefined)[]
  readonly keepsNoValue: boolean
  readonly combiner: RowCombiner | undefined
  readonly #shape: AlignedShape
  readonly #aggregate: WindowAggregate
  /** Where in a step windows end that began before it; 0: where the step begins. */
  readonly #cut: number
  readonly #inMainMax: number

  constructor(shape: AlignedShape, aggregate: WindowAggregate) {
    this.#shape = shape
    this.combiner = this.#combinerOf(aggregate)
    this.#aggregate = takesParts(aggregate)
    this.keepsNoValue = !aggregate.keepsValues
    this.#cut = shape.sizeMs % shape.stepMs
    this.#inMainMax = aggregate.isSmall ? panesInMainCellMax : 0
    if (aggregate.isSmall) return
    if (shape.clock.domain === 'event') this.cellsOf = (row) => [undefined, this.#paneOf(row.time)]
    if (shape.stepMs === shape.sizeMs)
      this.cellsOfTimer = (timer) =>
        timer.tag === undefined ? [undefined, shape.clock.momentOf(timer) + 1 - shape.sizeMs] : [undefined]
  }

  /** Rows of one pane, which all count for the same windows; the first of these is given when event time is at its end. */
  #combinerOf(aggregate: WindowAggregate): RowCombiner | undefined {
    const shape = this.#shape
    if (!aggregate.isCombined || shape.clock.domain !== 'event') return undefined
    return {
      partOf: ({ time, stamp }) => (time > stamp ? this.#paneOf(time) : undefined),
      add: partAdder(aggregate),
      heldUntil: (pane) => firstStartOf(pane, shape) + shape.sizeMs - 1,
    }
  }

  onRow(row: Row, _input: number, context: KeyedContext): void | Promise<void> {
    const { clock } = this.#shape
    const time = clock.timeOf(row, context)
    const panes = panesIn(context)
    if (time <= clock.stampOf(row, context)) return this.#takeBehind(row, time, panes ?? noPanes(), context)
    const pane = this.#paneOf(time)
    if (panes) {
      const i = indexOfStart(panes.starts, pane)
      if (i >= 0) return this.#addAt(i, panes, row, context)
    }
    return this.#add(pane, time, panes ?? noPanes(), row, context)
  }

  onTimer(timer: DueTimer, context: KeyedContext): void | Promise<void> {
    const { clock, sizeMs, stepMs, latenessMs } = this.#shape
    const panes = panesIn(context)
    if (!panes) return
    const moment = clock.momentOf(timer)
    if (timer.tag === overTag) return this.#drop(moment - latenessMs + 1 - sizeMs + stepMs, panes, context)
    const start = moment + 1 - sizeMs
    const given = this.#give(start, 'onTime', panes, context)
    if (given) return given.then(() => this.#goOn(start + stepMs, panes, context))
    return this.#goOn(start + stepMs, panes, context)
  }

  /** A window was given: what is before the next one goes, and that one's timer is set if there is anything for it. */
  #goOn(next: number, panes: OpenPanes, context: KeyedContext): void | Promise<void> {
    const { clock, sizeMs, latenessMs } = this.#shape
    const done = latenessMs === 0 ? this.#drop(next, panes, context) : undefined
    if (firstPaneFrom(panes, next) < next + sizeMs) clock.set(context, next + sizeMs - 1)
    return done
  }

  #paneOf(time: number): number {
    const start = lastStartAt(time, this.#shape)
    return this.#cut > 0 && time - start >= this.#cut ? start + this.#cut : start
  }

  /** Adds to an accumulator in the main cell. */
  #addAt(i: number, panes: OpenPanes, row: Row, context: KeyedContext): void | Promise<void> {
    const next = this.#aggregate.add(panes.values[i], row, context)
    if (isThenable(next)) return Promise.resolve(next).then((value) => putAt(i, value, panes, context))
    putAt(i, next, panes, context)
  }

  #add(pane: number, time: number, panes: OpenPanes, row: Row, context: KeyedContext): void | Promise<void> {
    const i = indexOfStart(panes.starts, pane)
    if (i >= 0) return this.#addAt(i, panes, row, context)
    const isOwn = indexOfStart(panes.own, pane) >= 0
    if (!isOwn && panes.starts.length < this.#inMainMax) return this.#create(pane, time, panes, row, context)
    return after(context.bring([pane]), () => {
      if (!isOwn) return this.#create(pane, time, panes, row, context)
      return after(this.#aggregate.add(valueOfPane(panes, pane, context), row, context), (next) =>
        setPane(panes, pane, next, context),
      )
    })
  }

  #create(pane: number, time: number, panes: OpenPanes, row: Row, context: KeyedContext): void | Promise<void> {
    const value = this.#aggregate.add(undefined, row, context)
    if (isThenable(value))
      return Promise.resolve(value).then((given) => this.#created(pane, time, given, panes, context))
    this.#created(pane, time, value, panes, context)
  }

  #created(pane: number, time: number, value: unknown, panes: OpenPanes, context: KeyedContext): void {
    this.#arm(time, context)
    if (this.#inMainMax > 0 && isEmpty(panes)) context.put(onePane(pane, value))
    else addPane(panes, pane, value, context, this.#inMainMax)
  }

  /** Sets the timers of a pane of which there is nothing yet. */
  #arm(time: number, context: KeyedContext): void {
    const { clock, sizeMs, latenessMs } = this.#shape
    const last = lastStartAt(time, this.#shape)
    const next = firstOpenAt(firstStartOf(time, this.#shape), clock.passed(context), 0, this.#shape)
    if (next <= last) clock.set(context, next + sizeMs - 1)
    if (latenessMs > 0) clock.set(context, last + sizeMs - 1 + latenessMs, overTag)
  }

  /** A row at or behind its source's watermark, which may be too late for some of its windows, or for all. */
  #takeBehind(row: Row, time: number, panes: OpenPanes, context: KeyedContext): void | Promise<void> {
    const { clock, latenessMs } = this.#shape
    const first = firstStartOf(time, this.#shape)
    const last = lastStartAt(time, this.#shape)
    const from = firstOpenAt(first, clock.stampOf(row, context), latenessMs, this.#shape)
    if (from > last) return giveLate(row, context)
    // Windows that are gone miss nothing; one that is there, and is too old for the row alone, must not get it.
    const isPart = from > firstOpenAt(first, clock.passed(context), latenessMs, this.#shape)
    const added = isPart
      ? this.#addPart(from, time, panes, row, context)
      : this.#add(this.#paneOf(time), time, panes, row, context)
    return after(added, () => this.#correct(from, last, panesIn(context) ?? panes, context))
  }

  #addPart(from: number, time: number, panes: OpenPanes, row: Row, context: KeyedContext): void | Promise<void> {
    const pane = this.#paneOf(time)
    const part = panes.parts?.find((each) => each.pane === pane && each.from === from)
    return after(this.#aggregate.add(part?.value, row, context), (value) => {
      if (part) part.value = value
      else {
        if (indexOfStart(panes.starts, pane) < 0 && indexOfStart(panes.own, pane) < 0) this.#arm(time, context)
        panes.parts = [...(panes.parts ?? []), { pane, from, value }]
      }
      context.put(panes)
    })
  }

  /** Gives anew the windows that have given their result already. */
  #correct(from: number, last: number, panes: OpenPanes, context: KeyedContext): void | Promise<void> {
    const { clock, sizeMs, stepMs } = this.#shape
    const passed = clock.passed(context)
    const starts: number[] = []
    for (let start = from; start <= last && start + sizeMs - 1 <= passed; start += stepMs) starts.push(start)
    return inOrder(starts, (start) => this.#give(start, 'late', panes, context))
  }

  #give(start: number, kind: ResultKind, panes: OpenPanes, context: KeyedContext): void | Promise<void> {
    const end = start + this.#shape.sizeMs
    if (panes.own.length === 0 && !panes.parts) return this.#giveMain(start, end, kind, panes, context)
    const own = startsWithin(panes.own, start, end)
    return after(own.length > 0 ? context.bring(own) : undefined, () => {
      const parts = panes.parts?.filter(({ pane, from }) => pane >= start && pane < end && from <= start) ?? []
      const all = new Set([...startsWithin(panes.starts, start, end), ...own, ...parts.map(({ pane }) => pane)])
      const values = [...all]
        .sort((a, b) => a - b)
        .flatMap((pane) => [
          valueOfPane(panes, pane, context),
          ...parts.filter((part) => part.pane === pane).map(({ value }) => value),
        ])
      return this.#put(
        start,
        kind,
        values.filter((value) => value !== undefined),
        context,
      )
    })
  }

  /** Where all panes lie in the main cell. Most windows of a key have one, of which no list is made. */
  #giveMain(
    start: number,
    end: number,
    kind: ResultKind,
    panes: OpenPanes,
    context: KeyedContext,
  ): void | Promise<void> {
    const { starts, values } = panes
    let i = 0
    while (i < starts.length && (starts[i] as number) < start) i++
    if (i === starts.length || (starts[i] as number) >= end) return
    const isAlone = i + 1 === starts.length || (starts[i + 1] as number) >= end
    if (isAlone) return this.#putOne(start, kind, values[i], true, context)
    return this.#put(start, kind, valuesWithin(panes, start, end), context)
  }

  #put(start: number, kind: ResultKind, values: readonly unknown[], context: KeyedContext): void | Promise<void> {
    if (values.length === 0) return
    if (values.length === 1) return this.#putOne(start, kind, values[0], true, context)
    const merged = mergedOf(this.#aggregate, values, context)
    if (isThenable(merged))
      return Promise.resolve(merged).then((accumulator) => this.#putOne(start, kind, accumulator, false, context))
    return this.#putOne(start, kind, merged, false, context)
  }

  #putOne(
    start: number,
    kind: ResultKind,
    accumulator: unknown,
    isPane: boolean,
    context: KeyedContext,
  ): void | Promise<void> {
    const { sizeMs, stepMs, latenessMs } = this.#shape
    // A single pane of a hopping window may be part of the next window too.
    const isKept = isPane && (latenessMs > 0 || stepMs < sizeMs)
    const end = start + sizeMs
    return give(this.#aggregate, accumulator, { start, end, kind, time: end - 1, isKept }, context)
  }

  #drop(before: number, panes: OpenPanes, context: KeyedContext): void | Promise<void> {
    const own = panes.own.length === 0 ? panes.own : startsWithin(panes.own, Number.NEGATIVE_INFINITY, before)
    if (own.length === 0) return dropPanesBefore(panes, before, context)
    return after(context.bring(own), () => dropPanesBefore(panes, before, context))
  }
}

function putAt(i: number, value: unknown, panes: OpenPanes, context: KeyedContext): void {
  panes.values[i] = value
  context.put(panes)
}

function valuesWithin({ starts, values }: OpenPanes, from: number, to: number): unknown[] {
  const found: unknown[] = []
  for (let i = 0; i < starts.length; i++) {
    const start = starts[i] as number
    if (start >= from && start < to) found.push(values[i])
  }
  return found
}
