import fc from 'fast-check'
import type { KeyedOperator } from '../../../src/operators/task/keyed-operator.js'
import { OperatorHarness } from '../operator-harness.js'

export interface SourceRow {
  readonly key: string
  readonly time: number
  /** Tells rows apart. */
  readonly id: number
  /** The watermark of its source when it was read. */
  readonly stamp: number
}

/** Two sources and the order in which their rows arrive: `true` takes the next row of the right one. */
export interface TwoSources {
  readonly left: readonly SourceRow[]
  readonly right: readonly SourceRow[]
  readonly order: readonly boolean[]
  readonly outOfOrder: readonly [number, number]
}

/** The rows of a source with the stamps that it gives them: the longest time so far, less what it allows. */
function stamped(rows: readonly { key: string; time: number }[], outOfOrder: number, firstId: number): SourceRow[] {
  let highest = Number.NEGATIVE_INFINITY
  return rows.map(({ key, time }, i) => {
    const stamp = highest - outOfOrder - 1
    highest = Math.max(highest, time)
    return { key, time, id: firstId + i, stamp }
  })
}

export const twoSources = (rowsMax: number, timeMax: number, keys = ['a', 'b']): fc.Arbitrary<TwoSources> => {
  // Mostly onward, with duplicate times and rows that are behind.
  const row = fc.record({
    key: fc.constantFrom(...keys),
    step: fc.integer({ min: -Math.ceil(timeMax / 8), max: Math.ceil(timeMax / 4) }),
  })
  const rows = fc.array(row, { maxLength: rowsMax, size: 'max' }).map((steps) => {
    let time = 0
    return steps.map(({ key, step }) => {
      time = Math.max(0, time + step)
      return { key, time }
    })
  })
  const outOfOrder = fc.integer({ min: 0, max: timeMax })
  return fc
    .record({
      left: rows,
      right: rows,
      order: fc.array(fc.boolean(), { maxLength: 2 * rowsMax, size: 'max' }),
      outOfOrder: fc.tuple(outOfOrder, outOfOrder),
    })
    .map(({ left, right, order, outOfOrder }) => ({
      left: stamped(left, outOfOrder[0], 0),
      right: stamped(right, outOfOrder[1], 1000),
      order,
      outOfOrder,
    }))
}

/** Feeds both sources to an operator in the order of arrival; the task's watermark is the lower one of theirs. */
export async function feed(
  operator: KeyedOperator,
  { left, right, order, outOfOrder }: TwoSources,
): Promise<OperatorHarness> {
  const harness = new OperatorHarness(operator)
  const sources = [left, right]
  const taken = [0, 0]
  const watermarks = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]
  const take = async (input: 0 | 1): Promise<void> => {
    const row = sources[input]?.[taken[input] as number]
    if (!row) return
    taken[input] = (taken[input] as number) + 1
    await harness.push(row.key, row.id, row.time, input, row.stamp)
    watermarks[input] = Math.max(watermarks[input] as number, row.time - outOfOrder[input] - 1)
    // Sometimes the task hears of it later.
    if (row.id % 3 > 0) await harness.advance(Math.min(...watermarks))
  }
  for (const isRight of order) await take(isRight ? 1 : 0)
  for (const _ of left) await take(0)
  for (const _ of right) await take(1)
  await harness.advance(Number.POSITIVE_INFINITY)
  return harness
}

/** In an order of their own, to be compared as a bag. */
export const sorted = (values: readonly unknown[]): string[] => values.map((value) => JSON.stringify(value)).sort()
