import { describe, expect, it } from 'vitest'
import type { Position } from '../../src/groups/index.js'
import type { LogPage, ShardId } from '../../src/log/index.js'
import { stagesOf } from '../../src/operators/task/index.js'
import { PipelineRun, type RunOptions } from '../../src/pipelines/run.js'
import type { CarefulRun } from '../../src/pipelines/run-parking.js'
import type { Handover } from '../../src/workers/protocol.js'
import { ManualClock } from '../manual-clock.js'
import { PlanBuilder } from '../operators/task/plans.js'

/** Every promise that can settle without the clock has. */
async function settled(): Promise<void> {
  for (let i = 0; i < 50; i++) await new Promise(setImmediate)
}

/** A run of one shard whose worker does nothing by itself: the test says what it answers. */
function runOf(careful: CarefulRun | undefined, recordsMax: number, epochBytesMax = 100) {
  const plan = new PlanBuilder()
  const root = plan.source()
  plan.sink(root)
  const clock = new ManualClock()
  let position = { shard: 1 as ShardId, next: 0, ended: false } as unknown as Position
  /** First sequence numbers of the chunks that the worker was given, one record each. */
  const given: number[] = []
  const buffers: ArrayBuffer[] = []
  const barriers: number[] = []
  let listener: Parameters<RunOptions['workers']['open']>[1] | undefined
  const work = { counters: { rowsIn: [], events: [] }, seconds: 0 }
  const mended: number[] = []
  const run = new PipelineRun({
    row: { id: 1, plan: { ...plan.plan, nodes: plan.nodes }, states: {}, files: {} },
    stages: stagesOf(plan.nodes),
    state: { isNew: true, times: { times: [], now: 0 } },
    sources: [
      {
        row: { node: root, stream: 1, hashKeyName: undefined },
        group: {
          positions: () => [position],
          position: () => position,
          readable: () => [position],
          rowsFor: () => [],
          moved: ([to]: readonly Position[]) => {
            position = to as Position
          },
        },
      },
    ],
    commit: { submit: async () => {} },
    log: {
      onChange: () => () => {},
      shapes: { of: () => [] },
      shards: () => [],
      shard: () => undefined,
      stream: () => ({}),
      read: async (_shard: ShardId, from: number) =>
        ({
          chunks: from < recordsMax ? [Buffer.from([from])] : [],
          next: Math.min(from + 1, recordsMax),
          ended: false,
        }) as unknown as LogPage,
    },
    workers: {
      size: 1,
      takeChannels: () => 0,
      open: (_options: unknown, listens: typeof listener) => {
        listener = listens
        return {
          address: { thread: 1, task: 1 },
          send: ({ buffers: [buffer], from }: Handover) => {
            given.push(from)
            buffers.push(buffer as ArrayBuffer)
          },
          idle: () => {},
          channels: () => {},
          barrier: (number: number) => barriers.push(number),
          committed: () => {},
          close: () => {},
        }
      },
    },
    load: { spent: () => {} },
    sinks: {},
    clock,
    limits: {
      barrierMs: 20,
      backlogBarrierMs: 500,
      barrierTimeoutMs: 10_000,
      handoverBytes: 1,
      handoversInFlightMax: 1,
      epochBytesMax,
    },
    feeders: [],
    sinkKeys: {},
    files: new Map(),
    outboxes: new Map(),
    parking: { careful, isFull: false, ofTask: () => undefined, committed: () => true },
    onMended: () => mended.push(1),
    onFailure: ({ error }: { error: Error }) => {
      throw error
    },
    onCommitted: () => {},
    onWork: () => {},
  } as unknown as RunOptions)
  return {
    run,
    clock,
    given,
    barriers,
    mended,
    /** The worker is through with what it was given. */
    work: async () => {
      for (const buffer of buffers.splice(0)) listener?.done(buffer, work)
      await settled()
    },
    /** The worker's task has passed the barrier that was sent last. */
    pass: async () => {
      const result = { rows: { buffer: new ArrayBuffer(0), length: 0 }, outputs: [], watermarks: [], now: 0 }
      listener?.barrier(barriers.at(-1) as number, result as never, work)
      await settled()
    },
  }
}

describe('a careful run', () => {
  it('reads on behind a barrier that it commits while its worker has nothing to do', async () => {
    const { run, clock, given, barriers, mended, work, pass } = runOf(
      { until: 8, poison: [], recordsMax: undefined, retries: [] },
      10,
    )
    await settled()
    expect(given).toEqual([0])
    clock.advance(20)
    expect(barriers).toEqual([1])
    await work()
    // What it read behind the barrier would be read again, if this was its last one.
    expect(given).toEqual([0])
    await pass()
    expect(given).toEqual([0, 1])
    while (given.length < 10) await work()
    clock.advance(20)
    await pass()
    expect(mended).toEqual([1])
    run.stop()
  })
})

describe('a run with a backlog', () => {
  it('commits half a second after its last commit, and at once where it has read all', async () => {
    const { run, clock, given, barriers, work, pass } = runOf(undefined, 10)
    await settled()
    await work()
    clock.advance(499)
    expect(barriers).toEqual([])
    clock.advance(1)
    expect(barriers).toEqual([1])
    await pass()
    clock.advance(499)
    expect(barriers).toEqual([1])
    while (given.length < 10) await work()
    await work()
    clock.advance(0)
    expect(barriers).toEqual([1, 2])
    run.stop()
  })

  it('commits when it has read as much as an epoch may have', async () => {
    const { run, clock, given, barriers, work } = runOf(undefined, 10, 3)
    await settled()
    await work()
    await work()
    expect(given).toEqual([0, 1, 2])
    clock.advance(0)
    expect(barriers).toEqual([1])
    run.stop()
  })
})
