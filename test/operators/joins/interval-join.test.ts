import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { IntervalJoin, type IntervalJoinPlan } from '../../../src/operators/joins/interval-join.js'
import type { JoinType } from '../../../src/operators/joins/options.js'
import { OperatorHarness } from '../operator-harness.js'
import { feed, type SourceRow, sorted, type TwoSources, twoSources } from './two-sources.js'

const numRuns = process.env.MILLRACE_LONG === undefined ? 100 : 20_000

const types: readonly JoinType[] = ['inner', 'left', 'right', 'outer']

const planOf = (plan: Partial<IntervalJoinPlan>): IntervalJoinPlan => ({
  type: 'inner',
  beforeMs: 10,
  afterMs: 10,
  latenessMs: 0,
  rowsMax: 1000,
  combine: (left, right) => [left ?? null, right ?? null],
  ...plan,
})

/** Every pair by its definition. */
function expected({ left, right }: TwoSources, plan: IntervalJoinPlan) {
  const isLate = (row: SourceRow) => row.time <= row.stamp - plan.latenessMs
  const lefts = left.filter((row) => !isLate(row))
  const rights = right.filter((row) => !isLate(row))
  const isPair = (l: SourceRow, r: SourceRow) =>
    l.key === r.key && r.time >= l.time - plan.beforeMs && r.time <= l.time + plan.afterMs
  const results: unknown[] = []
  for (const l of lefts)
    for (const r of rights) if (isPair(l, r)) results.push([l.key, [l.id, r.id], Math.max(l.time, r.time)])
  if (plan.type === 'left' || plan.type === 'outer')
    for (const l of lefts)
      if (!rights.some((r) => isPair(l, r)))
        results.push([l.key, [l.id, null], l.time + plan.afterMs + plan.latenessMs])
  if (plan.type === 'right' || plan.type === 'outer')
    for (const r of rights)
      if (!lefts.some((l) => isPair(l, r)))
        results.push([r.key, [null, r.id], r.time + plan.beforeMs + plan.latenessMs])
  const late = [
    ...left.filter(isLate).map(({ id }) => ({ side: 'left', value: id })),
    ...right.filter(isLate).map(({ id }) => ({ side: 'right', value: id })),
  ]
  return { results, late }
}

const outputsOf = (harness: OperatorHarness, wanted: string | undefined) =>
  harness.emitted.filter(({ output }) => output === wanted)

