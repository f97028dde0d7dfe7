import { createRequire } from 'node:module'
import { connect as connectSocket, type Socket } from 'node:net'
import type { Admin, Kafka, Producer } from 'kafkajs'
import { MillraceError } from '../runtime/index.js'
import { kafkaError } from './kafka-errors.js'
import type {
  BridgeLogger,
  ClusterOptions,
  KafkaAdmin,
  KafkaCluster,
  KafkaProducerClient,
  ProducedMessage,
} from './types.js'

/** Loaded with the first cluster: a daemon without bridges starts without it. */
const require = createRequire(import.meta.url)
const kafkajs = (): typeof import('kafkajs') => require('kafkajs') as typeof import('kafkajs')

/** A connection attempt; the client's own default of one second is short for a busy machine. */
const connectionTimeoutMs = 5_000
/** Until a request without an answer counts as lost. */
const requestTimeoutMs = 15_000
/**
 * The client's own retries. Inside one send they are the better ones, because a repeated batch keeps its sequence
 * numbers and the broker drops what it has already; all longer waiting is the bridge's.
 */
const retry = { retries: 3, initialRetryTime: 100, maxRetryTime: 1_000 }
const keepAliveMs = 60_000

/**
 * The sockets of one client. The library has no way to abandon a request, so this is where a discarded producer ends: its
 * sockets are destroyed and it gets no new ones, whatever its retries still try.
 */
class Sockets {
  readonly #open = new Set<Socket>()
  #discarded = false

  readonly create = ({ host, port, onConnect }: { host: string; port: number; onConnect: () => void }): Socket => {
    if (this.#discarded) throw new Error('this client was discarded')
    const socket = connectSocket({ host, port }, onConnect)
    socket.setKeepAlive(true, keepAliveMs)
    this.#open.add(socket)
    socket.once('close', () => this.#open.delete(socket))
    return socket
  }

  discard(): void {
    this.#discarded = true
    // With an error, since the library listens for that and not for the end of a socket that it did not end itself.
    for (const socket of this.#open) socket.destroy(new Error('this client was discarded'))
  }
}

/** The library's lines are about its own retries: what matters of them comes back as an error and is logged there. */
const logTo =
  (logger: BridgeLogger) =>
  () =>
  ({ namespace, label, log }: { namespace: string; label: string; log: { message: string } }): void =>
    logger.debug({ kafka: { ...log, namespace, level: label } }, `kafkajs: ${log.message}`)

function client(options: ClusterOptions, sockets: Sockets): Kafka {
  const { Kafka, logLevel } = kafkajs()
  return new Kafka({
    brokers: [...options.brokers],
    clientId: options.clientId,
    connectionTimeout: connectionTimeoutMs,
    requestTimeout: requestTimeoutMs,
    retry,
    socketFactory: sockets.create,
    logLevel: logLevel.INFO,
    logCreator: logTo(options.logger),
  })
}

class KafkajsProducer implements KafkaProducerClient {
  readonly #producer: Producer
  readonly #sockets: Sockets
  #usable = true

  constructor(producer: Producer, sockets: Sockets) {
    this.#producer = producer
    this.#sockets = sockets
  }

  async send(topic: string, messages: readonly ProducedMessage[], compression: 'none' | 'gzip'): Promise<void> {
    if (!this.#usable)
      throw new MillraceError(
        'INTERNAL',
        'A Kafka producer was used while a send was in flight or after one had failed.',
      )
    this.#usable = false
    let answers: readonly { partition: number; errorCode: number }[]
    try {
      answers = await this.#producer.sendBatch({
        acks: -1,
        timeout: requestTimeoutMs,
        compression: compression === 'gzip' ? kafkajs().CompressionTypes.GZIP : kafkajs().CompressionTypes.None,
        topicMessages: [
          {
            topic,
            messages: messages.map((message) => ({
              key: message.key,
              value: message.value,
              partition: message.partition,
              timestamp: String(message.timestamp),
              headers: message.headers,
            })),
          },
        ],
      })
    } catch (error) {
      throw kafkaError(error, `sending ${messages.length} messages to ${topic}`)
    }
    // The library drops messages for partitions that its metadata lacks, and resolves: an answer counts only for the
    // partitions that it names.
    const acknowledged = new Set(answers.filter((answer) => answer.errorCode === 0).map((answer) => answer.partition))
    for (const { partition } of messages) {
      if (acknowledged.has(partition)) continue
      throw new MillraceError('KAFKA_UNAVAILABLE', `Kafka: ${topic} did not acknowledge partition ${partition}.`, {
        outcome: 'unknown',
        details: { topic, partition },
      })
    }
    this.#usable = true
  }

  async close(): Promise<void> {
    this.#usable = false
    await this.#producer.disconnect()
  }

  discard(): void {
    this.#usable = false
    this.#sockets.discard()
    // Ends the library's timers; its sockets are gone, so nothing is sent by this.
    this.#producer.disconnect().catch(() => {})
  }
}

class KafkajsAdmin implements KafkaAdmin {
  readonly #admin: Admin

  constructor(admin: Admin) {
    this.#admin = admin
  }

  async describeTopic(topic: string): ReturnType<KafkaAdmin['describeTopic']> {
    try {
      const { topics } = await this.#admin.fetchTopicMetadata({ topics: [topic] })
      const partitions = topics[0]?.partitions.length ?? 0
      return partitions === 0 ? undefined : { partitions, messageBytesMax: await this.#messageBytesMax(topic) }
    } catch (error) {
      const failed = kafkaError(error, `looking at the topic ${topic}`)
      if (failed.details.kafka === 'UNKNOWN_TOPIC_OR_PARTITION') return undefined
      throw failed
    }
  }

  async #messageBytesMax(topic: string): Promise<number | undefined> {
    try {
      const configNames = ['max.message.bytes']
      const { resources } = await this.#admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ type: kafkajs().ConfigResourceTypes.TOPIC, name: topic, configNames }],
      })
      const value = Number(resources[0]?.configEntries[0]?.configValue)
      return Number.isSafeInteger(value) && value > 0 ? value : undefined
    } catch (error) {
      // Reading a topic's configuration is a right of its own; without it Kafka's default is assumed.
      if (kafkaError(error, 'reading the configuration').code === 'KAFKA_REFUSED') return undefined
      throw error
    }
  }

