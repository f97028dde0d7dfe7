/** How far the shards of a mapping are: what goes into one commit, and what becomes of a commit that fails. */
import { describe, expect, it } from 'vitest'
import type { EffectSet } from '../../../src/commit/index.js'
import {
  Checkpoints,
  type CheckpointsOptions,
  positionIntervalMs,
} from '../../../src/functions/mappings/checkpoints.js'
import type { OpenWindow } from '../../../src/functions/mappings/core/index.js'
import type { Group, Position } from '../../../src/groups/index.js'
import type { ShardId } from '../../../src/log/index.js'
import { MillraceError } from '../../../src/runtime/index.js'
import { ManualClock } from '../../manual-clock.js'

const bytesMax = 16 * 1024 * 1024

function open() {
  const clock = new ManualClock()
  const stored = new Map<ShardId, number>()
  const failures: unknown[] = []
  const commits: number[] = []
  const group = {
    position: (shard: ShardId) => ({ shard, next: stored.get(shard) ?? 0, ended: false }),
    rowsFor: (positions: readonly Position[]) =>
      positions.map(({ shard }) => ({ key: Buffer.from([shard]), value: Buffer.alloc(8) })),
    moved: (positions: readonly Position[]) => {
      for (const { shard, next } of positions) stored.set(shard, next)
    },
  } as unknown as Group
  const world = { isRefusing: false }
  const checkpoints = new Checkpoints({
    mapping: '00000000-0000-4000-8000-000000000000',
    group,
    clock,
    windows: new Map(),
    rows: () => [],
    onEnded: () => {},
    onFailure: (error) => failures.push(error),
    commit: {
      submit: async ({ rows = [] }: EffectSet) => {
        const bytes = rows.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0)
        if (world.isRefusing || bytes > bytesMax) throw new MillraceError('EFFECT_TOO_LARGE', 'too large')
        commits.push(bytes)
      },
    } as unknown as CheckpointsOptions['commit'],
  })
  const moved = (shard: number, next: number, stateBytes = 0) => {
    const state = JSON.stringify('x'.repeat(stateBytes))
    const window: OpenWindow | undefined = stateBytes > 0 ? { start: 0, state, isEarly: false } : undefined
    checkpoints.moved(shard as ShardId, { next, isEnded: false, window })
  }
  const pass = async (ms: number) => {
    clock.advance(ms)
    for (let i = 0; i < 30; i++) await new Promise<void>((resolve) => setImmediate(resolve))
  }
  return { checkpoints, stored, failures, commits, world, moved, pass }
}

describe('positions of a mapping', () => {
  it('go into as many commits as the states of their windows need', async () => {
    const { checkpoints, stored, failures, commits, moved } = open()
    for (let shard = 1; shard <= 20; shard++) moved(shard, 7, 1_000_000)
    await checkpoints.flush()
    expect(failures).toEqual([])
    expect([...stored.values()]).toEqual(Array.from({ length: 20 }, () => 7))
    expect(commits.length).toBeGreaterThan(1)
  })

  it('that could not be written are written later, with what is newer by then', async () => {
    const { stored, failures, world, moved, pass } = open()
    world.isRefusing = true
    moved(1, 5)
    moved(2, 6)
    await pass(positionIntervalMs)
    expect(failures).toHaveLength(1)
    moved(1, 8)
    await pass(positionIntervalMs)
    expect(failures).toHaveLength(1)
    world.isRefusing = false
    await pass(1000)
    expect(Object.fromEntries(stored)).toEqual({ 1: 8, 2: 6 })
  })

  it('are written although the state of another shard is more than a commit takes', async () => {
    const { checkpoints, stored, failures, moved, pass } = open()
    moved(1, 5, 20_000_000)
    moved(2, 6)
    await pass(positionIntervalMs)
    await pass(1000)
    await pass(1000)
    expect(failures.length).toBeGreaterThan(0)
    expect(Object.fromEntries(stored)).toEqual({ 2: 6 })
    // A stop does not wait for it for ever.
    await checkpoints.flush()
  })
})
