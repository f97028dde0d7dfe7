import type { CommitPath, RowEffect } from '../../commit/index.js'
import type { StreamId } from '../../log/index.js'
import { asMillraceError, type Clock, MillraceError } from '../../runtime/index.js'
import { type BridgeStatistics, targetOf } from '../bridge.js'
import { BridgeCondition, type BridgeState } from '../bridge-state.js'
import { Remembered } from '../remembered.js'
import type { BridgeLogger, KafkaCluster, OpenCluster } from '../types.js'
import { IntakeRun } from './intake-run.js'
import { offsetGone, offsetRow, storedOffsets } from './offset-rows.js'
import type { KnownTopic } from './opening.js'
import { type IntakeOptions, intoOf } from './options.js'
import { type FoundPlace, findPlace, type TopicPlace } from './seeking.js'
import type { Stored } from './storing.js'
import { type IntakeLog, type IntakeTables, StreamTarget, TableTarget, type Target } from './target.js'
import { lookMs } from './topic-reading.js'

/** What is remembered of a bridge in beside its options. */
export interface IntakeRecord {
  readonly options: IntakeOptions
  readonly createdAt: number
  readonly paused: boolean
  /** Tells this bridge from another of its name that was deleted; its offsets are stored under it. */
  readonly instance: string
  /** The stream that it stores messages in; none for a table. */
  readonly stream: StreamId | undefined
  readonly deadLetters: StreamId | undefined
  /** Once the topic was reached. */
  readonly known: KnownTopic | undefined
}

/** What a bridge in needs of the daemon. */
export interface IntakeSurroundings {
  readonly commit: Pick<CommitPath, 'submit' | 'readDurableMany'>
  readonly log: IntakeLog
  readonly tables: IntakeTables
  readonly store: { readonly id: string }
  readonly openCluster: OpenCluster
  readonly logger: BridgeLogger
  readonly clock: Clock
  readonly random: () => number
  /** How often a topic is looked at, milliseconds. */
  readonly lookMs?: number
}

/** Stores what a Kafka topic has in a stream or table, each message once. docs/kafka.md says what that means. */
export class Intake {
  readonly name: string
  readonly #around: IntakeSurroundings
  readonly #save: (record: IntakeRecord, rows: readonly RowEffect[]) => Promise<void>
  readonly #remembered: Remembered<IntakeRecord>
  readonly #condition: BridgeCondition
  #run: IntakeRun | undefined
  #ending: Promise<void> = Promise.resolve()
  /** Per partition: the next offset that is stored, and behind the newest in Kafka. */
  #next: Map<number, number> | undefined
  #ends: ReadonlyMap<number, number> = new Map()
  #newest: number | undefined
  #messages = 0
  #bytes = 0
  #refused = 0
  #behindSince: number | undefined

  /** @param save makes what is to be remembered durable, with rows in the same commit */
  constructor(
    record: IntakeRecord,
    around: IntakeSurroundings,
    save: (record: IntakeRecord, rows: readonly RowEffect[]) => Promise<void>,
  ) {
    this.name = record.options.name
    this.#around = around
    this.#save = save
    this.#remembered = new Remembered(record)
    this.#condition = new BridgeCondition({ ...around, bridge: this.name, topic: this.topic })
  }

  get record(): IntakeRecord {
    return this.#remembered.record
  }

  get state(): BridgeState {
    return this.#condition.state
  }

  get topic(): string {
    return this.record.options.topic
  }

  /** The consumer group that offsets are stored for. */
  get group(): string {
    return this.record.options.group ?? `millrace.${this.#around.store.id}.${this.name}`
  }

