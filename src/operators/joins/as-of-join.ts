import { kept } from '../kept.js'
import { settle, settleEach, withCells } from '../settle.js'
import { type KeptRow, SortedRows, type SortedState } from '../sorted-rows.js'
import type { CellName, DueTimer, KeyedContext, KeyedOperator, Row } from '../task/keyed-operator.js'
import type { Awaitable } from '../types.js'
import type { TableJoinType } from './options.js'
import type { TableRow } from './table-row.js'

export interface AsOfJoinPlan {
  readonly type: TableJoinType
  /** How long a version that another one has replaced is kept, ms. */
  readonly keepMs: number
  /** Values that wait, and versions, of one key. */
  readonly rowsMax: number
  readonly row: TableRow
  readonly combine: (left: unknown, right: unknown, key: unknown) => unknown
}

/** What is kept of a key, and when its values are to be joined and its versions looked at. */
interface AsOfState {
  waiting?: SortedState
  versions?: SortedState
  waitingDue?: number
  versionsDue?: number
}

/** A value, the version that it is joined with, and its time. */
type Pair = readonly [value: unknown, version: KeptRow | undefined, time: number]

/**
 * Joins each value of a stream with the row of a table that was there at its event time. Values wait until the watermark has
 * passed their time, since until then an earlier change may come.
 *
 * A change that is behind its own source's watermark counts from that on: nothing that was joined before could have seen
 * it, and nothing after that misses it, so that results do not depend on the order in which rows arrive. Its mark is its
 * true time. One that is further behind than `keepMs` is late: a removal that came after it may be forgotten already.
 */
export class AsOfJoin implements KeyedOperator {
  readonly #plan: AsOfJoinPlan

  constructor(plan: AsOfJoinPlan) {
    this.#plan = plan
  }

  onRow(row: Row, input: number, context: KeyedContext): Awaitable<void> {
    if (row.time <= row.stamp - this.#plan.keepMs) {
      context.count('late')
      return context.side('late', { side: input === 0 ? 'left' : 'right', value: kept(row.value) }, row.time)
    }
    if (input === 1) return settle(this.#plan.row(row.value, context.key), (value) => this.#change(row, value, context))
    return row.time <= context.watermark ? this.#joinNow(row, context) : this.#wait(row, context)
  }

  /** A value that is behind the watermark, yet not too late: every version that it may see is there. */
  #joinNow(row: Row, context: KeyedContext): Awaitable<void> {
    const versions = new SortedRows('v', stateOf(context).versions, context)
    const names = versions.namesIn(row.time, row.time)
    return withCells(names, context, () => {
      versions.brought(names)
      return this.#emit([[row.value, versions.last(row.time), row.time]], context)
    })
  }

