import { describe, expect, it } from 'vitest'
import { Count } from '../../../src/operators/keyed/count.js'
import { Folding } from '../../../src/operators/keyed/fold.js'
import { Sum } from '../../../src/operators/keyed/sum.js'
import { averageAggregate, countAggregate, sumAggregate } from '../../../src/operators/windows/aggregates/count-sum.js'
import { reduceAggregate } from '../../../src/operators/windows/aggregates/fold.js'
import { PaneWindows } from '../../../src/operators/windows/pane-windows.js'
import { SessionWindows } from '../../../src/operators/windows/session-windows.js'
import { eventClock } from '../../../src/operators/windows/window-clock.js'
import { byKey, check, end, type History, live, type Pushed, pushed, pushedIn, stamped } from './histories.js'
import { linesOf, PlanBuilder, pipelineOf, push } from './plans.js'

const outOfOrder = 5
const amountOf = (record: unknown): number => pushedIn(record as never).value

const row = (value: number, time: number) => ({ kind: 'push' as const, key: 0, value, source: 0, time })
/** The rows that a barrier sends come to a task several messages at once. */
const severalAtOnce: History = {
  seed: 1709758966,
  events: [
    { kind: 'barrier' },
    { kind: 'steps', steps: 2 },
    row(0, 0),
    row(0, 0),
    row(0, 0),
    row(0, 6),
    row(0, 0),
    row(0, 0),
    row(0, 0),
    { kind: 'steps', steps: 8 },
    row(0, 2),
    { kind: 'steps', steps: 1 },
    row(0, 8),
    row(3, 0),
    row(0, 10),
    row(0, 12),
    row(0, 14),
    row(0, 16),
    { kind: 'crash' },
    row(0, 18),
    { kind: 'steps', steps: 4 },
    row(0, 4),
    row(0, 20),
    row(0, 22),
    row(0, 24),
    row(0, 26),
    row(0, 0),
    row(0, 0),
    row(0, 0),
    row(0, 0),
    { kind: 'barrier' },
  ],
  shards: 1,
  tasks: 2,
  stateBytes: 0,
  firedBytes: 1,
  firesAlone: true,
}

