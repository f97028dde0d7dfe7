import { setTimeout as pause } from 'node:timers/promises'
import { MillraceError } from '../runtime/index.js'
import { kafkaError } from './kafka-errors.js'
import { brokerError, Connections, library, requestTimeoutMs } from './platformatic-connections.js'
import { connectPlatformaticConsumer } from './platformatic-consumer.js'
import { connectPlatformaticProducer, connectPlatformaticTransactions } from './platformatic-producer.js'
import { readCommitted, readCommittedSoFar } from './read-committed.js'
import type { ClusterOptions, KafkaAdmin, KafkaCluster, NewTopic, TopicDescription } from './types.js'

/** A new topic is looked at so often, with pauses, until somebody leads each of its partitions. */
const looksMax = 40
const lookMs = 50
const topicResource = 2 as const

/**
 * A cluster behind @platformatic/kafka. The files named after it alone know that library; docs/kafka.md says what is used of it and why.
 */
export function openPlatformaticCluster(options: ClusterOptions): KafkaCluster {
  checkNode(process.versions.node)
  /** What failed while it was being connected is cut and never handed out. */
  const connected = async <T>(make: (connections: Connections) => Promise<T>): Promise<T> => {
    const connections = new Connections(options)
    try {
      return await make(connections)
    } catch (error) {
      connections.discard()
      throw kafkaError(brokerError(error), `connecting to ${options.brokers.join(', ')}`, { brokers: options.brokers })
    }
  }
  return {
    connectProducer: () => connected(connectPlatformaticProducer),
    connectTransactionalProducer: (id) => connected((connections) => connectPlatformaticTransactions(connections, id)),
    connectConsumer: () => connected(connectPlatformaticConsumer),
    connectAdmin: () =>
      connected(async (connections) => {
        await connections.toAny()
        return new PlatformaticAdmin(connections)
      }),
    async readCommitted(topic, take, stop) {
      await readCommitted(await this.connectConsumer(), topic, take, stop)
    },
    async readCommittedSoFar(topic, take, stop) {
      await readCommittedSoFar(await this.connectConsumer(), topic, take, stop)
    },
  }
}

/** The first versions of Node that the library runs on, of those lines that there were before 24.6. */
const nodeVersions: Readonly<Record<number, readonly [minor: number, patch: number]>> = {
  20: [19, 4],
  22: [18, 0],
  24: [6, 0],
}

/** Throws UNSUPPORTED where the library does not run. */
export function checkNode(version: string): void {
  const [major, minor, patch] = version.split('.').map(Number) as [number, number, number]
  const [minorMin, patchMin] = nodeVersions[major] ?? [0, 0]
  const isKnown = major > 24 || nodeVersions[major] !== undefined
  if (isKnown && (minor > minorMin || (minor === minorMin && patch >= patchMin))) return
  throw new MillraceError(
    'UNSUPPORTED',
    `The Kafka driver platformatic needs Node 20.19.4, 22.18, 24.6 or newer; this is ${version}.`,
    { remedy: 'Run the daemon with a newer Node, or choose the driver kafkajs.' },
  )
}

class PlatformaticAdmin implements KafkaAdmin {
  readonly #connections: Connections

  constructor(connections: Connections) {
    this.#connections = connections
  }

  async describeTopic(topic: string, settings: readonly string[] = []): Promise<TopicDescription | undefined> {
    try {
      this.#connections.forgetLayouts()
      const { leaders } = await this.#connections.layoutOf(topic)
      if (leaders.length === 0) return undefined
      const config = await this.#config(topic, ['max.message.bytes', ...settings])
      const bytes = Number(config['max.message.bytes'])
      const messageBytesMax = Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined
      return { partitions: leaders.length, messageBytesMax, config }
    } catch (error) {
      const failed = kafkaError(brokerError(error), `looking at the topic ${topic}`)
      if (failed.details.kafka === 'UNKNOWN_TOPIC_OR_PARTITION') return undefined
      throw failed
    }
  }

  async #config(topic: string, names: readonly string[]): Promise<Record<string, string>> {
    const { describeConfigsV4 } = await library()
    const resource = { resourceType: topicResource, resourceName: topic, configurationKeys: [...names] }
    try {
      const connection = await this.#connections.toAny()
      const { results } = await describeConfigsV4.api.async(connection, [resource], false, false)
      return Object.fromEntries((results[0]?.configs ?? []).map(({ name, value }) => [name, value ?? '']))
    } catch (error) {
      // Reading a topic's configuration is a right of its own; without it Kafka's default is assumed.
      if (kafkaError(brokerError(error), 'reading the configuration').code === 'KAFKA_REFUSED') return {}
      throw error
    }
  }

  async createTopic(topic: string, { partitions, replicationFactor, config }: NewTopic): Promise<void> {
    try {
      const { createTopicsV7 } = await library()
      const wanted = {
        name: topic,
        numPartitions: partitions,
        replicationFactor: replicationFactor ?? -1,
        assignments: [],
        configs: Object.entries(config).map(([name, value]) => ({ name, value })),
      }
      await createTopicsV7.api.async(await this.#connections.toController(), [wanted], requestTimeoutMs, false)
      await this.#led(topic)
    } catch (error) {
      const failed = kafkaError(brokerError(error), `creating the topic ${topic}`)
      if (failed.details.kafka !== 'TOPIC_ALREADY_EXISTS') throw failed
    }
  }

  async #led(topic: string): Promise<void> {
    for (let look = 1; look <= looksMax; look++) {
      this.#connections.forgetLayouts()
      try {
        const { leaders } = await this.#connections.layoutOf(topic)
        if (leaders.length > 0) return
      } catch (error) {
        const { code } = kafkaError(brokerError(error), `looking at the topic ${topic}`)
        if (code !== 'KAFKA_UNAVAILABLE' || look === looksMax) throw error
      }
      await pause(lookMs)
    }
  }

  async close(): Promise<void> {
    this.#connections.discard()
  }
}
