import type { PackedMessages } from './packed-messages.js'
import type { ClusterSecurity } from './security.js'

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

/** Packed ones must not change until the call has settled. */
export type MessagesToSend = readonly ProducedMessage[] | PackedMessages

export interface TopicDescription {
  readonly partitions: number
  /** `max.message.bytes` of the topic; undefined when the broker does not let us read it. */
  readonly messageBytesMax: number | undefined
  /** Those of the settings that were asked for which the broker lets us read. */
  readonly config: Readonly<Record<string, string>>
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
  send(topic: string, messages: MessagesToSend, compression: Compression): Promise<void>
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
  send(topic: string, messages: MessagesToSend, compression: Compression): Promise<void>
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

/** A record as a topic has it. Key, value and the values of headers are views into what was fetched. */
export interface ConsumedRecord {
  readonly offset: number
  /** Milliseconds since 1970: the producer's time, or the broker's where the topic says so. */
  readonly timestamp: number
  readonly key: Buffer | null
  /** Null is a tombstone. */
  readonly value: Buffer | null
  readonly headers: readonly (readonly [name: string, value: Buffer | null])[]
}

/** What one fetch gave of one partition. */
export interface FetchedPartition {
  readonly partition: number
  /** Committed records from the offset that was asked for on, in order. */
  readonly records: readonly ConsumedRecord[]
  /**
   * The offset to fetch next: behind everything that was looked at, also behind records of aborted transactions, their markers,
   * and what compaction took away. What was asked for when there was nothing.
   */
  readonly next: number
  /** Behind the newest record that is committed. */
  readonly end: number
}

/** The offsets of one partition. */
export interface PartitionBounds {
  /** The oldest that may be fetched. */
  readonly oldest: number
  /** Behind the newest record that is committed. */
  readonly end: number
}

/** Where the partitions of a topic are. */
export interface ConsumedTopic {
  /** Tells one cluster from another: offsets mean nothing elsewhere. Empty where the broker does not say. */
  readonly clusterId: string
  readonly partitions: number
  /** Partitions, by the broker that leads them. All partitions are in exactly one of the lists. */
  readonly byLeader: readonly (readonly number[])[]
}

export interface FetchBounds {
  /** Of the answer, about: a batch of records that is larger comes alone. Unpacked it may be four times as many. */
  readonly bytesMax: number
  /** How long a broker that has nothing new waits for some. */
  readonly waitMs: number
}

/** What a consumer group has stored for one partition. */
export interface CommittedOffset {
  readonly offset: number
  readonly metadata: string
}

/**
 * A connected consumer. Whoever calls says which partitions it reads and from where: it is no member of any group, nobody takes
 * partitions away from it, and no offset is ever chosen for it. After a rejection it must be discarded, but for those of
 * `committedOffsets` and `commitOffsets`.
 */
export interface KafkaConsumerClient {
  /** Asks a broker, each time; comes before everything else. Undefined when the topic does not exist; it is not created by that. */
  describe(topic: string): Promise<ConsumedTopic | undefined>
  bounds(topic: string, partitions: readonly number[]): Promise<ReadonlyMap<number, PartitionBounds>>
  /** The first offset of each partition whose record is of a time (milliseconds since 1970) or later; none where there is none. */
  offsetsAt(topic: string, partitions: readonly number[], timeMs: number): Promise<ReadonlyMap<number, number>>
  /**
   * What comes next in partitions that one broker leads, read committed, checked by checksum. Several fetches may be in flight, if
   * for different leaders. Rejects with KAFKA_REFUSED and `details.kafka`: OFFSET_OUT_OF_RANGE (never another offset instead),
   * CORRUPT_MESSAGE, UNSUPPORTED_COMPRESSION_TYPE, UNSUPPORTED_FOR_MESSAGE_FORMAT, with `details.partition` and `details.offset`.
   */
  fetch(topic: string, from: ReadonlyMap<number, number>, bounds: FetchBounds): Promise<readonly FetchedPartition[]>
  /** What a group has stored; partitions without are not in it. */
  committedOffsets(
    group: string,
    topic: string,
    partitions: readonly number[],
  ): Promise<ReadonlyMap<number, CommittedOffset>>
  /**
   * Stores offsets for a group without being a member, for others to see: nothing is ever read from there. Rejects with KAFKA_REFUSED and
   * `details.kafka` UNKNOWN_MEMBER_ID when the group has members, so that another application uses it.
   */
  commitOffsets(group: string, topic: string, offsets: ReadonlyMap<number, number>, metadata: string): Promise<void>
  /** Closes after what is in flight has been answered. */
  close(): Promise<void>
  /** Cuts the connections. */
  discard(): void
}

/**
 * A Kafka cluster. What cannot be reached rejects with KAFKA_UNAVAILABLE, what does not let us in, or is not who it should be,
 * with KAFKA_UNAUTHORIZED; nothing half connected is ever handed out.
 */
export interface KafkaCluster {
  connectProducer(): Promise<KafkaProducerClient>
  connectAdmin(): Promise<KafkaAdmin>
  connectConsumer(): Promise<KafkaConsumerClient>
  connectTransactionalProducer(transactionalId: string): Promise<KafkaTransactionalProducer>
  /**
   * Hands over the committed messages of partition 0 of a topic in their order, until `take` gives true for one, or the
   * stop is aborted.
   */
  readCommitted(topic: string, take: (message: CommittedMessage) => boolean, stop: AbortSignal): Promise<void>
  /** The same up to what is committed now: nothing behind the first transaction that is open, and no wait for its end. */
  readCommittedSoFar(topic: string, take: (message: CommittedMessage) => void, stop: AbortSignal): Promise<void>
}

/** The libraries that a cluster can be talked to with. */
export const kafkaDrivers = ['kafkajs', 'platformatic'] as const
export type KafkaDriver = (typeof kafkaDrivers)[number]

/** What a driver needs of a cluster. */
export interface ClusterOptions {
  /** `host:port` of one or more brokers. */
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly logger: BridgeLogger
  /** Not there: neither TLS nor SASL. */
  readonly security?: ClusterSecurity
}

/** What names a cluster: one that the configuration has, or its brokers. */
export interface ClusterTarget {
  readonly cluster?: string | undefined
  readonly brokers: readonly string[]
  /** That of the cluster, or kafkajs, when not given. */
  readonly driver?: KafkaDriver | undefined
  readonly clientId: string
  readonly logger: BridgeLogger
}

/** Connects to nothing yet. Throws NOT_FOUND for a cluster that the configuration does not have. */
export type OpenCluster = (target: ClusterTarget) => KafkaCluster

type LogLine = (fields: object, message: string) => void

/** Where log lines go; a pino logger is one. */
export interface BridgeLogger {
  readonly debug: LogLine
  readonly info: LogLine
  readonly warn: LogLine
  readonly error: LogLine
}
