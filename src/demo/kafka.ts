import { randomUUID } from 'node:crypto'
import kafkajs, { type EachBatchPayload, type RetryOptions } from 'kafkajs'
import { MillraceError } from '../runtime/index.js'

/** What the topic holds of the changes. */
export interface KafkaResult {
  readonly topic: string
  /** Messages of changes, tombstones not counted. */
  readonly delivered: number
  /** How many different event ids they have. */
  readonly distinct: number
  /** Changes that GetRecords shows and the topic does not. */
  readonly missing: number
  /** Event ids that GetRecords does not show. */
  readonly unknown: number
}

const eventIdHeader = 'millrace-event-id'
/** A topic that says nothing new for this long although it has more is a fault. */
const silenceMsMax = 60_000

function connect(broker: string, retry?: RetryOptions) {
  return new kafkajs.Kafka({
    retry,
    clientId: 'millrace-demo',
    brokers: [broker],
    logLevel: kafkajs.logLevel.NOTHING,
    connectionTimeout: 10_000,
  })
}

/** Throws KAFKA_UNAVAILABLE when there is no broker, before anything else is begun. */
export async function checkBroker(broker: string): Promise<void> {
  const admin = connect(broker, { retries: 1 }).admin()
  try {
    await admin.connect()
    await admin.describeCluster()
  } catch (error) {
    throw new MillraceError(
      'KAFKA_UNAVAILABLE',
      `There is no Kafka broker at ${broker}: ${(error as Error).message}.`,
      {
        cause: error,
        remedy:
          'Start the broker or correct the address; in a checkout, `node test/kafka/start-broker.mjs` starts one for trying.',
      },
    )
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}

/** Of the messages that say how far to read: the offsets behind the end of a transaction are no messages. */
const endHeader = 'millrace-demo-end'

/** Marks where each partition of a topic ends now. Returns the partitions. */
async function markEnd(kafka: kafkajs.Kafka, topic: string, end: string): Promise<number[]> {
  const admin = kafka.admin()
  await admin.connect()
  const partitions = (await admin.fetchTopicOffsets(topic)).map(({ partition }) => partition)
  await admin.disconnect()
  const producer = kafka.producer({ allowAutoTopicCreation: false })
  await producer.connect()
  const message = { key: endHeader, value: null, headers: { [endHeader]: end } }
  await producer.send({ topic, messages: partitions.map((partition) => ({ ...message, partition })) })
  await producer.disconnect()
  return partitions
}

/** Reads what is committed of a topic, from its beginning to where it ends now, with a consumer group of its own. */
export async function readBack(
  broker: string,
  topic: string,
  eventIds: ReadonlySet<string>,
  onDelivered: (delivered: number) => void,
): Promise<KafkaResult> {
  const kafka = connect(broker)
  const end = randomUUID()
  /** Partitions whose end was not reached yet. */
  const left = new Set(await markEnd(kafka, topic, end))
  const seen = new Set<string>()
  let delivered = 0
  const unknown = new Set<string>()

  const take = ({ batch }: EachBatchPayload): void => {
    for (const { value, headers } of batch.messages) {
      if (String(headers?.[endHeader]) === end) left.delete(batch.partition)
      if (value === null || !left.has(batch.partition)) continue
      delivered++
      const id = String(headers?.[eventIdHeader])
      if (eventIds.has(id)) seen.add(id)
      else unknown.add(id)
    }
    onDelivered(delivered)
  }

  if (left.size > 0) {
    const groupId = `millrace-demo-${randomUUID()}`
    const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 100 })
    await consumer.connect()
    try {
      await consumer.subscribe({ topic, fromBeginning: true })
      await new Promise<void>((resolve, reject) => {
        const fail = () =>
          reject(
            new MillraceError('KAFKA_UNAVAILABLE', `The topic ${topic} gave nothing for ${silenceMsMax / 1000} s.`, {
              details: { partitionsLeft: [...left] },
            }),
          )
        let silence = setTimeout(fail, silenceMsMax)
        const eachBatch = async (payload: EachBatchPayload): Promise<void> => {
          clearTimeout(silence)
          take(payload)
          if (left.size === 0) resolve()
          else silence = setTimeout(fail, silenceMsMax)
        }
        consumer.run({ autoCommit: false, eachBatch }).catch(reject)
      })
    } finally {
      await consumer.disconnect()
      await forgetGroup(kafka, groupId)
    }
  }
  return {
    topic,
    delivered,
    distinct: seen.size + unknown.size,
    missing: eventIds.size - seen.size,
    unknown: unknown.size,
  }
}

async function forgetGroup(kafka: kafkajs.Kafka, groupId: string): Promise<void> {
  const admin = kafka.admin()
  await admin.connect()
  await admin.deleteGroups([groupId]).catch(() => undefined)
  await admin.disconnect()
}
