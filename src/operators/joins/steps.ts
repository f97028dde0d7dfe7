import { MillraceError } from '../../runtime/errors.js'
import { type Duration, durationMs } from '../plan/duration.js'
import type { KeyedOperator } from '../task/keyed-operator.js'
import { AsOfJoin } from './as-of-join.js'
import { IntervalJoin } from './interval-join.js'
import { LatestJoin } from './latest-join.js'
import {
  type AsOfJoinOptions,
  type IntervalJoinOptions,
  type JoinType,
  joinRowsMax,
  type RowOf,
  type TableJoinOptions,
  type TableJoinType,
  type TablesJoinOptions,
} from './options.js'
import { tableRow } from './table-row.js'
import { TablesJoin } from './tables-join.js'

/** What every join is told beside its options. */
export interface JoinParts {
  /** Names the step in errors. */
  readonly where: string
  readonly name: string
  readonly combine: (left: never, right: never, key: never) => unknown
}

/** The parts of a plan's node that joins. */
export interface JoinStep {
  readonly operator: string
  readonly name: string
  readonly sides: readonly string[]
  readonly bound: string
  readonly make: () => KeyedOperator
}

type Combine = (left: unknown, right: unknown, key: unknown) => unknown

/** The step of `join`. Throws PIPELINE_INVALID. */
export function intervalJoinStep(parts: JoinParts, options: IntervalJoinOptions<JoinType>): JoinStep {
  const { where: step } = parts
  checkParts(parts, options)
  const type = typeOf(step, options.type, joinTypes)
  if (options.within === undefined)
    throw invalid(
      `${step} has no bound: it says not how far apart its rows may be.`,
      "Give it within: '10m', or { before, after }; or within: 'forever' with a max of rows per key and side.",
    )
  const { beforeMs, afterMs } = withinOf(step, options.within)
  const isBounded = afterMs < Number.POSITIVE_INFINITY
  if (!isBounded && options.max === undefined)
    throw invalid(`${step} keeps its rows for ever, without a bound.`, 'Give it max: the rows kept per key and side.')
  if (!isBounded && type !== 'inner')
    throw invalid(
      `${step} is of type ${type} and keeps its rows for ever: it would never know that a row stays without a partner.`,
      "Give it a duration as within, or make it 'inner'.",
    )
  if (!isBounded && options.allowedLateness !== undefined)
    throw invalid(`${step} keeps its rows for ever: no row is late.`, 'Leave allowedLateness out.')
  const rowsMax = maxOf(step, options.max)
  const latenessMs = duration(options.allowedLateness ?? 0, `allowedLateness of ${step}`)
  const plan = { type, beforeMs, afterMs, latenessMs, rowsMax, combine: parts.combine as Combine }
  const span = isBounded ? `${beforeMs} ms before to ${afterMs} ms after` : 'for ever'
  return joinStep(parts, 'join', `${span}; per key and side: ${rowsMax} rows`, ['late'], () => new IntervalJoin(plan))
}

/** The step of `joinTable`. Throws PIPELINE_INVALID. */
export function tableJoinStep(
  parts: JoinParts,
  options: TableJoinOptions<TableJoinType> & { readonly row?: RowOf<never, never, unknown> },
): JoinStep {
  const { where: step } = parts
  checkParts(parts, options)
  const type = typeOf(step, options.type, ['inner', 'left'])
  const row = rowFunction(step, 'row', options.row)
  const combine = parts.combine as Combine
  const mode: unknown = options.mode ?? 'latest'
  if (mode === 'latest') {
    const surplus = ['keep', 'max'].find((name) => (options as Record<string, unknown>)[name] !== undefined)
    if (surplus)
      throw invalid(
        `${step} is of mode 'latest', which keeps one row per key; ${surplus} has no meaning there.`,
        `Leave ${surplus} out, or say mode: 'asOf'.`,
      )
    return joinStep(parts, 'joinTable', 'per key: one row', [], () => new LatestJoin({ type, row, combine }))
  }
  if (mode !== 'asOf') throw invalid(`${step} has the mode ${JSON.stringify(mode)}.`, "Choose 'latest' or 'asOf'.")
  const { keep, max } = options as AsOfJoinOptions<TableJoinType>
  if (keep === undefined)
    throw invalid(
      `${step} of mode 'asOf' has no bound: it says not how long older versions are kept.`,
      "Give it keep: '1h', or how far your rows may be late.",
    )
  const keepMs = duration(keep, `keep of ${step}`)
  const rowsMax = maxOf(step, max)
  const bound = `versions of ${keepMs} ms; per key: ${rowsMax} and as many values that wait`
  return joinStep(parts, 'joinTable', bound, ['late'], () => new AsOfJoin({ type, keepMs, rowsMax, row, combine }))
}