  async createTopic(topic: string, options: Parameters<KafkaAdmin['createTopic']>[1]): Promise<void> {
    try {
      await this.#admin.createTopics({
        waitForLeaders: true,
        timeout: requestTimeoutMs,
        topics: [
          {
            topic,
            numPartitions: options.partitions,
            ...(options.replicationFactor === undefined ? {} : { replicationFactor: options.replicationFactor }),
            configEntries: Object.entries(options.config).map(([name, value]) => ({ name, value })),
          },
        ],
      })
    } catch (error) {
      throw kafkaError(error, `creating the topic ${topic}`)
    }
  }

  async close(): Promise<void> {
    await this.#admin.disconnect()
  }
}

/** A cluster behind kafkajs. This file alone knows that library; docs/kafka.md lists its faults and the rules against them. */
export function openKafkajsCluster(options: ClusterOptions): KafkaCluster {
  const where = options.brokers.join(', ')
  /** A client whose `connect` failed would still accept messages: it is cut and never handed out. */
  const connected = async <T extends Producer | Admin>(made: T, sockets: Sockets): Promise<T> => {
    try {
      await made.connect()
      return made
    } catch (error) {
      sockets.discard()
      made.disconnect().catch(() => {})
      throw kafkaError(error, `connecting to ${where}`, { brokers: options.brokers })
    }
  }
  return {
    async connectProducer() {
      const sockets = new Sockets()
      const producer = client(options, sockets).producer({
        idempotent: true,
        allowAutoTopicCreation: false,
        maxInFlightRequests: 1,
        createPartitioner:
          () =>
          ({ message }) =>
            message.partition as number,
      })
      return new KafkajsProducer(await connected(producer, sockets), sockets)
    },
    async connectAdmin() {
      const sockets = new Sockets()
      return new KafkajsAdmin(await connected(client(options, sockets).admin(), sockets))
    },
  }
}
