import { describe, expect, expectTypeOf, it } from 'vitest'
import {
  file,
  hopping,
  type KeyedFlow,
  pipeline,
  type StreamKey,
  session,
  sliding,
  stream,
  tumbling,
  type WindowOptions,
  type WindowResult,
  type WindowSpec,
} from '../../../src/index.js'
import { describePlan, planOf } from '../../../src/operators/plan/index.js'
import { OperatorHarness } from '../operator-harness.js'
import type { TestValue } from './arrivals.js'
import { count, type Made, nodeOf } from './made.js'

interface Click {
  readonly user: string
  readonly ms: number
}

const clicks = () =>
  pipeline('clicks')
    .from(stream<Click>('clicks'))
    .map((record) => record.value)
    .keyByPartition()

const windowed = (spec: WindowSpec, options?: WindowOptions) => clicks().window(spec, options)

describe('the fluent API of windows', () => {
  it('infers its types', () => {
    const minutes = windowed(tumbling('1m'))
    const counts = minutes.count('n')
    expectTypeOf(counts).toEqualTypeOf<KeyedFlow<WindowResult<number, StreamKey>, StreamKey, { late: Click }>>()
    expectTypeOf(counts.side('late')).toEqualTypeOf<KeyedFlow<Click, StreamKey>>()
    counts.map((result, key) => {
      expectTypeOf(key).toEqualTypeOf<StreamKey>()
      expectTypeOf(result.value).toEqualTypeOf<number>()
      expectTypeOf(result.kind).toEqualTypeOf<'early' | 'onTime' | 'late'>()
      return result.start
    })
    const resultOf = <Value>(flow: KeyedFlow<WindowResult<Value, StreamKey>, StreamKey, { late: Click }>): Value =>
      flow as never
    const wide = (): void => {
      expectTypeOf(resultOf(minutes.min('a', ({ user }) => user))).toEqualTypeOf<string>()
      expectTypeOf(resultOf(minutes.topN('b', 3, { by: ({ ms }) => ms }))).toEqualTypeOf<readonly Click[]>()
      expectTypeOf(resultOf(minutes.reduce('c', (a, b) => (a.ms > b.ms ? a : b)))).toEqualTypeOf<Click>()
      expectTypeOf(
        resultOf(
          minutes.aggregate(
            'd',
            () => [] as string[],
            (all, { user }) => [...all, user],
            { merge: (a, b) => [...a, ...b] },
          ),
        ),
      ).toEqualTypeOf<string[]>()
      expectTypeOf(
        resultOf(minutes.process('e', (values, window, key) => `${values[0]?.user} ${window.dropped} ${key.key}`)),
      ).toEqualTypeOf<string>()
      const numbers = clicks().map(({ ms }) => ms)
      numbers
        .window(tumbling('1m'))
        .max('f')
        .map(({ value }) => expectTypeOf(value).toEqualTypeOf<number>())
      // @ts-expect-error clicks have no order
      minutes.max('g')
      // @ts-expect-error a sum is of numbers
      minutes.sum('h', ({ user }) => user)
      // @ts-expect-error the state of windows goes with them
      minutes.count('i', { ttl: '1d' })
      // @ts-expect-error windows have no other side output
      minutes.count('j').side('early')
    }
    expect(wide).toBeTypeOf('function')
  })

  it('describes its step, and takes what is late as a flow', () => {
    const counts = windowed(hopping('1m', '10s'), { allowedLateness: '30s' }).count('perMinute')
    const ends = [counts.to(file('counts')), counts.side('late').to(file('late'))]
    const nodes = describePlan(planOf(ends)).nodes
    expect(nodes.find(({ kind }) => kind === 'keyed')).toMatchObject({
      operator: 'hopping.count',
      name: 'perMinute',
      sides: ['late'],
      bound: '1m and 30s of lateness of event time',
    })
    expect(nodes.find(({ kind }) => kind === 'output')).toMatchObject({ output: 'late' })
  })

  it.each<[string, () => unknown, string, string]>([
    [
      'no duration',
      () => windowed(tumbling('soon')),
      '"soon" is no duration for the size of tumbling windows in Step 3 of clicks',
      '10s',
    ],
    ['a size of nothing', () => windowed(tumbling(0)), '0 is no duration', 'at least 1'],
    ['half a millisecond', () => windowed(tumbling(0.5)), '0.5 is no duration', 'whole milliseconds'],
    ['a gap of nothing', () => windowed(session(0)), '0 is no duration for the gap of session windows', 'at least 1'],
    ['a negative gap', () => windowed(session('-5s')), '"-5s" is no duration', 'at least 1'],
    ['a millennium', () => windowed(sliding('365000d')), '"365000d" is too long', '36500d'],
    [
      'a step longer than the size',
      () => windowed(hopping('10s', '11s')),
      'windows of 10s every 11s',
      'step as long as the size',
    ],
    [
      'too many windows for a value',
      () => windowed(hopping('1d', '1ms')),
      'each value into 86400000 windows; 10000 are allowed',
      '8s 640ms',
    ],
    ['a bad offset', () => windowed(tumbling('1d', { offset: 'noon' })), 'the offset of windows', 'whole milliseconds'],
    [
      'another kind of time',
      () => windowed(tumbling('1d', { time: 'lunar' as never })),
      '"lunar" time',
      "'processing'",
    ],
    ['no windows', () => windowed({} as never), 'was given no windows', 'tumbling'],
    ['nothing', () => windowed(undefined as never), 'was given no windows', 'tumbling'],
    [
      'lateness in processing time',
      () => windowed(tumbling('1d', { time: 'processing' }), { allowedLateness: '1s' }),
      'nothing is late',
      'allowedLateness',
    ],
    ['a bad lateness', () => windowed(tumbling('1d'), { allowedLateness: -1 }), 'allowedLateness', 'at least 0'],
    ['early without a when', () => windowed(tumbling('1d'), { early: {} }), 'not when', 'every'],
    ['early after no rows', () => windowed(tumbling('1d'), { early: { count: 0 } }), 'early.count', 'at least 1'],
    ['early after no time', () => windowed(tumbling('1d'), { early: { every: 0 } }), 'early.every', 'at least 1'],
    ['early results of sliding windows', () => windowed(sliding('1d'), { early: { count: 1 } }), 'sliding', 'hopping'],
    [
      'early results of thousands of windows',
      () => windowed(hopping('2h', '1s'), { early: { count: 1 } }).count('n'),
      '7200 windows; 1000 are allowed',
      'leave early out',
    ],
    [
      'thousands of windows without a merge',
      () =>
        windowed(hopping('2h', '1s')).aggregate(
          'n',
          () => 0,
          (n) => n + 1,
        ),
      '7200 windows; 1000 are allowed',
      'merge',
    ],
    [
      'sessions without a merge',
      () =>
        windowed(session('1h')).aggregate(
          'n',
          () => 0,
          (n) => n + 1,
        ),
      'Step 3 of clicks (session.aggregate) has no merge function',
      'merge:',
    ],
    [
      'sliding windows without a merge',
      () =>
        windowed(sliding('1h')).aggregate(
          'n',
          () => 0,
          (n) => n + 1,
        ),
      'has no merge function',
      'merge:',
    ],
    [
      'no function to sum',
      () => windowed(tumbling('1h')).sum('n', undefined as never),
      'tumbling.sum) has no function',
      'Give it one',
    ],
    [
      'no first state',
      () => windowed(tumbling('1h')).aggregate('n', 0 as never, (n) => n),
      'no function that gives its first state',
      'initial',
    ],
    ['no best ones', () => windowed(tumbling('1h')).topN('n', 0, { by: ({ ms }) => ms }), 'n of Step 3', 'at least 1'],
  ])('refuses %s', (_what, make, message, remedy) => {
    expect(make).toThrowError(
      expect.objectContaining({
        code: 'PIPELINE_INVALID',
        message: expect.stringContaining(message) as string,
        remedy: expect.stringContaining(remedy) as string,
      }),
    )
  })
})

