import type { PartitionAnswer } from './fetch-response.js'
import { kafkaError, readingRefusals } from './kafka-errors.js'
import { corrupt, decodeBatches } from './record-batches.js'
import type { FetchBounds, FetchedPartition } from './types.js'

/** An answer's batches are unpacked up to so many times the bytes that were asked for: producers seldom pack them tighter. */
const unpackedPerAsked = 4

/**
 * The committed records of what a broker answered to a fetch. Throws KAFKA_REFUSED for what cannot be read, and for a partition that the
 * broker gave an error for. Partitions for which no room is left come with a next fetch, in which others are first. @param errorOf what
 * the driver makes of a number that is not 0
 */
export function fetchedPartitions(
  topic: string,
  answers: readonly PartitionAnswer[],
  from: ReadonlyMap<number, number>,
  { bytesMax }: Pick<FetchBounds, 'bytesMax'>,
  errorOf: (code: number) => unknown,
): FetchedPartition[] {
  let isFirst = true
  let left = bytesMax * unpackedPerAsked
  return answers.map(({ partition, errorCode, lastStableOffset, aborted, batches }) => {
    const offset = from.get(partition) as number
    if (errorCode !== 0)
      throw kafkaError(
        errorOf(errorCode),
        `reading partition ${partition} of ${topic}`,
        { topic, partition, offset },
        readingRefusals,
      )
    if (left <= 0) return { partition, records: [], next: offset, end: lastStableOffset }
    const of = { topic, partition, from: offset, aborted, bytesMax: left }
    const { records, next, bytes, isCut } = decodeBatches(batches, of)
    left -= bytes
    // What comes first in an answer is whole, however large it is: if it is not, its length is damaged.
    if (isCut && isFirst) throw corrupt({ topic, partition }, offset, 'its length is beyond what is there')
    if (batches.length > 0) isFirst = false
    return { partition, records, next, end: lastStableOffset }
  })
}
