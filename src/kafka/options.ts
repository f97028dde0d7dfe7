import { z } from 'zod'
import { MillraceError } from '../runtime/index.js'
import { checkpointTopicOf } from './checkpoint.js'
import { checkSchema, type ValueSchema } from './schema.js'
import { kafkaDrivers } from './types.js'

/** What a message's value is. */
export const messageFormats = ['envelope', 'image', 'dynamodb-streams', 'cloudevents', 'cloudevents-binary'] as const
export type MessageFormat = (typeof messageFormats)[number]

/** How items are written inside a value: with DynamoDB's types, or as plain JSON. */
export const imageStyles = ['dynamodb', 'plain'] as const
export type ImageStyle = (typeof imageStyles)[number]

/** How often a message may come: see docs/kafka.md. */
export const guarantees = ['exactly-once', 'at-least-once'] as const
export type Guarantee = (typeof guarantees)[number]

/** What becomes of a record that cannot be sent: the broker, a converter or a schema refuses it, and would again. */
export const refusedWays = ['stop', 'dead-letter'] as const

/** Headers that a bridge may put on every message. */
const headersMax = 32

/** Partitions of a topic that the bridge creates and nobody has given a number for. */
export const newTopicPartitions = 8

const topicName = z
  .string()
  .regex(/^(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}$/, 'has letters, digits, dot, underscore and dash, 249 at most')
const address = z.string().regex(/^[^\s:,/]+:\d{1,5}$/, 'is HOST:PORT')

export const bridgeOptions = z.strictObject({
  /** That of a bridge in is `in`; what `show` says may be given back. */
  direction: z.literal('out').optional(),
  name: z
    .string()
    .regex(
      /^(?!\.{1,2}$)[A-Za-z0-9_.-]{1,128}$/,
      'has letters, digits, dot, underscore and dash, 128 at most, and is not . or ..',
    ),
  /** The stream to mirror: a plain stream's name or `table:NAME`. */
  source: z.string().min(1).max(512),
  /** Addresses, or one string with commas between them. */
  brokers: z
    .union([z.array(z.string()), z.string().transform((list) => list.split(',').map((part) => part.trim()))])
    .pipe(z.array(address).min(1).max(100))
    .optional(),
  /** In place of the brokers: a name under `kafka.clusters` of the configuration. */
  cluster: z.string().min(1).max(128).optional(),
  /** The library; that of the cluster, or kafkajs, when not given. */
  driver: z.enum(kafkaDrivers).optional(),
  /** The whole topic name; `<prefix>.<table or stream>` when not given. */
  topic: topicName.optional(),
  prefix: topicName.default('millrace'),
  /** A topic that exists must have exactly as many; by default as many as it has. */
  partitions: z.int().min(1).max(10_000).optional(),
  replicationFactor: z.int().min(1).max(100).optional(),
  topicConfig: z.record(z.string(), z.string()).default({}),
  /** Whether the bridge may create the topic. */
  createTopic: z.boolean().default(true),
  guarantee: z.enum(guarantees).default('exactly-once'),
  format: z.enum(messageFormats).default('envelope'),
  images: z.enum(imageStyles).default('dynamodb'),
  /** Whether a delete is followed by a message without a value, so that compaction forgets the key. */
  tombstones: z.boolean().default(true),
  compression: z.enum(['none', 'gzip']).default('none'),
  refused: z.enum(refusedWays).default('stop'),
  /** The stream that takes records that cannot be sent; `NAME.dead-letters` when not given. Made when it is not there. */
  deadLetters: z
    .string()
    .regex(/^(?!\.{1,2}$)[A-Za-z0-9_.-]{1,255}$/, 'is the name of a stream')
    .optional(),
  clientId: z.string().min(1).max(249).optional(),
  start: z.enum(['oldest', 'newest']).default('oldest'),
  /** A table's items first, each as it is, and then its changes. */
  snapshot: z.boolean().optional(),
  /** Headers that every message has. */
  headers: z
    .record(z.string().regex(/^(?!millrace-|ce_|content-type$)[\w.-]{1,128}$/), z.string().max(1024))
    .refine((headers) => Object.keys(headers).length <= headersMax, `has ${headersMax} headers at most`)
    .optional(),
  /** JSON Schema of the values; each message is held against it, and names its `$id`. */
  schema: z.custom<ValueSchema>((value) => typeof value === 'object' && value !== null, 'is a JSON Schema').optional(),
})

