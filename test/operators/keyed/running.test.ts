import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Average, Count, Distinct, Extreme, Folding, Sum } from '../../../src/operators/keyed/index.js'
import type { KeyedOperator } from '../../../src/operators/task/keyed-operator.js'
import { OperatorHarness } from '../operator-harness.js'
import { keys, pushed, rowsOf, running, runs } from './rows.js'

const amounts = fc.integer({ min: -5, max: 5 })
const later = <Value>(value: Value): Promise<Value> => Promise.resolve(value)

/** What each step gives for all values of a key so far. Each is run with a plain function and with one that gives promises. */
const steps: [string, (isAsync: boolean) => KeyedOperator, (values: readonly number[]) => unknown][] = [
  ['count', () => new Count(), (values) => values.length],
  [
    'sum',
    (isAsync) => new Sum('n', (value) => (isAsync ? later(value) : value)),
    (values) => values.reduce((a, b) => a + b, 0),
  ],
  [
    'average',
    (isAsync) => new Average('n', (value) => (isAsync ? later(value) : value)),
    (values) => values.reduce((a, b) => a + b, 0) / values.length,
  ],
  ['min', (isAsync) => new Extreme('min', 'n', isAsync ? later : undefined), (values) => Math.min(...values)],
  ['max', (isAsync) => new Extreme('max', 'n', isAsync ? later : undefined), (values) => Math.max(...values)],
  ['distinct', (isAsync) => new Distinct(isAsync ? later : undefined, 100), (values) => new Set(values).size],
  [
    'reduce',
    (isAsync) =>
      new Folding('n', undefined, (a, b) => {
        const next = (a as number) * 2 - (b as number)
        return isAsync ? later(next) : next
      }),
    (values) => values.reduce((a, b) => a * 2 - b),
  ],
]

describe('a running result equals the plain one over all values of its key', () => {
  it.each(steps)('%s', async (_name, make, reference) => {
    await fc.assert(
      fc.asyncProperty(rowsOf(amounts), fc.boolean(), async (rows, isAsync) => {
        const emitted = await pushed(new OperatorHarness(make(isAsync)), rows)
        expect(emitted).toEqual(running(rows, reference))
      }),
      runs(200),
    )
  })

  it('aggregate, whose fold sees the key', async () => {
    await fc.assert(
      fc.asyncProperty(rowsOf(amounts), fc.boolean(), async (rows, isAsync) => {
        const fold = (state: unknown, value: unknown, key: unknown) => {
          const next = { all: `${(state as { all: string }).all}${key}${value}` }
          return isAsync ? later(next) : next
        }
        const emitted = await pushed(new OperatorHarness(new Folding('n', () => ({ all: '' }), fold)), rows)
        const seen = new Map<string, string>()
        const expected = rows.map(({ key, value }) => {
          const all = `${seen.get(key) ?? ''}${key}${value}`
          seen.set(key, all)
          return { all }
        })
        expect(emitted.map(({ value }) => value)).toEqual(expected)
      }),
      runs(200),
    )
  })

  it('min and max of texts and bigints', async () => {
    const values = fc.oneof(fc.constantFrom('x', 'y', 'a'), fc.constantFrom('', 'zz'))
    await fc.assert(
      fc.asyncProperty(rowsOf(values), rowsOf(fc.bigInt({ min: -9n, max: 9n })), async (texts, bigints) => {
        const [least, greatest] = [new Extreme('min', 'n', undefined), new Extreme('max', 'n', undefined)]
        expect(await pushed(new OperatorHarness(least), texts)).toEqual(running(texts, (all) => [...all].sort()[0]))
        expect(await pushed(new OperatorHarness(greatest), bigints)).toEqual(
          running(bigints, (all) => [...all].sort((a, b) => Number(b - a))[0]),
        )
      }),
      runs(200),
    )
  })
})

