import type { CommitPath } from '../commit/index.js'
import type { Group } from '../groups/index.js'
import type { Log, Sequence } from '../log/index.js'
import { asMillraceError, type Clock, type MillraceError } from '../runtime/index.js'
import { createEncoder, type DecodeChange, type Origin } from './encoder.js'
import { type BridgeOptions, topicOf } from './options.js'
import type { OutgoingRequest } from './outbox.js'
import { BridgeRun, lowestPosition, type RunEnd, type RunOptions } from './run.js'
import type { BridgeLogger, ClusterTarget, KafkaCluster, OpenCluster } from './types.js'

/** What a bridge is doing, and since when (milliseconds since 1970). */
export type BridgeState =
  | { readonly kind: 'starting'; readonly since: number }
  | { readonly kind: 'running'; readonly since: number }
  /** The broker cannot be reached; it is tried again by itself. */
  | { readonly kind: 'waiting'; readonly since: number; readonly nextTryAt: number; readonly error: MillraceError }
  | { readonly kind: 'paused'; readonly since: number }
  /** Only a `resume`, or the next start of the daemon, tries again. */
  | { readonly kind: 'failed'; readonly since: number; readonly error: MillraceError }
  | { readonly kind: 'stopped'; readonly since: number; readonly reason: 'closed' | 'sourceDeleted' }

export interface BridgeStatistics {
  /** Records that brokers have acknowledged since this bridge was opened. */
  readonly records: number
  /** Bytes of their messages, before compression. */
  readonly bytes: number
  /** Sequence numbers between the oldest that may be undelivered and the newest of the daemon: an upper bound of records. */
  readonly lagRecords: number
  /** Age of the oldest record that was read and not acknowledged; 0 when there is none. */
  readonly lagSeconds: number
  /** Failed attempts and failures since this bridge was opened. */
  readonly errors: number
  readonly lastError: { readonly error: MillraceError; readonly at: number } | undefined
}

/** What is remembered of a bridge beside its options. */
export interface BridgeRecord {
  readonly options: BridgeOptions
  readonly createdAt: number
  readonly paused: boolean
  /** Partitions of the topic when it was first reached. */
  readonly settledPartitions: number | undefined
  /** Tells this bridge from another of its name that was deleted; not there of bridges from before checkpoints. */
  readonly instance?: string
  /** Whether Kafka has a checkpoint of it. */
  readonly begun?: boolean
}

/** What a bridge needs of the daemon. */
export interface BridgeSurroundings {
  readonly commit: Pick<CommitPath, 'submit'>
  readonly log: Log
  readonly origin: Origin
  /** Which store this is, and its life: numbers of an older life are not those of this one. */
  readonly store: { readonly id: string; readonly epoch: number }
  readonly decodeChange: DecodeChange
  readonly openCluster: OpenCluster
  readonly logger: BridgeLogger
  readonly clock: Clock
  readonly random: () => number
}

/** The name of a table or plain stream, from the name of its stream. */
export function sourceNameOf(stream: { readonly kind: 'plain' | 'table'; readonly name: string }): string {
  return stream.kind === 'table' ? stream.name.replace(/^table:/, '') : stream.name
}

/** The cluster of a bridge. */
export function targetOf(options: BridgeOptions, logger: BridgeLogger): ClusterTarget {
  const { cluster, brokers = [], driver, clientId = `millrace-${options.name}` } = options
  return { cluster, brokers, driver, clientId, logger }
}

/** Mirrors one stream to one topic, in order per key, exactly once or at least once. docs/kafka.md says what that means. */
export class Bridge {
  readonly name: string
  readonly topic: string
  readonly #around: BridgeSurroundings
  readonly #group: Group
  readonly #save: (record: BridgeRecord) => Promise<void>
  #record: BridgeRecord
  #state: BridgeState
  #run: BridgeRun | undefined
  #ending: Promise<void> = Promise.resolve()
  #records = 0
  #bytes = 0
  #errors = 0
  #lastError: BridgeStatistics['lastError']

  /** @param save makes what is to be remembered durable */
  constructor(
    record: BridgeRecord,
    group: Group,
    around: BridgeSurroundings,
    save: (record: BridgeRecord) => Promise<void>,
  ) {
    const stream = around.log.stream(group.stream)
    this.name = record.options.name
    this.topic = topicOf(record.options, stream ? sourceNameOf(stream) : record.options.source.replace(/^table:/, ''))
    this.#around = around
    this.#group = group
    this.#save = save
    this.#record = record
    this.#state = { kind: 'paused', since: around.clock.now() }
  }

  get record(): BridgeRecord {
    return this.#record
  }

  get state(): BridgeState {
    return this.#state
  }

  get statistics(): BridgeStatistics {
    const { log, clock } = this.#around
    const oldest = this.#run?.oldestCommitTime
    return {
      records: this.#records,
      bytes: this.#bytes,
      lagRecords: this.#lagRecords(log.nextSequence()),
      lagSeconds: oldest === undefined ? 0 : Math.max(0, clock.now() - oldest) / 1000,
      errors: this.#errors,
      lastError: this.#lastError,
    }
  }

