import type { NewRecord } from '../../log/index.js'
import type { Feed, FeedPart, PartBounds } from './feed.js'

/** How far a topic was read. */
export interface KafkaCursor {
  /** The next offset, by partition. */
  readonly offsets: Readonly<Record<string, number>>
  readonly known?: { readonly clusterId: string; readonly partitions: number }
  /** Of a bounded run: where it ends, by partition. */
  readonly until?: Readonly<Record<string, number>>
}

/** Reads a topic in parts, from where a cursor stands. */
export interface KafkaReading {
  next(
    cursor: KafkaCursor,
    bounds: PartBounds,
  ): Promise<{ readonly records: readonly NewRecord[]; readonly cursor: KafkaCursor; readonly isEnd: boolean }>
  close(): Promise<void>
}

/** The messages of a topic, as they come; of a bounded run those that are there when it begins. */
export class KafkaFeed implements Feed<KafkaCursor> {
  readonly start: KafkaCursor = { offsets: {} }
  readonly #reading: KafkaReading

  constructor(reading: KafkaReading) {
    this.#reading = reading
  }

  async next(cursor: KafkaCursor, bounds: PartBounds): Promise<FeedPart<KafkaCursor>> {
    return { ...(await this.#reading.next(cursor, bounds)), rows: [] }
  }

  interrupt(): void {
    void this.#reading.close()
  }

  close(): Promise<void> {
    return this.#reading.close()
  }
}
