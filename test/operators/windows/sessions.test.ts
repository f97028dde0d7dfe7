import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { session, type WindowResult } from '../../../src/operators/index.js'
import { type ArrivedRow, arrivals, numRuns, played, wokenArrivals } from './arrivals.js'
import { playedInPlace } from './in-place.js'
import { collected, count, mergeable, operatorOf } from './made.js'
import { expectOutcome, sessionOutcome } from './reference.js'

const gaps = fc.integer({ min: 1, max: 9 })
const latenesses = fc.constantFrom(0, 0, 1, 5, 40)
const anyArrivals = fc.oneof(arrivals, wokenArrivals)

describe('session windows', () => {
  it.each(mergeable)('equal brute force: $name', async (made) => {
    await fc.assert(
      fc.asyncProperty(gaps, latenesses, anyArrivals, fc.boolean(), async (gap, lateness, all, isFresh) => {
        const harness = await played(operatorOf(session(gap), { allowedLateness: lateness }, made), all, isFresh)
        expectOutcome(harness, sessionOutcome(all, { gap, lateness }), made)
      }),
      { numRuns },
    )
  })

  it.each([
    ['a number of rows', { count: 2 }],
    ['processing time', { every: 4 }],
    ['both', { every: 4, count: 3 }],
  ])('equal brute force, with early results by %s', async (_what, early) => {
    await fc.assert(
      fc.asyncProperty(gaps, latenesses, anyArrivals, fc.boolean(), async (gap, lateness, all, isFresh) => {
        const options = { allowedLateness: lateness, early }
        const harness = await played(operatorOf(session(gap), options, collected), all, isFresh)
        expectOutcome(harness, sessionOutcome(all, { gap, lateness, early }), collected)
      }),
      { numRuns: numRuns * 2 },
    )
  })

  it('of rows within the bound are a function of what each source shard holds', async () => {
    await fc.assert(
      fc.asyncProperty(gaps, arrivals, async (gap, all) => {
        const within = all.filter((each) => each.kind !== 'row' || each.time > each.stamp)
        const harness = await played(operatorOf(session(gap), {}, collected), within)
        const rows = within.filter((each) => each.kind === 'row')
        const given = harness.values.map((value) => value as WindowResult<number[]>)
        expect(given.every(({ kind }) => kind === 'onTime')).toBe(true)
        expect(sorted(given.map(({ value }) => value))).toEqual(sorted(chains(rows, gap)))
      }),
      { numRuns: numRuns * 3 },
    )
  })

  it('a row exactly the gap later still belongs, whenever the watermark comes', async () => {
    for (const watermarks of [[], [1009], [1000, 1009]]) {
      const harness = await played(operatorOf(session('1s'), {}, count), [
        { kind: 'row', key: 'a', value: { n: 1, serial: 0 }, time: 10, stamp: 9 },
        ...watermarks.map((watermark) => ({ kind: 'watermark' as const, watermark })),
        { kind: 'row', key: 'a', value: { n: 1, serial: 1 }, time: 1010, stamp: 1009 },
        { kind: 'row', key: 'a', value: { n: 1, serial: 2 }, time: 2011, stamp: 2010 },
        { kind: 'watermark', watermark: Number.POSITIVE_INFINITY },
      ])
      expect(harness.values).toEqual([
        { key: 'a', start: 10, end: 2010, value: 2, kind: 'onTime' },
        { key: 'a', start: 2011, end: 3011, value: 1, kind: 'onTime' },
      ])
    }
  })

  it('gives the oldest session of a key early when there are too many, and counts it', async () => {
    const times = Array.from({ length: 1003 }, (_, i) => i * 10)
    const { emitted, counts } = await playedInPlace(operatorOf(session(1), {}, count), times)
    expect(counts.get('evicted')).toBe(3)
    expect(emitted).toEqual(
      [0, 10, 20].map((time) => ({ key: 'a', start: time, end: time + 1, value: 1, kind: 'early' })),
    )
  })
})

const sorted = (lists: readonly number[][]): string[] => lists.map((list) => list.join()).sort()

/** Serials of rows that hang together: sorted by time, cut where a gap is longer. */
function chains(rows: readonly ArrivedRow[], gap: number): number[][] {
  return ['a', 'b'].flatMap((key) => {
    const own = rows.filter((row) => row.key === key).sort((a, b) => a.time - b.time || a.value.serial - b.value.serial)
    const lists: number[][] = []
    own.forEach((row, i) => {
      const before = own[i - 1]
      if (before && row.time - before.time <= gap) lists.at(-1)?.push(row.value.serial)
      else lists.push([row.value.serial])
    })
    return lists
  })
}