/** The step of `joinTables`. Throws PIPELINE_INVALID. */
export function tablesJoinStep(
  parts: JoinParts,
  options: TablesJoinOptions<JoinType> & {
    readonly row?: RowOf<never, never, unknown>
    readonly otherRow?: RowOf<never, never, unknown>
  },
): JoinStep {
  const { where: step } = parts
  checkParts(parts, options)
  const type = typeOf(step, options.type, joinTypes)
  const leftRow = rowFunction(step, 'row', options.row)
  const rightRow = rowFunction(step, 'otherRow', options.otherRow)
  const combine = parts.combine as Combine
  const make = () => new TablesJoin({ type, leftRow, rightRow, combine })
  return joinStep(parts, 'joinTables', 'per key and side: one row', [], make)
}

const joinTypes: readonly JoinType[] = ['inner', 'left', 'right', 'outer']

function joinStep(
  { name }: JoinParts,
  operator: string,
  bound: string,
  sides: readonly string[],
  make: () => KeyedOperator,
): JoinStep {
  return { operator, name, sides, bound, make }
}

function checkParts({ where, combine }: JoinParts, options: unknown): void {
  if (typeof options !== 'object' || options === null)
    throw invalid(`${where} has no options.`, 'Give it a name, the other flow, options and a function.')
  if (typeof combine !== 'function')
    throw invalid(`${where} has no function that makes its results.`, 'Give it (left, right, key) => result.')
}

function typeOf<Type extends JoinType>(step: string, type: unknown, types: readonly Type[]): Type {
  const found = types.find((each) => each === (type ?? 'inner'))
  if (!found) throw invalid(`${step} has the type ${JSON.stringify(type)}.`, `Choose one of ${types.join(', ')}.`)
  return found
}

function withinOf(step: string, within: unknown): { beforeMs: number; afterMs: number } {
  if (within === 'forever') return { beforeMs: Number.POSITIVE_INFINITY, afterMs: Number.POSITIVE_INFINITY }
  if (typeof within !== 'object' || within === null) {
    const ms = duration(within as Duration, `within of ${step}`)
    return { beforeMs: ms, afterMs: ms }
  }
  const { before, after } = within as { before: Duration; after: Duration }
  return {
    beforeMs: duration(before, `within.before of ${step}`),
    afterMs: duration(after, `within.after of ${step}`),
  }
}

const duration = (given: Duration, what: string): number => durationMs(given, what, 0)

function maxOf(step: string, max: unknown): number {
  if (max === undefined) return joinRowsMax
  if (typeof max === 'number' && Number.isSafeInteger(max) && max >= 1) return max
  throw invalid(`${step} has ${JSON.stringify(max)} as its max.`, 'Give a whole number of rows, at least 1.')
}

function rowFunction(step: string, option: string, row: RowOf<never, never, unknown> | undefined) {
  if (row !== undefined && typeof row !== 'function')
    throw invalid(`${step} has something as ${option} that is no function.`, 'Give (value, key) => row or undefined.')
  return tableRow(row, step)
}

const invalid = (message: string, remedy: string): MillraceError =>
  new MillraceError('PIPELINE_INVALID', message, { remedy })
