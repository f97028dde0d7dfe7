import { describe, expect, it } from 'vitest'
import type { KeyedOperator } from '../../../src/operators/task/keyed-operator.js'
import { check, end, live, pushed, pushedIn } from './histories.js'
import { linesOf, PlanBuilder, pipelineOf, push, windowSum } from './plans.js'

/** Says for each row whether a timer of its key was due before it, and had not fired. */
const watchful = (): KeyedOperator => ({
  onRow(row, _input, context) {
    const due = context.get() as number | undefined
    context.emit(due === undefined || due > context.watermark ? 'row' : `row behind ${due}`)
    if (due !== undefined) context.clearTimer(due)
    const next = Math.max(row.time, context.watermark) + 5
    context.put(next)
    context.setTimer(next)
  },
  onTimer(timer, context) {
    context.emit(timer.time === context.get() ? 'timer' : `timer of ${timer.time}`)
    context.put(undefined)
  },
})

describe('timers that are due and too many for one commit', () => {
  for (const isInPlace of [false, true])
    it(`fire before the next row of their key, whatever comes between${isInPlace ? ', in place too' : ''}`, () =>
      check(async (history) => {
        const builder = new PlanBuilder()
        const source = builder.source()
        const timed = builder.eventTime(source, (record: never) => pushedIn(record).time, 3)
        const keyed = isInPlace
          ? builder.keyByPartition(timed)
          : builder.step('keyBy', timed, (record: never) => pushedIn(record).value)
        const sink = builder.sink(builder.keyed('watchful', [keyed], watchful))
        const pipeline = await live(builder.plan, [source], history)
        await end(pipeline)
        const seen = linesOf(pipeline, sink).map(([, text]) => text)
        expect(seen.filter((text) => text !== 'row' && text !== 'timer')).toEqual([])
        expect(seen.filter((text) => text === 'row')).toHaveLength(pushed(history).length)
        expect(pipeline.store.timers.size).toBe(0)
      }))

  /** Sums of 60 keys in windows that all end at once, and what the windows of their windows come to. */
  const windows = (isInPlace: boolean, firing: { readonly bytesMax: number; readonly isAlone: boolean }) => {
    const builder = new PlanBuilder()
    const source = builder.source()
    const timed = builder.eventTime(source, (record: never) => pushedIn(record).time)
    const keyed = isInPlace
      ? builder.keyByPartition(timed)
      : builder.step('keyBy', timed, (record: never) => pushedIn(record).key)
    const first = builder.keyed('first', [keyed], () => windowSum(10, (record) => pushedIn(record as never).value))
    const sink = builder.sink(first)
    const all = builder.step('keyBy', first, () => 'all')
    const total = builder.keyed('total', [all], () => windowSum(10, (value) => (value as [number, number])[1]), [
      'late',
    ])
    const totals = builder.sink(total)
    const late = builder.sink(builder.output(total, 'late'))
    const bounds = { stateBytesMax: () => 1 << 20, timersMax: 1000, messageRowsMax: 4, firing }
    return { pipeline: pipelineOf(builder.plan, { bounds }), source, sink, totals, late }
  }
  const keys = 60
  const fill = (pipeline: ReturnType<typeof pipelineOf>, source: number): void => {
    for (let key = 0; key < keys; key++) push(pipeline, source, `k${key}`, { key, value: 1, source: 0, time: 3 })
  }
  const resultsIn = (pipeline: ReturnType<typeof pipelineOf>, sink: number): number => linesOf(pipeline, sink).length

  for (const isInPlace of [false, true])
    for (const isAlone of [false, true])
      it(`fire over as many commits as it takes, once each over crashes${isInPlace ? ', in place' : ''}${isAlone ? ', alone' : ''}`, async () => {
        const { pipeline, source, sink, totals, late } = windows(isInPlace, { bytesMax: 500, isAlone })
        await pipeline.open()
        fill(pipeline, source)
        // What is in the store before has rows of its own to be removed.
        await pipeline.commitAll()
        expect(resultsIn(pipeline, sink)).toBe(0)
        pipeline.end()
        let most = 0
        for (let before = 0, crashes = 0; resultsIn(pipeline, sink) < keys && crashes < 200; ) {
          const commit = pipeline.store.commits
          while (pipeline.store.commits === commit) if (!(await pipeline.step())) pipeline.wantBarrier()
          const made = resultsIn(pipeline, sink) - before
          before += made
          most = Math.max(most, made)
          if (++crashes < 6) await pipeline.crash()
        }
        // Three tasks, or two shards, of which each may make about 1000 bytes.
        expect(most).toBeGreaterThan(0)
        expect(most).toBeLessThan(15)
        await pipeline.commitAll()
        expect(resultsIn(pipeline, sink)).toBe(keys)
        expect(linesOf(pipeline, totals)).toEqual([['all', [0, keys]]])
        expect(linesOf(pipeline, late)).toEqual([])
        expect(pipeline.store.timers.size).toBe(0)
        expect(pipeline.store.cells.size).toBe(0)
      })

  it('keep a shard from ending: its children begin when all have fired', async () => {
    const { pipeline, source, sink, totals, late } = windows(true, { bytesMax: 500, isAlone: false })
    await pipeline.open()
    fill(pipeline, source)
    await pipeline.commitAll()
    for (let key = 0; key < keys; key++) push(pipeline, source, `k${key}`, { key, value: 1, source: 0, time: 40 })
    pipeline.split(source)
    pipeline.merge(source)
    await pipeline.steps(20)
    await pipeline.crash()
    fill(pipeline, source)
    await pipeline.commitAll()
    expect(resultsIn(pipeline, sink)).toBe(keys)
    pipeline.end()
    await pipeline.commitAll()
    expect(resultsIn(pipeline, sink)).toBe(2 * keys)
    expect(linesOf(pipeline, totals)).toEqual([
      ['all', [0, keys]],
      ['all', [40, keys]],
    ])
    expect(linesOf(pipeline, late)).toEqual([])
  })
})
