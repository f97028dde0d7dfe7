import { randomUUID } from 'node:crypto'
import type { Kafka } from 'kafkajs'
// As the bridge has it: whoever loads it before keeps its own encoder in it.
import { kafkajs } from '../../src/kafka/kafkajs-client.js'

export interface ReadMessage {
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: string
  readonly value: string | null
  readonly headers: Readonly<Record<string, string>>
}

export const kafkaAt = (address: string): Kafka =>
  new (kafkajs().Kafka)({
    brokers: [address],
    logLevel: kafkajs().logLevel.NOTHING,
    connectionTimeout: 10_000,
    retry: { retries: 20 },
  })

/** Key of the messages that say how far to read: behind the end of a transaction no offset tells that. */
const endKey = 'end of reading'

/** Everything committed that a topic holds now, per partition in order of offset. */
export async function readTopic(address: string, topic: string): Promise<ReadMessage[]> {
  const kafka = kafkaAt(address)
  const partitions = await partitionsOf(kafka, topic)
  const end = randomUUID()
  const producer = kafka.producer({ allowAutoTopicCreation: false })
  await producer.connect()
  await producer.send({ topic, messages: partitions.map((partition) => ({ key: endKey, value: end, partition })) })
  await producer.disconnect()
  const left = new Set(partitions)
  const messages: ReadMessage[] = []
  const consumer = kafka.consumer({ groupId: randomUUID(), maxWaitTimeInMs: 100 })
  await consumer.connect()
  try {
    await consumer.subscribe({ topic, fromBeginning: true })
    await new Promise<void>((resolve, reject) => {
      consumer
        .run({
          autoCommit: false,
          eachMessage: async ({ partition, message }) => {
            if (String(message.key) === endKey) {
              if (String(message.value) === end) left.delete(partition)
              if (left.size === 0) resolve()
              return
            }
            messages.push({
              partition,
              offset: Number(message.offset),
              timestamp: Number(message.timestamp),
              key: String(message.key),
              value: message.value === null ? null : String(message.value),
              headers: Object.fromEntries(
                Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)]),
              ),
            })
          },
        })
        .catch(reject)
    })
  } finally {
    await consumer.disconnect()
  }
  return messages
}

async function partitionsOf(kafka: Kafka, topic: string): Promise<number[]> {
  const admin = kafka.admin()
  await admin.connect()
  const ends = await admin.fetchTopicOffsets(topic)
  await admin.disconnect()
  return ends.map(({ partition }) => partition)
}

/** Takes the records of a partition below an offset away, as retention does. */
export async function deleteRecords(address: string, topic: string, partition: number, below: number): Promise<void> {
  // One that has not looked at the topic yet: the library does not look again.
  const admin = kafkaAt(address).admin()
  await admin.connect()
  await admin.fetchTopicMetadata({ topics: [topic] })
  await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(below) }] })
  await admin.disconnect()
}
