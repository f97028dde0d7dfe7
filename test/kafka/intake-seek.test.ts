import { afterEach, describe, expect, test } from 'vitest'
import type { KafkaCluster } from '../../src/kafka/index.js'
import { FakeTopics, unreachable } from './fake-topics.js'
import { StoreWorld } from './store-world.js'

let world: StoreWorld
let kafka: FakeTopics
afterEach(() => world.close())

async function started(partitions = 2): Promise<void> {
  kafka = new FakeTopics()
  kafka.partitions('orders', partitions)
  const cluster = { connectConsumer: () => kafka.connectConsumer() } as unknown as KafkaCluster
  world = await StoreWorld.open({ openCluster: () => cluster })
  await world.stream('orders')
  for (let i = 0; i < 10; i++) append(i % 2, i)
  await world.bridges.create({ name: 'test', topic: 'orders', into: 'stream:orders', brokers: 'a:1' })
  await stored(10)
}

function append(partition: number, value: number): void {
  kafka.partitions('orders', 0)[partition]!.append(`key-${partition}`, String(value), 1_000 * value)
  kafka.changed()
}

/** Values in the order in which they were stored, of each partition. */
async function values(): Promise<number[][]> {
  const all = (await world.bodies('orders')) as unknown as number[]
  return [0, 1].map((partition) => all.filter((value) => value % 2 === partition))
}
const stored = async (count: number): Promise<void> => {
  for (let all: number[] = []; all.length < count; ) {
    await new Promise((resolve) => setTimeout(resolve, 2))
    all = (await values()).flat()
  }
}
const running = () => world.state('running')
const even = [0, 2, 4, 6, 8]
const odd = [1, 3, 5, 7, 9]

describe('a seek of a bridge in', () => {
  test('to the oldest stores everything once more; a restart goes on behind it', async () => {
    await started()
    await world.bridges.seek('test', 'oldest')
    await stored(20)
    await world.restart()
    append(0, 10)
    await stored(21)
    expect(await values()).toEqual([
      [...even, ...even, 10],
      [...odd, ...odd],
    ])
  })

  test('to the newest passes over what waits, one that is paused stays so', async () => {
    await started()
    await world.bridges.pause('test')
    append(0, 10)
    append(1, 11)
    expect(await world.bridges.seek('test', 'newest')).toMatchObject({ state: { kind: 'paused' } })
    append(0, 12)
    await world.bridges.resume('test')
    await stored(11)
    expect(await values()).toEqual([[...even, 12], odd])
  })

  test('to a time, and to offsets of some partitions', async () => {
    await started()
    await world.bridges.seek('test', { timeMs: 7_000 })
    await stored(13)
    expect(await values()).toEqual([
      [...even, 8],
      [...odd, 7, 9],
    ])
    await world.bridges.seek('test', { offsets: { 1: 3 } })
    await stored(15)
    expect(await values()).toEqual([
      [...even, 8],
      [...odd, 7, 9, 7, 9],
    ])
    await world.bridges.seek('test', { timeMs: 99_000 })
    append(1, 13)
    await stored(16)
    expect((await values())[1]).toEqual([...odd, 7, 9, 7, 9, 13])
  })

  test('lets a bridge go on that has failed by what its topic has lost, where it is told', async () => {
    await started()
    await world.bridges.pause('test')
    for (let i = 10; i < 20; i++) append(i % 2, i)
    for (const partition of kafka.partitions('orders', 0)) partition.oldest = 8
    await world.bridges.resume('test')
    expect(await world.state('failed')).toMatchObject({ code: 'TRIMMED' })
    await world.bridges.seek('test', { offsets: { 0: 9, 1: 8 } })
    await stored(13)
    expect(await values()).toEqual([
      [...even, 18],
      [...odd, 17, 19],
    ])
  })

  test('changes nothing where it cannot be done, and says why', async () => {
    await started()
    const seek = (to: Parameters<typeof world.bridges.seek>[1]) => world.bridges.seek('test', to)
    await expect(seek({ offsets: { 2: 0 } })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    await expect(seek({ offsets: { 0: 6 } })).rejects.toMatchObject({
      code: 'BAD_REQUEST',
      message: 'Partition 0 of orders has offsets from 0 to 5, and not 6.',
    })
    await expect(seek({ offsets: {} })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    await expect(seek({ sequence: 3 as never })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    await world.bridges.create({ name: 'out', source: 'orders', brokers: 'a:1', start: 'newest' })
    await expect(world.bridges.seek('out', { offsets: { 0: 1 } })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    kafka.onCall = () => {
      throw unreachable()
    }
    await expect(seek('oldest')).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' })
    kafka.onCall = () => {}
    await running()
    append(0, 10)
    await stored(11)
    expect(await values()).toEqual([[...even, 10], odd])
  })
})
