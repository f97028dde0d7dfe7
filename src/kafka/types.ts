/** One message on its way to a topic. Its partition is always set: a client that chose one could choose another on a retry. */
export interface KafkaMessage {
  readonly key: Buffer
  /** Null is a tombstone. */
  readonly value: Buffer | null
  readonly partition: number
  /** Milliseconds since 1970. */
  readonly timestamp: number
  readonly headers: Readonly<Record<string, string>>
}

/** The same, of which some have no key. */
export type ProducedMessage = Omit<KafkaMessage, 'key'> & { readonly key: Buffer | null }

export interface TopicDescription {
  readonly partitions: number
  /** `max.message.bytes` of the topic; undefined when the broker does not let us read it. */
  readonly messageBytesMax: number | undefined
  /** Those of the settings that were asked for which the broker lets us read. */
  readonly config?: Readonly<Record<string, string>>
}

export interface NewTopic {
  readonly partitions: number
  /** Undefined leaves it to the broker. */
  readonly replicationFactor: number | undefined
  readonly config: Readonly<Record<string, string>>
}

export type Compression = 'none' | 'gzip'

/**
 * A connected producer. One `send` may be in flight. After the first rejection it must be discarded: what the broker has
 * of the rejected batch is unknown, and a later batch could take its sequence numbers.
 */
export interface KafkaProducerClient {
  /**
   * Resolves when all replicas in sync have every message, of every partition. Rejects with KAFKA_REFUSED when the same
   * messages would be refused again, and with KAFKA_UNAVAILABLE otherwise.
   */
  send(topic: string, messages: readonly ProducedMessage[], compression: Compression): Promise<void>
  /** Closes after what is in flight has been answered. */
  close(): Promise<void>
  /** Cuts the connections: nothing of this producer reaches a broker any more. */
  discard(): void
}

/**
 * A connected producer with a transactional id. One call may be in flight. After the first rejection it must be discarded:
 * whether a transaction was committed is then known to the broker alone. A newer producer of the same id fences it with its
 * first transaction.
 */
export interface KafkaTransactionalProducer {
  /** Begins a transaction. */
  begin(): Promise<void>
  /** Sends within the transaction; as `KafkaProducerClient.send`. */
  send(topic: string, messages: readonly KafkaMessage[], compression: Compression): Promise<void>
  /** Resolves when everything of the transaction is there for readers of what is committed. */
  commit(): Promise<void>
  /** Closes after what is in flight has been answered; an open transaction is given up. */
  close(): Promise<void>
  /** Cuts the connections. */
  discard(): void
}

export interface CommittedMessage {
  readonly key: Buffer | null
  readonly value: Buffer | null
}

export interface KafkaAdmin {
  /** Undefined when the topic does not exist. */
  describeTopic(topic: string, settings?: readonly string[]): Promise<TopicDescription | undefined>
  /** Resolves also when somebody else has made the topic meanwhile. */
  createTopic(topic: string, options: NewTopic): Promise<void>
  close(): Promise<void>
}

/** A Kafka cluster. What cannot be reached rejects with KAFKA_UNAVAILABLE; nothing half connected is ever handed out. */
export interface KafkaCluster {
  connectProducer(): Promise<KafkaProducerClient>
  connectAdmin(): Promise<KafkaAdmin>
  connectTransactionalProducer(transactionalId: string): Promise<KafkaTransactionalProducer>
  /**
   * Hands over the committed messages of partition 0 of a topic in their order, until `take` gives true for one, or the
   * stop is aborted.
   */
  readCommitted(topic: string, take: (message: CommittedMessage) => boolean, stop: AbortSignal): Promise<void>
}

export interface ClusterOptions {
  /** `host:port` of one or more brokers. */
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly logger: BridgeLogger
}

export type OpenCluster = (options: ClusterOptions) => KafkaCluster

type LogLine = (fields: object, message: string) => void

/** Where log lines go; a pino logger is one. */
export interface BridgeLogger {
  readonly debug: LogLine
  readonly info: LogLine
  readonly warn: LogLine
  readonly error: LogLine
}
