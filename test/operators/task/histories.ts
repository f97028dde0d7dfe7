import fc from 'fast-check'
import type { NodeId, PipelinePlan } from '../../../src/operators/plan/nodes.js'
import { compareHash, type Hash64 } from '../../../src/runtime/index.js'
import type { MemoryLog, MemoryShard } from '../../../src/testing/memory-log.js'
import type { MemoryPipeline } from '../../../src/testing/memory-pipeline.js'
import { pipelineOf, push } from './plans.js'

const runs = process.env.MILLRACE_LONG ? 20_000 : 25

/** What happens to a pipeline between its first record and its last commit. */
export type Event =
  | {
      readonly kind: 'push'
      readonly key: number
      readonly value: number
      readonly source: number
      readonly time: number
    }
  | { readonly kind: 'steps'; readonly steps: number }
  | { readonly kind: 'barrier' | 'crash' | 'split' | 'merge' | 'time' }

const pushes = fc.record({
  kind: fc.constant('push' as const),
  key: fc.integer({ min: 0, max: 30 }),
  value: fc.integer({ min: 0, max: 9 }),
  source: fc.integer({ min: 0, max: 1 }),
  time: fc.integer({ min: 0, max: 100 }),
})
const others = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('steps' as const), steps: fc.integer({ min: 1, max: 30 }) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('barrier' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('crash' as const, 'split' as const, 'merge' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('time' as const) }) },
)
export const histories = fc.record({
  seed: fc.integer(),
  events: fc.array(fc.oneof({ weight: 3, arbitrary: pushes }, { weight: 2, arbitrary: others }), {
    maxLength: 80,
    size: 'max',
  }),
  shards: fc.integer({ min: 1, max: 4 }),
  tasks: fc.integer({ min: 1, max: 5 }),
  stateBytes: fc.constantFrom(0, 2000, 1 << 20),
  /** Of what timers make: one fires between two barriers, a few, or all. */
  firedBytes: fc.constantFrom(1, 700, Number.POSITIVE_INFINITY),
  firesAlone: fc.boolean(),
})
export type History = typeof histories extends fc.Arbitrary<infer Each> ? Each : never

export const pushed = ({ events }: History): Extract<Event, { kind: 'push' }>[] =>
  (events as Event[]).filter((event) => event.kind === 'push')

export async function live(plan: PipelinePlan, roots: readonly NodeId[], history: History): Promise<MemoryPipeline> {
  const { seed, shards, tasks, stateBytes, firedBytes, firesAlone } = history
  const firing = { bytesMax: firedBytes, isAlone: firesAlone }
  const bounds = { stateBytesMax: () => stateBytes, timersMax: 4, messageRowsMax: 3, firing }
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

export type Pushed = Extract<Event, { kind: 'push' }>
export interface Stamped extends Pushed {
  /** Sequence number of its record. */
  readonly serial: number
  readonly stamp: number
}

/**
 * The records of all shards, with what their shard's watermark was before each of them (a record that comes first: its own),
 * or, `perKey`, what it was in the shards before for the record's key, where that is later.
 */
export function stamped(log: MemoryLog, outOfOrder: number, perKey = false): Stamped[] {
  const ends = new Map<number, number>()
  return log.shards.flatMap((shard) => {
    let stamp = Math.min(...shard.parents.map((parent) => ends.get(parent) as number))
    if (shard.parents.length === 0) stamp = Number.NEGATIVE_INFINITY
    const rows = shard.records.map(({ record, sequence }) => {
      const pushed = JSON.parse(record.body.toString()) as Pushed
      stamp = Math.max(stamp, pushed.time - outOfOrder - 1)
      const level = perKey ? levelBefore(log, shard, record.hash, ends) : stamp
      return { ...pushed, serial: sequence, stamp: Math.max(stamp, level) }
    })
    ends.set(shard.id, stamp)
    return rows
  })
}

/** The highest that event time was, at their `ends`, in the shards before this one that a key was in; -Infinity without any. */
export function levelBefore(
  log: MemoryLog,
  shard: MemoryShard,
  hash: Hash64,
  ends: ReadonlyMap<number, number>,
): number {
  const before = log.shards.filter(
    ({ id, low, high }) => shard.parents.includes(id) && compareHash(low, hash) <= 0 && compareHash(hash, high) <= 0,
  )
  const levels = before.flatMap((parent) => [ends.get(parent.id) as number, levelBefore(log, parent, hash, ends)])
  return Math.max(...levels)
}

export const pushedIn = (record: { value: Pushed }): Pushed => record.value

/** Values of each key, in the order in which they came. */
export function byKey(lines: readonly (readonly [unknown, unknown])[]): Map<string, unknown[]> {
  const values = new Map<string, unknown[]>()
  for (const [key, value] of lines) {
    const name = JSON.stringify(key)
    values.set(name, [...(values.get(name) ?? []), value])
  }
  return values
}

/** Runs to the end of event time, over one more crash. */
export async function end(pipeline: MemoryPipeline): Promise<void> {
  pipeline.end()
  await pipeline.steps(5)
  await pipeline.crash()
  await pipeline.commitAll()
}

/** @param examples histories that went wrong once */
export const check = (property: (history: History) => Promise<void>, examples: readonly History[] = []) =>
  fc.assert(fc.asyncProperty(histories, property), { numRuns: runs, examples: examples.map((each) => [each]) })