  get statistics(): BridgeStatistics & { readonly deadLetters: number } {
    const { errors, lastError } = this.#condition
    const lagRecords = this.#lagRecords()
    // Before anything was stored, no message says how old they are: it is at least as long as there are some.
    const since = lagRecords > 0 ? (this.#newest ?? this.#behindSince) : undefined
    return {
      records: this.#messages,
      bytes: this.#bytes,
      lagRecords,
      lagSeconds: since === undefined ? 0 : Math.max(0, this.#around.clock.now() - since) / 1000,
      errors,
      lastError,
      deadLetters: this.#refused,
    }
  }

  /** Starts what is not paused. Returns at once; `state` says how it goes. */
  start(skipLost = false): void {
    if (this.#run || this.record.paused) return
    const { openCluster, logger } = this.#around
    const { options, instance, deadLetters } = this.record
    let cluster: KafkaCluster
    try {
      cluster = openCluster(targetOf(options, logger))
    } catch (error) {
      // The configuration has changed since: it does not know the cluster any more.
      this.#condition.ended({ kind: 'failed', error: asMillraceError(error) })
      return
    }
    this.#condition.is('starting')
    const run = new IntakeRun({
      ...this.#around,
      lookMs: this.#around.lookMs ?? lookMs,
      bridge: this.name,
      topic: options.topic,
      start: options.start,
      group: this.group,
      skipLost,
      instance,
      deadLetters,
      target: this.#target(),
      cluster,
      known: () => this.record.known,
      offsets: () => this.#offsets(),
      remember: async (known, rows) => {
        await this.#remember({ known }, rows)
        if (rows.length > 0) this.#next = await this.#storedOffsets()
      },
      onRunning: () => this.#condition.is('running'),
      onWaiting: (error, tryAgainInMs) => {
        this.#condition.failed(error)
        this.#condition.waiting(error, tryAgainInMs)
      },
      onBusy: (error, tryAgainInMs) => this.#condition.waiting(error, tryAgainInMs),
      onStored: (stored) => this.#stored(stored),
      onEnds: (ends) => {
        this.#ends = ends
        if (this.#lagRecords() > 0) this.#behindSince ??= this.#around.clock.now()
        else this.#behindSince = undefined
      },
    })
    this.#run = run
    this.#ending = run.end.then((end) => {
      this.#run = undefined
      this.#condition.ended(end)
    })
  }

  /** Stops until `resume`, also over a restart of the daemon. Resolves when nothing is in flight any more. */
  async pause(): Promise<void> {
    if (!this.record.paused) await this.#remember({ paused: true })
    await this.#stop()
    this.#condition.paused()
  }

  /** Goes on after a pause or a failure; one that runs is left alone. `skipLost`: behind records that the topic has lost. */
  async resume(skipLost = false): Promise<void> {
    if (this.#run) return
    if (this.record.paused) await this.#remember({ paused: false })
    this.start(skipLost)
  }

  /**
   * Goes on from somewhere else: messages are passed over, or stored once more. The new offsets are one commit. Nothing has changed when it
   * throws: CONFLICT before the topic was ever reached, BAD_REQUEST, KAFKA_UNAVAILABLE, KAFKA_REFUSED.
   */
  async seek(place: TopicPlace): Promise<void> {
    const found = await this.#find(place)
    await this.#stop()
    try {
      const rows = [...found.offsets].map(([partition, next]) => offsetRow(this.record.instance, partition, next))
      await this.#remember({ known: found.known }, rows)
      this.#next = await this.#storedOffsets()
    } finally {
      if (this.record.paused) this.#condition.is('paused')
      this.start()
    }
  }

  async #find(place: TopicPlace): Promise<FoundPlace> {
    const { known, options } = this.record
    if (!known)
      throw new MillraceError('CONFLICT', `The bridge ${this.name} has not reached its topic yet.`, {
        remedy: 'Wait until it has; or delete it and create it again with another --start.',
      })
    const { openCluster, logger } = this.#around
    const consumer = await openCluster(targetOf(options, logger)).connectConsumer()
    try {
      return await findPlace(consumer, this.topic, known, place)
    } finally {
      consumer.discard()
    }
  }

  /** Finishes what is in flight. */
  async close(): Promise<void> {
    await this.#stop()
    this.#condition.closed()
  }

  /** Rows to be removed with it. */
  rowsGone(): readonly RowEffect[] {
    const { instance, known } = this.record
    return Array.from({ length: known?.partitions ?? 0 }, (_, partition) => offsetGone(instance, partition))
  }

  #target(): Target {
    const { options, stream } = this.record
    const { log, tables, clock } = this.#around
    return stream === undefined
      ? new TableTarget(intoOf(options).name, options, tables)
      : new StreamTarget(stream, options, log, clock)
  }

  async #offsets(): Promise<ReadonlyMap<number, number>> {
    this.#next ??= await this.#storedOffsets()
    return this.#next
  }

  #storedOffsets(): Promise<Map<number, number>> {
    const { instance, known } = this.record
    return storedOffsets(this.#around.commit, instance, known?.partitions ?? 0)
  }

  async #stop(): Promise<void> {
    this.#run?.stop()
    await this.#ending
  }

  #remember(change: Partial<IntakeRecord>, rows: readonly RowEffect[] = []): Promise<void> {
    return this.#remembered.change(change, (record) => this.#save(record, rows))
  }

  #lagRecords(): number {
    let lag = 0
    for (const [partition, end] of this.#ends) lag += Math.max(0, end - (this.#next?.get(partition) ?? end))
    return lag
  }

  #stored({ partition, next, messages, bytes, refused, timestamp }: Stored): void {
    this.#next?.set(partition, next)
    this.#messages += messages
    this.#bytes += bytes
    this.#refused += refused
    this.#newest = timestamp ?? this.#newest
  }
}
