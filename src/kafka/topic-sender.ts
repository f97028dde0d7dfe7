import { asMillraceError, MillraceError } from '../runtime/index.js'
import { partitionOf } from './murmur2.js'
import type { Compression, KafkaCluster, KafkaProducerClient, ProducedMessage } from './types.js'

/** A message for a topic whose partitions are not known yet. */
export interface TopicMessage {
  /** The same at each attempt: where a message has no key, its partition follows from it. */
  readonly id: string
  readonly key: Buffer | undefined
  /** null is a tombstone. */
  readonly value: Buffer | null
  readonly headers: Readonly<Record<string, string>>
  /** That of the key where none is said. */
  readonly partition: number | undefined
  /** Milliseconds since 1970. */
  readonly timestamp: number
}

export interface TopicSenderOptions {
  readonly cluster: KafkaCluster
  readonly topic: string
  readonly compression: Compression
}

/**
 * Sends to one topic with an idempotent producer, one batch at a time, so that messages arrive in the order of the calls. The
 * rules of docs/kafka.md: a partition is always set, and a producer is discarded with the first batch that is not acknowledged.
 */
export class TopicSender {
  readonly #options: TopicSenderOptions
  #producer: KafkaProducerClient | undefined
  #partitions: number | undefined
  /** Counts up with each discarding: what was being connected then is not used. */
  #generation = 0

  constructor(options: TopicSenderOptions) {
    this.#options = options
  }

  /** Resolves when all replicas in sync have all of them. Rejects with KAFKA_REFUSED, KAFKA_UNAVAILABLE or BAD_REQUEST. */
  async send(messages: readonly TopicMessage[]): Promise<void> {
    const { topic, compression } = this.#options
    try {
      const generation = this.#generation
      this.#partitions ??= await this.#partitionsOf()
      const partitions = this.#partitions
      const placed = messages.map((message) => placedIn(message, partitions, topic))
      this.#producer ??= await this.#connected(generation)
      await this.#producer.send(topic, placed, compression)
    } catch (error) {
      this.discard()
      throw asMillraceError(error)
    }
  }

  async #partitionsOf(): Promise<number> {
    const { cluster, topic } = this.#options
    const admin = await cluster.connectAdmin()
    try {
      const described = await admin.describeTopic(topic)
      if (described) return described.partitions
    } finally {
      await admin.close().catch(() => {})
    }
    throw new MillraceError('KAFKA_UNAVAILABLE', `Kafka: there is no topic ${topic}.`, {
      remedy: 'Create the topic; what waits for it is sent then.',
    })
  }

  async #connected(generation: number): Promise<KafkaProducerClient> {
    const producer = await this.#options.cluster.connectProducer()
    if (generation === this.#generation) return producer
    producer.discard()
    throw new MillraceError('KAFKA_UNAVAILABLE', 'Kafka: the connection was given up.')
  }

  /** Cuts what is under way; the next batch begins anew, and asks again how many partitions there are. */
  discard(): void {
    this.#generation++
    this.#producer?.discard()
    this.#producer = undefined
    this.#partitions = undefined
  }

  async close(): Promise<void> {
    const producer = this.#producer
    this.#producer = undefined
    this.#generation++
    await producer?.close().catch(() => {})
  }
}

/** Throws BAD_REQUEST where the partition is not there. */
function placedIn(
  { id, key, value, headers, partition, timestamp }: TopicMessage,
  partitions: number,
  topic: string,
): ProducedMessage {
  if (partition !== undefined && partition >= partitions)
    throw new MillraceError('BAD_REQUEST', `The topic ${topic} has ${partitions} partitions, and no ${partition}.`)
  const chosen = partition ?? partitionOf(key ?? Buffer.from(id), partitions)
  return { key: key ?? null, value, partition: chosen, timestamp, headers }
}
