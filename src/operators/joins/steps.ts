import { type Duration, durationMs, durationText } from '../plan/duration.js'
import { atLeast, functionOf, invalid } from '../plan/invalid.js'
import type { KeyedStep } from '../plan/keyed-step.js'
import { checkMembers, type Members } from '../plan/members.js'
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
  type TimeToLive,
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

type TableOptions = TableJoinOptions<TableJoinType> & { readonly row?: RowOf<never, never, unknown> }
type TablesOptions = TablesJoinOptions<JoinType> & {
  readonly row?: RowOf<never, never, unknown>
  readonly otherRow?: RowOf<never, never, unknown>
}

const intervalMembers: Members<IntervalJoinOptions<JoinType>> = {
  within: true,
  type: true,
  max: true,
  allowedLateness: true,
  ttl: true,
}
const tableMembers: Members<AsOfJoinOptions<TableJoinType> & TableOptions> = {
  mode: true,
  type: true,
  row: true,
  keep: true,
  max: true,
  ttl: true,
}
const tablesMembers: Members<TablesOptions> = { type: true, row: true, otherRow: true, ttl: true }

type Combine = (left: unknown, right: unknown, key: unknown) => unknown

/** The step of `join`. Throws PIPELINE_INVALID. */
export function intervalJoinStep(parts: JoinParts, options: IntervalJoinOptions<JoinType>): KeyedStep {
  const { where: step } = parts
  checkParts(parts, options, intervalMembers)
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
  const span = isBounded ? `${durationText(beforeMs)} before to ${durationText(afterMs)} after` : 'for ever'
  return {
    ...common(parts, options),
    operator: 'join',
    sides: ['late'],
    bound: `${span}; per key and side: ${rowsMax} rows`,
    make: () => new IntervalJoin(plan),
  }
}

/** The step of `joinTable`. Throws PIPELINE_INVALID. */
export function tableJoinStep(parts: JoinParts, options: TableOptions): KeyedStep {
  const { where: step } = parts
  checkParts(parts, options, tableMembers)
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
    return {
      ...common(parts, options),
      operator: 'joinTable',
      // Nothing is late there; the output is there, so that the mode can be changed alone.
      sides: ['late'],
      bound: 'per key: one row',
      make: () => new LatestJoin({ type, row, combine }),
    }
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
  return {
    ...common(parts, options),
    operator: 'joinTable',
    sides: ['late'],
    bound: `versions of ${durationText(keepMs)}; per key: ${rowsMax} of them, and as many values that wait`,
    make: () => new AsOfJoin({ type, keepMs, rowsMax, row, combine }),
  }
}

/** The step of `joinTables`. Throws PIPELINE_INVALID. */
export function tablesJoinStep(parts: JoinParts, options: TablesOptions): KeyedStep {
  const { where: step } = parts
  checkParts(parts, options, tablesMembers)
  const type = typeOf(step, options.type, joinTypes)
  const leftRow = rowFunction(step, 'row', options.row)
  const rightRow = rowFunction(step, 'otherRow', options.otherRow)
  const combine = parts.combine as Combine
  return {
    ...common(parts, options),
    operator: 'joinTables',
    bound: 'per key and side: one row',
    make: () => new TablesJoin({ type, leftRow, rightRow, combine }),
  }
}

const joinTypes: readonly JoinType[] = ['inner', 'left', 'right', 'outer']

function checkParts<Options>({ where, combine }: JoinParts, options: object, known: Members<Options>): void {
  if (typeof options !== 'object' || options === null)
    throw invalid(`${where} has no options.`, 'Give it a name, the other flow, options and a function.')
  checkMembers(options, known, where)
  functionOf(combine, where, 'function that makes its results')
}

const common = ({ name }: JoinParts, { ttl }: TimeToLive): Pick<KeyedStep, 'name' | 'options'> => ({
  name,
  options: { ttl },
})

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
  checkMembers(within, { before: true, after: true }, `within of ${step}`)
  const { before, after } = within as { before: Duration; after: Duration }
  return {
    beforeMs: duration(before, `within.before of ${step}`),
    afterMs: duration(after, `within.after of ${step}`),
  }
}

const duration = (given: Duration, what: string): number => durationMs(given, what, 0)

const maxOf = (step: string, max: unknown): number => atLeast(1, max ?? joinRowsMax, `max of ${step}`)

function rowFunction(step: string, option: string, row: RowOf<never, never, unknown> | undefined) {
  return tableRow(row === undefined ? row : functionOf(row, step, `function as ${option}`), step)
}
