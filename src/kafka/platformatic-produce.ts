import type { Connection, produceV8 } from '@platformatic/kafka'
import { library, requestTimeoutMs } from './platformatic-connections.js'
import { type BatchContent, ProduceBody } from './produce-request.js'
import type { Compression } from './types.js'

/** Messages of one partition, and the number of the first of them. */
export interface NumberedMessages {
  readonly partition: number
  readonly firstSequence: number
  readonly messages: BatchContent
}

/** What goes to one broker. */
export interface ProduceRequest {
  readonly topic: string
  readonly partitions: readonly NumberedMessages[]
  readonly compression: Compression
  readonly producer: { readonly id: bigint; readonly epoch: number }
  readonly transactionalId: string | undefined
}

/** What a broker says of a partition. */
export interface PartitionAnswer {
  readonly index: number
  readonly errorCode: number
}

const produceKey = 0
/** The last version that is not of flexible form: that of the encoder which both drivers share. */
const produceVersion = 8
const allReplicas = -1
/** None, LEADER_NOT_AVAILABLE, NOT_LEADER_OR_FOLLOWER. */
const passes = new Set([0, 5, 6])

/**
 * What the broker says of each partition: that it was taken, or is led by another broker. Rejects with anything else. The request is
 * encoded here: the library makes several buffers for each message and each header, and packs on the main thread.
 */
export async function produce(connection: Connection, request: ProduceRequest): Promise<readonly PartitionAnswer[]> {
  const bytes = await encode(request)
  try {
    return partitionsOf(await sent(connection, bytes))
  } catch (error) {
    const partitions = partitionsOf((error as { readonly response?: unknown }).response)
    const isMoved = partitions.some(({ errorCode }) => errorCode !== 0)
    if (isMoved && partitions.every(({ errorCode }) => passes.has(errorCode))) return partitions
    throw error
  }
}

async function encode(request: ProduceRequest): Promise<Buffer> {
  const { topic, partitions, compression, producer, transactionalId } = request
  const given = {
    acks: allReplicas,
    timeout: requestTimeoutMs,
    transactionalId,
    producerId: producer.id,
    producerEpoch: producer.epoch,
    topicData: [{ topic, partitions }],
  }
  const body = await ProduceBody.of(given, compression)
  const bytes = Buffer.allocUnsafe(body.bytes)
  body.write(bytes, 0)
  return bytes
}

async function sent(connection: Connection, body: Buffer): Promise<produceV8.ProduceResponse> {
  const { Writer, produceV8: version } = await library()
  return new Promise((resolve, reject) => {
    const create = () => Writer.create().append(body)
    connection.send<produceV8.ProduceResponse>(
      produceKey,
      produceVersion,
      create,
      version.parseResponse,
      false,
      false,
      (error, answer) => {
        if (error || !answer) reject(error)
        else resolve(answer)
      },
    )
  })
}

/** The partitions in an answer to a produce request; the library throws it away for an error that has it. */
function partitionsOf(answer: unknown): readonly PartitionAnswer[] {
  const { responses = [] } = (answer ?? {}) as {
    readonly responses?: readonly { readonly partitionResponses: readonly PartitionAnswer[] }[]
  }
  return responses.flatMap(({ partitionResponses }) => partitionResponses)
}
