import { describe, expect, it } from 'vitest'
import { listState, pipeline, stream, typed } from '../../../src/index.js'
import { endTimersMax } from '../../../src/operators/keyed/end-timers.js'
import { testPipeline } from '../../../src/testing/index.js'

const source = stream<number>('s')
const ticks = (emits = typed<number>()) =>
  pipeline('p')
    .from(source)
    .eventTime(({ value }) => value)
    .keyBy(({ key }) => key)
    .process('ticks', {
      emits,
      onRow: ({ value }, context) => context.setTimer(value + 10),
      onTimer(timer, context) {
        context.emit(timer.time)
        context.setTimer(timer.time + 10)
      },
    })
    .to(stream('out', (value, key) => ({ key, value })))

describe('a timer that sets the next one each time', () => {
  it('ends with event time, at a bound for each key', async () => {
    const test = await testPipeline(ticks())
    await test.push('s', { key: 'a', value: 0 }, { key: 'b', value: 5 }, { key: 'a', value: 41 })
    await test.end()
    // Two of one key and one of the other.
    expect(test.counts('timersDropped')).toEqual({ ticks: 3 })
    const fired = test.results().length
    expect(fired).toBeGreaterThan(2 * endTimersMax)
    expect(fired).toBeLessThan(2 * endTimersMax + 20)
  })

  it('goes on for as long as event time does', async () => {
    const test = await testPipeline(ticks(), { shards: 1 })
    await test.push('s', { key: 'a', value: 0 }, { key: 'b', value: 10 * (endTimersMax + 50) })
    expect(test.counts('timersDropped')).toEqual({})
    expect(test.results()).toHaveLength(endTimersMax + 49)
  })
})

it('timers that work off what is there, one by one, all fire', async () => {
  const flow = pipeline('p')
    .from(source)
    .eventTime(({ value }) => value, { outOfOrder: '1h' })
    .keyBy(() => 'all')
    .process('oneByOne', {
      state: { waiting: listState<number>() },
      emits: typed<number>(),
      onRow({ value }, context) {
        if (context.state.waiting.all().length === 0) context.setTimer(value)
        context.state.waiting.push(value)
      },
      onTimer(_timer, context) {
        const [first, ...rest] = context.state.waiting.all()
        context.emit(first as number)
        context.state.waiting.clear()
        context.state.waiting.push(...rest)
        if (rest.length > 0) context.setTimer(rest[0] as number)
      },
    })
    .to(stream('out', (value, key) => ({ key, value })))
  const test = await testPipeline(flow, { shards: 1 })
  const values = Array.from({ length: 300 }, (_, i) => 10 * i)
  await test.push('s', ...values.map((value) => ({ key: 'a', value })))
  await test.end()
  expect(test.results()).toHaveLength(values.length)
  expect(test.counts('timersDropped')).toEqual({})
})
