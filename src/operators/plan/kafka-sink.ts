import type { Sink } from './ends.js'
import { functionOf, invalid } from './invalid.js'
import { type DeliveryOptions, deliveryOf } from './outside-sinks.js'
import type { KafkaSinkPlan } from './sink-plan.js'

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

/**
 * A Kafka topic as a sink. At least once, in order per key: a batch that is not acknowledged is sent again, and each message has
 * its id as the header `millrace-id`, the same however often it comes.
 */
export function kafka<Value, Key>(
  topic: string,
  record: (value: Value, key: Key) => KafkaSinkRecord | null | undefined,
  options: KafkaSinkOptions = {},
): Sink<Value, Key> {
  const where = `The Kafka sink ${String(topic)}`
  if (typeof topic !== 'string' || !topicRule.test(topic))
    throw invalid(`${where} has no topic.`, 'Name it with letters, digits, dots, dashes and underscores, 249 at most.')
  const { compression = 'none' } = options
  if (compression !== 'none' && compression !== 'gzip')
    throw invalid(`${where} has the compression ${JSON.stringify(compression)}.`, "Choose 'none' or 'gzip'.")
  const { cluster } = options
  if (cluster !== undefined && (typeof cluster !== 'string' || cluster === '' || options.brokers !== undefined))
    throw invalid(
      `${where} has the cluster ${JSON.stringify(cluster)}${options.brokers === undefined ? '' : ' and brokers'}.`,
      "Give one of them: { cluster: 'NAME' } of kafka.clusters, or { brokers: 'host:9092' }.",
    )
  const plan: KafkaSinkPlan = {
    kind: 'kafka',
    topic,
    brokers: brokersOf(options.brokers, where),
    cluster,
    compression,
    run: functionOf(record, where) as KafkaSinkPlan['run'],
    delivery: deliveryOf({ batchMax, batchBytesMax, timeout, ...options }, where),
  }
  return { sink: plan }
}

function brokersOf(given: KafkaSinkOptions['brokers'], where: string): readonly string[] {
  if (given === undefined) return []
  const brokers = (typeof given === 'string' ? given.split(',') : [...given]).map((broker) => String(broker).trim())
  if (brokers.length === 0 || !brokers.every((broker) => /^[^\s:,/]+:\d{1,5}$/.test(broker)))
    throw invalid(`${where} has no brokers.`, "Name them: { brokers: 'host:9092' }, or leave it to kafka.brokers.")
  return brokers
}
