import { MillraceError } from '../../runtime/index.js'
import type { KafkaConsumerClient, PartitionBounds } from '../types.js'
import type { KnownTopic } from './opening.js'

/** Where a topic is read from: in all partitions, or at an offset of each that is named; the others stay where they are. */
export type TopicPlace =
  | 'oldest'
  | 'newest'
  | { readonly timeMs: number }
  | { readonly offsets: Readonly<Record<string, number>> }

export interface FoundPlace {
  readonly known: KnownTopic
  /** The next offset of each partition that moves. */
  readonly offsets: ReadonlyMap<number, number>
}

/**
 * A place as offsets, by what the broker has at this moment. Throws BAD_REQUEST for partitions and offsets that are not there,
 * KAFKA_REFUSED for a topic that is gone or is another one, and what the broker throws.
 */
export async function findPlace(
  consumer: KafkaConsumerClient,
  name: string,
  known: KnownTopic,
  place: TopicPlace,
): Promise<FoundPlace> {
  const topic = await consumer.describe(name)
  if (!topic)
    throw new MillraceError('KAFKA_REFUSED', `There is no topic ${name}.`, {
      remedy: 'Create it, or correct the brokers; then seek again.',
      details: { topic: name },
    })
  const { partitions, clusterId } = topic
  // Rows of partitions that are no more would be taken for those of later ones.
  if (partitions < known.partitions || (known.clusterId !== '' && clusterId !== '' && clusterId !== known.clusterId))
    throw new MillraceError('KAFKA_REFUSED', `The topic ${name} is not the one that was read.`, {
      remedy: 'Delete the bridge and create it again to read the topic that is there.',
      details: { topic: name, partitions, clusterId },
    })
  const all = Array.from({ length: partitions }, (_, partition) => partition)
  const bounds = await consumer.bounds(name, all)
  const found = { clusterId: clusterId === '' ? known.clusterId : clusterId, partitions }
  const offsets = new Map(await offsetsOf(consumer, name, bounds, place))
  // Those that were not known begin where they would have.
  for (const partition of all.slice(known.partitions))
    if (!offsets.has(partition)) offsets.set(partition, bounds.get(partition)?.oldest ?? 0)
  return { known: found, offsets }
}

async function offsetsOf(
  consumer: KafkaConsumerClient,
  name: string,
  bounds: ReadonlyMap<number, PartitionBounds>,
  place: TopicPlace,
): Promise<ReadonlyMap<number, number>> {
  if (place === 'oldest' || place === 'newest')
    return new Map([...bounds].map(([partition, { oldest, end }]) => [partition, place === 'oldest' ? oldest : end]))
  if ('offsets' in place) return checked(name, bounds, place.offsets)
  const at = await consumer.offsetsAt(name, [...bounds.keys()], place.timeMs)
  return new Map([...bounds].map(([partition, { end }]) => [partition, at.get(partition) ?? end]))
}

function checked(
  name: string,
  bounds: ReadonlyMap<number, PartitionBounds>,
  offsets: Readonly<Record<string, number>>,
): ReadonlyMap<number, number> {
  const moved = new Map<number, number>()
  for (const [partition, offset] of Object.entries(offsets)) {
    const of = bounds.get(Number(partition))
    if (!of) throw new MillraceError('BAD_REQUEST', `The topic ${name} has no partition ${partition}.`)
    if (!Number.isSafeInteger(offset) || offset < of.oldest || offset > of.end)
      throw new MillraceError(
        'BAD_REQUEST',
        `Partition ${partition} of ${name} has offsets from ${of.oldest} to ${of.end}, and not ${offset}.`,
      )
    moved.set(Number(partition), offset)
  }
  if (moved.size === 0)
    throw new MillraceError('BAD_REQUEST', 'No offsets are given: name one of a partition at least.')
  return moved
}
