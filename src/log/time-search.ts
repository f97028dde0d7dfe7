import { readChunkHeader } from './format.js'
import type { Sequence } from './types.js'

/**
 * The first record of a shard, among the sequence numbers `from` to `last`, whose commit time is at or after `timeMs`;
 * undefined when there is none. Commit times follow the order of the records, so halving finds it: it costs a reading of
 * some 20 to 50 chunks, however much the shard holds.
 *
 * @param chunkAt the first chunk that ends at or after a sequence number; there is one up to `last`
 */
export async function firstAtTime(
  chunkAt: (sequence: Sequence) => Promise<Buffer>,
  from: Sequence,
  last: Sequence,
  timeMs: number,
): Promise<Sequence | undefined> {
  let found: Sequence | undefined
  let low: number = from
  let high: number = last
  while (low <= high) {
    const middle = Math.floor(low + (high - low) / 2)
    const header = readChunkHeader(await chunkAt(middle as Sequence))
    if (header.commitTime < timeMs) low = header.last + 1
    else {
      found = Math.max(header.first, from) as Sequence
      high = Math.min(middle - 1, header.previous)
    }
  }
  return found
}
