import type { ConsumedRecord, FetchBounds, FetchedPartition, KafkaConsumerClient } from '../../src/kafka/index.js'
import { MillraceError } from '../../src/runtime/index.js'

/** A partition in memory: what lies at each offset, a record or (undefined) a marker, or what compaction took. */
export class FakePartition {
  readonly entries: (ConsumedRecord | undefined)[] = []
  oldest = 0

  append(key: string | null, value: string | null, timestamp = 1_700_000_000_000): void {
    this.entries.push({
      offset: this.entries.length,
      timestamp,
      key: key === null ? null : Buffer.from(key),
      value: value === null ? null : Buffer.from(value),
      headers: [],
    })
  }

  /** An offset without a record. */
  gap(): void {
    this.entries.push(undefined)
  }
}

export const unreachable = (): MillraceError =>
  new MillraceError('KAFKA_UNAVAILABLE', 'nobody answers', { outcome: 'unknown' })

/** Topics in memory that can be read; faults are chosen by the test. */
export class FakeTopics {
  readonly topics = new Map<string, FakePartition[]>()
  readonly groups = new Map<string, Map<number, { offset: number; metadata: string }>>()
  clusterId = 'cluster'
  /** Groups that have members of another application. */
  readonly inUse = new Set<string>()
  /** Called before each call of a consumer; what it throws is the answer. */
  onCall: (name: string) => void = () => {}
  /** Records of one fetch. */
  recordsMax = 3
  open = 0
  #changed: (() => void)[] = []

  partitions(topic: string, count: number): FakePartition[] {
    const made = this.topics.get(topic) ?? []
    while (made.length < count) made.push(new FakePartition())
    this.topics.set(topic, made)
    return made
  }

  /** Wakes fetches that wait for something new. */
  changed(): void {
    for (const wake of this.#changed.splice(0)) wake()
  }

  connectConsumer = async (): Promise<KafkaConsumerClient> => {
    this.onCall('connect')
    this.open++
    let isOver = false
    const end = (): void => {
      if (!isOver) this.open--
      isOver = true
      this.changed()
    }
    const call = (name: string): void => {
      if (isOver) throw unreachable()
      this.onCall(name)
    }
    const of = (topic: string): FakePartition[] => this.topics.get(topic) ?? []
    const map = <T>(partitions: readonly number[], make: (partition: number) => T) =>
      new Map(partitions.map((partition) => [partition, make(partition)]))
    return {
      describe: async (topic) => {
        call('describe')
        const partitions = of(topic).length
        if (partitions === 0) return undefined
        const all = [...of(topic).keys()]
        const byLeader = [all.filter((p) => p % 2 === 0), all.filter((p) => p % 2 === 1)]
        return { clusterId: this.clusterId, partitions, byLeader: byLeader.filter((led) => led.length > 0) }
      },
      bounds: async (topic, partitions) => {
        call('bounds')
        return map(partitions, (p) => ({ oldest: of(topic)[p]!.oldest, end: of(topic)[p]!.entries.length }))
      },
      offsetsAt: async (topic, partitions, timeMs) => {
        call('offsetsAt')
        const first = (p: number) => of(topic)[p]!.entries.find((entry) => entry && entry.timestamp >= timeMs)?.offset
        return new Map(partitions.flatMap((p) => (first(p) === undefined ? [] : [[p, first(p)!] as const])))
      },
      fetch: async (topic: string, from: ReadonlyMap<number, number>, _bounds: FetchBounds) => {
        call('fetch')
        const look = (): FetchedPartition[] =>
          [...from].map(([partition, offset]) => {
            const { entries, oldest } = of(topic)[partition]!
            if (offset < oldest || offset > entries.length)
              throw new MillraceError('KAFKA_REFUSED', 'out of range', { details: { kafka: 'OFFSET_OUT_OF_RANGE' } })
            const next = Math.min(entries.length, offset + this.recordsMax)
            const records = entries.slice(offset, next).flatMap((entry) => entry ?? [])
            return { partition, records, next, end: entries.length }
          })
        let found = look()
        if (found.every(({ partition, next }) => next === from.get(partition))) {
          await new Promise<void>((resolve) => this.#changed.push(resolve))
          call('fetch')
          found = look()
        }
        return found
      },
      committedOffsets: async (group) => this.groups.get(group) ?? new Map(),
      commitOffsets: async (group, _topic, offsets, metadata) => {
        call('commit')
        if (this.inUse.has(group))
          throw new MillraceError('KAFKA_REFUSED', 'has members', { details: { kafka: 'UNKNOWN_MEMBER_ID' } })
        const stored = this.groups.get(group) ?? new Map()
        for (const [partition, offset] of offsets) stored.set(partition, { offset, metadata })
        this.groups.set(group, stored)
      },
      close: async () => end(),
      discard: end,
    }
  }
}
