import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type KafkaCluster, type KafkaMessage, kafkaDrivers, openWith } from '../../src/kafka/index.js'
import { PackedMessages } from '../../src/kafka/packed-messages.js'
import { checkNode } from '../../src/kafka/platformatic-client.js'
import { type Broker, kafkaAvailable, startBroker } from './broker.mjs'
import { silent } from './memory.js'
import { readTopic } from './read-topic.js'

// What bridges and sinks rest on, of each driver: against a real broker, and read by somebody else.
const here = kafkaAvailable()
let broker: Broker
if (here) {
  beforeAll(async () => {
    broker = await startBroker()
  })
  afterAll(() => broker?.close())
}

describe.skipIf(!here).each(kafkaDrivers)('the driver %s', (driver) => {
  let cluster: KafkaCluster
  beforeAll(() => {
    cluster = openWith[driver]({ brokers: [broker.address], clientId: 'test', logger: silent })
  })

  let topics = 0
  async function newTopic(partitions = 1, config: Record<string, string> = {}): Promise<string> {
    const topic = `${driver}-${++topics}`
    const admin = await cluster.connectAdmin()
    const wanted = { partitions, replicationFactor: 1, config }
    expect(await admin.describeTopic(topic)).toBeUndefined()
    await admin.createTopic(topic, wanted)
    // Somebody else has made it meanwhile.
    await admin.createTopic(topic, wanted)
    expect(await admin.describeTopic(topic)).toMatchObject({ partitions })
    await admin.close()
    return topic
  }
  const message = (value: string | null, partition = 0, more: Partial<KafkaMessage> = {}): KafkaMessage => ({
    key: Buffer.from('k'),
    value: value === null ? null : Buffer.from(value),
    partition,
    timestamp: 1_700_000_000_123,
    headers: {},
    ...more,
  })
  const endless = { 'retention.ms': '-1' }
  const valuesOf = async (topic: string) => (await readTopic(broker.address, topic)).map(({ value }) => value)

  test('sends keys, values, tombstones, headers and times as they are, in order, packed or not', async () => {
    const topic = await newTopic(3, endless)
    const producer = await cluster.connectProducer()
    const headers = { 'millrace-op': 'c', größe: 'ü' }
    for (let batch = 0; batch < 20; batch++) {
      const messages = [0, 1, 2].flatMap((partition) => [
        message(`${batch}`, partition),
        message(`${batch}b`, partition),
      ])
      await producer.send(topic, messages, batch % 2 === 0 ? 'none' : 'gzip')
    }
    await producer.send(topic, [message(null, 1, { headers }), { ...message('keyless', 2), key: null }], 'none')
    await producer.close()
    const read = await readTopic(broker.address, topic)
    for (const partition of [0, 1, 2]) {
      const values = read.filter((each) => each.partition === partition).map(({ value }) => value)
      const last = [[], [null], ['keyless']][partition] as (string | null)[]
      expect(values).toEqual([...Array.from({ length: 20 }, (_, i) => [`${i}`, `${i}b`]).flat(), ...last])
    }
    expect(read.find(({ value }) => value === null)).toMatchObject({ key: 'k', headers, timestamp: 1_700_000_000_123 })
    expect(read.find(({ value }) => value === 'keyless')).toMatchObject({ key: 'null' })
  })

  test('sends packed messages as those that are not, in and out of transactions', async () => {
    const topic = await newTopic(3, endless)
    const packed = new PackedMessages()
    // Those of several shards are not in the order of their times.
    const time = 1_700_000_000_000
    const fill = (batch: number) => {
      packed.empty()
      const headers = { 'millrace-op': 'c', größe: 'ü' }
      for (const partition of [0, 2, 2, 0])
        packed.push(message(`${batch}:${packed.length}`, partition, { headers, timestamp: time - packed.length }))
      return packed
    }
    const producer = await cluster.connectProducer()
    // The same memory is written again as soon as the broker has what was in it.
    for (let batch = 0; batch < 10; batch++) await producer.send(topic, fill(batch), batch % 2 === 0 ? 'none' : 'gzip')
    await producer.close()
    const transactions = await cluster.connectTransactionalProducer(topic)
    for (let batch = 10; batch < 20; batch += 2) {
      await transactions.begin()
      await transactions.send(topic, fill(batch), 'none')
      await transactions.send(topic, fill(batch + 1), 'none')
      await transactions.commit()
    }
    await transactions.close()
    const read = await readTopic(broker.address, topic)
    expect(read.every(({ key, headers }) => key === 'k' && headers.größe === 'ü')).toBe(true)
    for (const [partition, places] of [
      [0, [0, 3]],
      [1, []],
      [2, [1, 2]],
    ] as const) {
      const values = read.filter((each) => each.partition === partition).map(({ value }) => value)
      expect(values).toEqual(Array.from({ length: 20 }, (_, batch) => places.map((i) => `${batch}:${i}`)).flat())
      const times = read.filter((each) => each.partition === partition).map(({ timestamp }) => timestamp)
      expect(times).toEqual(Array.from({ length: 20 }, () => places.map((i) => time - i)).flat())
    }
  })

  test('commits transactions one behind the other, and gives up what was not committed', async () => {
    const [topic, other] = [await newTopic(2, endless), await newTopic(1, endless)]
    const producer = await cluster.connectTransactionalProducer(topic)
    for (let i = 0; i < 10; i++) {
      await producer.begin()
      await producer.send(topic, [message(`${i}`, 0), message(`${i}`, 1)], 'none')
      await producer.send(other, [message(`${i}`)], 'none')
      await producer.send(topic, [message(`${i}b`, 0)], 'none')
      await producer.commit()
    }
    await producer.begin()
    await producer.commit()
    await producer.begin()
    await producer.send(topic, [message('given up')], 'none')
    await producer.close()
    expect((await valuesOf(topic)).length).toBe(30)
    expect(await valuesOf(other)).toEqual(Array.from({ length: 10 }, (_, i) => `${i}`))
    const taken: string[] = []
    const stop = new AbortController().signal
    await cluster.readCommitted(other, ({ value }) => taken.push(String(value)) === 10, stop)
    expect(taken).toEqual(Array.from({ length: 10 }, (_, i) => `${i}`))
  })

  test('a producer that was fenced by another one with its id writes nothing more', async () => {
    const topic = await newTopic(1, endless)
    const old = await cluster.connectTransactionalProducer(topic)
    await old.begin()
    await old.send(topic, [message('first')], 'none')
    await old.commit()
    await old.begin()
    await old.send(topic, [message('half')], 'none')
    const stop = new AbortController().signal
    const soFar = async () => {
      const taken: string[] = []
      await cluster.readCommittedSoFar(topic, ({ value }) => taken.push(String(value)), stop)
      return taken
    }
    expect(await soFar()).toEqual(['first'])
    const other = await cluster.connectTransactionalProducer(topic)
    await other.begin()
    await other.send(topic, [message('second')], 'none')
    await expect(old.commit()).rejects.toMatchObject({
      code: 'KAFKA_UNAVAILABLE',
      details: { kafka: expect.stringMatching(/^(INVALID_PRODUCER_EPOCH|PRODUCER_FENCED)$/) },
    })
    old.discard()
    await other.commit()
    await other.close()
    expect(await soFar()).toEqual(['first', 'second'])
    expect(await valuesOf(topic)).toEqual(['first', 'second'])
  })

  test('says what the broker refuses, and what helps', async () => {
    const refusal = async (
      config: Record<string, string>,
      refused: Parameters<typeof message>[2] & { value?: Buffer },
    ) => {
      const producer = await cluster.connectProducer()
      const sent = producer.send(await newTopic(1, config), [message('', 0, refused)], 'none')
      const error = await sent.catch((thrown: unknown) => thrown)
      producer.discard()
      return error
    }
    expect(await refusal({ 'max.message.bytes': '1000' }, { value: Buffer.alloc(2000) })).toMatchObject({
      code: 'KAFKA_REFUSED',
      details: { kafka: 'MESSAGE_TOO_LARGE' },
      remedy: expect.stringMatching(/max\.message\.bytes/),
    })
    const keyless = { key: null as unknown as Buffer }
    expect(await refusal({ 'cleanup.policy': 'compact' }, keyless)).toMatchObject({
      code: 'KAFKA_REFUSED',
      details: { kafka: 'INVALID_RECORD' },
    })
    const admin = await cluster.connectAdmin()
    const wrong = { partitions: 1, replicationFactor: 3, config: {} }
    await expect(admin.createTopic('three', wrong)).rejects.toMatchObject({
      code: 'KAFKA_REFUSED',
      details: { kafka: 'INVALID_REPLICATION_FACTOR' },
    })
    await admin.close()
    const producer = await cluster.connectProducer()
    await expect(producer.send('nowhere', [message('x')], 'none')).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' })
    producer.discard()
  })

  test('nothing of a producer that was discarded comes later, and nobody answers where nobody listens', async () => {
    const topic = await newTopic(1, endless)
    const producer = await cluster.connectProducer()
    await producer.send(topic, [message('before')], 'none')
    const cut = producer.send(topic, [message('cut')], 'none')
    producer.discard()
    await expect(cut).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' })
    await expect(producer.send(topic, [message('after')], 'none')).rejects.toMatchObject({ code: 'INTERNAL' })
    expect((await valuesOf(topic)).filter((value) => value !== 'cut')).toEqual(['before'])
    const nobody = openWith[driver]({ brokers: ['127.0.0.1:1'], clientId: 'test', logger: silent })
    await expect(nobody.connectProducer()).rejects.toMatchObject({
      code: 'KAFKA_UNAVAILABLE',
      message: expect.stringMatching(/ECONNREFUSED/),
    })
  })
})

test('the second driver says which Node it needs', () => {
  for (const version of ['20.19.4', '20.20.0', '22.18.0', '24.6.1', '25.0.0', '26.1.0'])
    expect(() => checkNode(version)).not.toThrow()
  for (const version of ['18.20.0', '20.15.0', '20.19.3', '22.17.9', '24.5.0', '23.11.0', '21.0.0'])
    expect(() => checkNode(version)).toThrow(/needs Node 20\.19\.4, 22\.18, 24\.6 or newer; this is/)
})