describe('a join by an interval', () => {
  for (const type of types) {
    for (const [rowsMax, timeMax] of [
      [25, 60],
      [90, 60],
    ] as const) {
      it(`${type}: gives every pair of up to ${rowsMax} rows a side once, in whatever order they arrive`, async () => {
        const distance = fc.integer({ min: 0, max: timeMax })
        await fc.assert(
          fc.asyncProperty(
            twoSources(rowsMax, timeMax),
            fc.record({ beforeMs: distance, afterMs: distance, latenessMs: fc.constantFrom(0, 0, 7) }),
            async (sources, times) => {
              const plan = planOf({ type, ...times })
              const harness = await feed(new IntervalJoin(plan), sources)
              const { results, late } = expected(sources, plan)
              const given = outputsOf(harness, undefined).map(({ key, value, time }) => [key, value, time])
              expect(sorted(given)).toEqual(sorted(results))
              expect(sorted(outputsOf(harness, 'late').map(({ value }) => value))).toEqual(sorted(late))
              expect(harness.counts.get('late') ?? 0).toBe(late.length)
              // What is over is gone: nothing is left in the end.
              expect([harness.cells.size, harness.timerCount]).toEqual([0, 0])
            },
          ),
          { numRuns: rowsMax > 50 ? Math.ceil(numRuns / 5) : numRuns },
        )
      })
    }
  }

  it('keeps no more than max rows per key and side, and counts what is dropped', async () => {
    await fc.assert(
      fc.asyncProperty(
        twoSources(60, 60, ['a']),
        fc.integer({ min: 1, max: 50 }),
        fc.constantFrom(...types),
        async (sources, rowsMax, type) => {
          const plan = planOf({ type, rowsMax, beforeMs: 40, afterMs: 25 })
          const harness = await feed(new IntervalJoin(plan), sources)
          const unbounded = sorted(expected(sources, plan).results)
          const pairs = outputsOf(harness, undefined).map(({ key, value, time }) => [key, value, time] as const)
          const isPair = ([, value]: readonly [string, unknown, number]) => !(value as unknown[]).includes(null)
          // Pairs may be missing, none is wrong; and no row of an outer side is lost.
          for (const pair of sorted(pairs.filter(isPair))) expect(unbounded).toContain(pair)
          const isComplete = (harness.counts.get('dropped') ?? 0) === 0
          if (isComplete) expect(sorted(pairs)).toEqual(unbounded)
          const isAccepted = (row: SourceRow) => row.time > row.stamp
          const outer = [
            ...(type === 'left' || type === 'outer' ? sources.left : []),
            ...(type === 'right' || type === 'outer' ? sources.right : []),
          ].filter(isAccepted)
          const given = new Set(pairs.flatMap(([, value]) => value as number[]))
          for (const { id } of outer) expect(given).toContain(id)
          expect([harness.cells.size, harness.timerCount]).toEqual([0, 0])
        },
      ),
      { numRuns: numRuns / 2 },
    )
  })

  it('drops the earliest row of a side first', async () => {
    const harness = new OperatorHarness(new IntervalJoin(planOf({ rowsMax: 2, type: 'left', afterMs: 100 })))
    for (const [value, time] of [
      [1, 50],
      [2, 20],
      [3, 60],
    ] as const)
      await harness.push('a', value, time, 0)
    expect(harness.emitted).toEqual([{ key: 'a', value: [2, null], time: 120, output: undefined }])
    expect(harness.counts.get('dropped')).toBe(1)
    await harness.push('a', 9, 55, 1)
    expect(harness.values).toEqual([
      [2, null],
      [1, 9],
      [3, 9],
    ])
  })

  it('joins for ever, with all that is kept', async () => {
    const forever = { beforeMs: Number.POSITIVE_INFINITY, afterMs: Number.POSITIVE_INFINITY }
    await fc.assert(
      fc.asyncProperty(twoSources(60, 1000), async (sources) => {
        const harness = await feed(new IntervalJoin(planOf(forever)), sources)
        const pairs = sources.left.flatMap((l) =>
          sources.right.filter((r) => r.key === l.key).map((r) => [l.id, r.id] as const),
        )
        expect(sorted(harness.values)).toEqual(sorted(pairs))
        expect(harness.timerCount).toBe(0)
      }),
      { numRuns: numRuns / 5 },
    )
    const harness = new OperatorHarness(new IntervalJoin(planOf({ ...forever, rowsMax: 50 })))
    for (let i = 0; i < 200; i++) await harness.push('a', i, i, 0)
    expect(harness.counts.get('dropped')).toBe(150)
    await harness.push('a', 'x', 0, 1)
    expect(harness.values).toEqual(Array.from({ length: 50 }, (_, i) => [150 + i, 'x']))
  })

  it('touches few cells of a key with many rows', async () => {
    const harness = new OperatorHarness(new IntervalJoin(planOf({ rowsMax: 5000 })))
    for (let i = 0; i < 2000; i++) await harness.push('a', i, i, 0)
    const puts: string[] = []
    const set = harness.cells.set.bind(harness.cells)
    harness.cells.set = (name, value) => {
      puts.push(name)
      return set(name, value)
    }
    await harness.push('a', 2000, 2000, 0)
    expect(puts).toHaveLength(2)
    expect(harness.cells.size).toBeGreaterThan(50)
    await harness.push('a', 'x', 1000, 1)
    expect(harness.values).toHaveLength(21)
    await harness.advance(1e9)
    expect(harness.cells.size).toBe(0)
  })

  it('awaits what the function gives, one after the other', async () => {
    const order: unknown[] = []
    const combine = async (left: unknown, right: unknown) => {
      order.push(left)
      await Promise.resolve()
      order.push(-(left as number))
      return [left, right]
    }
    const harness = new OperatorHarness(new IntervalJoin(planOf({ combine })))
    for (const id of [1, 2, 3]) await harness.push('a', id, id, 0)
    await harness.push('a', 9, 2, 1)
    expect(order).toEqual([1, -1, 2, -2, 3, -3])
    expect(harness.values).toEqual([
      [1, 9],
      [2, 9],
      [3, 9],
    ])
  })
})
