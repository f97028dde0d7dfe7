import type { NewRecord } from '../../log/index.js'
import { asMillraceError, type Clock, MillraceError } from '../../runtime/index.js'
import { Attempts, orStopped, Stopped } from '../attempts.js'
import { Signal } from '../signal.js'
import type { BridgeLogger, ConsumedRecord, FetchedPartition, KafkaCluster, KafkaConsumerClient } from '../types.js'
import { type KnownTopic, type OpenedTopic, openTopic } from './opening.js'
import { recordOfMessage } from './stream-messages.js'
import { lookMs, TopicReading } from './topic-reading.js'
import { Unreadable } from './unreadable.js'

/** How far a topic was read; plain JSON. */
export interface TopicCursor {
  readonly known?: KnownTopic
  /** The next offset, by partition. */
  readonly offsets: Readonly<Record<string, number>>
  /** Where a reading ends that has an end, by partition: what was there when it began. */
  readonly until?: Readonly<Record<string, number>>
}

export interface TopicPart {
  readonly records: readonly NewRecord[]
  readonly cursor: TopicCursor
  readonly isEnd: boolean
  /** Where the first of the records lies. */
  readonly first?: MessagePlace
}

/** Where a message lies. */
export interface MessagePlace {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

export interface PartReaderOptions {
  readonly cluster: KafkaCluster
  readonly topic: string
  readonly start: 'oldest' | 'newest'
  /** Whether it ends where the topic ended when it began. */
  readonly isBounded: boolean
  readonly clock: Clock
  readonly random: () => number
  readonly logger: BridgeLogger
  /** How often the topic is looked at, milliseconds. */
  readonly lookMs?: number
}

/** Messages of one partition that are at hand; there is one such of each at a time. */
interface Waiting {
  readonly fetched: FetchedPartition
  /** How many of them are stored. */
  at: number
  /** The broker may give more of that partition. */
  readonly done: () => void
}

/**
 * Gives what a topic has in parts, for whoever stores each with the cursor behind it. A part whose cursor does not come back is given
 * again.
 */
export class PartReader {
  readonly #options: PartReaderOptions
  readonly #stop = new AbortController()
  readonly #arrived = new Signal()
  readonly #attempts: Attempts
  #waiting: Waiting[] = []
  /** What is stored, and what the topic was found to be. */
  #cursor: TopicCursor = { offsets: {} }
  /** What is stored. */
  #stored: TopicCursor = { offsets: {} }
  #running: Promise<void> | undefined
  #failure: unknown

