import { type ErrorCode, MillraceError } from '../runtime/index.js'

/** What Kafka clients throw: a name, the broker's error type, and what it wraps. */
interface KafkaFault {
  readonly name?: string
  readonly type?: string
  readonly code?: unknown
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
  GROUP_AUTHORIZATION_FAILED: grant,
  TOPIC_AUTHORIZATION_FAILED: grant,
  CLUSTER_AUTHORIZATION_FAILED: grant,
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: grant,
  SECURITY_DISABLED: grant,
}

/** Error types of a broker that is there and cannot do it yet, with what it may want for. */
const awaited: Readonly<Record<string, string>> = {
  COORDINATOR_NOT_AVAILABLE:
    'If it lasts: the cluster needs as many brokers as transaction.state.log.replication.factor says (for groups: offsets.topic.replication.factor), or a bridge out that is made with guarantee at-least-once, which has no transactions. It is tried again by itself.',
}

const credentials =
  'Correct user name, password or token of the cluster (kafka.clusters of the configuration, or the files that it names); it is tried again by itself.'

/** Error types of brokers that do not let us in. Tried again: credentials in files may change at any time. */
const unauthorized: Readonly<Record<string, string>> = {
  SASL_AUTHENTICATION_FAILED: credentials,
  ILLEGAL_SASL_STATE: credentials,
  UNSUPPORTED_SASL_MECHANISM:
    'Choose a mechanism that the broker has enabled (sasl.mechanism of the cluster), or enable it there.',
}

/** Codes of Node's TLS for certificates that do not show who the broker is, with what to do about each. */
const certificates: Readonly<Record<string, string>> = {
  ERR_TLS_CERT_ALTNAME_INVALID:
    'Name the broker as its certificate does: in the addresses, or with tls.serverName of the cluster.',
  CERT_HAS_EXPIRED: "Renew the broker's certificate, and look at the clock of this machine.",
  CERT_NOT_YET_VALID: "Look at the broker's certificate and at the clock of this machine.",
}
const untrusted = /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|CERT_|ERR_TLS_CERT_|INVALID_CA)/
const trust = "Name the certificate of the authority that signed the broker's own with tls.caFile of the cluster."
/** What each side says of a handshake that failed: alerts of OpenSSL, and what is no TLS at all. */
const handshake = /^(ERR_SSL_|EPROTO$)/
const tlsOnBothSides =
  "Check that the listener speaks TLS, and that it takes this client's certificate (tls.certFile and tls.keyFile of the cluster)."

/** What Node says when the other side hangs up on a handshake: a broker that is just stopping, or a listener without TLS. */
const cutHandshake = 'before secure TLS connection was established'
const ifItRuns = 'Start the broker. If it runs, check that this listener speaks TLS; the bridge goes on by itself.'

function remedyOfTls(code: string): string | undefined {
  if (certificates[code]) return certificates[code]
  if (untrusted.test(code)) return trust
  return handshake.test(code) ? tlsOnBothSides : undefined
}

const names: Readonly<Record<string, string>> = {
  KafkaJSServerDoesNotSupportApiKey: 'UNSUPPORTED_VERSION',
  KafkaJSGroupCoordinatorNotFound: 'COORDINATOR_NOT_AVAILABLE',
}

/** The same for one who says which offset to read, and takes no other. */
export const readingRefusals: Readonly<Record<string, string>> = {
  OFFSET_OUT_OF_RANGE: 'The topic does not have that offset: what stood there is gone, or it is another topic.',
  CORRUPT_MESSAGE: 'Mend the topic on the broker, then resume the bridge.',
}

const usedGroup = 'Another application uses that consumer group: choose another one.'

/** The same for one who stores offsets and is no member of their group. */
export const groupRefusals: Readonly<Record<string, string>> = {
  UNKNOWN_MEMBER_ID: usedGroup,
  ILLEGAL_GENERATION: usedGroup,
  REBALANCE_IN_PROGRESS: usedGroup,
}

