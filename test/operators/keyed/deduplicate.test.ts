import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Deduplicate } from '../../../src/operators/keyed/index.js'
import { OperatorHarness } from '../operator-harness.js'
import { keys, rowsOf, runs } from './rows.js'

const names = fc.constantFrom<unknown>('x', 'y', 1, '1', { z: 1 })
const identity = (value: unknown): string => `${typeof value} ${JSON.stringify(value)}`

describe('deduplicate', () => {
  it('for ever lets the first of its like through', async () => {
    await fc.assert(
      fc.asyncProperty(rowsOf(names), fc.boolean(), fc.boolean(), async (rows, hasBy, isAsync) => {
        const by = isAsync ? (value: unknown) => Promise.resolve(value) : (value: unknown) => value
        const harness = new OperatorHarness(new Deduplicate(hasBy ? by : undefined, undefined))
        for (const { key, value, time } of rows) await harness.push(key, value, time)
        const seen = new Set<string>()
        const expected = rows.filter(({ key, value }) => {
          const like = hasBy ? `${key} ${identity(value)}` : key
          const isNew = !seen.has(like)
          seen.add(like)
          return isNew
        })
        expect(harness.emitted.map(({ key, value, time }) => ({ key, value, time }))).toEqual(
          expected.map(({ key, value, time }) => ({ key, value, time })),
        )
        expect(harness.counts.get('duplicate') ?? 0).toBe(rows.length - expected.length)
      }),
      runs(300),
    )
  })

  /** A history with watermarks in between: what was let through is remembered for ever, and nothing is cleaned up. */
  const history = fc.array(
    fc.oneof(
      { weight: 4, arbitrary: fc.record({ key: keys, value: names, time: fc.integer({ min: 0, max: 200 }) }) },
      { weight: 1, arbitrary: fc.record({ watermark: fc.integer({ min: 0, max: 200 }) }) },
    ),
    { maxLength: 60 },
  )

  it('within a duration remembers as if it never forgot, also of late values', async () => {
    await fc.assert(
      fc.asyncProperty(history, fc.integer({ min: 1, max: 60 }), async (events, withinMs) => {
        const harness = new OperatorHarness(new Deduplicate((value) => value, withinMs))
        const through: { like: string; time: number }[] = []
        const expected: { key: string; value: unknown; time: number; output: string | undefined }[] = []
        let watermark = Number.NEGATIVE_INFINITY
        for (const event of events) {
          if ('watermark' in event) {
            watermark = Math.max(watermark, event.watermark)
            await harness.advance(watermark)
            continue
          }
          const { key, value, time } = event
          await harness.push(key, value, time)
          const like = `${key} ${identity(value)}`
          const isLate = time < watermark - withinMs
          const isAgain = through.some((each) => each.like === like && Math.abs(each.time - time) < withinMs)
          if (isLate) expected.push({ key, value, time, output: 'late' })
          else if (!isAgain) {
            through.push({ like, time })
            expected.push({ key, value, time, output: undefined })
          }
        }
        expect(harness.emitted).toEqual(expected)
        await harness.advance(Number.POSITIVE_INFINITY)
        expect(harness.cells.size).toBe(0)
        expect(harness.timerCount).toBe(0)
      }),
      runs(500),
    )
  })
})
