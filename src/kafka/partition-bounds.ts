import type { PartitionBounds } from './types.js'

/** What a broker takes in place of a time, and answers with the oldest offset, and with the one behind the newest that is committed. */
const oldest = -2
const newest = -1

/** The bounds of partitions. @param ask asks brokers for an offset of each */
export async function partitionBounds(
  partitions: readonly number[],
  ask: (time: number) => Promise<ReadonlyMap<number, number>>,
): Promise<ReadonlyMap<number, PartitionBounds>> {
  const from = await ask(oldest)
  const to = await ask(newest)
  return new Map(
    partitions.map((partition) => [partition, { oldest: from.get(partition) ?? 0, end: to.get(partition) ?? 0 }]),
  )
}

/** What brokers say of a time, which is -1 where a partition has nothing so late. */
export async function firstOffsets(
  timeMs: number,
  ask: (time: number) => Promise<ReadonlyMap<number, number>>,
): Promise<ReadonlyMap<number, number>> {
  // Below 0 stand the places that have no time.
  const found = await ask(Math.max(0, timeMs))
  return new Map([...found].filter(([, offset]) => offset >= 0))
}

/** Partitions by who leads them, in the order given. */
export function ledBy<Leader>(
  partitions: Iterable<readonly [partition: number, leader: Leader]>,
): Map<Leader, number[]> {
  const leaders = new Map<Leader, number[]>()
  for (const [partition, leader] of partitions) {
    const led = leaders.get(leader)
    if (led) led.push(partition)
    else leaders.set(leader, [partition])
  }
  return leaders
}
