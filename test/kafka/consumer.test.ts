import zlib from 'node:zlib'
import type kafkajs from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type FetchedPartition, type KafkaConsumerClient, kafkaDrivers, openWith } from '../../src/kafka/index.js'
import { type Broker, kafkaAvailable, startBroker } from './broker.mjs'
import { silent } from './memory.js'
import { deleteRecords, kafkaAt } from './read-topic.js'

const bounds = { bytesMax: 1_000_000, waitMs: 100 }

const here = kafkaAvailable()
let broker: Broker
if (here) {
  beforeAll(async () => {
    broker = await startBroker()
  })
  afterAll(() => broker?.close())
}

describe.skipIf(!here).each(kafkaDrivers)('a consumer that is no member of a group (%s)', (driver) => {
  let consumer: KafkaConsumerClient
  let admin: kafkajs.Admin
  let producer: kafkajs.Producer

  beforeAll(async () => {
    consumer = await openWith[driver]({
      brokers: [broker.address],
      clientId: 'test',
      logger: silent,
    }).connectConsumer()
    const kafka = kafkaAt(broker.address)
    admin = kafka.admin()
    producer = kafka.producer({ allowAutoTopicCreation: false })
    await Promise.all([admin.connect(), producer.connect()])
  })
  afterAll(async () => {
    await Promise.all([consumer.close(), admin.disconnect(), producer.disconnect()])
  })

  let topics = 0
  async function newTopic(partitions = 1, config: Record<string, string> = {}): Promise<string> {
    const topic = `consumed-${driver}-${++topics}`
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
    await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: partitions, configEntries }] })
    return topic
  }
  const send = (topic: string, values: readonly (string | null)[], partition = 0) =>
    producer.send({ topic, messages: values.map((value, i) => ({ key: `k${i}`, value, partition })) })

  /** From an offset on until there is as much as is expected. */
  async function read(topic: string, from: number, until: number): Promise<FetchedPartition> {
    const records: FetchedPartition['records'][number][] = []
    let [next, end] = [from, 0]
    while (next < until) {
      const [fetched] = await consumer.fetch(topic, new Map([[0, next]]), bounds)
      records.push(...fetched!.records)
      next = fetched!.next
      end = fetched!.end
    }
    return { partition: 0, records, next, end }
  }
  const valuesOf = ({ records }: FetchedPartition) => records.map(({ value }) => value && String(value))

  test('says where partitions are and how far they reach', async () => {
    const topic = await newTopic(3)
    await send(topic, ['a', 'b'], 1)
    const described = await consumer.describe(topic)
    expect(described).toMatchObject({ partitions: 3 })
    expect(described?.clusterId).toMatch(/.{10}/)
    expect(described?.byLeader.map((led) => [...led].sort())).toEqual([[0, 1, 2]])
    // A broker may tell of a partition that is new a moment before it leads it.
    await expect
      .poll(() => consumer.bounds(topic, [0, 1]))
      .toEqual(
        new Map([
          [0, { oldest: 0, end: 0 }],
          [1, { oldest: 0, end: 2 }],
        ]),
      )
    const before = Date.now() - 3_600_000
    expect(await consumer.offsetsAt(topic, [0, 1], before)).toEqual(new Map([[1, 0]]))
    expect(await consumer.offsetsAt(topic, [0, 1], before + 7_200_000)).toEqual(new Map())
    expect(await consumer.describe('not-there')).toBeUndefined()
  })

  test('gives keys, values, times and headers as they are', async () => {
    const topic = await newTopic()
    const timestamp = '1700000000123'
    await producer.send({
      topic,
      messages: [
        { key: 'key', value: 'value', timestamp, headers: { one: 'a', two: ['b', 'c'] } },
        { key: null, value: null, timestamp },
        { key: Buffer.from([0xff, 0x00]), value: '', timestamp: '0' },
      ],
    })
    await consumer.describe(topic)
    const { records } = await read(topic, 0, 3)
    expect(records).toEqual([
      {
        offset: 0,
        timestamp: 1_700_000_000_123,
        key: Buffer.from('key'),
        value: Buffer.from('value'),
        headers: [
          ['one', Buffer.from('a')],
          ['two', Buffer.from('b')],
          ['two', Buffer.from('c')],
        ],
      },
      { offset: 1, timestamp: 1_700_000_000_123, key: null, value: null, headers: [] },
      { offset: 2, timestamp: 0, key: Buffer.from([0xff, 0x00]), value: Buffer.from(''), headers: [] },
    ])
    // In the midst of the batch.
    expect((await read(topic, 2, 3)).records.map(({ offset }) => offset)).toEqual([2])
  })

  test('leaves aborted transactions out and stands behind their markers', async () => {
    const topic = await newTopic()
    const transactional = kafkaAt(broker.address).producer({
      transactionalId: topic,
      maxInFlightRequests: 1,
      idempotent: true,
    })
    await transactional.connect()
    const write = async (value: string, commits: boolean) => {
      const transaction = await transactional.transaction()
      await transaction.send({ topic, messages: [{ value }] })
      await (commits ? transaction.commit() : transaction.abort())
    }
    await write('one', true)
    await write('lost', false)
    await write('two', true)
    await write('lost too', false)
    await consumer.describe(topic)
    await expect.poll(async () => (await consumer.bounds(topic, [0])).get(0)?.end).toBe(8)
    const all = await read(topic, 0, 8)
    expect(valuesOf(all)).toEqual(['one', 'two'])
    expect(all).toMatchObject({ next: 8, end: 8 })
    // An open one holds readers of what is committed back.
    const open = await transactional.transaction()
    await open.send({ topic, messages: [{ value: 'open' }] })
    await send(topic, ['behind it'])
    expect(await consumer.fetch(topic, new Map([[0, 8]]), bounds)).toMatchObject([{ records: [], next: 8, end: 8 }])
    await open.abort()
    expect(valuesOf(await read(topic, 8, 11))).toEqual(['behind it'])
    await transactional.disconnect()
  })

  test('never gives another offset than the one that was asked for', async () => {
    const topic = await newTopic()
    await send(topic, ['a', 'b', 'c'])
    await deleteRecords(broker.address, topic, 0, 2)
    await consumer.describe(topic)
    expect((await consumer.bounds(topic, [0])).get(0)).toEqual({ oldest: 2, end: 3 })
    for (const from of [1, 4])
      await expect(consumer.fetch(topic, new Map([[0, from]]), bounds)).rejects.toMatchObject({
        code: 'KAFKA_REFUSED',
        details: { kafka: 'OFFSET_OUT_OF_RANGE', topic, partition: 0, offset: from },
      })
  })

  const methods = ['gzip', 'snappy', 'lz4', ...('zstdDecompressSync' in zlib ? ['zstd'] : [])]
  test.each(methods)('reads batches that are compressed with %s', async (method) => {
    const topic = await newTopic(1, { 'compression.type': method })
    const values = Array.from({ length: 400 }, (_, i) => `${i} ${'millrace '.repeat(i % 40)}${i * 7919}`)
    await send(topic, values)
    await consumer.describe(topic)
    expect(valuesOf(await read(topic, 0, 400))).toEqual(values)
  })

  test('refuses zstd where Node has none of it', async () => {
    if ('zstdDecompressSync' in zlib) return
    const topic = await newTopic(1, { 'compression.type': 'zstd' })
    await send(topic, ['a'])
    await consumer.describe(topic)
    await expect(read(topic, 0, 1)).rejects.toMatchObject({
      code: 'KAFKA_REFUSED',
      details: { kafka: 'UNSUPPORTED_COMPRESSION_TYPE', offset: 0 },
    })
  })

  test('stores offsets for a group, unless it has members', async () => {
    const topic = await newTopic()
    const group = `group of ${topic}`
    await consumer.describe(topic)
    // The first group makes the broker make its topic.
    await expect
      .poll(() => consumer.committedOffsets(group, topic, [0]).catch((error: unknown) => error))
      .toEqual(new Map())
    await consumer.commitOffsets(group, topic, new Map([[0, 7]]), 'mark')
    expect(await consumer.committedOffsets(group, topic, [0])).toEqual(new Map([[0, { offset: 7, metadata: 'mark' }]]))
    const member = kafkaAt(broker.address).consumer({ groupId: group, maxWaitTimeInMs: 50 })
    await member.connect()
    const joined = new Promise((resolve) => member.on(member.events.GROUP_JOIN, resolve))
    await member.subscribe({ topic })
    await member.run({ eachMessage: async () => {} })
    await joined
    await expect(consumer.commitOffsets(group, topic, new Map([[0, 9]]), 'mark')).rejects.toMatchObject({
      code: 'KAFKA_REFUSED',
      details: { group },
    })
    await member.disconnect()
  })
})
