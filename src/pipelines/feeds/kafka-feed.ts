import type { NewRecord } from '../../log/index.js'
import { MillraceError } from '../../runtime/index.js'
import type { Feed, FeedPart, PartBounds } from './feed.js'

/** How far a topic was read. */
export interface KafkaCursor {
  /** The next offset, by partition. */
  readonly offsets: Readonly<Record<string, number>>
  readonly known?: { readonly clusterId: string; readonly partitions: number }
  /** Of a bounded run: where it ends, by partition. */
  readonly until?: Readonly<Record<string, number>>
}

/** Some messages, and where the first of them lies. */
export interface KafkaPart {
  readonly records: readonly NewRecord[]
  readonly cursor: KafkaCursor
  readonly isEnd: boolean
  readonly first?: { readonly topic: string; readonly partition: number; readonly offset: number }
}

/** Reads a topic in parts, from where a cursor stands. */
export interface KafkaReading {
  next(cursor: KafkaCursor, bounds: PartBounds): Promise<KafkaPart>
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
    const { records, cursor: behind, isEnd, first } = await this.#reading.next(cursor, bounds)
    const part = { records, cursor: behind, isEnd, rows: [] }
    return first ? { ...part, tooLarge: (cause) => tooLarge(first, cause) } : part
  }

  interrupt(): void {
    void this.#reading.close()
  }

  close(): Promise<void> {
    return this.#reading.close()
  }
}

/** It is the same at each try: nothing but what the remedy says gets past it. */
const tooLarge = ({ topic, partition, offset }: Required<KafkaPart>['first'], cause: MillraceError): MillraceError =>
  new MillraceError(
    'KAFKA_REFUSED',
    `The message at offset ${offset} of partition ${partition} of ${topic} is more than one commit may hold.`,
    {
      cause,
      remedy:
        'Raise commit.effectSetBytesMax and resume the pipeline; or read the topic into a stream with a bridge, which puts such messages aside, and read that stream.',
      details: { ...cause.details, topic, partition, offset },
    },
  )
