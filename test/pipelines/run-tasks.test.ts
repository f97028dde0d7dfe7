import { describe, expect, it } from 'vitest'
import type { Position } from '../../src/groups/index.js'
import type { ShardId } from '../../src/log/index.js'
import { stagesOf } from '../../src/operators/task/index.js'
import { EventTimes } from '../../src/pipelines/event-times.js'
import { RunTasks, type RunTasksOptions } from '../../src/pipelines/run-tasks.js'
import type { OpenTaskOptions } from '../../src/workers/index.js'
import { ManualClock } from '../manual-clock.js'
import { PlanBuilder } from '../operators/task/plans.js'

/** A merge as it looks to a run: what has been committed may change, and the run is told to follow. */
function merging() {
  const plan = new PlanBuilder()
  const root = plan.source()
  plan.sink(plan.step('keyBy', root, () => 'all'))
  const stages = stagesOf(plan.nodes)
  const positions = new Map<number, Position>()
  const put = (shard: number, next: number, ended: boolean) =>
    positions.set(shard, { shard, next, ended } as unknown as Position)
  put(1, 0, false)
  put(2, 0, false)
  const shards = [
    { id: 1, parents: [], low: { hi: 0, lo: 0 }, high: { hi: 9, lo: 9 } },
    { id: 2, parents: [], low: { hi: 9, lo: 10 }, high: { hi: 19, lo: 0 } },
    { id: 3, parents: [1, 2], low: { hi: 0, lo: 0 }, high: { hi: 19, lo: 0 } },
  ]
  const isReadable = (shard: number) =>
    shard === 3 ? positions.get(1)?.ended && positions.get(2)?.ended : !positions.get(shard)?.ended
  const group = {
    positions: () => [...positions.values()],
    position: (shard: number) => positions.get(shard),
    readable: () =>
      [1, 2, 3].filter(isReadable).map((shard) => positions.get(shard) ?? { shard, next: 0, ended: false }),
  }
  /** Shards in the log: a trimmed one is gone from it. */
  let visible = shards
  const times = new EventTimes(1, { times: [], now: 0 })
  const at = (shard: number, watermark: number) =>
    times.take({ kind: 'shard', root, shard: shard as ShardId }, [{ node: root, watermark, isIdle: false }])
  const opened: (OpenTaskOptions & { shard?: number })[] = []
  const closed: number[] = []
  const run = () => {
    opened.length = 0
    closed.length = 0
    let channel = 0
    const tasks = new RunTasks({
      row: { id: 1, plan: { ...plan.plan, nodes: plan.nodes } },
      stages,
      sources: [{ row: { node: root, stream: 1, hashKeyName: undefined }, group }],
      log: {
        shards: () => visible,
        shard: (id: number) => visible.find((shard) => shard.id === id),
        stream: () => ({}),
        read: () => new Promise(() => {}),
      },
      workers: {
        size: 1,
        takeChannels: (count: number) => {
          channel += count
          return channel - count
        },
        open: (options: OpenTaskOptions) => {
          const task = opened.push(options)
          return {
            address: { thread: 1, task },
            channels: (_opened: unknown, gone: readonly number[]) => closed.push(...gone),
            barrier: () => {},
            close: () => {},
          }
        },
      },
      clock: new ManualClock(),
      parking: { ofTask: () => undefined },
      limits: { handoverBytes: 1, handoversInFlightMax: 1, epochBytesMax: 1 },
      times,
      isNew: () => true,
      mayRead: () => true,
      listen: () => ({}),
    } as unknown as RunTasksOptions)
    tasks.follow()
    return tasks
  }
  const labels = (tasks: RunTasks) => tasks.all().flatMap(({ owner }) => (owner.kind === 'shard' ? [owner.shard] : []))
  return {
    run,
    shards,
    put,
    at,
    opened,
    closed,
    times,
    labels,
    root,
    trim: (id: number) => {
      visible = visible.filter((shard) => shard.id !== id)
    },
  }
}

describe('shards that are merged', () => {
  it('hold event time from their end until their child is there', () => {
    const { run, put, at, labels, closed } = merging()
    const tasks = run()
    at(1, 50)
    put(1, 9, true)
    tasks.follow()
    expect(labels(tasks)).toEqual([1, 2])
    expect(closed).toEqual([])
    at(2, 20)
    put(2, 9, true)
    tasks.follow()
    expect(labels(tasks)).toEqual([3])
    expect(closed).toHaveLength(2)
  })

  it('hold it after a restart too, by a task that reads nothing', () => {
    const { run, shards, put, at, labels, opened, closed, root } = merging()
    at(1, 50)
    at(2, 20)
    put(1, 9, true)
    const tasks = run()
    expect(labels(tasks)).toEqual([1, 2])
    const [, second, first] = opened
    expect([second?.isEnded, first?.isEnded]).toEqual([false, true])
    expect(first?.restored?.watermarks).toEqual([{ node: root, watermark: 50, isIdle: false }])
    expect(tasks.hasProgress).toBe(false)
    expect(tasks.isReading(root, 1 as ShardId)).toBe(false)
    put(2, 9, true)
    tasks.follow()
    expect(labels(tasks)).toEqual([3])
    const { low, high } = shards[0] as (typeof shards)[number]
    expect(opened.at(-1)?.restored?.watermarks).toEqual([
      { node: root, watermark: 20, isIdle: false },
      { node: root, watermark: 50, isIdle: false, keys: { low, high } },
    ])
    expect(closed).toHaveLength(2)
  })

  it('hold it when they have been trimmed, and their times are kept', () => {
    const { run, put, at, labels, times, trim, root } = merging()
    at(1, 50)
    at(2, 20)
    put(1, 9, true)
    trim(1)
    const tasks = run()
    tasks.follow()
    expect(labels(tasks)).toEqual([1, 2])
    const isPast = (_root: number, shard: ShardId) => tasks.hasHeirs(root, shard)
    expect(times.forget(isPast)).toEqual([])
    put(2, 9, true)
    put(3, 1, false)
    tasks.follow()
    expect(labels(tasks)).toEqual([3])
    expect(times.forget(isPast)).toHaveLength(2)
  })

  it('need no task once their child has been read', () => {
    const { run, put, at, labels } = merging()
    at(1, 50)
    at(2, 20)
    put(1, 9, true)
    put(2, 9, true)
    put(3, 4, false)
    expect(labels(run())).toEqual([3])
  })
})
