import { describe, expect, it } from 'vitest'
import {
  file,
  listState,
  mapState,
  type ProcessContext,
  pipeline,
  sink,
  stream,
  table,
  tumbling,
} from '../../src/operators/index.js'
import { planOf } from '../../src/operators/plan/index.js'
import { type TestPipeline, testPipeline } from '../../src/testing/index.js'

const numbers = () => pipeline('p').from(stream<number>('numbers'))
const at = (time: number, value = 1) => ({ key: 'a', value, time })

async function given(flow: object, ...inputs: readonly { key: string; value: unknown; time: number }[]) {
  const test = await testPipeline(flow)
  await test.push('numbers', ...inputs)
  await test.end()
  return test
}

type Context = ProcessContext<unknown, unknown, unknown, unknown>
/** A step that does something wrong with its context, as plain JavaScript may. */
const doing = (wrong: (context: Context) => void): Promise<TestPipeline> =>
  given(
    numbers()
      .eventTime()
      .keyByPartition()
      .process('step', { onRow: (_, context) => wrong(context as unknown as Context), onTimer: () => {} })
      .to(file('out')),
    at(5),
  )

describe('times that are none', () => {
  it.each([Number.NaN, Number.POSITIVE_INFINITY, 1e300, '5', {}])(
    'a value is not given on with the time %s',
    async (time) => {
      await expect(doing(({ emit }) => emit(1, time as number))).rejects.toThrow(/gave a value the time/)
    },
  )

  it('the time of a value that is given on is whole milliseconds', async () => {
    const flow = numbers()
      .eventTime()
      .keyByPartition()
      .process('step', { onRow: (_, { emit }) => emit(1, 9_999.9) })
      .window(tumbling('10s'))
      .count('windows')
      .to(file('out', ({ start, value }) => [start, value]))
    expect((await given(flow, at(5))).results()).toEqual([[0, 1]])
  })

  it('a record with the time of no date is refused at once, before it has taken the watermark along', async () => {
    const flow = numbers()
      .eventTime((record) => record.value)
      .keyByPartition()
      .count('count')
      .to(file('out'))
    await expect(given(flow, at(0, 1_764_000_000_000_000_000))).rejects.toThrow(/eventTime gave 1764000000000000000/)
  })

  it('timers are of one of two domains, and their tags text or numbers', async () => {
    await expect(doing(({ setTimer }) => setTimer(5, 'tag', 'wall' as 'event'))).rejects.toThrow(
      /'event' or 'processing'/,
    )
    await expect(doing(({ clearTimer }) => clearTimer(5, 'tag', 'wall' as 'event'))).rejects.toThrow(/'event' or/)
    await expect(doing(({ setTimer }) => setTimer(5, { a: 1 } as never))).rejects.toThrow(/neither text nor a number/)
  })
})

describe('state that would not come back', () => {
  it('a list or map has room for one entry at least', () => {
    for (const state of [{ all: listState({ max: 0 }) }, { all: mapState({ max: Number.NaN }) }])
      expect(() =>
        numbers()
          .keyByPartition()
          .process('step', { state, onRow: () => {} }),
      ).toThrow(/no max of the state all/)
  })

  it('names of a map are no objects', async () => {
    const flow = numbers()
      .keyByPartition()
      .process('step', {
        state: { seen: mapState<string, number>() },
        onRow: (_, { state }) => state.seen.set({ a: 1 } as never, 1),
      })
      .to(file('out'))
    await expect(given(flow, at(0))).rejects.toThrow(/no text, number or bigint/)
  })
})

