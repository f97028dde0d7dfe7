import { describe, expect, it } from 'vitest'
import type { NewRecord } from '../../../src/log/types.js'
import { file, pipeline, stream, tumbling } from '../../../src/operators/index.js'
import type { NodeId } from '../../../src/operators/plan/nodes.js'
import type { KeyedOperator } from '../../../src/operators/task/keyed-operator.js'
import { testPipeline } from '../../../src/testing/index.js'
import type { MemoryLog, MemoryShard } from '../../../src/testing/memory-log.js'
import { check, end, type History, levelBefore, live, type Pushed, pushedIn } from './histories.js'
import { linesOf, PlanBuilder, pipelineOf, push, windowSum } from './plans.js'

const size = 20
const outOfOrder = 5

/** Sums of windows by `key start`, and how many rows were late: by what each shard holds, in its order, and nothing else. */
function recomputed(
  log: MemoryLog,
  root: NodeId,
  keyOf: (record: Pushed) => unknown,
  floorOf: (shard: MemoryShard, record: NewRecord, ends: ReadonlyMap<number, number>) => number = () =>
    Number.NEGATIVE_INFINITY,
) {
  const sums = new Map<string, number>()
  const ends = new Map<number, number>()
  let late = 0
  for (const shard of log.shards) {
    if (shard.root !== root) continue
    let watermark = Math.min(...shard.parents.map((parent) => ends.get(parent) as number))
    if (shard.parents.length === 0) watermark = Number.NEGATIVE_INFINITY
    for (const { record } of shard.records) {
      const pushed = JSON.parse(record.body.toString()) as Pushed
      const start = Math.floor(pushed.time / size) * size
      const name = `${JSON.stringify(keyOf(pushed))} ${start}`
      if (start + size - 1 <= Math.max(watermark, floorOf(shard, record, ends))) late++
      else sums.set(name, (sums.get(name) ?? 0) + pushed.value)
      watermark = Math.max(watermark, pushed.time - outOfOrder - 1)
    }
    ends.set(shard.id, watermark)
  }
  return { sums, late }
}

const withoutTime = (history: History): History => ({
  ...history,
  events: history.events.filter(({ kind }) => kind !== 'time'),
})

function windows(keyed: (builder: PlanBuilder, input: NodeId) => NodeId) {
  const builder = new PlanBuilder()
  const source = builder.source()
  const timed = builder.eventTime(source, (record: never) => pushedIn(record).time, outOfOrder)
  const window = builder.keyed(
    'window',
    [keyed(builder, timed)],
    () => windowSum(size, (record) => pushedIn(record as never).value),
    ['late'],
  )
  const sink = builder.sink(window)
  const late = builder.sink(builder.output(window, 'late'))
  return { builder, source, sink, late }
}

describe('windows of event time', () => {
  it('fire once each, with what was not late, whatever comes between', () =>
    check(async (given) => {
      const history = withoutTime(given)
      const { builder, source, sink, late } = windows((plan, input) =>
        plan.step('keyBy', input, (record: never) => pushedIn(record).value % 4),
      )
      const pipeline = await live(builder.plan, [source], history)
      await end(pipeline)
      const expected = recomputed(pipeline.log, source, ({ value }) => value % 4)
      const lines = linesOf(pipeline, sink).map(([key, window]) => [key, ...(window as [number, number])] as const)
      expect(lines).toHaveLength(expected.sums.size)
      expect(new Map(lines.map(([key, start, sum]) => [`${key} ${start}`, sum]))).toEqual(expected.sums)
      expect(linesOf(pipeline, late)).toHaveLength(expected.late)
      expect(pipeline.store.timers.size).toBe(0)
      expect(pipeline.store.cells.size).toBe(0)
    }))

  it('fire once for each key where rows stay with their source, over merges too', () =>
    check(async (given) => {
      const history = withoutTime(given)
      const { builder, source, sink, late } = windows((plan, input) => plan.keyByPartition(input))
      const pipeline = await live(builder.plan, [source], history)
      await end(pipeline)
      const { log } = pipeline
      const expected = recomputed(
        log,
        source,
        ({ key }) => ({ key: `k${key}` }),
        (shard, record, ends) => levelBefore(log, shard, record.hash, ends),
      )
      const sums = new Map<string, number>()
      for (const [key, window] of linesOf(pipeline, sink)) {
        const [start, sum] = window as [number, number]
        const name = `${JSON.stringify(key)} ${start}`
        sums.set(name, (sums.get(name) ?? 0) + sum)
      }
      expect(sums).toEqual(expected.sums)
      expect(linesOf(pipeline, sink)).toHaveLength(sums.size)
      expect(linesOf(pipeline, late)).toHaveLength(expected.late)
      expect(pipeline.store.timers.size).toBe(0)
    }))

  it('fire once each when shards are idle, and every row is in one or late', () =>
    check(async (history) => {
      const { builder, source, sink, late } = windows((plan, input) =>
        plan.step('keyBy', input, (record: never) => pushedIn(record).value % 4),
      )
      const pipeline = await live(builder.plan, [source], history)
      await end(pipeline)
      const lines = linesOf(pipeline, sink).map(([key, window]) => [key, ...(window as [number, number])] as const)
      expect(new Set(lines.map(([key, start]) => `${key} ${start}`)).size).toBe(lines.length)
      const total = history.events.reduce((sum, event) => sum + (event.kind === 'push' ? event.value : 0), 0)
      const lateSum = linesOf(pipeline, late).reduce((sum, [, record]) => sum + pushedIn(record as never).value, 0)
      expect(lines.reduce((sum, [, , value]) => sum + value, 0) + lateSum).toBe(total)
    }))

  it('of windows: none of the results that one step fires is late for the next', () =>
    check(async (given) => {
      const history = withoutTime(given)
      const { builder, source, sink } = windows((plan, input) =>
        plan.step('keyBy', input, (record: never) => pushedIn(record).value % 4),
      )
      const inner = (builder.nodes[sink] as { inputs: readonly [NodeId] }).inputs[0]
      const again = builder.keyed(
        'again',
        [inner],
        () => windowSum(2 * size, (value) => (value as [number, number])[1]),
        ['late'],
      )
      const elsewhere = builder.step('keyBy', inner, () => 'all')
      const all = builder.keyed(
        'all',
        [elsewhere],
        () => windowSum(2 * size, (value) => (value as [number, number])[1]),
        ['late'],
      )
      const late = builder.sink(builder.merge(builder.output(again, 'late')))
      const lateElsewhere = builder.sink(builder.output(all, 'late'))
      const sums = builder.sink(again)
      const totals = builder.sink(all)
      const pipeline = await live(builder.plan, [source], history)
      await end(pipeline)
      expect(linesOf(pipeline, late)).toEqual([])
      expect(linesOf(pipeline, lateElsewhere)).toEqual([])
      const total = (node: NodeId) =>
        linesOf(pipeline, node).reduce((sum, [, value]) => sum + (value as [number, number])[1], 0)
      expect(total(sums)).toBe(total(sink))
      expect(total(totals)).toBe(total(sink))
    }))
})

