import { randomUUID } from 'node:crypto'
import kafkajs, { type EachBatchPayload, type RetryOptions } from 'kafkajs'
import { MillraceError } from '../runtime/index.js'

/** What the topic holds of the changes. */
export interface KafkaResult {
  readonly topic: string
  /** Messages of changes, tombstones not counted. At-least-once delivery may repeat some after a kill. */
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

/** Reads a topic from its beginning to where it ends now, with a consumer group of its own. */
export async function readBack(
  broker: string,
  topic: string,
  eventIds: ReadonlySet<string>,
  onDelivered: (delivered: number) => void,
): Promise<KafkaResult> {
  const kafka = connect(broker)
  const admin = kafka.admin()
  await admin.connect()
  const ends = await admin.fetchTopicOffsets(topic)
  /** Offsets to reach, by partition. */
  const left = new Map(ends.filter((end) => end.high !== end.low).map((end) => [end.partition, Number(end.high)]))
  const seen = new Set<string>()
  let delivered = 0
  const unknown = new Set<string>()

  const take = ({ batch }: EachBatchPayload): void => {
    const end = left.get(batch.partition)
    if (end === undefined) return
    for (const message of batch.messages) {
      if (Number(message.offset) >= end || message.value === null) continue
      delivered++
      const id = String(message.headers?.[eventIdHeader])
      if (eventIds.has(id)) seen.add(id)
      else unknown.add(id)
    }
    if (Number(batch.lastOffset()) >= end - 1) left.delete(batch.partition)
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
              details: { partitionsLeft: [...left.keys()] },
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
      await admin.deleteGroups([groupId]).catch(() => undefined)
    }
  }
  await admin.disconnect()
  return {
    topic,
    delivered,
    distinct: seen.size + unknown.size,
    missing: eventIds.size - seen.size,
    unknown: unknown.size,
  }
}
