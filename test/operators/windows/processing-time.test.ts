import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hopping, session, sliding, tumbling, type WindowResult } from '../../../src/operators/index.js'
import { type Arrival, type ArrivedRow, arrivals, numRuns, played } from './arrivals.js'
import { collected, folded, type Made, operatorOf } from './made.js'
import { startsAround } from './reference.js'

const time = 'processing' as const

/** Rows with the clock's time as theirs; event times and watermarks say nothing. */
function clocked(all: readonly Arrival[]): ArrivedRow[] {
  let now = 0
  return all.flatMap((each) => {
    if (each.kind === 'now') now = each.now
    return each.kind === 'row' ? [{ ...each, time: now }] : []
  })
}

async function results(
  make: ReturnType<typeof operatorOf>,
  all: readonly Arrival[],
  made: Made,
): Promise<Map<string, unknown>> {
  const harness = await played(make, all)
  expect([harness.cells.size, harness.timerCount, harness.counts.size]).toEqual([0, 0, 0])
  const given = harness.emitted.map(({ key, value }) => {
    const { start, end, kind, value: result } = value as WindowResult<unknown>
    expect(kind).toBe('onTime')
    return [`${key} ${start} ${end}`, made.shown ? made.shown(result) : result] as const
  })
  expect(new Set(given.map(([name]) => name)).size).toBe(given.length)
  return new Map(given)
}

/** What is made of the rows of each window; `windowsOf` names the windows of a row. */
function expected(
  rows: readonly ArrivedRow[],
  windowsOf: (row: ArrivedRow) => string[],
  made: Made,
): Map<string, unknown> {
  const windows = new Map<string, ArrivedRow[]>()
  for (const row of rows) for (const name of windowsOf(row)) windows.set(name, [...(windows.get(name) ?? []), row])
  // Values of one moment of the clock are told apart by their event time.
  const inEventTime = (all: readonly ArrivedRow[]): unknown => made.of(all)
  return new Map([...windows].map(([name, all]) => [name, inEventTime(all)]))
}

const bySerial: Made = { ...collected, shown: (value) => [...(value as number[])].sort((a, b) => a - b) }

describe('windows of processing time', () => {
  it('hold what came while the clock stood within them: tumbling and hopping', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 12 }),
        fc.constantFrom(bySerial, folded),
        arrivals,
        async (a, b, made, all) => {
          const [size, step] = [Math.max(a, b), Math.min(a, b)]
          const windowsOf = (row: ArrivedRow): string[] =>
            startsAround(row.time, size, step, 0).map((start) => `${row.key} ${start} ${start + size}`)
          const given = await results(operatorOf(hopping(size, step, { time }), {}, made), all, made)
          expect(given).toEqual(expected(clocked(all), windowsOf, made))
        },
      ),
      { numRuns: numRuns * 2 },
    )
  })

  it('end when no value came for the gap', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 9 }), arrivals, async (gap, all) => {
        const rows = clocked(all)
        const windowsOf = ({ key, time: at }: ArrivedRow): string[] => {
          const times = rows.filter((row) => row.key === key).map((row) => row.time)
          let [start, last] = [at, at]
          for (const each of times.filter((other) => other >= at).sort((x, y) => x - y))
            if (each <= last + gap) last = each
          for (const each of times.filter((other) => other <= at).sort((x, y) => y - x))
            if (each >= start - gap) start = each
          return [`${key} ${start} ${last + gap}`]
        }
        const given = await results(operatorOf(session(gap, { time }), {}, bySerial), all, bySerial)
        expect(given).toEqual(expected(rows, windowsOf, bySerial))
      }),
      { numRuns: numRuns * 2 },
    )
  })

  it('slide with the clock', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 20 }), arrivals, async (size, all) => {
        const rows = clocked(all)
        const windowsOf = ({ key, time: at }: ArrivedRow): string[] => {
          const ends = rows.filter((row) => row.key === key && row.time >= at && row.time <= at + size)
          return [...new Set(ends.map((row) => `${key} ${row.time - size} ${row.time}`))]
        }
        const given = await results(operatorOf(sliding(size, { time }), {}, bySerial), all, bySerial)
        expect(given).toEqual(expected(rows, windowsOf, bySerial))
      }),
      { numRuns: numRuns * 2 },
    )
  })

  it('are over when the clock shows their end, not before', async () => {
    const make = operatorOf(tumbling('10ms', { time }), { early: { every: '4ms' } }, collected)
    const harness = await played(make, [
      { kind: 'now', now: 9 },
      { kind: 'row', key: 'a', value: { n: 1, serial: 0 }, time: 77, stamp: 76 },
      { kind: 'watermark', watermark: Number.POSITIVE_INFINITY },
    ])
    expect(harness.values).toEqual([])
    await harness.pass(10)
    expect(harness.values).toEqual([{ key: 'a', start: 0, end: 10, value: [0], kind: 'onTime' }])
    expect(harness.timerCount).toBe(0)
  })
})
