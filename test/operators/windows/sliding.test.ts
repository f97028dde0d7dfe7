import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sliding, type WindowResult } from '../../../src/operators/index.js'
import { type ArrivedRow, arrivals, numRuns, played, wokenArrivals } from './arrivals.js'
import { playedInPlace } from './in-place.js'
import { collected, count, mergeable, operatorOf } from './made.js'
import { expectOutcome, slidingOutcome } from './reference.js'

const sizes = fc.integer({ min: 1, max: 30 })
const latenesses = fc.constantFrom(0, 0, 1, 5, 40)

describe('sliding windows', () => {
  it.each(mergeable)('equal brute force: $name', async (made) => {
    await fc.assert(
      fc.asyncProperty(
        sizes,
        latenesses,
        fc.oneof(arrivals, wokenArrivals),
        fc.boolean(),
        async (size, lateness, all, isFresh) => {
          const harness = await played(operatorOf(sliding(size), { allowedLateness: lateness }, made), all, isFresh)
          expectOutcome(harness, slidingOutcome(all, { size, lateness }), made)
        },
      ),
      { numRuns },
    )
  })

  it('give last what is a function of each source shard', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, latenesses, arrivals, async (size, lateness, all) => {
        const harness = await played(operatorOf(sliding(size), { allowedLateness: lateness }, collected), all)
        const last = new Map<string, unknown>()
        for (const { key, value } of harness.emitted.filter(({ output }) => output === undefined)) {
          const { end, value: serials } = value as WindowResult<unknown>
          last.set(`${key} ${end}`, serials)
        }
        const rows = all.filter((each) => each.kind === 'row').filter(({ stamp, time }) => stamp < time + lateness)
        const within = ({ key, time }: ArrivedRow): ArrivedRow[] =>
          rows.filter((row) => row.key === key && row.time >= time - size && row.time <= time)
        expect(last).toEqual(new Map(rows.map((row) => [`${row.key} ${row.time}`, collected.of(within(row))])))
      }),
      { numRuns: numRuns * 3 },
    )
  })

  it('refuse more different times than one cell may hold', async () => {
    const times = [...Array(10_001).keys()]
    const make = operatorOf(sliding(80_008), {}, count)
    await expect(playedInPlace(make, times)).rejects.toThrow('at more than 10000 different times')
  })
})
