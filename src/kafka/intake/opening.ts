import { MillraceError } from '../../runtime/index.js'
import type { ConsumedTopic, KafkaConsumerClient, PartitionBounds } from '../types.js'

/** What is remembered of a topic from the first time that it was reached. */
export interface KnownTopic {
  readonly clusterId: string
  readonly partitions: number
}

export interface OpeningOptions {
  readonly consumer: KafkaConsumerClient
  readonly name: string
  /** Undefined at the first start. */
  readonly known: KnownTopic | undefined
  /** The next offset of each partition that was read. */
  readonly offsets: ReadonlyMap<number, number>
  /** Where partitions begin that are there at the first start. */
  readonly start: 'oldest' | 'newest'
  /** Whether to go on behind what was lost. */
  readonly skipLost: boolean
}

export interface OpenedTopic {
  readonly topic: ConsumedTopic
  /** The next offset of each partition. */
  readonly from: ReadonlyMap<number, number>
  /** Partitions that were not known, or are set forward: their offsets are to be stored before anything of them is. */
  readonly fresh: readonly number[]
  readonly bounds: ReadonlyMap<number, PartitionBounds>
}

const refused = (message: string, remedy: string, details: Readonly<Record<string, unknown>>): MillraceError =>
  new MillraceError('KAFKA_REFUSED', message, { remedy, details })

const makeAnew = 'Delete what reads it, and create that again to read the topic that is there.'

/**
 * The topic as it is now, held against what is known of it, with where each partition goes on. Throws KAFKA_REFUSED for another topic of the
 * name, TRIMMED where records are gone that were not read.
 */
export async function openTopic(options: OpeningOptions): Promise<OpenedTopic> {
  const { consumer, name, known, offsets, start, skipLost } = options
  const topic = await consumer.describe(name)
  if (!topic)
    throw refused(`There is no topic ${name}.`, 'Create it, or correct the name; then resume.', {
      topic: name,
    })
  checkKnown(name, topic, known)
  const all = Array.from({ length: topic.partitions }, (_, partition) => partition)
  const bounds = await consumer.bounds(name, all)
  const fresh: number[] = []
  const from = new Map<number, number>()
  for (const partition of all) {
    const { oldest, end } = bounds.get(partition) as PartitionBounds
    const next = offsets.get(partition)
    const isSkipped = skipLost && next !== undefined && next < oldest
    if (next !== undefined && !isSkipped) {
      checkOffset({ name, partition, next, oldest, end })
      from.set(partition, next)
      continue
    }
    fresh.push(partition)
    from.set(partition, known || start === 'oldest' ? oldest : end)
  }
  return { topic, from, fresh, bounds }
}

function checkKnown(name: string, topic: ConsumedTopic, known: KnownTopic | undefined): void {
  if (!known) return
  const { clusterId, partitions } = topic
  if (known.clusterId !== '' && clusterId !== '' && known.clusterId !== clusterId)
    throw refused(
      `The brokers are of another cluster (${clusterId}) than the one that was read (${known.clusterId}): its offsets mean other records.`,
      `Correct the brokers. ${makeAnew}`,
      { topic: name, clusterId, known: known.clusterId },
    )
  if (partitions < known.partitions)
    throw refused(
      `The topic ${name} has ${partitions} partitions and had ${known.partitions}: it is another one of the name.`,
      makeAnew,
      { topic: name, partitions, known: known.partitions },
    )
}

function checkOffset(at: {
  readonly name: string
  readonly partition: number
  readonly next: number
  readonly oldest: number
  readonly end: number
}): void {
  const { name, partition, next, oldest, end } = at
  const details = { topic: name, partition, offset: next, oldest, end, kafka: 'OFFSET_OUT_OF_RANGE' }
  if (next < oldest)
    throw new MillraceError(
      'TRIMMED',
      `The topic ${name} has lost what comes next: partition ${partition} begins at ${oldest} by now, and what was read ends at ${next}.`,
      {
        remedy:
          'Let the topic keep its records for longer. A bridge goes on behind the gap with `millrace bridges resume NAME --skip-lost`; a pipeline is deleted and deployed again.',
        details,
      },
    )
  if (next > end)
    throw refused(
      `Partition ${partition} of ${name} ends at ${end}, and was read up to ${next}: it is another topic of the name, or its broker has lost records.`,
      makeAnew,
      details,
    )
}
