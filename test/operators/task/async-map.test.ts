import { describe, expect, it } from 'vitest'
import { linesOf, PlanBuilder, pipelineOf, push } from './plans.js'

const parkingOf = (isCareful: boolean) => ({ isCareful, attemptsMax: 2, isRetrying: false })

describe('asyncMap', () => {
  it('takes what comes behind a keyBy while something is parked', async () => {
    const plan = new PlanBuilder()
    const source = plan.source()
    const mapped = plan.step('map', source, (record: never) => {
      const { value } = record as { value: number }
      if (value === 1) throw new Error('one')
      return value
    })
    const keyed = plan.step('keyBy', mapped, (value: never) => value)
    const sink = plan.sink(plan.asyncMap(keyed, async (value: never) => value, 2, true))
    const pipeline = pipelineOf(plan.plan, { parking: parkingOf(true) })
    await pipeline.open()
    push(pipeline, source, 'a', 1)
    push(pipeline, source, 'b', 2)
    await pipeline.commitAll()
    expect(pipeline.store.parked.size).toBe(1)
    // A careful run calls the function one by one; the one that follows it has several under way.
    await pipeline.crash(parkingOf(false))
    push(pipeline, source, 'b', 3)
    await pipeline.commitAll()
    expect(linesOf(pipeline, sink)).toEqual([
      [2, 2],
      [3, 3],
    ])
  })

  it.each([
    ['before the first record of a run', true],
    ['between records, whose memory has gone back', false],
  ])('takes what a timer gives on where rows stay with their source, %s', async (_, crashes) => {
    const plan = new PlanBuilder()
    const source = plan.source()
    const step = plan.keyed('late', [plan.keyByPartition(source)], () => ({
      onRow: (_row, _input, context) => context.setTimer(1000, undefined, 'processing'),
      onTimer: (_timer, context) => context.emit('fired'),
    }))
    const sink = plan.sink(plan.asyncMap(step, async (value: never) => value, 2, true))
    const pipeline = pipelineOf(plan.plan, { now: 1, shards: 1 })
    await pipeline.open()
    push(pipeline, source, 'a', 1)
    await pipeline.commitAll()
    if (crashes) await pipeline.crash()
    pipeline.advance(2000)
    await pipeline.commitAll()
    expect(linesOf(pipeline, sink)).toEqual([[{ key: 'a' }, 'fired']])
  })
})
