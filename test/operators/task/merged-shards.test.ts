import { expect, it } from 'vitest'
import type { MemoryPipeline } from '../../../src/testing/memory-pipeline.js'
import { pushedIn, stamped } from './histories.js'
import { linesOf, PlanBuilder, pipelineOf, push, windowSum } from './plans.js'

// A shard that was merged holds event time until the child has begun, which waits for the other parent too.

const outOfOrder = 30

/** Windows of 10 ms over two shards with a key each, in one task. */
async function opened(seed: number) {
  const builder = new PlanBuilder()
  const source = builder.source()
  const timed = builder.eventTime(source, (record: never) => pushedIn(record).time, outOfOrder)
  const keyed = builder.step('keyBy', timed, () => 'all')
  const window = builder.keyed('window', [keyed], () => windowSum(10, (record) => pushedIn(record as never).value), [
    'late',
  ])
  const late = builder.sink(builder.output(window, 'late'))
  const pipeline = pipelineOf(builder.plan, { seed, shards: 4, tasks: 1 })
  await pipeline.open()
  const give = (key: number, time: number) => push(pipeline, source, `k${key}`, { key, value: 1, source: 0, time })
  return { pipeline, source, late, give }
}

/** A record is late by what its shard and the shards before that hold, and by nothing else. */
async function merge(seed: number, between: (pipeline: MemoryPipeline) => Promise<void>): Promise<void> {
  const { pipeline, source, late, give } = await opened(seed)
  give(28, 50)
  give(10, 50)
  pipeline.merge(source)
  await between(pipeline)
  give(0, 50)
  await between(pipeline)
  pipeline.merge(source)
  await between(pipeline)
  give(13, 0)
  await pipeline.commitAll()
  const expected = stamped(pipeline.log, outOfOrder).filter(({ time, stamp }) => time + 9 <= stamp)
  expect(linesOf(pipeline, late)).toHaveLength(expected.length)
}

it.each(Array.from({ length: 40 }, (_, i) => i - 20))(
  'an ended parent holds it, whatever comes first (seed %i)',
  async (seed) => {
    await merge(seed, (pipeline) => pipeline.steps(4))
  },
)

it.each(Array.from({ length: 40 }, (_, i) => i - 20))('and does so after a crash (seed %i)', async (seed) => {
  const crashing = async (pipeline: MemoryPipeline) => {
    pipeline.wantBarrier()
    await pipeline.steps(6)
    await pipeline.crash()
    await pipeline.steps(3)
  }
  await merge(seed, crashing)
})
