import { MillraceError } from '../runtime/index.js'
import { decodeFetchAnswer, type FetchAnswer, type PartitionAnswer } from './fetch-response.js'
import { fetchedPartitions } from './fetched-partitions.js'
import { groupRefusals, kafkaError } from './kafka-errors.js'
import { firstOffsets, ledBy, partitionBounds } from './partition-bounds.js'
import { type BrokerAddress, brokerError, type Connections, library } from './platformatic-connections.js'
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
const fetchKey = 1
/** The last version whose answer is not of flexible form: what it holds is decoded by us. */
const fetchVersion = 11
const readCommitted = 1
const ofGroups = 0
/** Of one who is no member. */
const noMember = { generation: -1, id: '' } as const

export async function connectPlatformaticConsumer(connections: Connections): Promise<KafkaConsumerClient> {
  await connections.toAny()
  return new PlatformaticConsumer(connections)
}

/** The library's own consumer hands over records of aborted transactions: only its connections are used here. */
class PlatformaticConsumer implements KafkaConsumerClient {
  readonly #connections: Connections
  /** Turns the order of partitions, so that each comes first in an answer at some time. */
  #turn = 0

  constructor(connections: Connections) {
    this.#connections = connections
  }

  async describe(topic: string): Promise<ConsumedTopic | undefined> {
    this.#connections.forgetLayouts()
    try {
      const leaders = await this.#leaders(topic)
      const byLeader = [...leaders.values()]
      const partitions = byLeader.reduce((sum, each) => sum + each.length, 0)
      if (partitions === 0) return undefined
      return { clusterId: this.#connections.clusterId, partitions, byLeader }
    } catch (error) {
      const failed = kafkaError(brokerError(error), `looking at the topic ${topic}`)
      if (failed.details.kafka === 'UNKNOWN_TOPIC_OR_PARTITION') return undefined
      throw failed
    }
  }

  /** Partitions by the address of their leader. */
  async #leaders(topic: string): Promise<Map<BrokerAddress, number[]>> {
    const { leaders } = await this.#connections.layoutOf(topic)
    return ledBy(leaders.entries())
  }

  bounds(topic: string, partitions: readonly number[]): Promise<ReadonlyMap<number, PartitionBounds>> {
    return partitionBounds(partitions, (time) => this.#offsets(topic, partitions, time))
  }

  offsetsAt(topic: string, partitions: readonly number[], timeMs: number): Promise<ReadonlyMap<number, number>> {
    return firstOffsets(timeMs, (time) => this.#offsets(topic, partitions, time))
  }

  async #offsets(topic: string, partitions: readonly number[], time: number): Promise<Map<number, number>> {
    const wanted = new Set(partitions)
    const offsets = new Map<number, number>()
    try {
      const { listOffsetsV7 } = await library()
      for (const [leader, led] of await this.#leaders(topic)) {
        const asked = led.filter((partition) => wanted.has(partition))
        if (asked.length === 0) continue
        const timestamp = BigInt(time)
        const request = asked.map((partitionIndex) => ({ partitionIndex, currentLeaderEpoch: -1, timestamp }))
        const connection = await this.#connections.to(leader)
        const { topics } = await listOffsetsV7.api.async(connection, -1, readCommitted, [
          { name: topic, partitions: request },
        ])
        for (const { partitions: answered } of topics)
          for (const { partitionIndex, offset } of answered) offsets.set(partitionIndex, Number(offset))
      }
    } catch (error) {
      throw kafkaError(brokerError(error), `asking for the offsets of ${topic}`)
    }
    return offsets
  }

  async fetch(
    topic: string,
    from: ReadonlyMap<number, number>,
    bounds: FetchBounds,
  ): Promise<readonly FetchedPartition[]> {
    let answers: readonly PartitionAnswer[]
    try {
      answers = await this.#fetch(topic, from, bounds)
    } catch (error) {
      throw kafkaError(brokerError(error), `reading ${topic}`)
    }
    const { protocolErrorsCodesById } = await library()
    return fetchedPartitions(topic, answers, from, bounds, (code) => ({ type: protocolErrorsCodesById[code] }))
  }

  async #fetch(
    topic: string,
    from: ReadonlyMap<number, number>,
    { bytesMax, waitMs }: FetchBounds,
  ): Promise<readonly PartitionAnswer[]> {
    const { Writer, protocolErrorsCodesById } = await library()
    const connection = await this.#connections.to(await this.#leaderOf(topic, from))
    const turn = this.#turn++ % from.size
    const partitions = [...from.keys()]
    const request = (): InstanceType<typeof Writer> =>
      Writer.create()
        .appendInt32(-1)
        .appendInt32(waitMs)
        .appendInt32(1)
        .appendInt32(bytesMax)
        .appendInt8(readCommitted)
        .appendInt32(0)
        .appendInt32(-1)
        .appendArray(
          [topic],
          (writer) => {
            writer.appendString(topic, false).appendArray(
              [...partitions.slice(turn), ...partitions.slice(0, turn)],
              (each, partition) => {
                each
                  .appendInt32(partition)
                  .appendInt32(-1)
                  .appendInt64(BigInt(from.get(partition) as number))
                  .appendInt64(-1n)
                  .appendInt32(Math.min(bytesMax, partitionBytesMax))
              },
              false,
              false,
            )
          },
          false,
          false,
        )
        .appendArray([], () => {}, false, false)
        .appendString('', false)
    const { errorCode, partitions: answers } = await new Promise<FetchAnswer>((resolve, reject) => {
      connection.send<FetchAnswer>(
        fetchKey,
        fetchVersion,
        request,
        (_correlation, _key, _version, reader) => decodeFetchAnswer(reader.buffer.slice(reader.position)),
        false,
        false,
        (error, answer) => {
          if (error) reject(error)
          else resolve(answer as FetchAnswer)
        },
      )
    })
    if (errorCode !== 0)
      throw Object.assign(new Error('the fetch was refused'), { type: protocolErrorsCodesById[errorCode] })
    return answers
  }

