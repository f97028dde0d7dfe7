import { createRequire } from 'node:module'
import { connect as connectSocket, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Admin, Kafka, Mechanism, Message, Producer, Transaction } from 'kafkajs'
import { MillraceError } from '../runtime/index.js'
import { kafkaError } from './kafka-errors.js'
import { connectKafkajsConsumer } from './kafkajs-consumer.js'
import { keepWordsOfBroker, replaceProduceEncoding } from './kafkajs-produce.js'
import { PackedMessages } from './packed-messages.js'
import { readCommitted, readCommittedSoFar } from './read-committed.js'
import type { ClusterSecurity } from './security.js'
import { notAcknowledged, Turns } from './turns.js'
import type {
  BridgeLogger,
  ClusterOptions,
  Compression,
  KafkaAdmin,
  KafkaCluster,
  KafkaProducerClient,
  KafkaTransactionalProducer,
  MessagesToSend,
} from './types.js'

/** Loaded with the first cluster: a daemon without bridges starts without it. */
const require = createRequire(import.meta.url)
let loaded: typeof import('kafkajs') | undefined
let takesPacked = false
export const kafkajs = (): typeof import('kafkajs') => {
  // Before the library is loaded: its parts keep what they import.
  if (!loaded) {
    takesPacked = replaceProduceEncoding(require)
    keepWordsOfBroker(require)
  }
  loaded ??= require('kafkajs') as typeof import('kafkajs')
  return loaded
}

/** A connection attempt; the client's own default of one second is short for a busy machine. */
const connectionTimeoutMs = 5_000
/** Until a request without an answer counts as lost. */
const requestTimeoutMs = 15_000
/**
 * The client's own retries. Inside one send they are the better ones, because a repeated batch keeps its sequence
 * numbers and the broker drops what it has already; all longer waiting is the bridge's.
 */
const retry = { retries: 3, initialRetryTime: 100, maxRetryTime: 1_000 }
/**
 * The broker writes the end of a transaction after it has answered, and says CONCURRENT_TRANSACTIONS to a next one until then:
 * that is asked again at once.
 */
const transactionRetry = { retries: 12, initialRetryTime: 5, maxRetryTime: 250 }
/** A transaction whose producer is gone holds readers of what is committed back for so long, unless a newer producer comes. */
const transactionTimeoutMs = 30_000
const keepAliveMs = 60_000

/**
 * The sockets of one client. The library has no way to abandon a request, so this is where a discarded producer ends: its
 * sockets are destroyed and it gets no new ones, whatever its retries still try.
 */
class Sockets {
  readonly #open = new Set<Socket>()
  readonly #tls: ClusterSecurity['tls']
  #discarded = false

  constructor({ security }: ClusterOptions) {
    this.#tls = security?.tls
    // The library hides what `create` throws: what is wrong with the files is said here.
    this.#tls?.()
  }

