import { randomUUID } from 'node:crypto'
import kafkajs from 'kafkajs'

export interface ReadMessage {
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: string
  readonly value: string | null
  readonly headers: Readonly<Record<string, string>>
}

export const kafkaAt = (address: string): kafkajs.Kafka =>
  new kafkajs.Kafka({
    brokers: [address],
    logLevel: kafkajs.logLevel.NOTHING,
    connectionTimeout: 10_000,
    retry: { retries: 20 },
  })

/** Everything that a topic holds now, per partition in order of offset. */
export async function readTopic(address: string, topic: string): Promise<ReadMessage[]> {
  const kafka = kafkaAt(address)
  const admin = kafka.admin()
  await admin.connect()
  const ends = await admin.fetchTopicOffsets(topic)
  await admin.disconnect()
  const left = new Map(
    ends.filter((end) => Number(end.high) > Number(end.low)).map((end) => [end.partition, Number(end.high)]),
  )
  const messages: ReadMessage[] = []
  if (left.size === 0) return messages
  const consumer = kafka.consumer({ groupId: randomUUID(), maxWaitTimeInMs: 100 })
  await consumer.connect()
  try {
    await consumer.subscribe({ topic, fromBeginning: true })
    await new Promise<void>((resolve, reject) => {
      consumer
        .run({
          autoCommit: false,
          eachMessage: async ({ partition, message }) => {
            const offset = Number(message.offset)
            if (offset >= (left.get(partition) ?? 0)) return
            messages.push({
              partition,
              offset,
              timestamp: Number(message.timestamp),
              key: String(message.key),
              value: message.value === null ? null : String(message.value),
              headers: Object.fromEntries(
                Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)]),
              ),
            })
            if (offset === (left.get(partition) as number) - 1) left.delete(partition)
            if (left.size === 0) resolve()
          },
        })
        .catch(reject)
    })
  } finally {
    await consumer.disconnect()
  }
  return messages
}