  async #leaderOf(topic: string, from: ReadonlyMap<number, number>): Promise<BrokerAddress> {
    for (const [leader, led] of await this.#leaders(topic))
      if (led.some((partition) => from.has(partition))) return leader
    throw new MillraceError('KAFKA_UNAVAILABLE', `Kafka: no broker leads the partitions that are read of ${topic}.`)
  }

  async committedOffsets(
    group: string,
    topic: string,
    partitions: readonly number[],
  ): Promise<ReadonlyMap<number, CommittedOffset>> {
    try {
      const { offsetFetchV8 } = await library()
      const asked = { groupId: group, memberEpoch: -1, topics: [{ name: topic, partitionIndexes: [...partitions] }] }
      const connection = await this.#connections.toCoordinator(ofGroups, group)
      const { groups } = await offsetFetchV8.api.async(connection, [asked], false)
      const stored = groups.flatMap(({ topics }) => topics.flatMap((each) => each.partitions))
      return new Map(
        stored.flatMap(({ partitionIndex, committedOffset, metadata }) =>
          committedOffset < 0n
            ? []
            : [[partitionIndex, { offset: Number(committedOffset), metadata: metadata ?? '' }] as const],
        ),
      )
    } catch (error) {
      throw kafkaError(brokerError(error), `asking for the offsets of the group ${group}`, { group })
    }
  }

  async commitOffsets(
    group: string,
    topic: string,
    offsets: ReadonlyMap<number, number>,
    metadata: string,
  ): Promise<void> {
    try {
      const { offsetCommitV8 } = await library()
      const connection = await this.#connections.toCoordinator(ofGroups, group)
      const partitions = [...offsets].map(([partitionIndex, offset]) => ({
        partitionIndex,
        committedOffset: BigInt(offset),
        committedLeaderEpoch: -1,
        committedMetadata: metadata,
      }))
      await offsetCommitV8.api.async(connection, group, noMember.generation, noMember.id, null, [
        { name: topic, partitions },
      ])
    } catch (error) {
      throw kafkaError(brokerError(error), `storing offsets for the group ${group}`, { group }, groupRefusals)
    }
  }

  async close(): Promise<void> {
    this.#connections.discard()
  }

  discard(): void {
    this.#connections.discard()
  }
}