describe('aggregates over windows', () => {
  const given = async (made: Pick<Made, 'make'>, values: readonly TestValue[], spec = tumbling(100)) => {
    const harness = new OperatorHarness(nodeOf(spec, {}, { ...made, name: '', of: () => 0 }).make())
    for (const [i, value] of values.entries()) await harness.push('a', value, i)
    await harness.advance(Number.POSITIVE_INFINITY)
    return harness
  }
  const values = [4, 1, 3, 1, 2].map((n, serial) => ({ n, serial }))

  it('keep their bounds and count what they drop', async () => {
    const full: [Pick<Made, 'make'>, unknown, number][] = [
      [{ make: (windows) => windows.distinct('x', ({ n }) => n, { max: 2 }) }, 2, 2],
      [{ make: (windows) => windows.process('x', (all, { dropped }) => [all.length, dropped], { max: 3 }) }, [3, 2], 2],
      [{ make: (windows) => windows.topN('x', 1, { by: ({ n }) => n, id: ({ n }) => n, max: 2 }) }, [values[0]], 3],
    ]
    for (const [made, value, dropped] of full) {
      const harness = await given(made, values)
      expect(harness.values).toMatchObject([{ value }])
      expect(harness.counts.get('dropped')).toBe(dropped)
    }
  })

  it('keep their bounds when panes are put together', async () => {
    const made: Pick<Made, 'make'> = {
      make: (windows) => windows.process('x', (all, { dropped }) => [all.length, dropped], { max: 3 }),
    }
    const harness = await given(made, values, hopping(4, 2))
    expect(harness.values.map((value) => (value as WindowResult<unknown>).value)).toEqual([
      [2, 0],
      [3, 1],
      [3, 0],
      [1, 0],
    ])
  })

  it.each<[string, Pick<Made, 'make'>, string]>([
    ['a sum of a text', { make: (windows) => windows.sum('x', () => 'a' as never) }, "sum('x') was given a string"],
    ['a sum of no number', { make: (windows) => windows.sum('x', () => Number.NaN) }, "sum('x') was given NaN"],
    [
      'a sum past the largest number',
      { make: (windows) => windows.sum('x', () => 1.7e308) },
      'past the largest number',
    ],
    [
      'a mean of nothing',
      { make: (windows) => windows.average('x', () => undefined as never) },
      "average('x') was given undefined",
    ],
    ['a text and a number', { make: (windows) => windows.min('x', ({ n }) => (n > 1 ? n : 'a')) }, 'have no order'],
    [
      'a state that is none',
      {
        make: (windows) =>
          windows.aggregate(
            'x',
            () => 0,
            () => undefined as never,
          ),
      },
      'which is no state',
    ],
    [
      'a fold that gives nothing',
      { make: (windows) => windows.reduce('x', () => undefined as never) },
      'which is no state',
    ],
    [
      'a class to tell apart',
      { make: (windows) => windows.distinct('x', () => new URL('http://a')) },
      'cannot be compared',
    ],
    [
      'what throws',
      {
        make: (windows) =>
          windows.process('x', () => {
            throw new Error('no')
          }),
      },
      'no',
    ],
  ])('refuse %s', async (_what, made, message) => {
    await expect(given(made, values)).rejects.toThrow(message)
  })

  it('take the state of an older version through migrate, in every shape of cell', async () => {
    for (const spec of [tumbling(100), hopping(100, 50), session(100), sliding(100)]) {
      const windows = (version: number): Made => ({
        ...count,
        make: (all) =>
          all.aggregate<{ n: number } | { total: number }>(
            'x',
            () => (version === 1 ? { n: 0 } : { total: 0 }),
            (state, { n }) => ('n' in state ? { n: state.n + n } : { total: state.total + n }),
            {
              version,
              merge: (a, b) =>
                'n' in a ? { n: a.n + (b as { n: number }).n } : { total: a.total + (b as { total: number }).total },
              migrate: (state) => ({ total: (state as { n: number }).n }),
            },
          ),
      })
      let operator = nodeOf(spec, {}, windows(1)).make()
      const harness = new OperatorHarness({
        cellsOf: (row, input) => operator.cellsOf?.(row, input) ?? [undefined],
        cellsOfTimer: (timer) => operator.cellsOfTimer?.(timer) ?? [undefined],
        onRow: (row, input, context) => operator.onRow(row, input, context),
        onTimer: (timer, context) => operator.onTimer?.(timer, context),
      })
      await harness.push('a', { n: 3, serial: 0 }, 10)
      operator = nodeOf(spec, {}, windows(2)).make()
      await harness.push('a', { n: 4, serial: 1 }, 20)
      await harness.advance(Number.POSITIVE_INFINITY)
      const totals = harness.values.map((value) => (value as WindowResult<unknown>).value)
      const expected = { tumbling: [7], hopping: [7, 7], session: [7], sliding: [3, 7] }[spec.kind]
      expect(totals).toEqual(expected.map((total) => ({ total })))
      expect(harness.cells.size).toBe(0)
    }
  })
})