  readonly create = ({ host, port, onConnect }: { host: string; port: number; onConnect: () => void }): Socket => {
    if (this.#discarded) throw new Error('this client was discarded')
    const socket = this.#tls
      ? connectTls({ host, port, ...(isIP(host) ? {} : { servername: host }), ...this.#tls() }, onConnect)
      : connectSocket({ host, port }, onConnect)
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

/**
 * The mechanism in our own messages. The library has bytes begin with their length, here as on the wire of old brokers.
 */
function mechanismOf(sasl: NonNullable<ClusterSecurity['sasl']>): Mechanism {
  const lengthBytes = 4
  return {
    mechanism: sasl.mechanism,
    authenticationProvider: ({ saslAuthenticate }) => ({
      authenticate: () =>
        sasl.authenticate(async (message) => {
          const length = Buffer.alloc(lengthBytes)
          length.writeInt32BE(message.length)
          const answer = await saslAuthenticate({
            request: { encode: () => Buffer.concat([length, message]) },
            response: { decode: (bytes) => bytes, parse: (bytes) => bytes },
          })
          return answer ? answer.subarray(lengthBytes) : Buffer.alloc(0)
        }),
    }),
  }
}

function client(options: ClusterOptions, sockets: Sockets, retries = retry): Kafka {
  const { Kafka, logLevel } = kafkajs()
  const sasl = options.security?.sasl
  return new Kafka({
    ...(sasl ? { sasl: mechanismOf(sasl) } : {}),
    brokers: [...options.brokers],
    clientId: options.clientId,
    connectionTimeout: connectionTimeoutMs,
    requestTimeout: requestTimeoutMs,
    retry: retries,
    socketFactory: sockets.create,
    logLevel: logLevel.INFO,
    logCreator: logTo(options.logger),
  })
}

const partitionGiven =
  () =>
  ({ message }: { message: { partition?: number } }): number =>
    message.partition as number

function asTaken(messages: MessagesToSend): readonly object[] {
  if (!(messages instanceof PackedMessages)) return messages
  return takesPacked ? [{ value: messages }] : messages.unpacked()
}

/** Sends to one topic and says whether every partition took its messages. */
async function sendTo(
  sender: Pick<Producer, 'sendBatch'>,
  topic: string,
  messages: MessagesToSend,
  compression: Compression,
): Promise<void> {
  let answers: readonly { partition: number; errorCode: number }[]
  try {
    answers = await sender.sendBatch({
      acks: -1,
      timeout: requestTimeoutMs,
      compression: compression === 'gzip' ? kafkajs().CompressionTypes.GZIP : kafkajs().CompressionTypes.None,
      // What the library makes texts of are numbers here: it writes either, and ours is as it is.
      topicMessages: [{ topic, messages: asTaken(messages) as unknown as Message[] }],
    })
  } catch (error) {
    throw kafkaError(error, `sending ${messages.length} messages to ${topic}`)
  }
  // The library drops messages for partitions that its metadata lacks, and resolves: an answer counts only for the
  // partitions that it names.
  const acknowledged = new Set(answers.filter((answer) => answer.errorCode === 0).map((answer) => answer.partition))
  for (const { partition } of messages instanceof PackedMessages ? messages.partitions : messages) {
    if (acknowledged.has(partition)) continue
    throw notAcknowledged(topic, partition)
  }
}

class KafkajsProducer implements KafkaProducerClient {
  readonly #producer: Producer
  readonly #sockets: Sockets
  readonly #turns = new Turns()

  constructor(producer: Producer, sockets: Sockets) {
    this.#producer = producer
    this.#sockets = sockets
  }

  send(topic: string, messages: MessagesToSend, compression: Compression): Promise<void> {
    return this.#turns.take(() => sendTo(this.#producer, topic, messages, compression))
  }

  async close(): Promise<void> {
    this.#turns.end()
    await this.#producer.disconnect()
  }

  discard(): void {
    this.#turns.end()
    this.#sockets.discard()
    // Ends the library's timers; its sockets are gone, so nothing is sent by this.
    this.#producer.disconnect().catch(() => {})
  }
}

class KafkajsTransactionalProducer implements KafkaTransactionalProducer {
  readonly #producer: Producer
  readonly #sockets: Sockets
  readonly #turns = new Turns()
  #transaction: Transaction | undefined

  constructor(producer: Producer, sockets: Sockets) {
    this.#producer = producer
    this.#sockets = sockets
  }

  begin(): Promise<void> {
    return this.#turns.take(async () => {
      try {
        this.#transaction = await this.#producer.transaction()
      } catch (error) {
        throw kafkaError(error, 'beginning a transaction')
      }
    })
  }

  send(topic: string, messages: MessagesToSend, compression: Compression): Promise<void> {
    return this.#turns.take(() => sendTo(this.#begun(), topic, messages, compression))
  }

  commit(): Promise<void> {
    return this.#turns.take(async () => {
      const transaction = this.#begun()
      this.#transaction = undefined
      try {
        await transaction.commit()
      } catch (error) {
        throw kafkaError(error, 'committing a transaction')
      }
    })
  }

  async close(): Promise<void> {
    this.#turns.end()
    await this.#transaction?.abort().catch(() => {})
    await this.#producer.disconnect()
  }

  discard(): void {
    this.#turns.end()
    this.#sockets.discard()
    this.#producer.disconnect().catch(() => {})
  }

  #begun(): Transaction {
    if (!this.#transaction) throw new MillraceError('INTERNAL', 'A Kafka transaction was used before it had begun.')
    return this.#transaction
  }
}

class KafkajsAdmin implements KafkaAdmin {
  readonly #admin: Admin

