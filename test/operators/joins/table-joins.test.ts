import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LatestJoin } from '../../../src/operators/joins/latest-join.js'
import type { JoinType } from '../../../src/operators/joins/options.js'
import { tableRow } from '../../../src/operators/joins/table-row.js'
import { TablesJoin } from '../../../src/operators/joins/tables-join.js'
import { OperatorHarness } from '../operator-harness.js'

const numRuns = process.env.MILLRACE_LONG === undefined ? 150 : 20_000

const event = fc.record({
  key: fc.constantFrom('a', 'b'),
  input: fc.constantFrom(0, 1),
  /** Of a table: the row, or that there is none. */
  row: fc.option(fc.nat(3), { nil: undefined }),
})
const row = tableRow((value: { row?: number }) => value.row, 'The join')

describe('a join of a stream with the rows of a table', () => {
  it('gives the row that is there when the value arrives', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event), fc.constantFrom('inner', 'left'), async (events, type) => {
        const combine = (left: unknown, right: unknown) => [left, right]
        const harness = new OperatorHarness(new LatestJoin({ type, row, combine }))
        const rows = new Map<string, number | undefined>()
        const expected: unknown[] = []
        for (const [i, { key, input, row }] of events.entries()) {
          await harness.push(key, input === 0 ? i : { row }, i, input)
          if (input === 1) rows.set(key, row)
          else if (rows.get(key) !== undefined || type === 'left') expected.push([i, rows.get(key)])
        }
        expect(harness.values).toEqual(expected)
        expect(harness.cells.size).toBe([...rows.values()].filter((each) => each !== undefined).length)
      }),
      { numRuns },
    )
  })

  it('takes the changes of a table as they are', async () => {
    const combine = (left: unknown, right: unknown) => [left, right]
    const harness = new OperatorHarness(new LatestJoin({ type: 'left', row: tableRow(undefined, 'The join'), combine }))
    await harness.push('a', { type: 'insert', keys: { id: 1 }, new: { id: 1, n: 1 } }, 1, 1)
    await harness.push('a', 'x', 2, 0)
    await harness.push('a', { type: 'modify', keys: { id: 1 }, new: { id: 1, n: 2 }, old: { id: 1, n: 1 } }, 3, 1)
    await harness.push('a', 'y', 4, 0)
    await harness.push('a', { type: 'remove', keys: { id: 1 }, old: { id: 1, n: 2 } }, 5, 1)
    await harness.push('a', 'z', 6, 0)
    expect(harness.values).toEqual([
      ['x', { id: 1, n: 1 }],
      ['y', { id: 1, n: 2 }],
      ['z', undefined],
    ])
    expect(harness.cells.size).toBe(0)
    await expect(harness.push('a', { n: 1 }, 7, 1)).rejects.toThrow('is no change of a table')
  })
})

describe('a join of two tables', () => {
  for (const type of ['inner', 'left', 'right', 'outer'] as const satisfies readonly JoinType[]) {
    it(`${type}: gives the joined row whenever one side changes, and undefined when there is none any more`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(event), async (events) => {
          const combine = async (left: unknown, right: unknown, key: unknown) => ({ key, left, right })
          const harness = new OperatorHarness(new TablesJoin({ type, leftRow: row, rightRow: row, combine }))
          const sides = [new Map<string, number>(), new Map<string, number>()] as const
          const joined = (key: string) => {
            const [left, right] = [sides[0].get(key), sides[1].get(key)]
            const isThere =
              type === 'inner'
                ? left !== undefined && right !== undefined
                : (left !== undefined && type !== 'right') || (right !== undefined && type !== 'left')
            return isThere ? { key, left, right } : undefined
          }
          const expected: unknown[] = []
          for (const [i, { key, input, row }] of events.entries()) {
            const before = joined(key)
            if (row === undefined) sides[input as 0 | 1].delete(key)
            else sides[input as 0 | 1].set(key, row)
            const after = joined(key)
            if (before || after) expected.push(after)
            await harness.push(key, { row }, i, input)
          }
          expect(harness.values).toEqual(expected)
          expect(harness.cells.size).toBe(new Set([...sides[0].keys(), ...sides[1].keys()]).size)
        }),
        { numRuns },
      )
    })
  }
})
