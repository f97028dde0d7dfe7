import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { NodeId, PipelinePlan } from '../../../src/operators/plan/nodes.js'
import type { MemoryPipeline } from '../../../src/testing/memory-pipeline.js'
import { counting, linesOf, PlanBuilder, pipelineOf, push, summing } from './plans.js'

const runs = process.env.MILLRACE_LONG ? 20_000 : 60

/** What happens to a pipeline between its first record and its last commit. */
type Event =
  | { readonly kind: 'push'; readonly key: number; readonly value: number; readonly source: number }
  | { readonly kind: 'steps'; readonly steps: number }
  | { readonly kind: 'barrier' | 'crash' | 'split' | 'merge' | 'time' }

const pushes = fc.record({
  kind: fc.constant('push' as const),
  key: fc.integer({ min: 0, max: 30 }),
  value: fc.integer({ min: 0, max: 9 }),
  source: fc.integer({ min: 0, max: 1 }),
})
const others = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('steps' as const), steps: fc.integer({ min: 1, max: 30 }) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('barrier' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('crash' as const, 'split' as const, 'merge' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('time' as const) }) },
)
const histories = fc.record({
  seed: fc.integer(),
  events: fc.array(fc.oneof({ weight: 3, arbitrary: pushes }, { weight: 2, arbitrary: others }), {
    maxLength: 120,
    size: 'max',
  }),
  shards: fc.integer({ min: 1, max: 4 }),
  tasks: fc.integer({ min: 1, max: 5 }),
  stateBytes: fc.constantFrom(0, 2000, 1 << 20),
})
type History = typeof histories extends fc.Arbitrary<infer Each> ? Each : never

const pushed = ({ events }: History): Extract<Event, { kind: 'push' }>[] =>
  (events as Event[]).filter((event) => event.kind === 'push')

async function live(plan: PipelinePlan, roots: readonly NodeId[], history: History): Promise<MemoryPipeline> {
  const { seed, shards, tasks, stateBytes } = history
  const bounds = { stateBytesMax: () => stateBytes, timersMax: 4, messageRowsMax: 3 }
  const pipeline = pipelineOf(plan, { seed, shards, tasks, bounds })
  await pipeline.open()
  for (const event of history.events as Event[]) {
    const root = roots[0] as NodeId
    switch (event.kind) {
      case 'push':
        push(pipeline, roots[event.source % roots.length] as NodeId, `k${event.key}`, event)
        break
      case 'steps':
        await pipeline.steps(event.steps)
        break
      case 'barrier':
        pipeline.wantBarrier()
        break
      case 'crash':
        await pipeline.crash()
        break
      case 'split':
        pipeline.split(root)
        break
      case 'merge':
        pipeline.merge(root)
        break
      case 'time':
        pipeline.advance(700)
    }
  }
  await pipeline.commitAll()
  return pipeline
}

type Pushed = Extract<Event, { kind: 'push' }>
const pushedIn = (record: { value: Pushed }): Pushed => record.value

/** Values of each key, in the order in which they came. */
function byKey(lines: readonly (readonly [unknown, unknown])[]): Map<string, unknown[]> {
  const values = new Map<string, unknown[]>()
  for (const [key, value] of lines) {
    const name = JSON.stringify(key)
    values.set(name, [...(values.get(name) ?? []), value])
  }
  return values
}

const check = (property: (history: History) => Promise<void>) =>
  fc.assert(fc.asyncProperty(histories, property), { numRuns: runs })

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
      const renamed = builder.step('filter', first, () => true)
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
      const again = builder.step(
        'keyBy',
        builder.step('peek', keyed, () => {}),
        (_record: never, key: never) => key,
      )
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
