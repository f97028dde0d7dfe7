import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Top } from '../../../src/operators/keyed/index.js'
import { OperatorHarness } from '../operator-harness.js'
import { rowsOf, runs, type TestRow } from './rows.js'

interface Scored {
  readonly id: string
  readonly score: number
}

const scored: fc.Arbitrary<Scored> = fc.record({
  id: fc.constantFrom('p', 'q', 'r', 's', 't'),
  score: fc.integer({ min: 0, max: 6 }),
})

/** The whole history sorted anew for each row: the entries of the first n, whenever they are others than before. */
function reference(rows: readonly TestRow<Scored>[], n: number, hasId: boolean): { key: string; value: Scored[] }[] {
  const entries = new Map<string, { row: Scored; arrival: number }[]>()
  const shown = new Map<string, string>()
  return rows.flatMap(({ key, value }, arrival) => {
    const others = (entries.get(key) ?? []).filter(({ row }) => !hasId || row.id !== value.id)
    const all = [...others, { row: value, arrival }].sort((a, b) => b.row.score - a.row.score || a.arrival - b.arrival)
    entries.set(key, all)
    const top = all.slice(0, n)
    const text = top.map((each) => each.arrival).join()
    if (shown.get(key) === text) return []
    shown.set(key, text)
    return [{ key, value: top.map(({ row }) => row) }]
  })
}

const by = (value: unknown) => (value as Scored).score
const id = (value: unknown) => (value as Scored).id

describe('topN', () => {
  it.each([
    ['of all values', false, false],
    ['of the last value of each id', true, false],
    ['with functions that give promises', true, true],
  ])('equals sorting everything, %s', async (_what, hasId, isAsync) => {
    const wrapped = <Given>(run: (value: unknown) => Given) =>
      isAsync ? (value: unknown) => Promise.resolve(run(value)) : run
    await fc.assert(
      fc.asyncProperty(rowsOf(scored), fc.integer({ min: 1, max: 4 }), async (rows, n) => {
        const options = { n, by: wrapped(by), id: hasId ? wrapped(id) : undefined, max: hasId ? 100 : n }
        const harness = new OperatorHarness(new Top('t', options))
        for (const { key, value, time } of rows) await harness.push(key, value, time)
        const given = harness.emitted.map(({ key, value }) => ({ key, value }))
        expect(given).toEqual(reference(rows, n, hasId))
      }),
      runs(300),
    )
  })

  it('gives what rises when a better one falls, within its bound, and counts what it drops', async () => {
    const harness = new OperatorHarness(new Top('t', { n: 1, by, id, max: 2 }))
    const push = (name: string, score: number) => harness.push('a', { id: name, score }, 0)
    await push('p', 5)
    await push('q', 4)
    await push('r', 3)
    expect(harness.counts.get('dropped')).toBe(1)
    await push('p', 1)
    expect(harness.values.map((top) => (top as Scored[]).map((each) => each.id))).toEqual([['p'], ['q']])
  })

  it('refuses a score that has no order', async () => {
    const harness = new OperatorHarness(new Top('t', { n: 1, by: () => ({}), id: undefined, max: 1 }))
    await expect(harness.push('a', 1, 0)).rejects.toThrow("topN('t') was given an object")
  })
})
