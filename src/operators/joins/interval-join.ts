import { kept } from '../kept.js'
import { settle, settleEach, withCells } from '../settle.js'
import { type KeptRow, SortedRows, type SortedState } from '../sorted-rows.js'
import type { DueTimer, KeyedContext, KeyedOperator, Row } from '../task/keyed-operator.js'
import type { Awaitable } from '../types.js'
import type { JoinSide, JoinType } from './options.js'

export interface IntervalJoinPlan {
  readonly type: JoinType
  /** A right row joins a left one from so long before it, ms; undefined: from ever. */
  readonly beforeMs: number
  /** To so long after it, ms. */
  readonly afterMs: number
  /** Rows that are so far behind their source's watermark, ms, are still joined. */
  readonly latenessMs: number
  /** Rows of a key and side. */
  readonly rowsMax: number
  readonly combine: (left: unknown, right: unknown, key: unknown) => unknown
}

/** What is kept of a key: the rows of both sides, and when there is something to be done about them. */
interface JoinState {
  left?: SortedState
  right?: SortedState
  leftDue?: number
  rightDue?: number
}

interface Result {
  readonly left: unknown
  readonly right: unknown
  readonly time: number
}

/**
 * Joins rows of two streams whose event times are near each other. A pair comes out when its second row comes, with the later
 * of the two times. A row that a left, right or outer join must not lose comes out alone when the watermark says that no
 * partner can come any more; that is its time then.
 *
 * Which pairs come out does not depend on the order in which the rows arrive: a row is late by the watermark of its own
 * source, and the task's, by which rows are removed, is never ahead of that.
 */
export class IntervalJoin implements KeyedOperator {
  readonly #plan: IntervalJoinPlan
  readonly #isBounded: boolean

  constructor(plan: IntervalJoinPlan) {
    this.#plan = plan
    this.#isBounded = plan.beforeMs + plan.afterMs < Number.POSITIVE_INFINITY
  }

  onRow(row: Row, input: number, context: KeyedContext): Awaitable<void> {
    const side = input === 0 ? 'left' : 'right'
    const { beforeMs, afterMs, latenessMs, rowsMax } = this.#plan
    if (this.#isBounded && row.time <= row.stamp - latenessMs) {
      context.count('late')
      context.side('late', { side, value: kept(row.value) }, row.time)
      return undefined
    }
    const state = stateOf(context)
    const own = new SortedRows(side, state[side], context)
    const other = new SortedRows(otherOf(side), state[otherOf(side)], context)
    const from = row.time - (side === 'left' ? beforeMs : afterMs)
    const to = row.time + (side === 'left' ? afterMs : beforeMs)
    const names = [...other.namesIn(from, to), ...own.namesFor(row.time, row.sequence)]
    if (own.count >= rowsMax) names.push(...own.namesOfFirst())
    return withCells(names, context, () => {
      other.brought(names)
      own.brought(names)
      return this.#join(row, side, context, state, own, other, from, to)
    })
  }

  #join(
    row: Row,
    side: JoinSide,
    context: KeyedContext,
    state: JoinState,
    own: SortedRows,
    other: SortedRows,
    from: number,
    to: number,
  ): Awaitable<void> {
    const value = kept(row.value)
    const isOtherOuter = this.#isOuter(otherOf(side))
    const results: Result[] = []
    other.visit(from, to, (partner) => {
      const time = Math.max(row.time, partner[0])
      results.push(
        side === 'left' ? { left: value, right: partner[2], time } : { left: partner[2], right: value, time },
      )
      if (!isOtherOuter || partner[3] === joined) return false
      partner[3] = joined
      return true
    })
    const isMarked = results.length > 0 && this.#isOuter(side)
    own.insert(isMarked ? [row.time, row.sequence, value, joined] : [row.time, row.sequence, value])
    while (own.count > this.#plan.rowsMax) {
      const dropped = own.shift()
      if (!dropped) break
      context.count('dropped')
      this.#pushAlone(dropped, side, results)
    }
    if (this.#isBounded) this.#hasten(side, state, this.#over(row.time, side), context)
    state[side] = own.save()
    state[otherOf(side)] = other.save()
    save(state, context)
    return this.#emit(results, context)
  }

  onTimer(timer: DueTimer, context: KeyedContext): Awaitable<void> {
    const side = timer.tag as JoinSide
    const state = stateOf(context)
    const rows = new SortedRows(side, state[side], context)
    const last = context.watermark - this.#wait(side)
    const names = rows.namesIn(Number.NEGATIVE_INFINITY, last)
    return withCells(names, context, () => {
      rows.brought(names)
      const results: Result[] = []
      for (const row of rows.takeUpTo(last)) this.#pushAlone(row, side, results)
      state[dueOf(side)] = undefined
      const next = this.#nextDue(rows, side)
      if (next !== undefined) this.#hasten(side, state, next, context)
      state[side] = rows.save()
      save(state, context)
      return this.#emit(results, context)
    })
  }

  /** How long after its own time a row of the side must be kept. */
  #wait(side: JoinSide): number {
    const { beforeMs, afterMs, latenessMs } = this.#plan
    return (side === 'left' ? afterMs : beforeMs) + latenessMs
  }

  /** When no partner can come any more. */
  #over(time: number, side: JoinSide): number {
    return time + this.#wait(side)
  }

  #isOuter(side: JoinSide): boolean {
    return this.#plan.type === 'outer' || this.#plan.type === side
  }

  #pushAlone([time, , value, mark]: KeptRow, side: JoinSide, results: Result[]): void {
    if (mark === joined || !this.#isOuter(side)) return
    const [left, right] = side === 'left' ? [value, undefined] : [undefined, value]
    results.push({ left, right, time: this.#isBounded ? this.#over(time, side) : time })
  }

  /** When the first rows have to be looked at again: the first that is to come out alone, else all of one cell at once. */
  #nextDue(rows: SortedRows, side: JoinSide): number | undefined {
    const { head } = rows
    const waiting = this.#isOuter(side) ? head.find((row) => row[3] !== joined) : undefined
    const time = (waiting ?? head.at(-1))?.[0] ?? rows.firstTime
    return time === undefined ? undefined : this.#over(time, side)
  }

  /** Sets the one timer of a side, unless it is set for an earlier time. */
  #hasten(side: JoinSide, state: JoinState, time: number, context: KeyedContext): void {
    const due = state[dueOf(side)]
    if (due !== undefined && due <= time) return
    if (due !== undefined) context.clearTimer(due, side)
    context.setTimer(time, side)
    state[dueOf(side)] = time
  }

  #emit(results: readonly Result[], context: KeyedContext): Awaitable<void> {
    return settleEach(results, ({ left, right, time }) =>
      settle(this.#plan.combine(left, right, context.key), (value) => context.emit(value, time)),
    )
  }
}

/** The mark of a row that has had a partner. */
const joined = 1

const otherOf = (side: JoinSide): JoinSide => (side === 'left' ? 'right' : 'left')
const dueOf = (side: JoinSide): 'leftDue' | 'rightDue' => (side === 'left' ? 'leftDue' : 'rightDue')

const stateOf = (context: KeyedContext): JoinState => (context.get() as JoinState | undefined) ?? {}

function save({ left, right, leftDue, rightDue }: JoinState, context: KeyedContext): void {
  if (!left && !right) return context.put(undefined)
  context.put({
    ...(left ? { left } : {}),
    ...(right ? { right } : {}),
    ...(leftDue === undefined ? {} : { leftDue }),
    ...(rightDue === undefined ? {} : { rightDue }),
  })
}