  constructor(options: PartReaderOptions) {
    this.#options = options
    const { logger, topic } = options
    this.#attempts = new Attempts({
      ...options,
      stop: this.#stop.signal,
      onWaiting: (error) => logger.warn({ topic, error: error.toJSON() }, `waiting for Kafka: ${error.message}`),
    })
  }

  /** Resolves when there is something, or the end. Rejects with what no other try mends, and when it is closed. */
  async next(
    cursor: TopicCursor,
    { recordsMax, bytesMax }: { recordsMax: number; bytesMax: number },
  ): Promise<TopicPart> {
    this.#settle(cursor)
    this.#running ??= this.#run()
    for (;;) {
      const version = this.#arrived.version
      const part = this.#part(recordsMax, bytesMax)
      if (part) return part
      if (this.#failure) throw this.#failure
      if (this.#stop.signal.aborted) throw new MillraceError('NOT_READY', 'The reading of a topic is stopped.')
      await this.#arrived.after(version)
    }
  }

  async close(): Promise<void> {
    this.#stop.abort()
    this.#arrived.raise()
    for (const { done } of this.#waiting) done()
    await this.#running
  }

  /** What a cursor has behind it is stored. */
  #settle(cursor: TopicCursor): void {
    const { known, until, offsets } = this.#cursor
    this.#stored = cursor
    this.#cursor = { known, until, ...cursor, offsets: { ...offsets, ...cursor.offsets } }
    this.#waiting = this.#waiting.filter((waiting) => {
      const { partition, records, next } = waiting.fetched
      const stored = this.#cursor.offsets[partition] ?? 0
      while (waiting.at < records.length && (records[waiting.at] as ConsumedRecord).offset < stored) waiting.at++
      const isOver = stored >= Math.min(next, this.#untilOf(partition))
      if (isOver) waiting.done()
      return !isOver
    })
  }

  #part(recordsMax: number, bytesMax: number): TopicPart | undefined {
    if (this.#isEnd(this.#cursor)) return { records: [], cursor: this.#cursor, isEnd: true }
    // Where a partition begins is stored before anything of it, so that it is the same after a restart.
    if (this.#hasFresh()) return { records: [], cursor: this.#cursor, isEnd: false }
    if (this.#waiting.length === 0) return undefined
    const now = this.#options.clock.now()
    const records: NewRecord[] = []
    const offsets: Record<string, number> = { ...this.#cursor.offsets }
    let first: MessagePlace | undefined
    let left = bytesMax
    for (const { fetched, at: from } of this.#waiting) {
      const { partition, records: messages, next } = fetched
      const until = this.#untilOf(partition)
      let at = from
      for (; at < messages.length && records.length < recordsMax && left > 0; at++) {
        const message = messages[at] as ConsumedRecord
        if (message.offset >= until) break
        const record = this.#record(message, partition, now)
        left -= record.key.length + record.body.length
        records.push(record)
        first ??= { topic: this.#options.topic, partition, offset: message.offset }
      }
      offsets[partition] = Math.min(until, messages[at]?.offset ?? next)
      if (records.length >= recordsMax || left <= 0) break
    }
    const cursor = { ...this.#cursor, offsets }
    return { records, cursor, isEnd: this.#isEnd(cursor), ...(first ? { first } : {}) }
  }

  #hasFresh(): boolean {
    return Object.keys(this.#cursor.offsets).some((partition) => this.#stored.offsets[partition] === undefined)
  }

  #untilOf(partition: number): number {
    return this.#cursor.until?.[partition] ?? Number.POSITIVE_INFINITY
  }

  #record(message: ConsumedRecord, partition: number, now: number): NewRecord {
    try {
      return recordOfMessage(message, partition, now)
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error
      const { topic } = this.#options
      throw new MillraceError(
        'KAFKA_REFUSED',
        `The message at offset ${message.offset} of partition ${partition} of ${topic} cannot be read: ${error.message}.`,
        {
          remedy: 'Read the topic into a stream with a bridge, which puts such messages aside, and read that stream.',
          details: { topic, partition, offset: message.offset },
        },
      )
    }
  }

  #isEnd({ offsets, until }: TopicCursor): boolean {
    return until !== undefined && Object.entries(until).every(([partition, end]) => (offsets[partition] ?? 0) >= end)
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    try {
      while (!signal.aborted) {
        try {
          await this.#session()
        } catch (error) {
          await this.#attempts.failed(error)
        }
      }
    } catch (error) {
      if (!(error instanceof Stopped)) this.#failure = error
    }
    this.#arrived.raise()
  }

  async #session(): Promise<void> {
    const { cluster, topic, start, clock, lookMs: everyMs = lookMs } = this.#options
    const { signal: stop } = this.#stop
    const consumer = await orStopped(cluster.connectConsumer(), stop, (late) => late.discard())
    try {
      const opened = await this.#open(consumer, start)
      const { until } = this.#cursor
      const from = new Map(opened.from)
      // What comes into being later is no part of a reading that has an end.
      for (const partition of opened.from.keys()) if (until && until[partition] === undefined) from.delete(partition)
      const take = (fetched: readonly FetchedPartition[]) => this.#take(fetched)
      const reading = new TopicReading({
        consumer,
        name: topic,
        topic: opened.topic,
        from,
        clock,
        lookMs: everyMs,
        take,
        stop,
      })
      await reading.run()
    } catch (error) {
      if (asMillraceError(error).details.kafka === 'OFFSET_OUT_OF_RANGE') await this.#open(consumer, start)
      throw error
    } finally {
      consumer.discard()
      // The next session begins behind what is known to be stored. A part that is given out and on its way into the store is
      // fetched again, and passed over when its cursor comes back.
      for (const { done } of this.#waiting.splice(0)) done()
    }
  }

  async #open(consumer: KafkaConsumerClient, start: 'oldest' | 'newest'): Promise<OpenedTopic> {
    const { topic: name, isBounded } = this.#options
    const { known } = this.#cursor
    const offsets = new Map(Object.entries(this.#cursor.offsets).map(([partition, next]) => [Number(partition), next]))
    const opening = openTopic({ consumer, name, known, offsets, start, skipLost: false })
    const opened = await orStopped(opening, this.#stop.signal)
    const { clusterId, partitions } = opened.topic
    const until = isBounded && !this.#cursor.until ? ends(opened) : this.#cursor.until
    this.#cursor = {
      known: { clusterId: clusterId === '' ? (known?.clusterId ?? '') : clusterId, partitions },
      offsets: { ...Object.fromEntries(opened.from), ...this.#cursor.offsets },
      ...(until ? { until } : {}),
    }
    this.#arrived.raise()
    return opened
  }

  /** Resolves when all of it was stored, or nothing more is wanted. */
  async #take(fetched: readonly FetchedPartition[]): Promise<void> {
    if (this.#stop.signal.aborted) return
    this.#attempts.succeeded()
    await Promise.all(
      fetched.map(
        (each) =>
          new Promise<void>((done) => {
            this.#waiting.push({ fetched: each, at: 0, done })
            this.#arrived.raise()
          }),
      ),
    )
  }
}

/** A topic as the source of a pipeline. */
export const readTopic = (options: PartReaderOptions): PartReader => new PartReader(options)

const ends = ({ bounds }: OpenedTopic): Record<string, number> =>
  Object.fromEntries([...bounds].map(([partition, { end }]) => [String(partition), end]))
