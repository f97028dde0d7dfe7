import { describe, expect, it } from 'vitest'
import type { NodeId } from '../../../src/operators/plan/nodes.js'
import { byKey, check, live, pushed, pushedIn } from './histories.js'
import { counting, linesOf, PlanBuilder, summing } from './plans.js'

describe('whatever comes between, every row counts once', () => {
  it('behind a keyBy', () =>
    check(async (history) => {
      const builder = new PlanBuilder()
      const source = builder.source()
      const keyed = builder.step('keyBy', source, (record: never) => pushedIn(record).value)
      const sink = builder.sink(builder.keyed('count', [keyed], () => counting()))
      const pipeline = await live(builder.plan, [source], history)
      const counts = new Map<string, unknown[]>()
      for (const { value } of pushed(history)) {
        const before = counts.get(String(value)) ?? []
        counts.set(String(value), [...before, before.length + 1])
      }
      expect(byKey(linesOf(pipeline, sink))).toEqual(counts)
    }))

  it('behind a keyByPartition, which sends nothing', () =>
    check(async (history) => {
      const builder = new PlanBuilder()
      const source = builder.source()
      const keyed = builder.keyByPartition(
        builder.step('filter', source, (record: never) => pushedIn(record).value > 0),
      )
      const sink = builder.sink(
        builder.keyed('sum', [keyed], () => summing((record) => pushedIn(record as never).value)),
      )
      const pipeline = await live(builder.plan, [source], history)
      expect(pipeline.stages.stages).toHaveLength(1)
      const sums = new Map<string, unknown[]>()
      for (const { key, value } of pushed(history)) {
        if (value === 0) continue
        const name = JSON.stringify({ key: `k${key}` })
        const before = sums.get(name) ?? []
        sums.set(name, [...before, ((before[before.length - 1] as number | undefined) ?? 0) + value])
      }
      expect(byKey(linesOf(pipeline, sink))).toEqual(sums)
    }))

  it('over two keyBys, and where the results meet rows that were keyed once', () =>
    check(async (history) => {
      const builder = new PlanBuilder()
      const source = builder.source()
      const first = builder.step('keyBy', source, (record: never) => ({ of: [pushedIn(record).key % 7] }))
      const sums = builder.keyed('sum', [first], () => summing((record) => pushedIn(record as never).value))
      const second = builder.step('keyBy', sums, (_sum: never, key: never) => ({
        of: [(key as { of: [number] }).of[0] % 3],
      }))
      const renamed = first
      const joined = builder.keyed('both', [second, renamed], () => counting(2))
      const sink = builder.sink(joined)
      const pipeline = await live(builder.plan, [source], history)
      const expected = new Map<string, [number, number]>()
      for (const { key } of pushed(history)) {
        for (const [of, input] of [
          [(key % 7) % 3, 0],
          [key % 7, 1],
        ] as const) {
          const name = JSON.stringify({ of: [of] })
          const counts = expected.get(name) ?? [0, 0]
          counts[input]++
          expected.set(name, counts)
        }
      }
      const found = new Map(
        [...byKey(linesOf(pipeline, sink))].map(([key, values]) => [key, values[values.length - 1]]),
      )
      expect(found).toEqual(expected)
    }))

  it('from two sources, merged and joined by their partition keys', () =>
    check(async (history) => {
      const builder = new PlanBuilder()
      const a = builder.source('a')
      const b = builder.source('b')
      const merged = builder.keyByPartition(builder.merge(a, b))
      const count = builder.sink(builder.keyed('count', [merged], () => counting()))
      const left = builder.keyByPartition(a)
      const right = builder.step('keyBy', b, (record: never) => ({ key: (record as { key: string }).key }))
      const joined = builder.sink(builder.keyed('joined', [left, right], () => counting(2)))
      const pipeline = await live(builder.plan, [a, b], history)
      const expected = new Map<string, [number, number]>()
      for (const { key, source } of pushed(history)) {
        const name = JSON.stringify({ key: `k${key}` })
        const counts = expected.get(name) ?? [0, 0]
        counts[source as 0 | 1]++
        expected.set(name, counts)
      }
      const last = (sink: NodeId) =>
        new Map([...byKey(linesOf(pipeline, sink))].map(([key, values]) => [key, values[values.length - 1]]))
      expect(last(joined)).toEqual(expected)
      expect(last(count)).toEqual(new Map([...expected].map(([key, [left, right]]) => [key, left + right])))
    }))

  it('through a stream in between', () =>
    check(async (history) => {
      const builder = new PlanBuilder()
      const source = builder.source()
      const through = builder.through(source, 't', (record: never) => ({ key: `v${pushedIn(record).value}`, value: 1 }))
      const sink = builder.sink(builder.keyed('count', [builder.keyByPartition(through)], () => counting()))
      const pipeline = await live(builder.plan, [source], history)
      const counts = new Map<string, unknown[]>()
      for (const { value } of pushed(history)) {
        const name = JSON.stringify({ key: `v${value}` })
        const before = counts.get(name) ?? []
        counts.set(name, [...before, before.length + 1])
      }
      expect(byKey(linesOf(pipeline, sink))).toEqual(counts)
    }))

  it('with async functions, of which several run at a time', () =>
    check(async (history) => {
      const builder = new PlanBuilder()
      const source = builder.source()
      const slow = (value: unknown) => new Promise((resolve) => setImmediate(() => resolve(value)))
      const mapped = builder.asyncMap(
        source,
        async (record: never) => {
          const { value } = pushedIn(record)
          if (value % 2 === 0) await slow(0)
          return value
        },
        3,
        history.seed % 2 === 0,
      )
      const keyed = builder.step(
        'keyBy',
        builder.step('map', mapped, async (value: never) => value),
        async (value: never) => value,
      )
      const counted = builder.keyed('count', [keyed], () => {
        const operator = counting()
        return {
          async onRow(row, input, context) {
            await null
            await operator.onRow(row, input, context)
          },
        }
      })
      const again = builder.asyncMap(counted, async (count: never) => count, 2, true)
      const sink = builder.sink(again)
      const pipeline = await live(builder.plan, [source], history)
      const counts = new Map<string, unknown[]>()
      for (const { value } of pushed(history)) {
        const before = counts.get(String(value)) ?? []
        counts.set(String(value), [...before, before.length + 1])
      }
      expect(byKey(linesOf(pipeline, sink))).toEqual(counts)
    }))
})

describe('order', () => {
  it('stays per key and partition key, over keyBys, splits and crashes', () =>
    check(async (history) => {
      const builder = new PlanBuilder()
      const source = builder.source()
      const spread = builder.step('flatMap', source, (record: never) => [record, record])
      const keyed = builder.step('keyBy', spread, (record: never) => pushedIn(record).value)
      const again = builder.step('keyBy', keyed, (_record: never, key: never) => key)
      const sink = builder.sink(
        builder.step('map', again, (record: never) => {
          const { key, sequence } = record as { key: string; sequence: number }
          return [key, sequence]
        }),
      )
      const pipeline = await live(builder.plan, [source], history)
      const last = new Map<string, number>()
      for (const [key, value] of linesOf(pipeline, sink)) {
        const [partition, sequence] = value as [string, number]
        const name = `${key} ${partition}`
        expect(sequence).toBeGreaterThanOrEqual(last.get(name) ?? 0)
        last.set(name, sequence)
      }
      expect(linesOf(pipeline, sink)).toHaveLength(2 * pushed(history).length)
    }))
})
