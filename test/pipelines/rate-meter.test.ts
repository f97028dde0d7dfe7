import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RateMeter } from '../../src/pipelines/rate-meter.js'
import { ManualClock } from '../manual-clock.js'

const meterOf = () => {
  const clock = new ManualClock()
  clock.elapsed = 50_000
  const counts = [0, 0]
  const meter = new RateMeter(clock)
  const grow = (i: number, by: number) => {
    meter.willGrow(counts)
    counts[i] = (counts[i] as number) + by
  }
  return { clock, counts, meter, grow, rates: () => meter.rates(counts) }
}

test('a rate is over the last ten seconds, each count by itself', () => {
  const { clock, grow, rates } = meterOf()
  expect(rates()).toEqual([0, 0])
  for (let second = 0; second < 30; second++) {
    grow(0, 40)
    if (second < 10) grow(1, 1000)
    clock.advance(1000)
  }
  expect(rates()).toEqual([40, 0])
})

test('what began just now counts from its beginning, and what stopped goes to 0 without being told', () => {
  const { clock, grow, rates } = meterOf()
  clock.advance(2000)
  grow(0, 100)
  expect(rates()[0]).toBe(50)
  clock.advance(60_000)
  expect(rates()).toEqual([0, 0])
  grow(0, 30)
  expect(rates()[0]).toBe(3)
})

test('whatever comes when, a rate is that of a stretch that differs from ten seconds by one at most', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(4000), fc.nat(50)), { minLength: 1, maxLength: 60 }), (steps) => {
      const { clock, grow, rates } = meterOf()
      clock.advance(20_000)
      const grown: { at: number; by: number }[] = []
      for (const [ms, by] of steps) {
        clock.advance(ms)
        grow(0, by)
        grown.push({ at: clock.elapsed, by })
        const since = (age: number) =>
          grown.filter(({ at }) => at >= clock.elapsed - age).reduce((sum, each) => sum + each.by, 0)
        expect(rates()[0]).toBeGreaterThanOrEqual(since(9000) / 10)
        expect(rates()[0]).toBeLessThanOrEqual(since(10_000) / 10)
      }
    }),
  )
})
