import { isThenable } from '../keyed/thenable.js'
import type { KeyedContext, Row } from '../task/keyed-operator.js'
import type { WindowAggregate } from './aggregates/aggregate.js'
import type { OpenResult, ResultKind } from './result.js'

/** The side output of rows that came too late for all of their windows. */
export const lateOutput = 'late'

/** The tag of timers at which a window goes that has given its result before. */
export const overTag = 'over'

export function giveLate(row: Row, context: KeyedContext): void {
  context.side(lateOutput, row.value, row.time)
  context.count('late', row.parts || 1)
}

export interface Giving {
  readonly start: number
  readonly end: number
  readonly kind: ResultKind
  /** Event time of the result: the last moment of the window. */
  readonly time: number
  /** Whether the accumulator goes on. */
  readonly isKept: boolean
}

/** Gives the result of a window. */
export function give(
  aggregate: WindowAggregate,
  accumulator: unknown,
  { start, end, kind, time, isKept }: Giving,
  context: KeyedContext,
): void | Promise<void> {
  const result: OpenResult = { key: context.key, start, end, value: undefined, kind }
  const value = aggregate.result(accumulator, result, isKept)
  if (isThenable(value)) return Promise.resolve(value).then((given) => emit(result, given, time, context))
  emit(result, value, time, context)
}

function emit(result: OpenResult, value: unknown, time: number, context: KeyedContext): void {
  result.value = value
  context.emit(result, time)
}

/** One accumulator of several, in their order; a promise only where the aggregate gives one. None of them is changed. */
export function mergedOf(aggregate: WindowAggregate, values: readonly unknown[], context: KeyedContext): unknown {
  const merge = aggregate.merge as NonNullable<WindowAggregate['merge']>
  let merged: unknown
  for (let i = 0; i < values.length; i++) {
    merged = merge(merged, values[i], context)
    if (isThenable(merged)) return mergedFrom(i + 1, merged, values, merge, context)
  }
  return merged
}

async function mergedFrom(
  from: number,
  first: unknown,
  values: readonly unknown[],
  merge: NonNullable<WindowAggregate['merge']>,
  context: KeyedContext,
): Promise<unknown> {
  let merged = await first
  for (let i = from; i < values.length; i++) merged = await merge(merged, values[i], context)
  return merged
}
