import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AsOfJoin, type AsOfJoinPlan } from '../../../src/operators/joins/as-of-join.js'
import { tableRow } from '../../../src/operators/joins/table-row.js'
import { OperatorHarness } from '../operator-harness.js'
import { feed, type SourceRow, sorted, type TwoSources, twoSources } from './two-sources.js'

const numRuns = process.env.MILLRACE_LONG === undefined ? 200 : 20_000

/** Rows of the right side stand for themselves; every fifth says that there is none any more. */
const rowOf = (id: number) => (id % 5 === 0 ? undefined : id)

const planOf = (plan: Partial<AsOfJoinPlan>): AsOfJoinPlan => ({
  type: 'inner',
  keepMs: 0,
  rowsMax: 1000,
  row: tableRow((id: number) => rowOf(id), 'The join'),
  combine: (left, right) => [left, right ?? null],
  ...plan,
})

interface Version {
  /** From when on it counts. */
  readonly from: number
  readonly time: number
  readonly id: number
}

/** The versions of a key: a change counts from its time on, one that is behind from its source's watermark on. */
function versionsOf(rows: readonly SourceRow[], key: string, keepMs: number): Version[] {
  const versions: Version[] = []
  for (const { key: own, time, stamp, id } of rows) {
    if (own !== key || time <= stamp - keepMs) continue
    const from = Math.max(time, stamp + 1)
    const isReplaced = time <= stamp && versions.some((version) => version.from <= from && version.time > time)
    if (!isReplaced) versions.push({ from, time, id })
  }
  return versions
}

function expected({ left, right }: TwoSources, { type, keepMs }: AsOfJoinPlan) {
  const results: unknown[] = []
  for (const { key, id, time, stamp } of left) {
    if (time <= stamp - keepMs) continue
    const seen = versionsOf(right, key, keepMs).filter(({ from }) => from <= time)
    const last = seen.sort((a, b) => a.from - b.from || a.id - b.id).at(-1)
    const row = last && rowOf(last.id)
    if (row !== undefined || type === 'left') results.push([key, [id, row ?? null], time])
  }
  return results
}

const given = (harness: OperatorHarness) =>
  harness.emitted.filter(({ output }) => output === undefined).map(({ key, value, time }) => [key, value, time])

describe('a join with a table as of a time', () => {
  for (const type of ['inner', 'left'] as const) {
    it(`${type}: gives each value the version of its time, in whatever order rows arrive`, async () => {
      await fc.assert(
        fc.asyncProperty(twoSources(50, 60), fc.constantFrom(0, 5, 100), async (sources, keepMs) => {
          const plan = planOf({ type, keepMs })
          const harness = await feed(new AsOfJoin(plan), sources)
          expect(sorted(given(harness))).toEqual(sorted(expected(sources, plan)))
          const late = [...sources.left, ...sources.right].filter(({ time, stamp }) => time <= stamp - keepMs)
          expect(harness.counts.get('late') ?? 0).toBe(late.length)
          const sides = harness.emitted.filter(({ output }) => output === 'late')
          expect(sorted(sides.map(({ value }) => (value as { value: number }).value))).toEqual(
            sorted(late.map(({ id }) => id)),
          )
          // The newest version of a row stays, and nothing else.
          const rows = ['a', 'b'].filter((key) => {
            const last = versionsOf(sources.right, key, keepMs).sort((a, b) => a.from - b.from || a.id - b.id)
            return last.length > 0 && rowOf(last.at(-1)?.id as number) !== undefined
          })
          expect([harness.cells.size, harness.timerCount]).toEqual([rows.length, 0])
        }),
        { numRuns },
      )
    })
  }

  it('is the plain definition when nothing is late', async () => {
    await fc.assert(
      fc.asyncProperty(twoSources(80, 40, ['a']), async (sources) => {
        const inOrder = (rows: readonly SourceRow[]) =>
          [...rows].sort((a, b) => a.time - b.time || a.id - b.id).map((row) => ({ ...row, stamp: row.time - 1 }))
        const [left, right] = [inOrder(sources.left), inOrder(sources.right)]
        const harness = await feed(new AsOfJoin(planOf({ type: 'left' })), {
          ...sources,
          left,
          right,
          outOfOrder: [0, 0],
        })
        const last = (time: number) => right.filter((row) => row.time <= time).at(-1)?.id ?? 0
        expect(sorted(given(harness))).toEqual(
          sorted(left.map(({ key, id, time }) => [key, [id, rowOf(last(time)) ?? null], time])),
        )
      }),
      { numRuns: numRuns / 5 },
    )
  })

  it('keeps no more than max versions and values of a key, and counts what is dropped', async () => {
    const harness = new OperatorHarness(new AsOfJoin(planOf({ rowsMax: 3, keepMs: 1000, type: 'left' })))
    for (const time of [1, 2, 3, 4]) await harness.push('a', time * 10 + 1, time, 1)
    expect(harness.counts.get('dropped')).toBe(1)
    for (const time of [5, 1, 6]) await harness.push('a', `left ${time}`, time, 0)
    expect(harness.values).toEqual([])
    await harness.push('a', 'left 7', 7, 0)
    // The first one could wait no longer, and its version is gone.
    expect(harness.values).toEqual([['left 1', null]])
    expect(harness.counts.get('dropped')).toBe(2)
    await harness.advance(100)
    expect(harness.values.slice(1)).toEqual([
      ['left 5', 41],
      ['left 6', 41],
      ['left 7', 41],
    ])
  })

  it('forgets versions when nothing can ask for them any more, also of a key where nothing happens', async () => {
    const harness = new OperatorHarness(new AsOfJoin(planOf({ keepMs: 50 })))
    for (let i = 0; i < 200; i++) await harness.push('a', i * 5 + 1, i, 1)
    await harness.push('b', 1, 10, 1)
    await harness.push('b', 5, 20, 1)
    expect(harness.cells.size).toBeGreaterThan(5)
    await harness.advance(120)
    await harness.push('a', 'x', 71, 0, 120)
    await harness.push('a', 'y', 70, 0, 120)
    expect(harness.values).toEqual([['x', 71 * 5 + 1]])
    expect(harness.counts.get('late')).toBe(1)
    await harness.advance(1000)
    expect([harness.cells.size, harness.timerCount]).toEqual([1, 0])
  })
})