describe('rows that are put together before a keyBy', () => {
  it('come to the same totals, whatever comes between', () =>
    check(async (history) => {
      const operators = {
        count: { make: () => new Count(true), of: () => 1 },
        sum: { make: () => new Sum('s', amountOf, true), of: ({ value }: Pushed) => value },
        promises: {
          make: () => new Sum('s', async (record) => amountOf(record), true),
          of: ({ value }: Pushed) => value,
        },
        reduce: {
          make: () => new Folding('r', undefined, (a, b) => (a as number) + (b as number), true),
          of: ({ value }: Pushed) => value,
        },
      }
      for (const [name, { make, of }] of Object.entries(operators)) {
        const builder = new PlanBuilder()
        const source = builder.source()
        const isReduce = name === 'reduce'
        const values = isReduce ? builder.step('map', source, amountOf as never) : source
        const keyed = builder.step('keyBy', values, (value: never) =>
          isReduce ? (value as number) % 4 : (value as { key: string }).key,
        )
        const sink = builder.sink(builder.keyed(name, [keyed], make))
        const pipeline = await live(builder.plan, [source], history)
        const totals = new Map<string, number>()
        for (const each of pushed(history)) {
          const key = JSON.stringify(isReduce ? each.value % 4 : `k${each.key}`)
          totals.set(key, (totals.get(key) ?? 0) + of(each))
        }
        const found = byKey(linesOf(pipeline, sink))
        expect(new Map([...found].map(([key, values]) => [key, values.at(-1)]))).toEqual(totals)
      }
    }))

  it('come to the same windows of event time, each given once', () =>
    check(async (given) => {
      const history = { ...given, events: given.events.filter(({ kind }) => kind !== 'time') }
      for (const { sizeMs, stepMs } of [
        { sizeMs: 20, stepMs: 20 },
        { sizeMs: 30, stepMs: 10 },
        { sizeMs: 25, stepMs: 10 },
      ]) {
        const shape = { sizeMs, stepMs, offsetMs: 0, latenessMs: 0, clock: eventClock }
        const builder = new PlanBuilder()
        const source = builder.source()
        const timed = builder.eventTime(source, (record: never) => pushedIn(record).time, outOfOrder)
        const keyed = builder.step('keyBy', timed, (record: never) => pushedIn(record).value % 4)
        const make = () => new PaneWindows(shape, sumAggregate('s', amountOf))
        const sink = builder.sink(builder.keyed('window', [keyed], make, ['late']))
        const pipeline = await live(builder.plan, [source], history)
        await end(pipeline)
        const expected = new Map<string, number>()
        for (const { value, time, stamp } of stamped(pipeline.log, outOfOrder))
          for (let start = Math.floor(time / stepMs) * stepMs; start > time - sizeMs; start -= stepMs) {
            if (start + sizeMs - 1 <= stamp) continue
            const name = `${value % 4} ${start}`
            expected.set(name, (expected.get(name) ?? 0) + value)
          }
        const lines = linesOf(pipeline, sink) as [number, { start: number; value: number }][]
        expect(lines).toHaveLength(expected.size)
        expect(new Map(lines.map(([key, { start, value }]) => [`${key} ${start}`, value]))).toEqual(expected)
        expect(pipeline.store.cells.size).toBe(0)
      }
    }))

  it('come to the same sessions of event time', () =>
    check(
      async (given) => {
        const history = { ...given, events: given.events.filter(({ kind }) => kind !== 'time') }
        const gapMs = 8
        const builder = new PlanBuilder()
        const source = builder.source()
        const timed = builder.eventTime(source, (record: never) => pushedIn(record).time, 200)
        const keyed = builder.step('keyBy', timed, (record: never) => pushedIn(record).value % 4)
        const make = () =>
          new SessionWindows({ gapMs, latenessMs: 0, clock: eventClock }, sumAggregate('s', amountOf), {
            everyMs: undefined,
            count: undefined,
          })
        expect(make().combiner).toBeDefined()
        const sink = builder.sink(builder.keyed('window', [keyed], make, ['late']))
        const pipeline = await live(builder.plan, [source], history)
        await end(pipeline)
        const expected: unknown[] = []
        for (const key of [0, 1, 2, 3]) {
          const rows = pushed(history).filter(({ value }) => value % 4 === key)
          let open: { key: number; start: number; end: number; value: number } | undefined
          for (const { time, value } of rows.sort((a, b) => a.time - b.time)) {
            if (!open || time > open.end) {
              open = { key, start: time, end: time, value: 0 }
              expected.push(open)
            }
            open.end = time + gapMs
            open.value += value
          }
        }
        const found = linesOf(pipeline, sink).map(([, session]) => session)
        const sorted = (all: unknown[]) =>
          all.map((each) => JSON.stringify(each, ['key', 'start', 'end', 'value'])).sort()
        expect(sorted(found)).toEqual(sorted(expected))
        expect(pipeline.store.cells.size).toBe(0)
      },
      [severalAtOnce],
    ))

  it('are sent once for each key and barrier', async () => {
    const builder = new PlanBuilder()
    const source = builder.source()
    const keyed = builder.step('keyBy', source, () => 'all')
    const sink = builder.sink(builder.keyed('count', [keyed], () => new Count(true)))
    const pipeline = pipelineOf(builder.plan, { shards: 1 })
    await pipeline.open()
    for (let i = 0; i < 100; i++) push(pipeline, source, `k${i}`, { value: i })
    await pipeline.commitAll()
    expect(linesOf(pipeline, sink)).toEqual([['all', 100]])
    for (let i = 0; i < 10; i++) push(pipeline, source, `k${i}`, { value: i })
    await pipeline.commitAll()
    expect(linesOf(pipeline, sink)).toEqual([
      ['all', 100],
      ['all', 110],
    ])
  })

  it('may be counted, averaged and folded; what has a bound of its own is not put together', () => {
    const shape = { sizeMs: 10, stepMs: 10, offsetMs: 0, latenessMs: 0, clock: eventClock }
    for (const aggregate of [countAggregate(), averageAggregate('a', amountOf), reduceAggregate('r', (a) => a)])
      expect(new PaneWindows(shape, aggregate).combiner).toBeDefined()
    expect(new PaneWindows(shape, { ...countAggregate(), isCombined: false }).combiner).toBeUndefined()
  })
})
