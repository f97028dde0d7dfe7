import type { CommitPath, RowEffect } from '../../commit/index.js'
import type { StreamId } from '../../log/index.js'
import { asMillraceError, type Clock, type MillraceError } from '../../runtime/index.js'
import { type BridgeState, type BridgeStatistics, targetOf } from '../bridge.js'
import type { BridgeLogger, KafkaCluster, OpenCluster } from '../types.js'
import { type IntakeEnd, IntakeRun } from './intake-run.js'
import { offsetGone, storedOffsets } from './offset-rows.js'
import type { KnownTopic } from './opening.js'
import { type IntakeOptions, intoOf } from './options.js'
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
  #record: IntakeRecord
  #state: BridgeState
  #run: IntakeRun | undefined
  #ending: Promise<void> = Promise.resolve()
  #saving: Promise<void> = Promise.resolve()
  /** Per partition: the next offset that is stored, and behind the newest in Kafka. */
  #next: Map<number, number> | undefined
  #ends: ReadonlyMap<number, number> = new Map()
  #newest: number | undefined
  #messages = 0
  #bytes = 0
  #refused = 0
  #errors = 0
  #lastError: BridgeStatistics['lastError']

  /** @param save makes what is to be remembered durable, with rows in the same commit */
  constructor(
    record: IntakeRecord,
    around: IntakeSurroundings,
    save: (record: IntakeRecord, rows: readonly RowEffect[]) => Promise<void>,
  ) {
    this.name = record.options.name
    this.#around = around
    this.#save = save
    this.#record = record
    this.#state = { kind: 'paused', since: around.clock.now() }
  }

  get record(): IntakeRecord {
    return this.#record
  }

  get state(): BridgeState {
    return this.#state
  }

  get topic(): string {
    return this.#record.options.topic
  }

  /** The consumer group that offsets are stored for. */
  get group(): string {
    return this.#record.options.group ?? `millrace.${this.#around.store.id}.${this.name}`
  }

  get statistics(): BridgeStatistics & { readonly deadLetters: number } {
    const lagRecords = this.#lagRecords()
    const isBehind = lagRecords > 0 && this.#newest !== undefined
    return {
      records: this.#messages,
      bytes: this.#bytes,
      lagRecords,
      lagSeconds: isBehind ? Math.max(0, this.#around.clock.now() - (this.#newest as number)) / 1000 : 0,
      errors: this.#errors,
      lastError: this.#lastError,
      deadLetters: this.#refused,
    }
  }

  /** Starts what is not paused. Returns at once; `state` says how it goes. */
  start(skipLost = false): void {
    if (this.#run || this.#record.paused) return
    const { clock, openCluster, logger } = this.#around
    const { options, instance, deadLetters } = this.#record
    let cluster: KafkaCluster
    try {
      cluster = openCluster(targetOf(options, logger))
    } catch (error) {
      // The configuration has changed since: it does not know the cluster any more.
      this.#ended({ kind: 'failed', error: asMillraceError(error) })
      return
    }
    this.#enter({ kind: 'starting', since: clock.now() })
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
      known: () => this.#record.known,
      offsets: () => this.#offsets(),
      remember: async (known, rows) => {
        await this.#remember({ known }, rows)
        if (rows.length > 0) this.#next = await this.#storedOffsets()
      },
      onRunning: () => this.#enter({ kind: 'running', since: clock.now() }),
      onWaiting: (error, tryAgainInMs) => {
        this.#failed(error)
        this.#waiting(error, tryAgainInMs)
      },
      onBusy: (error, tryAgainInMs) => this.#waiting(error, tryAgainInMs),
      onStored: (stored) => this.#stored(stored),
      onEnds: (ends) => {
        this.#ends = ends
      },
    })
    this.#run = run
    this.#ending = run.end.then((end) => {
      this.#run = undefined
      this.#ended(end)
    })
  }

  /** Stops until `resume`, also over a restart of the daemon. Resolves when nothing is in flight any more. */
  async pause(): Promise<void> {
    if (!this.#record.paused) await this.#remember({ paused: true })
    await this.#stop()
    if (this.#state.kind !== 'failed') this.#enter({ kind: 'paused', since: this.#around.clock.now() })
  }

  /** Goes on after a pause or a failure; one that runs is left alone. `skipLost`: behind records that the topic has lost. */
  async resume(skipLost = false): Promise<void> {
    if (this.#run) return
    if (this.#record.paused) await this.#remember({ paused: false })
    this.start(skipLost)
  }

  /** Finishes what is in flight. */
  async close(): Promise<void> {
    await this.#stop()
    if (this.#state.kind !== 'failed' && this.#state.kind !== 'stopped')
      this.#enter({ kind: 'stopped', since: this.#around.clock.now(), reason: 'closed' })
  }

  /** Rows to be removed with it. */
  rowsGone(): readonly RowEffect[] {
    const { instance, known } = this.#record
    return Array.from({ length: known?.partitions ?? 0 }, (_, partition) => offsetGone(instance, partition))
  }

  #target(): Target {
    const { options, stream } = this.#record
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
    const { instance, known } = this.#record
    return storedOffsets(this.#around.commit, instance, known?.partitions ?? 0)
  }

  async #stop(): Promise<void> {
    this.#run?.stop()
    await this.#ending
  }

  async #remember(change: Partial<IntakeRecord>, rows: readonly RowEffect[] = []): Promise<void> {
    // One after the other: what is known of a topic and a pause may come at once.
    const saving = this.#saving.then(async () => {
      const record = { ...this.#record, ...change }
      await this.#save(record, rows)
      this.#record = record
    })
    this.#saving = saving.catch(() => {})
    await saving
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

  #failed(error: MillraceError): void {
    this.#errors++
    this.#lastError = { error, at: this.#around.clock.now() }
  }

  #waiting(error: MillraceError, tryAgainInMs: number): void {
    const now = this.#around.clock.now()
    this.#enter({
      kind: 'waiting',
      since: this.#state.kind === 'waiting' ? this.#state.since : now,
      nextTryAt: Math.round(now + tryAgainInMs),
      error,
    })
  }

  #ended(end: IntakeEnd): void {
    const since = this.#around.clock.now()
    if (end.kind === 'failed') {
      this.#failed(end.error)
      this.#enter({ kind: 'failed', since, error: end.error })
    } else this.#enter({ kind: 'stopped', since, reason: 'closed' })
  }

  #enter(state: BridgeState): void {
    const changed = state.kind !== this.#state.kind
    this.#state = state
    if (!changed) return
    const { logger } = this.#around
    const fields = { bridge: this.name, topic: this.topic, state: state.kind }
    if (state.kind === 'failed')
      logger.error(
        { ...fields, error: state.error.toJSON() },
        `bridge ${this.name} failed: ${state.error.message} ${state.error.remedy}`,
      )
    else if (state.kind === 'waiting')
      logger.warn({ ...fields, error: state.error.toJSON() }, `bridge ${this.name} waits: ${state.error.message}`)
    else logger.info(fields, `bridge ${this.name} is ${state.kind}`)
  }
}
