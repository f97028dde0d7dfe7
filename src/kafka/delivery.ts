import { MillraceError } from '../runtime/index.js'
import { isTooLarge } from './kafka-errors.js'
import type { OutgoingRequest, SentRequest } from './outbox.js'
import { type RefusedRecord, sequenceOf, shardOf } from './put-aside.js'
import type { Standing } from './reading.js'
import { prepareTopic, type TopicWish } from './topic.js'
import type { Compression, KafkaCluster, KafkaMessage, TopicDescription } from './types.js'

/** What was sent since the last acknowledgement may be there or not: everything begins again at what is known. */
export class Rewind extends Error {
  /** What went wrong; undefined when nothing has to be waited for. */
  readonly failure: unknown

  constructor(failure: unknown) {
    super('what was on its way to Kafka is unknown')
    this.failure = failure
  }
}

/** Gets requests to a topic, one at a time. */
export interface Delivery {
  /** Whether something is on its way to a broker. */
  readonly sending: boolean
  /** Resolves when the topic is there and a producer connected, with where to begin. */
  open(): Promise<Standing>
  /**
   * Resolves when the next request may come; the positions of this one are told by `onAcknowledged`, perhaps later. Throws
   * Rewind, and whatever the broker would refuse again.
   */
  deliver(request: OutgoingRequest): Promise<void>
  /** Rejects when something is lost while nothing is being delivered. */
  readonly lost: Promise<never>
  /** Waits for the answers to what was sent. */
  close(): Promise<void>
  /** Cuts what is in flight; whether the broker has it is unknown. */
  cut(): void
}

export interface DeliveryOptions {
  readonly cluster: KafkaCluster
  readonly topic: TopicWish
  readonly compression: Compression
  /** Aborted when the bridge stops: nothing new is tried any more. */
  readonly stop: AbortSignal
  /** After each connection, before anything is sent over it. */
  readonly onConnected: (topic: TopicDescription) => void | Promise<void>
  readonly onAcknowledged: (requests: readonly SentRequest[]) => void
  /**
   * Puts a record aside that the broker refuses for good; resolves when that is durable. Undefined: such a record is told of, and stops
   * the bridge.
   */
  readonly putAside: ((refused: RefusedRecord) => Promise<void>) | undefined
}

/** The topic as a bridge needs it, looked at over a connection of its own. */
export async function lookAtTopic(cluster: KafkaCluster, wish: TopicWish): Promise<TopicDescription> {
  const admin = await cluster.connectAdmin()
  try {
    return await prepareTopic(admin, wish)
  } finally {
    admin.close().catch(() => {})
  }
}

/** What is told of a record that the broker refuses alone. */
export function refusedRecord(topic: string, message: KafkaMessage, cause: MillraceError): RefusedRecord {
  const [shard, sequence] = [shardOf(message), sequenceOf(message)]
  const bytes = message.key.length + (message.value?.length ?? 0)
  const why = isTooLarge(cause)
    ? `The message of the record ${sequence} has ${bytes} bytes, more than the topic ${topic} takes.`
    : `The topic ${topic} does not take the message of the record ${sequence}: ${cause.message}`
  const details = { ...cause.details, topic, sequence, bytes }
  const remedy = `${cause.remedy} Or have the record put aside: \`millrace bridges resume NAME --refused dead-letter\`.`
  const failure = new MillraceError('KAFKA_REFUSED', why, { cause, remedy, details })
  return { shard, sequence, message, failure }
}

/** The messages of each record: one, or a delete with its tombstone. */
export function byRecord(messages: readonly KafkaMessage[]): (readonly KafkaMessage[])[] {
  const records: KafkaMessage[][] = []
  for (const message of messages) {
    const last = records.at(-1)
    if (last && sequenceOf(last[0] as KafkaMessage) === sequenceOf(message)) last.push(message)
    else records.push([message])
  }
  return records
}
