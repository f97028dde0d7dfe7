import { afterEach, describe, expect, test } from 'vitest'
import type { Sequence } from '../../src/log/index.js'
import { Random } from '../simulation/random.js'
import { away } from './fake-cluster.js'
import { StoreWorld } from './store-world.js'

const seeds = Array.from({ length: process.env.MILLRACE_LONG ? 40 : 3 }, (_, i) => i + 1)

let world: StoreWorld
afterEach(async () => {
  await world.close()
})

const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i)

describe.each(['exactly-once', 'at-least-once'] as const)('a seek (%s)', (guarantee) => {
  const started = async (records: number) => {
    world = await StoreWorld.open()
    await world.stream()
    await world.append(records)
    await world.create({ guarantee, start: 'oldest' })
    await world.caughtUp()
  }

  test('to the oldest record delivers everything once more, and goes on', async () => {
    await started(30)
    await world.bridges.seek('test', 'oldest')
    await world.append(5)
    await world.caughtUp()
    expect(world.values()).toEqual([...numbers(30), ...numbers(35)])
    await world.restart()
    await world.append(1)
    await world.caughtUp()
    expect(world.values()).toEqual([...numbers(30), ...numbers(36)])
  })

  test('to the newest passes over what waits, over a broker that is away and a restart', async () => {
    await started(10)
    world.cluster.up = false
    await world.append(20)
    await world.bridges.seek('test', 'newest')
    await world.restart()
    await world.append(3)
    expect((await world.shown()).statistics.lagRecords).toBe(3)
    world.cluster.up = true
    await world.caughtUp()
    expect(world.values()).toEqual([...numbers(10), ...numbers(3, 30)])
  })

  test('to a number and to a time goes on there', async () => {
    await started(10)
    const next = world.log.nextSequence()
    await new Promise((resolve) => setTimeout(resolve, 5))
    const timeMs = Date.now()
    await world.append(4)
    await world.caughtUp()
    await world.bridges.seek('test', { sequence: (next - 2) as Sequence })
    await world.caughtUp()
    expect(world.values()).toEqual([...numbers(14), ...numbers(6, 8)])
    await world.bridges.seek('test', { timeMs })
    await world.caughtUp()
    expect(world.values().slice(20)).toEqual(numbers(4, 10))
    await expect(world.bridges.seek('test', { sequence: 1_000_000 as Sequence })).rejects.toMatchObject({
      code: 'BAD_REQUEST',
    })
    await expect(world.bridges.seek('nobody', 'oldest')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await world.append(1)
    await world.caughtUp()
    expect(world.values().slice(24)).toEqual([14])
  })

  test('of a paused bridge waits for its resume', async () => {
    await started(10)
    await world.bridges.pause('test')
    expect((await world.bridges.seek('test', 'oldest')).state.kind).toBe('paused')
    await world.restart()
    expect((await world.shown()).state.kind).toBe('paused')
    expect((await world.shown()).statistics.lagRecords).toBe(10)
    await world.bridges.resume('test')
    await world.caughtUp()
    expect(world.values()).toEqual([...numbers(10), ...numbers(10)])
  })
})

describe('a seek', () => {
  test.each(seeds)(
    'to the oldest record is followed by each record once, whatever is killed (seed %i)',
    async (seed) => {
      const random = new Random(seed)
      world = await StoreWorld.open()
      await world.stream()
      await world.append(50)
      await world.create()
      world.cluster.onCommit = () => (random.chance(0.2) ? { error: away(), committed: random.chance(0.5) } : undefined)
      for (let step = 0; step < 15; step++) {
        await world.append(random.below(30))
        if (random.chance(0.5)) await world.bridges.seek('test', 'oldest')
        await new Promise((resolve) => setTimeout(resolve, random.below(15)))
        if (random.chance(0.4)) await world.kill()
      }
      world.cluster.onCommit = () => undefined
      await world.bridges.seek('test', 'oldest')
      if (random.chance(0.5)) await world.kill()
      await world.append(10)
      await world.caughtUp()
      const values = world.values()
      const count = Math.max(...values) + 1
      expect(values.slice(values.lastIndexOf(0))).toEqual(numbers(count))
    },
  )

  test('of a bridge whose checkpoint is gone says where it goes on', async () => {
    world = await StoreWorld.open()
    await world.stream()
    await world.append(5)
    await world.create()
    await world.caughtUp()
    await world.bridges.close()
    world.cluster.committed.set('millrace.clicks.checkpoints', [])
    await world.start()
    expect(await world.state('failed')).toMatchObject({ remedy: expect.stringContaining('bridges seek test') })
    await world.append(2)
    await world.bridges.seek('test', 'newest')
    await world.append(1)
    await world.caughtUp()
    expect(world.values()).toEqual([0, 1, 2, 3, 4, 7])
  })
})

describe('the lag', () => {
  test('is of records, however many numbers other streams have taken, and of time', async () => {
    world = await StoreWorld.open()
    await world.stream('clicks', 2)
    await world.stream('other')
    world.cluster.up = false
    await world.create()
    for (let i = 0; i < 5; i++) {
      await world.append(3)
      await world.append(50, 'other')
    }
    await world.log.split(world.log.shards(world.log.streamNamed('clicks')!.id)[0]!.id)
    await world.append(4)
    const { statistics } = await world.shown()
    expect(statistics.lagRecords).toBe(19)
    // What was written within this millisecond is no time old.
    await expect.poll(async () => (await world.shown()).statistics.lagSeconds).toBeGreaterThan(0)
    await world.restart()
    expect((await world.shown()).statistics.lagRecords).toBe(19)
    world.cluster.up = true
    await world.caughtUp()
    expect((await world.shown()).statistics).toMatchObject({ lagRecords: 0, lagSeconds: 0, records: 19 })
  })
})
