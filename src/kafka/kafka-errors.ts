import { type ErrorCode, MillraceError } from '../runtime/index.js'

/** What Kafka clients throw: a name, the broker's error type, and what it wraps. */
interface KafkaFault {
  readonly name?: string
  readonly type?: string
  readonly message?: string
  readonly cause?: unknown
  readonly errors?: readonly unknown[]
}

const grant = 'Give the client the right to do that on the broker, then resume the bridge.'

/**
 * Error types of the broker that the same request would meet again, with what to do about each. Everything else passes:
 * a new producer and another try.
 */
const refusals: Readonly<Record<string, string>> = {
  MESSAGE_TOO_LARGE:
    'Raise max.message.bytes of the topic (and message.max.bytes of the brokers), then resume the bridge.',
  RECORD_LIST_TOO_LARGE: 'Raise segment.bytes of the topic, then resume the bridge.',
  INVALID_RECORD: 'A compacted topic or a policy of the broker does not take such messages: choose another topic.',
  INVALID_TIMESTAMP: 'Raise the limits for message timestamps of the topic, then resume the bridge.',
  UNSUPPORTED_FOR_MESSAGE_FORMAT: 'The topic is of an old message format: choose another topic.',
  INVALID_TOPIC_EXCEPTION: 'Choose another topic: letters, digits, dot, underscore and dash, 249 at most.',
  INVALID_PARTITIONS: 'Choose another number of partitions.',
  INVALID_REPLICATION_FACTOR: 'Choose a replication factor that the cluster has brokers for.',
  INVALID_REPLICA_ASSIGNMENT: 'Choose a replication factor that the cluster has brokers for.',
  INVALID_CONFIG: 'Correct the topic configuration of the bridge.',
  POLICY_VIOLATION: 'The broker has a policy for new topics: create the topic yourself, or choose other options.',
  UNSUPPORTED_VERSION: 'Use a broker of version 2.4 or newer.',
  TOPIC_AUTHORIZATION_FAILED: grant,
  CLUSTER_AUTHORIZATION_FAILED: grant,
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: grant,
  SECURITY_DISABLED: grant,
  SASL_AUTHENTICATION_FAILED: grant,
  UNSUPPORTED_SASL_MECHANISM: grant,
}

const names: Readonly<Record<string, string>> = {
  KafkaJSSASLAuthenticationError: 'SASL_AUTHENTICATION_FAILED',
  KafkaJSServerDoesNotSupportApiKey: 'UNSUPPORTED_VERSION',
}

/** The error type of the broker, wherever the client has wrapped it. */
function typeOf(thrown: unknown, depth = 0): string | undefined {
  if (typeof thrown !== 'object' || thrown === null || depth > 8) return undefined
  const fault = thrown as KafkaFault
  if (typeof fault.type === 'string') return fault.type
  if (fault.name && names[fault.name]) return names[fault.name]
  for (const inner of fault.errors ?? []) {
    const type = typeOf(inner, depth + 1)
    if (type) return type
  }
  return typeOf(fault.cause, depth + 1)
}

/**
 * Any fault of a Kafka client as KAFKA_REFUSED (the broker says no, and will again) or KAFKA_UNAVAILABLE (worth another
 * try). `details.kafka` has the broker's error type where there is one.
 */
export function kafkaError(
  thrown: unknown,
  doing: string,
  details: Readonly<Record<string, unknown>> = {},
): MillraceError {
  if (thrown instanceof MillraceError) return thrown
  const type = typeOf(thrown)
  const remedy = type === undefined ? undefined : refusals[type]
  const code: ErrorCode = remedy === undefined ? 'KAFKA_UNAVAILABLE' : 'KAFKA_REFUSED'
  const why = thrown instanceof Error ? thrown.message : String(thrown)
  return new MillraceError(code, `Kafka: ${doing} failed: ${why}${type === undefined ? '' : ` (${type})`}.`, {
    cause: thrown,
    outcome: 'unknown',
    details: type === undefined ? details : { ...details, kafka: type },
    ...(remedy === undefined ? {} : { remedy }),
  })
}

/** Whether a broker refused messages for their size: fewer of them may pass. */
export function isTooLarge(error: MillraceError): boolean {
  return error.details.kafka === 'MESSAGE_TOO_LARGE' || error.details.kafka === 'RECORD_LIST_TOO_LARGE'
}
