import fc from 'fast-check'
import type { Emitted, OperatorHarness } from '../operator-harness.js'

/** A row as the property tests make them. */
export interface TestRow<Value> {
  readonly key: string
  readonly value: Value
  readonly time: number
}

/** So many random cases, and five hundred times as many in the long run. */
export const runs = (numRuns: number): { numRuns: number } => ({
  numRuns: process.env.MILLRACE_LONG === undefined ? numRuns : numRuns * 500,
})

export const keys = fc.constantFrom('a', 'b', 'c')

/** Rows of a few keys; times lie close together, so that equal, late and distant ones all occur. */
export function rowsOf<Value>(value: fc.Arbitrary<Value>, maxLength = 40): fc.Arbitrary<TestRow<Value>[]> {
  return fc.array(fc.record({ key: keys, value, time: fc.integer({ min: 0, max: 100 }) }), { maxLength })
}

/** Pushes rows one after the other; their stamps are the watermark at that time. */
export async function pushed<Value>(harness: OperatorHarness, rows: readonly TestRow<Value>[]): Promise<Emitted[]> {
  for (const { key, value, time } of rows) await harness.push(key, value, time)
  return harness.emitted
}

/** What a plain function gives for the values of each key so far, row by row: the reference of a running result. */
export function running<Value>(
  rows: readonly TestRow<Value>[],
  result: (values: readonly Value[]) => unknown,
): { key: string; value: unknown; time: number; output: undefined }[] {
  const values = new Map<string, Value[]>()
  return rows.map(({ key, value, time }) => {
    const all = [...(values.get(key) ?? []), value]
    values.set(key, all)
    return { key, value: result(all), time, output: undefined }
  })
}
