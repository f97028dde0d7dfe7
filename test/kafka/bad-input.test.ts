import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openKafkajsCluster } from '../../src/kafka/index.js'
import { hashKey } from '../../src/runtime/index.js'
import { type Broker, kafkaAvailable, startBroker } from './broker.mjs'
import { kafkaAt, readTopic } from './read-topic.js'
import { StoreWorld } from './store-world.js'

const here = kafkaAvailable()

describe.skipIf(!here)('a real broker and a bridge that is asked for too much', () => {
  let broker: Broker
  let world: StoreWorld

  beforeAll(async () => {
    broker = await startBroker()
  })
  afterEach(async () => {
    await world.close()
  })
  afterAll(async () => {
    await broker?.close()
  })

  let topics = 0
  async function opened(): Promise<string> {
    world = await StoreWorld.open({ openCluster: openKafkajsCluster })
    await world.stream()
    return `topic-${topics++}`
  }
  const create = (request: Parameters<StoreWorld['create']>[0]) => world.create({ brokers: broker.address, ...request })

  async function admin<T>(work: (admin: ReturnType<ReturnType<typeof kafkaAt>['admin']>) => Promise<T>): Promise<T> {
    const client = kafkaAt(broker.address).admin()
    await client.connect()
    return work(client).finally(() => client.disconnect())
  }

  test('an address where nobody answers is waited for, and named', async () => {
    const topic = await opened()
    await world.append(3)
    await create({ topic, brokers: '127.0.0.1:1' })
    expect(await world.state('waiting')).toMatchObject({
      code: 'KAFKA_UNAVAILABLE',
      message: expect.stringContaining('127.0.0.1:1'),
      remedy: expect.stringMatching(/./),
    })
    // The others go on.
    await create({ name: 'well', topic })
    await world.caughtUp('well')
  })

  test('a topic with other settings, and one that gets partitions, are refused with both values', async () => {
    const topic = await opened()
    await admin((each) => each.createTopics({ topics: [{ topic, numPartitions: 2 }] }))
    await create({ topic, topicConfig: { 'cleanup.policy': 'compact' } })
    expect(await world.state('failed')).toMatchObject({
      code: 'KAFKA_REFUSED',
      message: expect.stringContaining('cleanup.policy=compact (it has delete)'),
    })
    await world.bridges.delete('test')
    await create({ topic, partitions: 5 })
    expect(await world.state('failed')).toMatchObject({
      message: expect.stringContaining('has 2 partitions and the bridge asks for 5'),
    })
    await world.bridges.delete('test')
    await create({ topic })
    await world.append(3)
    await world.caughtUp()
    await admin((each) => each.createPartitions({ topicPartitions: [{ topic, count: 3 }] }))
    await world.restart()
    expect(await world.state('failed')).toMatchObject({
      message: expect.stringContaining('has 3 partitions and the bridge has delivered to 2'),
    })
  })

  test('keys of any bytes go as they are', async () => {
    const topic = await opened()
    const key = Buffer.from([0xff, 0x00, 0xfe])
    const record = {
      hash: hashKey(key),
      kind: 0 as const,
      flags: 0,
      codec: 1 as const,
      time: 0,
      key,
      body: Buffer.from('1'),
    }
    await world.commit.submit({ records: [{ stream: world.log.streamNamed('clicks')!.id, records: [record] }] })
    for (const format of ['envelope', 'cloudevents', 'cloudevents-binary', 'image'] as const) {
      await create({ name: format, topic, format })
      await world.caughtUp(format)
    }
    const messages = await readTopic(broker.address, topic)
    expect(messages.map((message) => message.key)).toEqual(Array(4).fill(key.toString()))
  })

  test('a snapshot, its changes and a seek are exactly once for who reads what is committed', async () => {
    const topic = await opened()
    await world.table()
    for (let i = 0; i < 20; i++) await world.put(`item-${i}`, i)
    await create({ topic, source: 'table:todo', snapshot: true, partitions: 3 })
    await expect.poll(async () => (await world.shown()).snapshot).toBe('done')
    const changes = world.log.nextSequence()
    await world.put('item-1', 100)
    await world.remove('item-2')
    await world.caughtUp()
    const ops = async () => (await readTopic(broker.address, topic)).map(({ headers }) => headers['millrace-op']).sort()
    expect(await ops()).toEqual(['d', 'd', ...Array(20).fill('r'), 'u'])
    await world.bridges.seek('test', { sequence: changes })
    await world.caughtUp()
    await world.restart()
    await world.caughtUp()
    expect(await ops()).toEqual(['d', 'd', 'd', 'd', ...Array(20).fill('r'), 'u', 'u'])
  })
})