/** What a user gives to create a bridge. */
export type BridgeRequest = z.input<typeof bridgeOptions>
/** The same with every default filled in. */
export type BridgeOptions = Omit<z.output<typeof bridgeOptions>, 'direction'>

/** Throws BAD_REQUEST that names every fault; unknown keys are faults. */
export function checkBridgeRequest(request: unknown): BridgeOptions {
  const checked = bridgeOptions.safeParse(request)
  if (!checked.success) {
    const faults = checked.error.issues.map((issue) => {
      const at = issue.path.join('.')
      if (issue.code !== 'unrecognized_keys') return `${at === '' ? 'the bridge' : at}: ${issue.message}`
      return `unknown: ${issue.keys.join(', ')} (known: ${Object.keys(bridgeOptions.shape).join(', ')})`
    })
    throw new MillraceError('BAD_REQUEST', `The bridge cannot be made so. ${faults.join('; ')}.`, {
      details: { faults },
    })
  }
  const { direction: _isOut, ...data } = checked.data
  if ((data.brokers === undefined) === (data.cluster === undefined)) {
    throw new MillraceError(
      'BAD_REQUEST',
      'A bridge names either its brokers or a cluster of the configuration: give one of brokers and cluster.',
    )
  }
  if (data.schema !== undefined) checkSchema(data.schema)
  if (data.format === 'image' && !data.tombstones) {
    throw new MillraceError(
      'BAD_REQUEST',
      'With the format image a delete is nothing but its tombstone: leave tombstones on, or choose another format.',
    )
  }
  if (data.format === 'dynamodb-streams' && data.images === 'plain') {
    throw new MillraceError(
      'BAD_REQUEST',
      'A record of DynamoDB Streams is DynamoDB JSON: leave images at dynamodb, or choose another format.',
    )
  }
  if (data.deadLetters !== undefined && data.refused === 'stop')
    throw new MillraceError('BAD_REQUEST', 'A bridge that stops at what it cannot send has no stream for it.', {
      remedy: 'Leave deadLetters out, or choose refused: dead-letter.',
    })
  checkDeadLetters(data)
  if (data.snapshot && !data.source.startsWith('table:'))
    throw new MillraceError('BAD_REQUEST', 'A snapshot is of a table: the source must be table:NAME.')
  return data
}

/** Throws BAD_REQUEST. */
export function checkDeadLetters(options: Pick<BridgeOptions, 'name' | 'source' | 'refused' | 'deadLetters'>): void {
  if (options.source === deadLettersOf(options) && options.refused === 'dead-letter')
    throw new MillraceError('BAD_REQUEST', 'What cannot be sent would come back as what is to be sent.', {
      remedy: 'Choose another stream for deadLetters.',
    })
}

export const deadLettersOf = ({ name, deadLetters }: Pick<BridgeOptions, 'name' | 'deadLetters'>): string =>
  deadLetters ?? `${name}.dead-letters`

/** The topic of a bridge. Throws BAD_REQUEST when the source's name makes no topic name. */
export function topicOf(options: BridgeOptions, sourceName: string): string {
  const topic = options.topic ?? `${options.prefix}.${sourceName}`
  if (topicName.safeParse(topic).success) return topic
  throw new MillraceError(
    'BAD_REQUEST',
    `${JSON.stringify(topic)} is no name for a topic; give one with the option topic.`,
  )
}

/** Throws BAD_REQUEST when the topic of checkpoints beside it could have no name. */
export function checkRoomForCheckpoints(topic: string, { guarantee }: Pick<BridgeOptions, 'guarantee'>): void {
  if (guarantee !== 'exactly-once' || topicName.safeParse(checkpointTopicOf(topic)).success) return
  throw new MillraceError('BAD_REQUEST', `${checkpointTopicOf(topic)} is too long for the topic of its checkpoints.`, {
    remedy: 'Give a shorter topic with the option topic, or choose guarantee: at-least-once.',
  })
}
