import type { Kafka } from 'kafkajs'
import { MillraceError } from '../runtime/index.js'
import { decodeFetchAnswer, type PartitionAnswer } from './fetch-response.js'
import { fetchedPartitions } from './fetched-partitions.js'
import { groupRefusals, kafkaError } from './kafka-errors.js'
import {
  brokerError,
  clusterOf,
  fetchKey,
  fetchRequest,
  fetchVersion,
  type InternalBroker,
  type InternalCluster,
  readCommitted,
} from './kafkajs-internals.js'
import { firstOffsets, ledBy, partitionBounds } from './partition-bounds.js'
import type {
  CommittedOffset,
  ConsumedTopic,
  FetchBounds,
  FetchedPartition,
  KafkaConsumerClient,
  PartitionBounds,
} from './types.js'

/** Bytes that one partition may give of an answer, so that several have room in it. */
const partitionBytesMax = 1024 * 1024
/** A fetch is answered that much after its wait, or counts as lost. */
const answerMsMax = 15_000

/** A connected consumer of kafkajs, without its groups. `cut` destroys its sockets. */
export async function connectKafkajsConsumer(
  kafka: Kafka,
  cut: () => void,
  where: string,
): Promise<KafkaConsumerClient> {
  const cluster = clusterOf(kafka)
  try {
    await cluster.connect()
  } catch (error) {
    cut()
    cluster.disconnect().catch(() => {})
    throw kafkaError(error, `connecting to ${where}`)
  }
  return new KafkajsConsumer(cluster, cut)
}

class KafkajsConsumer implements KafkaConsumerClient {
  readonly #cluster: InternalCluster
  readonly #cut: () => void
  readonly #topics = new Set<string>()
  /** Turns the order of partitions, so that each comes first in an answer at some time. */
  #turn = 0

  constructor(cluster: InternalCluster, cut: () => void) {
    this.#cluster = cluster
    this.#cut = cut
  }