describe('sinks', () => {
  it('say what was no number', async () => {
    const sum = (amount: unknown) =>
      given(
        numbers()
          .keyByPartition()
          .sum('sum', () => amount as number)
          .to(file('out')),
        at(0),
      )
    await expect(sum(null)).rejects.toThrow("sum('sum') was given null, which is no finite number")
    await expect(sum({})).rejects.toThrow("sum('sum') was given an object, which")
  })

  it('columns of a CSV file are different names; those that every object has are as missing as others', async () => {
    for (const columns of [['a', 'a'], [''], [5 as unknown as string]])
      expect(() => file('out', undefined, { format: 'csv', columns })).toThrow(/columns that are no names/)
    const columns = ['constructor', 'date', 'toString']
    const flow = numbers().to(file('out', () => ({ date: new Date(Number.NaN) }), { format: 'csv', columns }))
    expect((await given(flow, at(0))).results()).toEqual([',,'])
  })

  it('bytes that a stream is given are shown as base64', async () => {
    const flow = numbers().to(stream('out', () => ({ key: 'k', value: new Uint8Array([1, 2]) })))
    expect((await given(flow, at(0))).results()).toEqual([{ key: 'k', value: 'AQI=' }])
  })

  it.each([null, undefined])('a record that a stream is given with %s has null', async (value) => {
    const flow = numbers().to(stream('out', () => ({ key: 'k', value })))
    expect((await given(flow, at(0))).results()).toEqual([{ key: 'k', value: null }])
  })

  it('no two have one name, whatever they were called', () => {
    const own = (name: string) => sink({ name, write() {} })
    const plan = planOf(numbers().to(own('x'), 'a#2').to(own('y'), 'a').to(own('z'), 'a'))
    expect(plan.nodes.flatMap((node) => (node.kind === 'sink' ? [node.name] : []))).toEqual(['a#2', 'a', 'a#3'])
    for (const name of ['', 5, 'x'.repeat(129)])
      expect(() => numbers().to(own('x'), name as string)).toThrow(/Step 1 of p \(sink\) has .* as its name/)
  })
})

it('results that only differ in what JSON has no form for are compared in any order', async () => {
  const values = [new Map([['a', Number.NaN]]), new Map([['a', Number.POSITIVE_INFINITY]]), { a: undefined }, {}]
  const flow = numbers()
    .map((record) => values[record.value])
    .to(sink({ name: 'own', write() {} }))
  const test = await given(flow, at(0, 3), at(1, 1), at(2, 0), at(3, 2))
  test.expectSameAs(() => values)
  expect(() => test.expectSameAs(() => values.slice(1))).toThrow()
})

describe('what a test may give', () => {
  it.each([
    [{ shards: 0 }, /0 shards/],
    [{ tasks: 1.5 }, /1.5 tasks/],
    [{ now: Number.NaN }, /begin at NaN/],
    [{ faults: { crash: 2 } }, /crash is as likely as 2/],
  ])('%o is refused', async (options, message) => {
    await expect(testPipeline(numbers().to(file('out')), options)).rejects.toThrow(message)
  })

  it.each([
    [undefined, /no record/],
    [{ key: 5, value: 1 }, /key is a number/],
    [{ key: 'a', value: 1, time: 'soon' }, /the time soon/],
    [{ key: 'a', value: 5n }, /has no JSON/],
  ])('a stream takes no %o', async (input, message) => {
    const test = await testPipeline(numbers().to(file('out', (record) => record.value)))
    await expect(test.push('numbers', input as never)).rejects.toThrow(message)
    await test.push('numbers', { key: 'a', value: 7 })
    test.expectSameAs((pushed) => pushed.map(({ input }) => (input as { value: number }).value))
    expect(test.results()).toEqual([7])
  })

  it.each([
    [{ type: 'upsert', new: { id: 'a' } }, /of the type upsert/],
    [{ type: 'modify', new: { id: 'a' } }, /no old item/],
    [{ type: 'insert' }, /no new item/],
    [{ type: 'remove' }, /no old item/],
  ])('a table takes no %o', async (change, message) => {
    const flow = pipeline('p')
      .from(table('items'))
      .to(file('out', ({ type }) => type))
    const test = await testPipeline(flow, { tables: { items: { hash: 'id' } } })
    await expect(test.push('items', change as never)).rejects.toThrow(message)
  })
})
