import { PackedMessages, PackedPartition } from './packed-messages.js'
import { type ProduceArguments, ProduceBody, putText, textBytes } from './produce-request.js'

/** The version of kafkajs whose insides are known here. */
const knownVersion = '2.2.4'

interface LibraryCreateTopics {
  readonly parse: (answer: { readonly topicErrors: readonly TopicFault[] }) => Promise<unknown>
}

interface TopicFault {
  readonly topic: string
  /** What the broker says of it. */
  readonly errorMessage: string | null
}

interface LibraryMessage {
  readonly key?: unknown
  /** Of packed messages all of them: the library takes them for one until they are taken apart. */
  readonly value: unknown
  readonly timestamp?: unknown
  readonly headers?: Readonly<Record<string, unknown>>
}

interface LibraryProduce {
  readonly acks: number
  readonly timeout: number
  readonly transactionalId?: string | null
  readonly producerId?: bigint | number | string | { readonly value: bigint }
  readonly producerEpoch?: number
  readonly compression?: number
  readonly topicData: readonly {
    readonly topic: string
    readonly partitions: readonly {
      readonly partition: number
      readonly firstSequence?: number
      readonly messages: LibraryMessages
    }[]
  }[]
}

/** The library looks at nothing but their number. */
type LibraryMessages = readonly LibraryMessage[] | PackedPartition

/** Bytes, as the library's own writer of them shows itself. */
interface Encoded {
  readonly buf: Buffer
  readonly buffer: Buffer
}

interface LibraryRequest {
  readonly apiKey: number
  readonly apiVersion: number
  readonly encode: () => Promise<Encoded>
  /** Only of ours: the arguments of a produce request that is written without the library. */
  readonly produce?: LibraryProduce
}

type ProduceRequest = (given: LibraryProduce) => LibraryRequest

interface Frame {
  readonly correlationId: number
  readonly clientId: string | null
  readonly request: LibraryRequest
}

interface GroupArguments {
  readonly topic: string
  readonly partitionMetadata: readonly unknown[]
  readonly messages: readonly LibraryMessage[]
  readonly partitioner: (given: object) => number
}

/** What is encoded here, by the library's numbers. */
const compressions = ['none', 'gzip'] as const

/**
 * Puts three functions in the place of the library's: what takes messages apart by partition, which copies the array of a
 * partition for each message; what encodes a produce request, which makes a zeroed buffer of 512 bytes for each message and
 * each header; and what puts a head before a request, which copies it twice. Packed messages go through it as the value of one message. Everything else of a send stays the library's: metadata,
 * sequence numbers, transactions, retries. Messages that are not as ours are, are still encoded by it, and so is
 * everything with another version of the library. Before the library is loaded, since its parts keep what they import.
 *
 * Returns whether it did, so that messages may come packed: not when somebody else in the process has loaded the library.
 */
export function replaceProduceEncoding(require: NodeJS.Require): boolean {
  if (!isKnown(require) || require.cache[require.resolve('kafkajs')]) return false
  replace<(given: GroupArguments) => object>(
    require,
    'kafkajs/src/producer/groupMessagesPerPartition.js',
    () => groupByPartition,
  )
  replace<ProduceRequest>(require, 'kafkajs/src/protocol/requests/produce/v3/request.js', (library) => (given) => {
    const request = library(given)
    return isOurs(given) ? { ...request, encode: () => encodeProduce(given), produce: given } : request
  })
  replace<(frame: Frame) => Promise<{ readonly buffer: Buffer }>>(
    require,
    'kafkajs/src/protocol/request.js',
    (library) => async (frame) =>
      frame.request.produce ? encodeProduceFrame(frame, frame.request.produce) : library(frame),
  )
  return true
}

/**
 * Puts the broker's words into the errors of a topic's creation, of which the library keeps the type alone. It asks for what reads the answer
 * anew each time, so this works also after it is loaded.
 */
export function keepWordsOfBroker(require: NodeJS.Require): void {
  if (!isKnown(require)) return
  replace<LibraryCreateTopics>(require, 'kafkajs/src/protocol/requests/createTopics/v3/response.js', (library) => ({
    ...library,
    parse: (answer) => library.parse(answer).catch((error) => withWords(error, answer)),
  }))
}

function isKnown(require: NodeJS.Require): boolean {
  const { version } = require('kafkajs/package.json') as { version: string }
  return version === knownVersion
}

/** The error of each topic, in the broker's words. */
function withWords(
  thrown: { readonly errors?: readonly { readonly topic: string; message: string }[] },
  { topicErrors }: { readonly topicErrors: readonly TopicFault[] },
): never {
  const words = new Map(topicErrors.map(({ topic, errorMessage }) => [topic, errorMessage]))
  for (const error of thrown.errors ?? []) error.message = words.get(error.topic) || error.message
  throw thrown
}

function replace<T>(require: NodeJS.Require, path: string, by: (library: T) => T): void {
  const library = require(path) as T
  const loaded = require.cache[require.resolve(path)]
  if (loaded) loaded.exports = by(library)
}

function groupByPartition({ topic, partitionMetadata, messages, partitioner }: GroupArguments): object {
  const groups: Record<number, LibraryMessage[]> = {}
  if (partitionMetadata.length === 0) return groups
  const packed = messages[0]?.value
  if (packed instanceof PackedMessages)
    return Object.fromEntries(packed.partitions.map((each) => [each.partition, each]))
  const given = { topic, partitionMetadata, message: undefined as LibraryMessage | undefined }
  for (const message of messages) {
    given.message = message
    const partition = partitioner(given)
    const group = groups[partition]
    if (group) group.push(message)
    else groups[partition] = [message]
  }
  return groups
}

/** The messages of a send are all of one kind. */
function isOurs({ compression = 0, topicData }: LibraryProduce): boolean {
  if (!compressions[compression]) return false
  return topicData.every(({ partitions }) =>
    partitions.every(({ messages }) => messages instanceof PackedPartition || isMessageOfOurs(messages[0])),
  )
}

function isMessageOfOurs(message: LibraryMessage | undefined): boolean {
  if (!message || typeof message.timestamp !== 'number') return false
  if (!Buffer.isBuffer(message.value) && message.value !== null) return false
  if (!Buffer.isBuffer(message.key) && message.key !== null) return false
  return Object.values(message.headers ?? {}).every((value) => typeof value === 'string')
}

const bodyOf = (given: LibraryProduce): Promise<ProduceBody> =>
  ProduceBody.of(given as ProduceArguments, compressions[given.compression ?? 0] as (typeof compressions)[number])

/** The body of a produce request of the versions 3 to 8. */
export async function encodeProduce(given: LibraryProduce): Promise<Encoded> {
  const body = await bodyOf(given)
  const into = Buffer.allocUnsafe(body.bytes)
  body.write(into, 0)
  return { buf: into, buffer: into }
}

/** The same with its length and head before it, as it goes over the wire. */
async function encodeProduceFrame(
  { correlationId, clientId, request }: Frame,
  given: LibraryProduce,
): Promise<Encoded> {
  const body = await bodyOf(given)
  const headBytes = 4 + 2 + 2 + 4 + textBytes(clientId)
  const into = Buffer.allocUnsafe(headBytes + body.bytes)
  let at = into.writeInt32BE(into.length - 4, 0)
  at = into.writeInt16BE(request.apiKey, at)
  at = into.writeInt16BE(request.apiVersion, at)
  at = into.writeInt32BE(correlationId, at)
  body.write(into, putText(into, at, clientId))
  return { buf: into, buffer: into }
}