  constructor(admin: Admin) {
    this.#admin = admin
  }

  async describeTopic(topic: string, settings: readonly string[] = []): ReturnType<KafkaAdmin['describeTopic']> {
    try {
      const { topics } = await this.#admin.fetchTopicMetadata({ topics: [topic] })
      const partitions = topics[0]?.partitions.length ?? 0
      if (partitions === 0) return undefined
      const config = await this.#config(topic, ['max.message.bytes', ...settings])
      const bytes = Number(config['max.message.bytes'])
      return { partitions, messageBytesMax: Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined, config }
    } catch (error) {
      const failed = kafkaError(error, `looking at the topic ${topic}`)
      if (failed.details.kafka === 'UNKNOWN_TOPIC_OR_PARTITION') return undefined
      throw failed
    }
  }

  async #config(topic: string, configNames: string[]): Promise<Record<string, string>> {
    try {
      const { resources } = await this.#admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ type: kafkajs().ConfigResourceTypes.TOPIC, name: topic, configNames }],
      })
      const entries = resources[0]?.configEntries ?? []
      return Object.fromEntries(entries.map(({ configName, configValue }) => [configName, configValue ?? '']))
    } catch (error) {
      // Reading a topic's configuration is a right of its own; without it Kafka's default is assumed.
      if (kafkaError(error, 'reading the configuration').code === 'KAFKA_REFUSED') return {}
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
    } catch (thrown) {
      // One for each topic, in an error that says nothing.
      const [error = thrown] = (thrown as { readonly errors?: readonly unknown[] }).errors ?? []
      throw kafkaError(error, `creating the topic ${topic}`)
    }
  }

  async close(): Promise<void> {
    await this.#admin.disconnect()
  }
}

/** A cluster behind kafkajs. The files named after that library alone know it; docs/kafka.md lists its faults and the rules against them. */
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
      const sockets = new Sockets(options)
      const producer = client(options, sockets).producer({ ...producerOptions(), idempotent: true })
      return new KafkajsProducer(await connected(producer, sockets), sockets)
    },
    async connectTransactionalProducer(transactionalId) {
      const sockets = new Sockets(options)
      const producer = client(options, sockets, transactionRetry).producer({
        ...producerOptions(),
        idempotent: true,
        transactionalId,
        transactionTimeout: transactionTimeoutMs,
      })
      return new KafkajsTransactionalProducer(await connected(producer, sockets), sockets)
    },
    async connectAdmin() {
      const sockets = new Sockets(options)
      return new KafkajsAdmin(await connected(client(options, sockets).admin(), sockets))
    },
    async connectConsumer() {
      const sockets = new Sockets(options)
      return connectKafkajsConsumer(client(options, sockets), () => sockets.discard(), where)
    },
    async readCommitted(topic, take, stop) {
      await readCommitted(await this.connectConsumer(), topic, take, stop)
    },
    async readCommittedSoFar(topic, take, stop) {
      await readCommittedSoFar(await this.connectConsumer(), topic, take, stop)
    },
  }
}

const producerOptions = () => ({
  allowAutoTopicCreation: false,
  maxInFlightRequests: 1,
  createPartitioner: partitionGiven,
})
