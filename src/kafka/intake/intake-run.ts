import type { RowEffect } from '../../commit/index.js'
import { asMillraceError, type Clock, type MillraceError, sleep } from '../../runtime/index.js'
import { Attempts, orStopped, Stopped } from '../attempts.js'
import type { BridgeLogger, FetchedPartition, KafkaCluster, KafkaConsumerClient } from '../types.js'
import { OffsetReports } from './offset-reports.js'
import { offsetRow } from './offset-rows.js'
import { type KnownTopic, type OpenedTopic, openTopic } from './opening.js'
import { type Stored, Storing, type StoringOptions } from './storing.js'
import { TopicReading } from './topic-reading.js'

/** How long a stopping bridge tells Kafka how far it is. */
const lastReportMsMax = 1_000
/** A session that lasted so long was no failed attempt. */
const lastingMs = 10_000

export interface IntakeRunOptions
  extends Pick<StoringOptions, 'bridge' | 'topic' | 'instance' | 'target' | 'deadLetters' | 'commit' | 'log'> {
  readonly cluster: KafkaCluster
  readonly clock: Clock
  readonly random: () => number
  readonly logger: BridgeLogger
  readonly group: string
  readonly start: 'oldest' | 'newest'
  readonly lookMs: number
  /** Whether the next session goes on behind records that are lost. */
  readonly skipLost: boolean
  /** What is known of the topic by now. */
  readonly known: () => KnownTopic | undefined
  /** The next offset of each partition, as it is stored. */
  readonly offsets: () => Promise<ReadonlyMap<number, number>>
  /** Makes durable what the topic is, with rows in the same commit. */
  readonly remember: (known: KnownTopic, rows: readonly RowEffect[]) => Promise<void>
  readonly onRunning: () => void
  readonly onWaiting: (error: MillraceError, tryAgainInMs: number) => void
  /** The store takes nothing for now. */
  readonly onBusy: (error: MillraceError, tryAgainInMs: number) => void
  readonly onStored: (stored: Stored) => void
  /** Behind the newest record of each partition that is committed in Kafka. */
  readonly onEnds: (ends: ReadonlyMap<number, number>) => void
}

export type IntakeEnd = { readonly kind: 'stopped' } | { readonly kind: 'failed'; readonly error: MillraceError }

/**
 * One life of a bridge in, from a start to a stop or a failure: a session after another, each with a consumer of its own. Where a session
 * begins is what the store has; where it ends is of no matter.
 */
export class IntakeRun {
  readonly end: Promise<IntakeEnd>
  readonly #options: IntakeRunOptions
  readonly #stop = new AbortController()
  readonly #attempts: Attempts
  #skipLost: boolean
  #failure: MillraceError | undefined

  constructor(options: IntakeRunOptions) {
    this.#options = options
    this.#skipLost = options.skipLost
    this.#attempts = new Attempts({ ...options, stop: this.#stop.signal })
    this.end = this.#run()
  }

  /** Begins the stop; `end` resolves when nothing is on its way into the store any more. */
  stop(): void {
    this.#stop.abort()
  }

  async #run(): Promise<IntakeEnd> {
    try {
      while (!this.#stop.signal.aborted) await this.#attempt()
    } catch (error) {
      if (!(error instanceof Stopped)) this.#fail(error)
    }
    return this.#failure ? { kind: 'failed', error: this.#failure } : { kind: 'stopped' }
  }

  async #attempt(): Promise<void> {
    const began = this.#options.clock.monotonic()
    try {
      await this.#session()
    } catch (thrown) {
      if (this.#failure) throw this.#failure
      if (this.#options.clock.monotonic() - began > lastingMs) this.#attempts.succeeded()
      await this.#attempts.failed(thrown)
    }
  }

  async #session(): Promise<void> {
    const { cluster } = this.#options
    const consumer = await orStopped(cluster.connectConsumer(), this.#stop.signal, (late) => late.discard())
    try {
      await this.#read(consumer, await this.#open(consumer))
    } catch (error) {
      if (asMillraceError(error).details.kafka !== 'OFFSET_OUT_OF_RANGE') throw error
      // Says what is lost, where it is.
      await this.#look(consumer)
      throw error
    } finally {
      consumer.discard()
    }
  }

  async #look(consumer: KafkaConsumerClient): Promise<OpenedTopic> {
    const { topic: name, known, offsets, start } = this.#options
    const skipLost = this.#skipLost
    const opening = openTopic({ consumer, name, known: known(), offsets: await offsets(), start, skipLost })
    return orStopped(opening, this.#stop.signal)
  }

  async #open(consumer: KafkaConsumerClient): Promise<{ opened: OpenedTopic; reports: OffsetReports }> {
    const { known, instance, remember } = this.#options
    const before = known()
    const opened = await this.#look(consumer)
    const { from, fresh } = opened
    const reports = new OffsetReports({ ...this.#options, consumer })
    if (!before) await orStopped(reports.checkUnused([...from.keys()]), this.#stop.signal)
    const { clusterId, partitions } = opened.topic
    if (fresh.length > 0 || partitions !== before?.partitions)
      await remember(
        { clusterId: clusterId === '' ? (before?.clusterId ?? '') : clusterId, partitions },
        fresh.map((partition) => offsetRow(instance, partition, from.get(partition) as number)),
      )
    this.#skipLost = false
    await orStopped(reports.begin(from), this.#stop.signal)
    return { opened, reports }
  }

  async #read(
    consumer: KafkaConsumerClient,
    { opened, reports }: { opened: OpenedTopic; reports: OffsetReports },
  ): Promise<void> {
    const { topic, clock, onRunning, onBusy, onStored, onEnds } = this.#options
    const over = new AbortController()
    const end = (): void => over.abort()
    this.#stop.signal.addEventListener('abort', end)
    if (this.#stop.signal.aborted) end()
    const storing = new Storing({
      ...this.#options,
      stop: over.signal,
      onStored: (stored) => {
        reports.moved(stored.partition, stored.next)
        onStored(stored)
      },
      onBusy,
      onCalm: onRunning,
      onFailure: (error) => {
        this.#fail(error)
        end()
      },
    })
    const ends = new Map([...opened.bounds].map(([partition, bounds]) => [partition, bounds.end]))
    onEnds(ends)
    onRunning()
    const take = async (fetched: readonly FetchedPartition[]): Promise<void> => {
      for (const { partition, end: newest } of fetched) ends.set(partition, newest)
      onEnds(ends)
      this.#attempts.succeeded()
      await storing.take(fetched)
    }
    const reading = new TopicReading({
      ...this.#options,
      ...opened,
      consumer,
      name: topic,
      clock,
      take,
      stop: over.signal,
    })
    let isAway = false
    try {
      await reading.run()
      await storing.settled()
    } catch (error) {
      isAway = asMillraceError(error).code === 'KAFKA_UNAVAILABLE'
      throw error
    } finally {
      this.#stop.signal.removeEventListener('abort', end)
      await storing.settled()
      // Also where it fails: a tool that shows lag should show no more than there is.
      if (!isAway) await Promise.race([reports.end(), sleep(clock, lastReportMsMax)])
      reports.cut()
    }
    if (this.#failure) throw this.#failure
  }

  #fail(error: unknown): void {
    this.#failure ??= asMillraceError(error)
  }
}
