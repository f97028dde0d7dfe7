import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type kafkajs from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type KafkaConsumerClient, openKafkajsCluster } from '../../src/kafka/index.js'
import { type Broker, kafkaAvailable, startBroker } from './broker.mjs'
import { silent } from './memory.js'
import { kafkaAt } from './read-topic.js'

const bounds = { bytesMax: 1_000_000, waitMs: 100 }

describe.skipIf(!kafkaAvailable())('a consumer whose broker ends', () => {
  let broker: Broker
  let consumer: KafkaConsumerClient
  let admin: kafkajs.Admin
  let producer: kafkajs.Producer

  const cluster = () => openKafkajsCluster({ brokers: [broker.address], clientId: 'test', logger: silent })
  const connect = async (): Promise<void> => {
    consumer = await cluster().connectConsumer()
    const kafka = kafkaAt(broker.address)
    admin = kafka.admin()
    producer = kafka.producer({ allowAutoTopicCreation: false })
    await Promise.all([admin.connect(), producer.connect()])
  }
  const disconnect = () => Promise.all([consumer.close(), admin.disconnect(), producer.disconnect()])
  async function newTopic(topic: string): Promise<string> {
    await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: 1 }] })
    return topic
  }
  const send = (topic: string, value: string) => producer.send({ topic, messages: [{ value }] })

  beforeAll(async () => {
    broker = await startBroker()
    await connect()
  })
  afterAll(async () => {
    await disconnect()
    await broker.close()
  })

  test('stands behind what compaction took away', async () => {
    const topic = 'compacted'
    const config = {
      'cleanup.policy': 'compact',
      'segment.ms': '100',
      'min.cleanable.dirty.ratio': '0.01',
      'max.compaction.lag.ms': '100',
    }
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
    await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: 1, configEntries }] })
    const put = (key: string, value: string) => producer.send({ topic, messages: [{ key, value }] })
    for (let i = 0; i < 10; i++) await put('old', String(i))
    await put('kept', 'a')
    await consumer.describe(topic)
    /** All records from the beginning, each fetch from where the last one ended. */
    async function offsets(): Promise<number[]> {
      const found: number[] = []
      const { end } = (await consumer.bounds(topic, [0])).get(0)!
      for (let next = 0; next < end; ) {
        const [fetched] = await consumer.fetch(topic, new Map([[0, next]]), bounds)
        found.push(...fetched!.records.map(({ offset }) => offset))
        expect(fetched!.next).toBeGreaterThan(next)
        next = fetched!.next
      }
      return found
    }
    expect(await offsets()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    // A segment is closed by what comes after its time; the cleaner looks every fifteen seconds.
    let sent = 11
    await expect
      .poll(
        async () => {
          await put('newest', String(sent++))
          return (await offsets())[0]
        },
        { timeout: 120_000, interval: 1_000 },
      )
      .toBe(9)
    expect((await offsets()).slice(0, 2)).toEqual([9, 10])
    // From within the gap.
    const [fetched] = await consumer.fetch(topic, new Map([[0, 4]]), bounds)
    expect(fetched!.records[0]?.offset).toBe(9)
  })

  test('finds a batch that was damaged on the disk', async () => {
    const topic = await newTopic('damaged')
    await send(topic, 'whole')
    await send(topic, 'to be damaged')
    await disconnect()
    await broker.stop()
    const folder = join(broker.directory, 'data', `${topic}-0`)
    const path = join(folder, readdirSync(folder).find((name) => name.endsWith('.log'))!)
    const bytes = readFileSync(path)
    const at = bytes.indexOf('to be damaged')
    expect(at).toBeGreaterThan(0)
    bytes[at]! ^= 1
    writeFileSync(path, bytes)
    await broker.start()
    await connect()
    await consumer.describe(topic)
    const [before] = await consumer.fetch(topic, new Map([[0, 0]]), bounds)
    expect(before).toMatchObject({ records: [{ offset: 0 }], next: 1 })
    await expect(consumer.fetch(topic, new Map([[0, 1]]), bounds)).rejects.toMatchObject({
      code: 'KAFKA_REFUSED',
      details: { kafka: 'CORRUPT_MESSAGE', topic, partition: 0, offset: 1 },
    })
  })

  test('an end of the broker is KAFKA_UNAVAILABLE', async () => {
    const topic = await newTopic('quiet')
    await consumer.describe(topic)
    const waiting = consumer.fetch(topic, new Map([[0, 0]]), { ...bounds, waitMs: 60_000 })
    waiting.catch(() => {})
    await new Promise((resolve) => setImmediate(resolve))
    await broker.kill()
    await expect(waiting).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' })
    await expect(cluster().connectConsumer()).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' })
    await broker.start()
  })
})
