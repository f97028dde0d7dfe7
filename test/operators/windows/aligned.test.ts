import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hopping, type WindowResult } from '../../../src/operators/index.js'
import { type Arrival, type ArrivedRow, arrivals, numRuns, played, wokenArrivals } from './arrivals.js'
import { collected, count, folded, type Made, mergeable, operatorOf } from './made.js'
import { type AlignedCase, alignedOutcome, expectOutcome, startsAround } from './reference.js'

/** Hopping windows, tumbling ones among them, whose size is a multiple of the step or not. */
const windows: fc.Arbitrary<AlignedCase> = fc
  .record({
    size: fc.integer({ min: 1, max: 14 }),
    step: fc.integer({ min: 1, max: 14 }),
    offset: fc.nat(20),
    lateness: fc.constantFrom(0, 0, 1, 5, 40),
  })
  .map(({ size, step, ...rest }) => ({ size: Math.max(size, step), step: Math.min(size, step), ...rest }))

const tumblingWindows = windows.map((each) => ({ ...each, step: each.size }))

const anyArrivals = fc.oneof(arrivals, wokenArrivals)

const early = fc.record({
  every: fc.option(fc.integer({ min: 1, max: 8 }), { nil: undefined }),
  count: fc.integer({ min: 1, max: 4 }),
})

async function expectSame(
  made: Made,
  { size, step, offset, lateness, early: trigger }: AlignedCase,
  all: readonly Arrival[],
  isFresh: boolean,
) {
  const options = { allowedLateness: lateness, ...(trigger && { early: defined(trigger) }) }
  const harness = await played(operatorOf(hopping(size, step, { offset }), options, made), all, isFresh)
  expectOutcome(harness, alignedOutcome(all, { size, step, offset, lateness, early: trigger }), made)
}

const defined = ({ every, count: rows }: NonNullable<AlignedCase['early']>) => ({
  ...(every !== undefined && { every }),
  ...(rows !== undefined && { count: rows }),
})

describe('tumbling and hopping windows equal brute force', () => {
  it.each(mergeable)('$name, put together of panes', async (made) => {
    await fc.assert(
      fc.asyncProperty(windows, anyArrivals, fc.boolean(), (shape, all, isFresh) =>
        expectSame(made, shape, all, isFresh),
      ),
      { numRuns },
    )
  })

  it('aggregate without a merge: each window apart, or tumbling', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(windows, tumblingWindows), anyArrivals, fc.boolean(), (shape, all, isFresh) =>
        expectSame(folded, shape, all, isFresh),
      ),
      { numRuns },
    )
  })

  it.each([count, collected, folded])('$name, with early results', async (made) => {
    await fc.assert(
      fc.asyncProperty(windows, early, anyArrivals, fc.boolean(), (shape, trigger, all, isFresh) =>
        expectSame(made, { ...shape, early: trigger }, all, isFresh),
      ),
      { numRuns },
    )
  })

  it('with more open panes than lie in the main cell', async () => {
    const rows = fc.array(fc.record({ time: fc.integer({ min: 0, max: 120 }), key: fc.constant('a') }), {
      minLength: 80,
      maxLength: 150,
    })
    await fc.assert(
      fc.asyncProperty(
        rows,
        fc.nat(120),
        fc.constantFrom(0, 6),
        fc.option(early, { nil: undefined }),
        async (given, at, lateness, trigger) => {
          const all: Arrival[] = given.map(({ key, time }, serial) => ({
            kind: 'row',
            key,
            time,
            value: { n: serial % 7, serial },
            stamp: Number.NEGATIVE_INFINITY,
          }))
          all.splice(given.length / 2, 0, { kind: 'watermark', watermark: at })
          all.push({ kind: 'watermark', watermark: Number.POSITIVE_INFINITY }, { kind: 'now', now: 1e9 })
          await expectSame(count, { size: 3, step: 2, offset: 1, lateness, early: trigger }, all, false)
        },
      ),
      { numRuns: Math.ceil(numRuns / 4) },
    )
  })
})

describe('what a window gives last', () => {
  it('is a function of what each source shard holds, whatever the order in which shards are read', async () => {
    await fc.assert(
      fc.asyncProperty(windows, arrivals, async ({ size, step, offset, lateness }, all) => {
        const spec = hopping(size, step, { offset })
        const harness = await played(operatorOf(spec, { allowedLateness: lateness }, collected), all)
        const last = new Map<string, unknown>()
        const onTime = new Map<string, number>()
        for (const each of harness.emitted) {
          if (each.output === 'late') continue
          const { start, kind, value } = each.value as WindowResult<unknown>
          const name = `${each.key} ${start}`
          last.set(name, value)
          if (kind === 'onTime') onTime.set(name, (onTime.get(name) ?? 0) + 1)
        }
        expect(last).toEqual(ofShards(all, { size, step, offset, lateness }))
        for (const times of onTime.values()) expect(times).toBe(1)
      }),
      { numRuns: numRuns * 3 },
    )
  })
})

/** The rows of each window by their own stamps, without a look at the task's watermark. */
function ofShards(all: readonly Arrival[], { size, step, offset, lateness }: AlignedCase): Map<string, unknown> {
  const rows = new Map<string, ArrivedRow[]>()
  for (const each of all) {
    if (each.kind !== 'row') continue
    for (const start of startsAround(each.time, size, step, offset)) {
      if (start + size - 1 + lateness <= each.stamp) continue
      const name = `${each.key} ${start}`
      rows.set(name, [...(rows.get(name) ?? []), each])
    }
  }
  return new Map([...rows].map(([name, each]) => [name, collected.of(each)]))
}
