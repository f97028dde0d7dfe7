import { PackedPartition } from './packed-messages.js'
import { RecordBatch, type WritableBatch } from './record-batch-writer.js'
import type { BatchMessage } from './record-writer.js'
import type { Compression } from './types.js'

/** At least one message of a partition. */
export type BatchContent = readonly BatchMessage[] | PackedPartition

/** What a produce request of the versions 3 to 8 says. */
export interface ProduceArguments {
  readonly acks: number
  /** Milliseconds. */
  readonly timeout: number
  readonly transactionalId?: string | null | undefined
  readonly producerId?: bigint | number | string | { readonly value: bigint }
  readonly producerEpoch?: number
  readonly topicData: readonly {
    readonly topic: string
    readonly partitions: readonly {
      readonly partition: number
      readonly firstSequence?: number
      readonly messages: BatchContent
    }[]
  }[]
}

interface TopicBatches {
  readonly topic: string
  readonly partitions: readonly {
    readonly partition: number
    readonly firstSequence: number
    readonly batch: WritableBatch
  }[]
}

/** The body of such a request: sized first, then written in one go into memory that the caller has. */
export class ProduceBody {
  readonly bytes: number
  readonly #given: ProduceArguments
  readonly #topics: readonly TopicBatches[]

  private constructor(given: ProduceArguments, topics: readonly TopicBatches[]) {
    this.#given = given
    this.#topics = topics
    let bytes = textBytes(given.transactionalId) + 2 + 4 + 4
    for (const { topic, partitions } of topics) {
      bytes += textBytes(topic) + 4
      for (const { batch } of partitions) bytes += 8 + batch.bytes
    }
    this.bytes = bytes
  }

  static async of(given: ProduceArguments, compression: Compression): Promise<ProduceBody> {
    const topics: TopicBatches[] = []
    for (const { topic, partitions } of given.topicData) {
      const batches = partitions.map(async ({ partition, firstSequence = 0, messages }) => {
        const plain = messages instanceof PackedPartition ? messages : new RecordBatch(messages)
        return { partition, firstSequence, batch: compression === 'gzip' ? await plain.gzipped() : plain }
      })
      topics.push({ topic, partitions: await Promise.all(batches) })
    }
    return new ProduceBody(given, topics)
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
export const textBytes = (text: string | null | undefined): number => 2 + (text ? Buffer.byteLength(text) : 0)

export function putText(into: Buffer, at: number, text: string | null | undefined): number {
  if (text === null || text === undefined) return into.writeInt16BE(-1, at)
  const bytes = into.write(text, at + 2)
  into.writeInt16BE(bytes, at)
  return at + 2 + bytes
}
