import type { StreamRecord } from '../types.js'
import type { Sink, Source } from './ends.js'
import { functionOf, invalid } from './invalid.js'
import { checkMembers } from './members.js'
import { type DeliveryOptions, deliveryMembers, deliveryOf } from './outside-sinks.js'
import type { KafkaSinkPlan } from './sink-plan.js'
import type { KafkaSourcePlan } from './source-plan.js'
import type { StreamKey } from './tables.js'

export interface KafkaSinkRecord {
  /** What decides over the partition, and what order is kept by. */
  readonly key?: string | Uint8Array | null
  /** Text and bytes as they are, anything else as JSON; null is a tombstone. */
  readonly value: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** In place of the one that the key gives. */
  readonly partition?: number
}

export interface KafkaSinkOptions extends DeliveryOptions {
  /** `host:port`, several with commas or as a list; `kafka.brokers` of the daemon's configuration by default. */
  readonly brokers?: string | readonly string[]
  /** In place of the brokers: a name under `kafka.clusters` of the daemon's configuration. */
  readonly cluster?: string
  /** `none` by default. */
  readonly compression?: 'none' | 'gzip'
}

const topicRule = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}$/
/** Messages of one delivery, and bytes: below the megabyte that a broker takes at once by default. */
const batchMax = 500
const batchBytesMax = 512 * 1024
/** Longer than the client's own wait for an answer. */
const timeout = '30s'

export interface KafkaSourceOptions {
  /** `host:port`, several with commas or as a list; `kafka.brokers` of the daemon's configuration by default. */
  readonly brokers?: string | readonly string[]
  /** In place of the brokers: a name under `kafka.clusters` of the daemon's configuration. */
  readonly cluster?: string
  /** Where it begins, `oldest` by default: partitions that come later are read from their beginning. */
  readonly start?: 'oldest' | 'newest'
}

/**
 * A Kafka topic as a source: its committed messages, each once. A message's key is text, and the number of its partition where it has none;
 * its value is what its JSON says, bytes (`Uint8Array`) where it is none, null of a tombstone. In order per partition.
 */
export function kafka<Value = unknown>(
  topic: string,
  options?: KafkaSourceOptions,
): Source<StreamRecord<Value>, StreamKey>
/**
 * A Kafka topic as a sink. At least once, in order per key: a batch that is not acknowledged is sent again, and each message has
 * its id as the header `millrace-id`, the same however often it comes.
 */
export function kafka<Value, Key>(
  topic: string,
  record: (value: Value, key: Key) => KafkaSinkRecord | null | undefined,
  options?: KafkaSinkOptions,
): Sink<Value, Key>
export function kafka(
  topic: string,
  given?: KafkaSourceOptions | KafkaSinkPlan['run'],
  options: KafkaSinkOptions = {},
): object {
  return typeof given === 'function' ? { sink: sinkOf(topic, given, options) } : { source: sourceOf(topic, given) }
}

function checkTopic(topic: unknown, where: string): void {
  if (typeof topic !== 'string' || !topicRule.test(topic))
    throw invalid(`${where} has no topic.`, 'Name it with letters, digits, dots, dashes and underscores, 249 at most.')
}

function checkCluster({ cluster, brokers }: Pick<KafkaSinkOptions, 'cluster' | 'brokers'>, where: string): void {
  if (cluster !== undefined && (typeof cluster !== 'string' || cluster === '' || brokers !== undefined))
    throw invalid(
      `${where} has the cluster ${JSON.stringify(cluster)}${brokers === undefined ? '' : ' and brokers'}.`,
      "Give one of them: { cluster: 'NAME' } of kafka.clusters, or { brokers: 'host:9092' }.",
    )
}

function sourceOf(topic: string, options: KafkaSourceOptions = {}): KafkaSourcePlan {
  const where = `The Kafka source ${String(topic)}`
  checkTopic(topic, where)
  checkMembers<KafkaSourceOptions>(options, { brokers: true, cluster: true, start: true }, where)
  checkCluster(options, where)
  const { cluster, start = 'oldest' } = options
  if (start !== 'oldest' && start !== 'newest')
    throw invalid(`${where} begins at ${JSON.stringify(start)}.`, "Choose 'oldest' or 'newest'.")
  const brokers = brokersOf(options.brokers, where)
  return { kind: 'kafka', name: topic, brokers, start, ...(cluster === undefined ? {} : { cluster }) }
}

function sinkOf(topic: string, record: KafkaSinkPlan['run'], options: KafkaSinkOptions): KafkaSinkPlan {
  const where = `The Kafka sink ${String(topic)}`
  checkTopic(topic, where)
  const members = { ...deliveryMembers, brokers: true, cluster: true, compression: true } as const
  checkMembers<KafkaSinkOptions>(options, members, where)
  const { compression = 'none' } = options
  if (compression !== 'none' && compression !== 'gzip')
    throw invalid(`${where} has the compression ${JSON.stringify(compression)}.`, "Choose 'none' or 'gzip'.")
  checkCluster(options, where)
  return {
    kind: 'kafka',
    topic,
    brokers: brokersOf(options.brokers, where),
    cluster: options.cluster,
    compression,
    run: functionOf(record, where) as KafkaSinkPlan['run'],
    delivery: deliveryOf({ batchMax, batchBytesMax, timeout, ...options }, where),
  }
}

function brokersOf(given: KafkaSinkOptions['brokers'], where: string): readonly string[] {
  if (given === undefined) return []
  const brokers = (typeof given === 'string' ? given.split(',') : [...given]).map((broker) => String(broker).trim())
  if (brokers.length === 0 || !brokers.every((broker) => /^[^\s:,/]+:\d{1,5}$/.test(broker)))
    throw invalid(`${where} has no brokers.`, "Name them: { brokers: 'host:9092' }, or leave it to kafka.brokers.")
  return brokers
}
