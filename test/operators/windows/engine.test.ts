import { describe, expect, it } from 'vitest'
import {
  file,
  hopping,
  type KeyedFlow,
  pipeline,
  type StreamRecord,
  session,
  sliding,
  stream,
  tumbling,
  type WindowOptions,
  type WindowResult,
  type WindowSpec,
} from '../../../src/operators/index.js'
import { planOf } from '../../../src/operators/plan/index.js'
import { check, end, type History, live, type Pushed, type Stamped, stamped } from '../task/histories.js'
import { linesOf } from '../task/plans.js'
import { startsAround } from './reference.js'

type Flow = KeyedFlow<Pushed, number>
type Result = WindowResult<number[], number>

/** Records of a stream, keyed anew, so that they go from source tasks to keyed ones. */
const keyed = (outOfOrder: number): Flow =>
  pipeline('p')
    .from(stream<Pushed>('s'))
    .map((record: StreamRecord<Pushed>) => ({ ...record.value, serial: record.sequence }))
    .eventTime(({ time }) => time, { outOfOrder })
    .keyBy(({ value }) => value % 3)

/** Plays a history on several shards and tasks, over crashes, splits and merges, until event time ends. */
async function ran(flow: KeyedFlow<unknown, number, { late: unknown }>, history: History) {
  const plan = planOf([flow.to(pair('results')), flow.side('late').to(pair('late'))])
  const pipeline = await live(plan, [0], history)
  await end(pipeline)
  const sinkOf = (path: string) =>
    plan.nodes.findIndex((node) => node.kind === 'sink' && node.sink.kind === 'file' && node.sink.path === path)
  expect(pipeline.store.timers.size).toBe(0)
  expect(pipeline.store.cells.size).toBe(0)
  return {
    pipeline,
    results: linesOf(pipeline, sinkOf('results')) as [number, Result][],
    late: linesOf(pipeline, sinkOf('late')),
  }
}

const pair = (path: string) => file(path, (value: unknown, key: unknown) => [key, value])

/** Which rows a window holds: the sequence numbers of their records. */
const serials = (spec: WindowSpec, options: WindowOptions, outOfOrder: number) =>
  keyed(outOfOrder)
    .window(spec, options)
    .process('w', (values) =>
      values.map((value) => (value as unknown as { serial: number }).serial).sort((a, b) => a - b),
    )

/** No shard is silent for so long that it would be taken for idle: then all depends on the records alone. */
const inStep = (history: History): History => ({
  ...history,
  events: history.events.filter(({ kind }) => kind !== 'time'),
})

function grouped<Row>(rows: readonly Row[], namesOf: (row: Row) => readonly string[], serialOf: (row: Row) => number) {
  const groups: Record<string, number[]> = {}
  for (const row of rows) for (const name of namesOf(row)) groups[name] = [...(groups[name] ?? []), serialOf(row)]
  for (const group of Object.values(groups)) group.sort((a, b) => a - b)
  return groups
}

const serialOf = ({ serial }: Stamped): number => serial
const lastResults = (results: readonly [number, Result][]) =>
  Object.fromEntries(results.map(([key, { start, end, value }]) => [`${key} ${start} ${end}`, value]))