/** The first thing that is found in a fault or in what it wraps. */
function search<T>(thrown: unknown, find: (fault: KafkaFault) => T | undefined, depth = 0): T | undefined {
  if (typeof thrown !== 'object' || thrown === null || depth > 8) return undefined
  const fault = thrown as KafkaFault
  const found = find(fault)
  if (found !== undefined) return found
  for (const inner of fault.errors ?? []) {
    const deeper = search(inner, find, depth + 1)
    if (deeper !== undefined) return deeper
  }
  return search(fault.cause, find, depth + 1)
}

/** The error type of the broker. */
const typeOf = ({ type, name }: KafkaFault): string | undefined =>
  typeof type === 'string' ? type : name === undefined ? undefined : names[name]

/**
 * Any fault of a Kafka client as KAFKA_REFUSED (the broker says no, and will again), KAFKA_UNAUTHORIZED (it does not let us in,
 * or is not who it should be) or KAFKA_UNAVAILABLE (worth another try). `details.kafka` has the broker's error type where there
 * is one, `details.tls` the code of a TLS fault.
 * @param more refusals beside those that are always some
 */
export function kafkaError(
  thrown: unknown,
  doing: string,
  details: Readonly<Record<string, unknown>> = {},
  more: Readonly<Record<string, string>> = {},
): MillraceError {
  const ours = search(thrown, (fault) => (fault instanceof MillraceError ? fault : undefined))
  if (ours) return ours
  const type = search(thrown, typeOf)
  const tls = type === undefined ? search(thrown, tlsCodeOf) : undefined
  const why = thrown instanceof Error ? thrown.message : String(thrown)
  const { code, remedy = why.includes(cutHandshake) ? ifItRuns : undefined } = verdictOn(type, tls, more)
  return new MillraceError(code, `Kafka: ${doing} failed: ${why}${type === undefined ? '' : ` (${type})`}.`, {
    cause: thrown,
    outcome: 'unknown',
    details: { ...details, ...(type === undefined ? {} : { kafka: type }), ...(tls === undefined ? {} : { tls }) },
    ...(remedy === undefined ? {} : { remedy }),
  })
}

const tlsCodeOf = ({ code }: KafkaFault): string | undefined =>
  typeof code === 'string' && remedyOfTls(code) !== undefined ? code : undefined

function verdictOn(
  type: string | undefined,
  tls: string | undefined,
  more: Readonly<Record<string, string>>,
): { code: ErrorCode; remedy?: string } {
  if (tls !== undefined) return { code: 'KAFKA_UNAUTHORIZED', remedy: remedyOfTls(tls) as string }
  if (type === undefined) return { code: 'KAFKA_UNAVAILABLE' }
  if (unauthorized[type]) return { code: 'KAFKA_UNAUTHORIZED', remedy: unauthorized[type] }
  const waiting = awaited[type]
  if (waiting !== undefined) return { code: 'KAFKA_UNAVAILABLE', remedy: waiting }
  const remedy = more[type] ?? refusals[type]
  return remedy === undefined ? { code: 'KAFKA_UNAVAILABLE' } : { code: 'KAFKA_REFUSED', remedy }
}

/** Whether a broker refused messages for their size: fewer of them may pass. */
export function isTooLarge(error: MillraceError): boolean {
  return error.details.kafka === 'MESSAGE_TOO_LARGE' || error.details.kafka === 'RECORD_LIST_TOO_LARGE'
}

/** What the broker says of messages that it will not take, however often they come. */
const contentFaults = new Set(['INVALID_RECORD', 'INVALID_TIMESTAMP'])

/** Whether the messages themselves are at fault: fewer of them, or others, may pass. */
export function isOfContent(error: MillraceError): boolean {
  return isTooLarge(error) || contentFaults.has(String(error.details.kafka))
}