  /** Starts what is not paused. Returns at once; `state` says how it goes. */
  start(): void {
    if (this.#run || this.#record.paused) return
    const { log, commit, clock, random, origin, decodeChange, openCluster, logger } = this.#around
    const stream = log.stream(this.#group.stream)
    if (!stream) {
      this.#enter({ kind: 'stopped', since: clock.now(), reason: 'sourceDeleted' })
      return
    }
    const { options } = this.#record
    const { format, images, tombstones, compression } = options
    let cluster: KafkaCluster
    try {
      cluster = openCluster(targetOf(options, logger))
    } catch (error) {
      // The configuration has changed since: it does not know the cluster any more.
      this.#ended({ kind: 'failed', error: asMillraceError(error) })
      return
    }
    this.#enter({ kind: 'starting', since: clock.now() })
    const run = new BridgeRun({
      log,
      commit,
      clock,
      random,
      compression,
      group: this.#group,
      cluster,
      topic: { ...options, topic: this.topic, settledPartitions: this.#record.settledPartitions },
      encode: createEncoder({
        stream,
        sourceName: sourceNameOf(stream),
        format,
        images,
        tombstones,
        origin,
        decodeChange,
        bodies: () => log.shapes.reader(this.#group.stream),
      }),
      exactly: this.#exactly(),
      settle: async (partitions) => {
        if (this.#record.settledPartitions !== partitions) await this.#remember({ settledPartitions: partitions })
      },
      onWaiting: (error, tryAgainInMs) => this.#waiting(error, tryAgainInMs),
      onRunning: () => this.#enter({ kind: 'running', since: clock.now() }),
      onDelivered: (requests) => this.#delivered(requests),
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

  /** Goes on after a pause or a failure, at the group's position. */
  async resume(): Promise<void> {
    if (this.#record.paused) await this.#remember({ paused: false })
    await this.#ending
    this.start()
  }

  /** Finishes what is in flight and makes its position durable. */
  async close(): Promise<void> {
    await this.#stop()
    if (this.#state.kind !== 'failed' && this.#state.kind !== 'stopped') {
      this.#enter({ kind: 'stopped', since: this.#around.clock.now(), reason: 'closed' })
    }
  }

  #exactly(): RunOptions['exactly'] {
    const { options, instance } = this.#record
    // A bridge from before there were guarantees has none stored.
    if (options.guarantee !== 'exactly-once' || instance === undefined) return undefined
    const { log, store, logger } = this.#around
    const checkpoint = {
      topic: this.topic,
      bridge: this.name,
      instance,
      transactionalId: `millrace.${store.id}.${this.name}`,
      store,
      shards: () => log.shards(this.#group.stream),
      start: () => this.#group.positions(),
      isBegun: () => this.#record.begun === true,
      logger,
    }
    return { checkpoint, begun: () => this.#remember({ begun: true }) }
  }

  async #stop(): Promise<void> {
    this.#run?.stop()
    await this.#ending
  }

  async #remember(change: Partial<BridgeRecord>): Promise<void> {
    const record = { ...this.#record, ...change }
    await this.#save(record)
    this.#record = record
  }

  #lagRecords(newest: Sequence): number {
    const isRead = this.#run !== undefined || this.#state.kind === 'stopped'
    const from = isRead ? this.#run?.behindFrom : lowestPosition(this.#group)
    return from === undefined ? 0 : Math.max(0, newest - from)
  }

  #delivered(requests: readonly OutgoingRequest[]): void {
    for (const { records, bytes } of requests) {
      this.#records += records
      this.#bytes += bytes
    }
    // The first success after an outage is what ends it.
    if (this.#state.kind === 'waiting') this.#enter({ kind: 'running', since: this.#around.clock.now() })
  }

  #failed(error: MillraceError): void {
    this.#errors++
    this.#lastError = { error, at: this.#around.clock.now() }
  }

  #waiting(error: MillraceError, tryAgainInMs: number): void {
    const now = this.#around.clock.now()
    this.#failed(error)
    this.#enter({
      kind: 'waiting',
      since: this.#state.kind === 'waiting' ? this.#state.since : now,
      nextTryAt: Math.round(now + tryAgainInMs),
      error,
    })
  }

  #ended(end: RunEnd): void {
    const since = this.#around.clock.now()
    if (end.kind === 'failed') {
      this.#failed(end.error)
      this.#enter({ kind: 'failed', since, error: end.error })
    } else {
      this.#enter({ kind: 'stopped', since, reason: end.kind === 'sourceDeleted' ? 'sourceDeleted' : 'closed' })
    }
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
      logger.warn(
        { ...fields, error: state.error.toJSON() },
        `bridge ${this.name} waits for Kafka: ${state.error.message}`,
      )
    else logger.info(fields, `bridge ${this.name} is ${state.kind}`)
  }
}