describe('windows in a pipeline of several shards and tasks, over crashes, splits and merges', () => {
  it.each([
    ['tumbling', tumbling(20), 20, 20],
    ['hopping', hopping(20, 8), 20, 8],
    ['tumbling, far', tumbling(7), 7, 7],
  ])('%s: the last result is what the shards hold, the first one on time', async (_what, spec, size, step) => {
    for (const [outOfOrder, allowedLateness] of [
      [30, 0],
      [5, 25],
    ] as const)
      await check(async (given) => {
        const { pipeline, results, late } = await ran(serials(spec, { allowedLateness }, outOfOrder), inStep(given))
        const rows = stamped(pipeline.log, outOfOrder)
        const windowsOf = ({ value, time, stamp }: Stamped): string[] =>
          startsAround(time, size, step, 0)
            .filter((start) => start + size - 1 + allowedLateness > stamp)
            .map((start) => `${value % 3} ${start} ${start + size}`)
        expect(lastResults(results)).toEqual(grouped(rows, windowsOf, serialOf))
        expect(late).toHaveLength(rows.filter((row) => windowsOf(row).length === 0).length)
        const onTime = results.filter(([, { kind }]) => kind === 'onTime').map(([key, { start }]) => `${key} ${start}`)
        expect(new Set(onTime).size).toBe(onTime.length)
        if (allowedLateness === 0) expect(results).toHaveLength(onTime.length)
      })
  })

  it('in place: one result on time for each key, whose event time never goes back', () =>
    check(async (given) => {
      const [size, outOfOrder, allowedLateness] = [20, 5, 25]
      const flow = pipeline('p')
        .from(stream<Pushed>('s'))
        .map((record: StreamRecord<Pushed>) => ({ ...record.value, serial: record.sequence }))
        .eventTime(({ time }) => time, { outOfOrder })
        .keyByPartition()
        .window(tumbling(size), { allowedLateness })
        .process('w', (values) => values.map(({ serial }) => serial as number).sort((a, b) => a - b))
      const { pipeline: run, results, late } = await ran(flow as never, inStep(given))
      const named = (results as unknown as [{ key: string }, Result][]).map(([{ key }, result]) => ({ ...result, key }))
      const rows = stamped(run.log, outOfOrder, true)
      const windowsOf = ({ key, time, stamp }: Stamped): string[] =>
        startsAround(time, size, size, 0)
          .filter((start) => start + size - 1 + allowedLateness > stamp)
          .map((start) => `k${key} ${start}`)
      expect(Object.fromEntries(named.map(({ key, start, value }) => [`${key} ${start}`, value]))).toEqual(
        grouped(rows, windowsOf, serialOf),
      )
      const onTime = named.filter(({ kind }) => kind === 'onTime').map(({ key, start }) => `${key} ${start}`)
      expect(new Set(onTime).size).toBe(onTime.length)
      expect(late).toHaveLength(rows.filter((row) => windowsOf(row).length === 0).length)
    }))

  it('sessions: what hangs together, once', () =>
    check(async (given) => {
      const gap = 4
      const { pipeline, results, late } = await ran(serials(session(gap), {}, 100), inStep(given))
      const rows = stamped(pipeline.log, 100)
      const sessionOf = ({ value, time }: Stamped): string[] => {
        const times = rows.filter((row) => row.value % 3 === value % 3).map((row) => row.time)
        let [start, last] = [time, time]
        while (times.some((each) => each < start && each >= start - gap))
          start = Math.min(...times.filter((each) => each < start && each >= start - gap))
        while (times.some((each) => each > last && each <= last + gap))
          last = Math.max(...times.filter((each) => each > last && each <= last + gap))
        return [`${value % 3} ${start} ${last + gap}`]
      }
      const expected = grouped(rows, sessionOf, serialOf)
      expect(lastResults(results)).toEqual(expected)
      expect(results).toHaveLength(Object.keys(expected).length)
      expect(late).toEqual([])
    }))

  it('sliding: the last result is what the shards hold', () =>
    check(async (given) => {
      const [size, outOfOrder, allowedLateness] = [9, 10, 20]
      const { pipeline, results } = await ran(serials(sliding(size), { allowedLateness }, outOfOrder), inStep(given))
      const rows = stamped(pipeline.log, outOfOrder).filter(({ time, stamp }) => stamp < time + allowedLateness)
      const windowsOf = ({ value, time }: Stamped): string[] => {
        const ends = rows.filter((row) => row.value % 3 === value % 3 && row.time >= time && row.time <= time + size)
        return [...new Set(ends.map((row) => `${value % 3} ${row.time - size} ${row.time}`))]
      }
      expect(lastResults(results)).toEqual(grouped(rows, windowsOf, serialOf))
    }))

  it('with early results, idle shards and a clock: every row is in a last result, or late', () =>
    check(async (history) => {
      const options = { early: { every: 500, count: 3 } }
      const { pipeline, results, late } = await ran(serials(tumbling(20), options, 20), history)
      const onTime = results.filter(([, { kind }]) => kind === 'onTime')
      expect(new Set(onTime.map(([key, { start }]) => `${key} ${start}`)).size).toBe(onTime.length)
      const given = onTime.flatMap(([, { value }]) => value)
      const lateSerials = late.map(([, value]) => (value as { serial: number }).serial)
      const all = pipeline.log.shards.flatMap(({ records }) => records.map(({ sequence }) => sequence))
      expect([...given, ...lateSerials].sort((a, b) => a - b)).toEqual(all.sort((a, b) => a - b))
    }))

  it('over windows: what one step fires is not late for the next, and nothing is lost', () =>
    check(async (given) => {
      const counts = keyed(10).window(hopping(20, 10)).count('perKey')
      const best = counts
        .keyBy(({ start }) => start)
        .window(tumbling(20))
        .process('perWindow', (all) => all.map(({ value }) => value).reduce((a, b) => a + b, 0))
      const { results, late, pipeline } = await ran(best, inStep(given))
      expect(late).toEqual([])
      const rows = stamped(pipeline.log, 10)
      const inWindows = rows.flatMap(({ time, stamp }) =>
        startsAround(time, 20, 10, 0).filter((start) => start + 19 > stamp),
      )
      const total = (results as unknown as [number, WindowResult<number>][]).reduce(
        (sum, [, { value }]) => sum + value,
        0,
      )
      expect(total).toBe(inWindows.length)
    }))
})