/** Gives on `[key, time]` for each row, 50 ms of processing time later. */
const later: () => KeyedOperator = () => ({
  onRow(row, _input, context) {
    context.setTimer(context.now + 50, row.sequence, 'processing')
  },
  onTimer(timer, context) {
    expect(timer.time).toBeLessThanOrEqual(context.now)
    context.emit(timer.tag)
  },
})

describe('sources that are merged before a keyBy', () => {
  it('fire windows as far as the slower one is', async () => {
    const of = (name: string) =>
      pipeline('both')
        .from(stream<{ readonly at: number }>(name))
        .eventTime(({ value }) => value.at, { outOfOrder: '1s', idleAfter: '1h' })
    const counted = of('a')
      .merge(of('b'))
      .keyBy(({ key }) => key)
      .window(tumbling('10s'))
      .count('n')
      .to(file('out', ({ start, value }) => `${start} ${value}`))
    const test = await testPipeline(counted, { shards: 1 })
    const at = (time: number) => ({ key: 'k', value: { at: time } })
    await test.push(stream<{ readonly at: number }>('a'), at(1_000), at(2_000), at(50_000))
    expect(test.results('out')).toEqual([])
    await test.push(stream<{ readonly at: number }>('b'), at(3_000), at(10_999))
    expect(test.results('out')).toEqual([])
    await test.push(stream<{ readonly at: number }>('b'), at(11_000))
    expect(test.results('out')).toEqual(['0 3'])
  })
})

describe('timers of processing time', () => {
  it('fire once each, over crashes, splits and merges', () =>
    check(async (history) => {
      const builder = new PlanBuilder()
      const source = builder.source()
      const keyed = builder.step('keyBy', source, (record: never) => pushedIn(record).value)
      const sink = builder.sink(builder.keyed('later', [keyed], later))
      const laterInPlace = builder.keyed('laterInPlace', [builder.keyByPartition(source)], later)
      const inPlace = builder.sink(laterInPlace)
      const sent = builder.sink(builder.step('keyBy', laterInPlace, () => 'all'))
      const pipeline = await live(builder.plan, [source], history)
      pipeline.advance(60)
      await pipeline.steps(3)
      await pipeline.crash()
      await pipeline.commitAll()
      const sequences = pipeline.log.shards
        .flatMap(({ records }) => records.map(({ sequence }) => sequence))
        .sort((a, b) => a - b)
      for (const node of [sink, inPlace, sent])
        expect(
          linesOf(pipeline, node)
            .map(([, sequence]) => sequence as number)
            .sort((a, b) => a - b),
        ).toEqual(sequences)
      expect(pipeline.store.timers.size).toBe(0)
    }))
})

describe('a shard that gives nothing', () => {
  const plan = () => {
    const { builder, source, sink, late } = windows((builder, input) => builder.step('keyBy', input, () => 'all'))
    return { plan: builder.plan, source, sink, late }
  }
  const pushed = (time: number, value = 1) => ({ key: 0, value, source: 0, time })

  it('holds windows back until it is idle, and is late by what has fired when it wakes', async () => {
    const { plan: nodes, source, sink, late } = plan()
    const pipeline = pipelineOf(nodes, { shards: 2 })
    await pipeline.open()
    const keys = ['a', 'b', 'c', 'd', 'e', 'f']
    push(pipeline, source, 'a', pushed(1))
    push(pipeline, source, 'a', pushed(100))
    await pipeline.commitAll()
    expect(linesOf(pipeline, sink)).toEqual([])
    pipeline.advance(1000)
    push(pipeline, source, 'a', pushed(101))
    await pipeline.commitAll()
    expect(linesOf(pipeline, sink)).toEqual([['all', [0, 1]]])
    const other = keys.find((key) => {
      push(pipeline, source, key, pushed(2, 0))
      return pipeline.log.shards.every(({ records }) => records.length > 0)
    })
    expect(other).toBeDefined()
    await pipeline.crash()
    await pipeline.commitAll()
    expect(linesOf(pipeline, sink)).toEqual([['all', [0, 1]]])
    expect(linesOf(pipeline, late).length).toBeGreaterThan(0)
  })
})