  #wait(row: Row, context: KeyedContext): Awaitable<void> {
    const state = stateOf(context)
    const waiting = new SortedRows('w', state.waiting, context)
    const versions = new SortedRows('v', state.versions, context)
    const names = waiting.namesFor(row.time, row.sequence)
    const isFull = waiting.count >= this.#plan.rowsMax
    const firstTime = Math.min(row.time, waiting.firstTime ?? row.time)
    if (isFull) names.push(...waiting.namesOfFirst(), ...versions.namesIn(firstTime, row.time))
    return withCells(names, context, () => {
      waiting.brought(names)
      versions.brought(names)
      waiting.insert([row.time, row.sequence, kept(row.value)])
      const pairs: Pair[] = []
      const first = isFull ? waiting.shift() : undefined
      if (first) {
        context.count('dropped')
        pairs.push([first[2], versions.last(first[0]), first[0]])
      }
      state.waiting = waiting.save()
      if (waiting.firstTime !== undefined) hasten('waiting', state, waiting.firstTime, context)
      save(state, context)
      return this.#emit(pairs, context)
    })
  }

  #change(row: Row, value: unknown, context: KeyedContext): Awaitable<void> {
    const state = stateOf(context)
    const versions = new SortedRows('v', state.versions, context)
    const isLate = row.time <= row.stamp
    const time = isLate ? row.stamp + 1 : row.time
    const order = row.sequence
    const names = [...versions.namesIn(time, time), ...versions.namesFor(time, order)]
    if (versions.count >= this.#plan.rowsMax) names.push(...versions.namesOfFirst())
    const bound = this.#bound(state, context)
    names.push(...versions.namesIn(Number.NEGATIVE_INFINITY, bound))
    return withCells(names, context, () => {
      versions.brought(names)
      // A newer version is there already, and in force wherever this one would be.
      const newest = isLate ? versions.last(time) : undefined
      if (newest && (newest[3] ?? newest[0]) > row.time) return undefined
      versions.insert(isLate ? [time, order, value, row.time] : [time, order, value])
      while (versions.count > this.#plan.rowsMax) {
        if (!versions.shift()) break
        context.count('dropped')
      }
      this.#prune(versions, bound, state, context)
      return save(state, context)
    })
  }

  onTimer(timer: DueTimer, context: KeyedContext): Awaitable<void> {
    const state = stateOf(context)
    const waiting = new SortedRows('w', state.waiting, context)
    const versions = new SortedRows('v', state.versions, context)
    const isWaiting = timer.tag === 'waiting'
    const { watermark } = context
    const names: CellName[] = isWaiting
      ? [
          ...waiting.namesIn(Number.NEGATIVE_INFINITY, watermark),
          ...versions.namesIn(waiting.firstTime ?? watermark, watermark),
        ]
      : versions.namesIn(Number.NEGATIVE_INFINITY, this.#bound(state, context))
    return withCells(names, context, () => {
      waiting.brought(names)
      versions.brought(names)
      const pairs: Pair[] = []
      if (isWaiting) {
        for (const [time, , value] of waiting.takeUpTo(watermark)) pairs.push([value, versions.last(time), time])
        state.waiting = waiting.save()
        state.waitingDue = undefined
        if (waiting.firstTime !== undefined) hasten('waiting', state, waiting.firstTime, context)
      } else {
        state.versionsDue = undefined
        this.#prune(versions, this.#bound(state, context), state, context)
      }
      save(state, context)
      return this.#emit(pairs, context)
    })
  }

  /** The version at this time, and those after it, may still be asked for. */
  #bound(state: AsOfState, context: KeyedContext): number {
    const first = state.waiting && new SortedRows('w', state.waiting, context).firstTime
    return Math.min(context.watermark, first ?? Number.POSITIVE_INFINITY) - this.#plan.keepMs
  }

  #prune(versions: SortedRows, bound: number, state: AsOfState, context: KeyedContext): void {
    for (
      let { secondTime } = versions;
      secondTime !== undefined && secondTime <= bound;
      secondTime = versions.secondTime
    )
      versions.shift()
    const first = versions.first
    // That there was no row is what an empty list says as well.
    if (first && first[2] === null && first[0] <= bound) versions.shift()
    const next = versions.count > 1 ? (versions.secondTime ?? versions.firstTime) : nullTime(versions.first)
    if (next !== undefined) hasten('versions', state, next + this.#plan.keepMs, context)
    state.versions = versions.save()
  }

  #emit(pairs: readonly Pair[], context: KeyedContext): Awaitable<void> {
    const { type, combine } = this.#plan
    return settleEach(pairs, ([value, version, time]) => {
      const right = version?.[2] ?? undefined
      if (right === undefined && type === 'inner') return undefined
      return settle(combine(value, right, context.key), (result) => context.emit(result, time))
    })
  }
}

const nullTime = (row: KeptRow | undefined): number | undefined => (row && row[2] === null ? row[0] : undefined)

/** Sets the one timer of its kind, unless it is set for an earlier time. */
function hasten(kind: 'waiting' | 'versions', state: AsOfState, time: number, context: KeyedContext): void {
  const due = state[`${kind}Due`]
  if (due !== undefined && due <= time) return
  if (due !== undefined) context.clearTimer(due, kind)
  context.setTimer(time, kind)
  state[`${kind}Due`] = time
}

const stateOf = (context: KeyedContext): AsOfState => ({ ...(context.get() as AsOfState | undefined) })

function save({ waiting, versions, waitingDue, versionsDue }: AsOfState, context: KeyedContext): void {
  if (!waiting && !versions) return context.put(undefined)
  context.put({
    ...(waiting ? { waiting } : {}),
    ...(versions ? { versions } : {}),
    ...(waitingDue === undefined ? {} : { waitingDue }),
    ...(versionsDue === undefined ? {} : { versionsDue }),
  })
}