describe('distinct', () => {
  it('compares by what a value holds, whatever the order of its members', async () => {
    const value = fc.oneof(
      fc.constantFrom<unknown>(1, '1', 1n, true, null, undefined, 'true', 0, -0, NaN),
      fc.record({ x: fc.constantFrom<unknown>(1, '1', [1], ['1'], { y: 1 }), z: fc.boolean() }),
      fc.constantFrom(new Uint8Array([1, 2]), Buffer.from([1, 2]), new Date(5), new Date(6)),
    )
    await fc.assert(
      fc.asyncProperty(rowsOf(value), async (rows) => {
        const emitted = await pushed(new OperatorHarness(new Distinct(undefined, 100)), rows)
        expect(emitted).toEqual(
          running(
            rows,
            (values) => values.filter((each, i) => values.findIndex((other) => isAlike(each, other)) === i).length,
          ),
        )
      }),
      runs(300),
    )
    const harness = new OperatorHarness(new Distinct(undefined, 100))
    await harness.push('a', { x: 1, y: 2 }, 0)
    await harness.push('a', { y: 2, x: 1 }, 0)
    expect(harness.values).toEqual([1, 1])
  })

  it('remembers no more than its bound, and counts what it leaves out', async () => {
    const harness = new OperatorHarness(new Distinct(undefined, 3))
    for (const value of [1, 2, 3, 4, 1, 5]) await harness.push('a', value, 0)
    expect(harness.values).toEqual([1, 2, 3, 3, 3, 3])
    expect(harness.counts).toEqual(new Map([['dropped', 2]]))
  })

  const cyclic: unknown[] = []
  cyclic.push(cyclic)
  it.each([
    ['a function', () => 1, 'A function cannot'],
    ['an object of a class', new URL('http://a'), 'the class URL'],
    ['what holds itself', cyclic, 'holds itself'],
  ])('refuses %s, which it cannot compare', async (_what, value, says) => {
    const harness = new OperatorHarness(new Distinct(undefined, 3))
    await expect(harness.push('a', value, 0)).rejects.toThrow(says)
  })
})

describe('a value that a step cannot take is named', () => {
  const sum = (give: () => unknown) => new Sum('s', give)
  it.each<[string, KeyedOperator, string]>([
    ['sum of text', sum(() => '1'), "sum('s') was given a string"],
    ['sum of NaN', sum(() => NaN), "sum('s') was given NaN"],
    ['sum of a promise of undefined', sum(() => later(undefined)), "sum('s') was given undefined"],
    ['average of a bigint', new Average('s', () => 1n), "average('s') was given a bigint"],
    ['min of NaN', new Extreme('min', 's', () => NaN), "min('s') was given NaN"],
    ['max of an object', new Extreme('max', 's', () => ({})), "max('s') was given an object"],
    ['reduce of undefined', new Folding('s', undefined, () => undefined), "reduce('s') returned undefined"],
    [
      'aggregate to undefined',
      new Folding(
        's',
        () => 1,
        () => later(undefined),
      ),
      "aggregate('s') returned undefined",
    ],
  ])('%s', async (_what, operator, says) => {
    const harness = new OperatorHarness(operator)
    const pushing = async () => {
      await harness.push('a', 1, 0)
      await harness.push('a', 1, 0)
    }
    await expect(pushing()).rejects.toThrow(says)
  })

  it('a sum past the largest number, and a text beside a number', async () => {
    const harness = new OperatorHarness(sum(() => 1e308))
    await harness.push('a', 1, 0)
    await expect(harness.push('a', 1, 0)).rejects.toThrow("sum('s') has grown past the largest number.")
    const mixed = new OperatorHarness(new Extreme('min', 's', undefined))
    await mixed.push('a', 1, 0)
    await expect(mixed.push('a', '1', 0)).rejects.toThrow('no order')
  })
})

/** Alike by what they hold: the test's own comparison. */
function isAlike(a: unknown, b: unknown): boolean {
  if (typeof a !== typeof b) return false
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0
  if (a instanceof Date || b instanceof Date || a instanceof Uint8Array || b instanceof Uint8Array)
    return a instanceof Date && b instanceof Date && a.getTime() === b.getTime()
  if (typeof a !== 'object' || a === null || b === null) return a === b || Object.is(a, b)
  return JSON.stringify(a) === JSON.stringify(b)
}

describe('keys', () => {
  it('have nothing to do with each other', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(keys, { maxLength: 30 }), async (order) => {
        const harness = new OperatorHarness(new Count())
        for (const key of order) await harness.push(key, 1, 0)
        for (const key of new Set(order))
          expect(harness.emitted.filter((each) => each.key === key).map(({ value }) => value)).toEqual(
            order.filter((each) => each === key).map((_, i) => i + 1),
          )
      }),
      runs(100),
    )
  })
})
