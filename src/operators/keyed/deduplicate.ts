import type { CellName, DueTimer, KeyedContext, KeyedOperator, Row } from '../task/keyed-operator.js'
import { isReservedTag, stateIn } from './envelope.js'
import { identityOf } from './identity.js'
import { isThenable } from './thenable.js'
import type { Run } from './user-run.js'

/** Times kept of one identity; more come together only where the watermark stands still. */
const timesMax = 1000

/**
 * Lets a value through unless its like was let through before: ever, or less than `withinMs` of event time away. What the
 * function gives says what is alike; each such identity has a cell of its own, so that a change writes one and no list of
 * all. Cells of a duration hold the times that were let through and go when the watermark is past twice the duration: so
 * values that are late by up to one duration are still judged rightly, and later ones go to the side output `late`.
 */
export class Deduplicate implements KeyedOperator {
  readonly #by: Run | undefined
  readonly #withinMs: number | undefined
  readonly keepsNoValue = true

  constructor(by: Run | undefined, withinMs: number | undefined) {
    this.#by = by
    this.#withinMs = withinMs
  }

  cellsOf(): readonly (CellName | undefined)[] {
    return this.#by ? [] : [undefined]
  }

  cellsOfTimer(timer: DueTimer): readonly (CellName | undefined)[] {
    return [timer.tag]
  }

  onRow(row: Row, _input: number, context: KeyedContext): void | Promise<void> {
    if (!this.#by) return this.#judge(row, undefined, context)
    const given = this.#by(row.value, context.key)
    if (isThenable(given)) return Promise.resolve(given).then((each) => this.#bring(row, each, context))
    return this.#bring(row, given, context)
  }

  #bring(row: Row, given: unknown, context: KeyedContext): void | Promise<void> {
    const cell = identityOf(given)
    const coming = context.bring([cell])
    if (coming) return coming.then(() => this.#judge(row, cell, context))
    this.#judge(row, cell, context)
  }

  #judge(row: Row, cell: CellName | undefined, context: KeyedContext): void {
    const withinMs = this.#withinMs
    const seen = stateIn(context, cell) as true | number[] | undefined
    if (withinMs === undefined) {
      if (seen !== undefined) return context.count('duplicate')
      context.put(true, cell)
      return context.emit(row.value)
    }
    if (row.time < row.stamp - withinMs) {
      context.count('late')
      return context.side('late', row.value)
    }
    const times = Array.isArray(seen) ? seen : []
    if (times.some((time) => Math.abs(time - row.time) < withinMs)) return context.count('duplicate')
    if (times.length >= timesMax) {
      times.shift()
      context.count('dropped')
    }
    context.put([...times, row.time], cell)
    context.setTimer(row.time + 2 * withinMs, cell)
    context.emit(row.value)
  }

  onTimer(timer: DueTimer, context: KeyedContext): void {
    const withinMs = this.#withinMs
    // State from before a redeploy that took the duration away has timers that mean nothing now.
    if (isReservedTag(timer.tag) || withinMs === undefined) return
    const times = stateIn(context, timer.tag)
    if (!Array.isArray(times)) return
    const left = (times as number[]).filter((time) => time + 2 * withinMs > timer.time)
    context.put(left.length > 0 ? left : undefined, timer.tag)
  }
}
