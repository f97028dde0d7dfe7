import { RecordBatch } from './record-batch-writer.js'

/** The version of kafkajs whose insides are known here. */
const knownVersion = '2.2.4'

interface TopicData {
  readonly topic: string
  readonly partitions: readonly {
    readonly partition: number
    readonly firstSequence?: number
    readonly messages: readonly LibraryMessage[]
  }[]
}

interface LibraryMessage {
  readonly key?: unknown
  readonly value: unknown
  readonly timestamp?: unknown
  readonly headers?: Readonly<Record<string, unknown>>
}

interface ProduceArguments {
  readonly acks: number
  readonly timeout: number
  readonly transactionalId?: string | null
  readonly producerId?: bigint | number | string | { readonly value: bigint }
  readonly producerEpoch?: number
  readonly compression?: number
  readonly topicData: readonly TopicData[]
}

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
  readonly produce?: ProduceArguments
}

type ProduceRequest = (given: ProduceArguments) => LibraryRequest

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

/**
 * Puts three functions in the place of the library's: what takes messages apart by partition, which copies the array of a
 * partition for each message; what encodes a produce request, which makes a zeroed buffer of 512 bytes for each message and
 * each header; and what puts a head before a request, which copies it twice. Everything else of a send stays the library's: metadata,
 * sequence numbers, transactions, retries. Compressed messages, and those that are not as ours are, are still encoded by it, and so is
 * everything with another version of the library. Before the library is loaded, since its parts keep what they import.
 */
export function replaceProduceEncoding(require: NodeJS.Require): void {
  const { version } = require('kafkajs/package.json') as { version: string }
  if (version !== knownVersion) return
  replace<(given: GroupArguments) => object>(
    require,
    'kafkajs/src/producer/groupMessagesPerPartition.js',
    () => groupByPartition,
  )
  replace<ProduceRequest>(require, 'kafkajs/src/protocol/requests/produce/v3/request.js', (library) => (given) => {
    const request = library(given)
    return isOurs(given) ? { ...request, encode: async () => encodeProduce(given), produce: given } : request
  })
  replace<(frame: Frame) => Promise<{ readonly buffer: Buffer }>>(
    require,
    'kafkajs/src/protocol/request.js',
    (library) => async (frame) =>
      frame.request.produce ? encodeProduceFrame(frame, frame.request.produce) : library(frame),
  )
}

function replace<T>(require: NodeJS.Require, path: string, by: (library: T) => T): void {
  const library = require(path) as T
  const loaded = require.cache[require.resolve(path)]
  if (loaded) loaded.exports = by(library)
}

function groupByPartition({ topic, partitionMetadata, messages, partitioner }: GroupArguments): object {
  const groups: Record<number, LibraryMessage[]> = {}
  if (partitionMetadata.length === 0) return groups
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
function isOurs({ compression, topicData }: ProduceArguments): boolean {
  if (compression) return false
  return topicData.every(({ partitions }) => partitions.every(({ messages }) => isMessageOfOurs(messages[0])))
}

function isMessageOfOurs(message: LibraryMessage | undefined): boolean {
  if (!message || typeof message.timestamp !== 'number') return false
  if (!Buffer.isBuffer(message.value) && message.value !== null) return false
  if (!Buffer.isBuffer(message.key) && message.key !== null) return false
  return Object.values(message.headers ?? {}).every((value) => typeof value === 'string')
}

/** The body of a produce request of the versions 3 to 8. */
export function encodeProduce(given: ProduceArguments): Encoded {
  const request = new ProduceBody(given)
  const into = Buffer.allocUnsafe(request.bytes)
  request.write(into, 0)
  return { buf: into, buffer: into }
}

/** The same with its length and head before it, as it goes over the wire. */
function encodeProduceFrame({ correlationId, clientId, request }: Frame, given: ProduceArguments): Encoded {
  const body = new ProduceBody(given)
  const headBytes = 4 + 2 + 2 + 4 + textBytes(clientId)
  const into = Buffer.allocUnsafe(headBytes + body.bytes)
  let at = into.writeInt32BE(into.length - 4, 0)
  at = into.writeInt16BE(request.apiKey, at)
  at = into.writeInt16BE(request.apiVersion, at)
  at = into.writeInt32BE(correlationId, at)
  body.write(into, putText(into, at, clientId))
  return { buf: into, buffer: into }
}

class ProduceBody {
  readonly bytes: number
  readonly #given: ProduceArguments
  readonly #topics: readonly {
    readonly topic: string
    readonly partitions: readonly {
      readonly partition: number
      readonly firstSequence: number
      readonly batch: RecordBatch
    }[]
  }[]

  constructor(given: ProduceArguments) {
    this.#given = given
    this.#topics = given.topicData.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition, firstSequence = 0, messages }) => ({
        partition,
        firstSequence,
        batch: new RecordBatch(messages as ConstructorParameters<typeof RecordBatch>[0]),
      })),
    }))
    let bytes = textBytes(given.transactionalId) + 2 + 4 + 4
    for (const { topic, partitions } of this.#topics) {
      bytes += textBytes(topic) + 4
      for (const { batch } of partitions) bytes += 8 + batch.bytes
    }
    this.bytes = bytes
  }

  write(into: Buffer, start: number): void {
    const { acks, timeout, transactionalId, producerId, producerEpoch = 0 } = this.#given
    const producer = { id: idOf(producerId), epoch: producerEpoch, isTransactional: Boolean(transactionalId) }
    let at = putText(into, start, transactionalId)
    at = into.writeInt16BE(acks, at)
    at = into.writeInt32BE(timeout, at)
    at = into.writeInt32BE(this.#topics.length, at)
    for (const { topic, partitions } of this.#topics) {
      at = putText(into, at, topic)
      at = into.writeInt32BE(partitions.length, at)
      for (const { partition, firstSequence, batch } of partitions) {
        at = into.writeInt32BE(partition, at)
        at = into.writeInt32BE(batch.bytes, at)
        batch.write(into, at, producer, firstSequence)
        at += batch.bytes
      }
    }
  }
}

function idOf(id: ProduceArguments['producerId']): bigint {
  if (id === undefined) return -1n
  return typeof id === 'object' ? id.value : BigInt(id)
}

/** A text with its length in two bytes; null has the length -1. */
const textBytes = (text: string | null | undefined): number => 2 + (text ? Buffer.byteLength(text) : 0)

function putText(into: Buffer, at: number, text: string | null | undefined): number {
  if (text === null || text === undefined) return into.writeInt16BE(-1, at)
  const bytes = into.write(text, at + 2)
  into.writeInt16BE(bytes, at)
  return at + 2 + bytes
}