  async describe(topic: string): Promise<ConsumedTopic | undefined> {
    try {
      if (this.#topics.has(topic)) await this.#cluster.refreshMetadata()
      else await this.#cluster.addTargetTopic(topic)
      this.#topics.add(topic)
    } catch (error) {
      const failed = kafkaError(error, `looking at the topic ${topic}`)
      if (failed.details.kafka === 'UNKNOWN_TOPIC_OR_PARTITION') return undefined
      throw failed
    }
    const byLeader = [...this.#leaders(topic).values()]
    const partitions = byLeader.reduce((sum, each) => sum + each.length, 0)
    if (partitions === 0) return undefined
    return { clusterId: this.#cluster.brokerPool.metadata?.clusterId ?? '', partitions, byLeader }
  }

  #leaders(topic: string): Map<number, number[]> {
    const found = this.#cluster.brokerPool.metadata?.topicMetadata.find((each) => each.topic === topic)
    return ledBy((found?.partitionMetadata ?? []).map(({ partitionId, leader }) => [partitionId, leader]))
  }

  bounds(topic: string, partitions: readonly number[]): Promise<ReadonlyMap<number, PartitionBounds>> {
    return partitionBounds(partitions, (time) => this.#offsets(topic, partitions, time))
  }

  offsetsAt(topic: string, partitions: readonly number[], timeMs: number): Promise<ReadonlyMap<number, number>> {
    return firstOffsets(timeMs, (time) => this.#offsets(topic, partitions, time))
  }

  async #offsets(topic: string, partitions: readonly number[], timestamp: number): Promise<Map<number, number>> {
    const wanted = new Set(partitions)
    const offsets = new Map<number, number>()
    try {
      for (const [leader, led] of this.#leaders(topic)) {
        const asked = led.filter((partition) => wanted.has(partition))
        if (asked.length === 0) continue
        const broker = await this.#cluster.findBroker({ nodeId: String(leader) })
        const { responses } = await broker.listOffsets({
          isolationLevel: readCommitted,
          topics: [{ topic, partitions: asked.map((partition) => ({ partition, timestamp })) }],
        })
        for (const { partitions: answered } of responses)
          for (const { partition, offset } of answered) offsets.set(partition, Number(offset))
      }
    } catch (error) {
      throw kafkaError(error, `asking for the offsets of ${topic}`)
    }
    return offsets
  }

  async fetch(
    topic: string,
    from: ReadonlyMap<number, number>,
    bounds: FetchBounds,
  ): Promise<readonly FetchedPartition[]> {
    return fetchedPartitions(topic, await this.#fetch(topic, from, bounds), from, bounds, brokerError)
  }

  async #fetch(
    topic: string,
    from: ReadonlyMap<number, number>,
    { bytesMax, waitMs }: FetchBounds,
  ): Promise<readonly PartitionAnswer[]> {
    const partitions = [...from].map(([partition, offset]) => ({
      partition,
      fetchOffset: String(offset),
      maxBytes: Math.min(bytesMax, partitionBytesMax),
    }))
    const turn = this.#turn++ % partitions.length
    try {
      const broker = await this.#leaderOf(topic, from)
      const { errorCode, partitions: answers } = await broker.connectionPool.send({
        request: fetchRequest({
          replicaId: -1,
          isolationLevel: readCommitted,
          maxWaitTime: waitMs,
          minBytes: 1,
          maxBytes: bytesMax,
          topics: [{ topic, partitions: [...partitions.slice(turn), ...partitions.slice(0, turn)] }],
        }),
        response: { decode: async (payload) => decodeFetchAnswer(payload), parse: async (answer) => answer },
        requestTimeout: waitMs + answerMsMax,
        logResponseError: false,
      })
      if (errorCode !== 0) throw brokerError(errorCode)
      return answers
    } catch (error) {
      throw kafkaError(error, `reading ${topic}`)
    }
  }

  async #leaderOf(topic: string, from: ReadonlyMap<number, number>): Promise<InternalBroker> {
    for (const [leader, led] of this.#leaders(topic)) {
      if (!led.some((partition) => from.has(partition))) continue
      const broker = await this.#cluster.findBroker({ nodeId: String(leader) })
      if ((broker.versions[fetchKey]?.maxVersion ?? 0) >= fetchVersion) return broker
      throw new MillraceError('KAFKA_REFUSED', 'The broker is older than what can be read from.', {
        remedy: 'Use a broker of version 2.4 or newer.',
        details: { kafka: 'UNSUPPORTED_VERSION' },
      })
    }
    throw new MillraceError('KAFKA_UNAVAILABLE', `Kafka: no broker leads the partitions that are read of ${topic}.`)
  }

  async committedOffsets(
    group: string,
    topic: string,
    partitions: readonly number[],
  ): Promise<ReadonlyMap<number, CommittedOffset>> {
    try {
      const coordinator = await this.#cluster.findGroupCoordinator({ groupId: group })
      const { responses } = await coordinator.offsetFetch({
        groupId: group,
        topics: [{ topic, partitions: partitions.map((partition) => ({ partition })) }],
      })
      return new Map(
        responses.flatMap((response) =>
          response.partitions.flatMap(({ partition, offset, metadata }) =>
            Number(offset) < 0 ? [] : [[partition, { offset: Number(offset), metadata: metadata ?? '' }] as const],
          ),
        ),
      )
    } catch (error) {
      throw kafkaError(error, `asking for the offsets of the group ${group}`, { group })
    }
  }

  async commitOffsets(
    group: string,
    topic: string,
    offsets: ReadonlyMap<number, number>,
    metadata: string,
  ): Promise<void> {
    try {
      const coordinator = await this.#cluster.findGroupCoordinator({ groupId: group })
      await coordinator.offsetCommit({
        groupId: group,
        // Of one who is no member.
        groupGenerationId: -1,
        memberId: '',
        topics: [
          {
            topic,
            partitions: [...offsets].map(([partition, offset]) => ({ partition, offset: String(offset), metadata })),
          },
        ],
      })
    } catch (error) {
      throw kafkaError(error, `storing offsets for the group ${group}`, { group }, groupRefusals)
    }
  }

  async close(): Promise<void> {
    await this.#cluster.disconnect()
  }

  discard(): void {
    this.#cut()
    this.#cluster.disconnect().catch(() => {})
  }
}
