import { expect, it } from 'vitest'
import { Family } from '../../src/commit/index.js'
import { Pipeline } from '../../src/pipelines/pipeline.js'
import { numbered } from '../../src/pipelines/rows.js'
import { parkedKey, parkedValue } from '../../src/workers/rows/parked-rows.js'
import { ManualClock } from '../manual-clock.js'
import { PlanBuilder } from '../operators/task/plans.js'
import { failedRow } from './parked-value.js'

/** Every promise that can settle without the clock has. */
async function settled(): Promise<void> {
  for (let i = 0; i < 50; i++) await new Promise(setImmediate)
}

/** A pipeline that fails whenever it begins, with one row parked. */
function failing() {
  const plan = new PlanBuilder()
  plan.sink(plan.step('map', plan.source(), () => 0))
  const clock = new ManualClock()
  const key = parkedKey(numbered(Family.parked, 1), {
    step: 0,
    hashHi: 1,
    hashLo: 2,
    key: Buffer.from('k'),
    number: 0,
  })
  const value = parkedValue(failedRow)
  let begun = 0
  let drop = (): void => {}
  const dropped = new Promise<void>((resolve) => {
    drop = resolve
  })
  const pipeline = new Pipeline(
    {
      id: 1,
      plan: { ...plan.plan, nodes: plan.nodes },
      sources: [],
      states: {},
      files: {},
      steps: { 'records of s': 0 },
      state: 'running',
    } as never,
    {
      sources: [],
      moduleFile: async () => {
        begun++
        throw new Error('not now')
      },
    } as never,
    {
      clock,
      storage: { page: async () => ({ keys: [key], values: [value], more: false }) },
      commit: { submit: () => dropped },
      logger: { warn: () => {}, error: () => {}, info: () => {} },
      limits: { attemptsMax: 9, onError: 'park', retryMs: 20, epochBytesMax: 1, parkedMax: 9, parkedBytesMax: 999 },
    } as never,
  )
  return { pipeline, clock, drop, begun: () => begun }
}

it('a pipeline whose next attempt is due waits for rows that are being dropped, and does not read them half dropped', async () => {
  const { pipeline, clock, drop, begun } = failing()
  pipeline.start()
  await settled()
  expect([pipeline.state, begun()]).toEqual(['retrying', 1])
  const dropping = pipeline.parked.drop({}, false)
  await settled()
  clock.advance(20)
  await settled()
  expect([pipeline.state, begun()]).toEqual(['retrying', 1])
  drop()
  expect(await dropping).toBe(1)
  await settled()
  expect(begun()).toBe(2)
  await pipeline.stop()
  clock.advance(60_000)
  await settled()
  expect(begun()).toBe(2)
})
