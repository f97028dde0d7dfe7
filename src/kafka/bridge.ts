import { randomUUID } from 'node:crypto'
import type { CommitPath, RowEffect } from '../commit/index.js'
import { type Group, lagSeconds } from '../groups/index.js'
import type { Log, Sequence, ShardedLog, StreamId } from '../log/index.js'
import { asMillraceError, type Clock, MillraceError } from '../runtime/index.js'
import type { WorkerPool } from '../workers/index.js'
import { Backlog } from './backlog.js'
import { BridgeCondition, type BridgeState } from './bridge-state.js'
import { placeConverter, type StoredConverter } from './converter-module.js'
import { Converting } from './converting.js'
import { createEncoder, createPassing, type DecodeChange, type EncoderOptions, type Origin } from './encoder.js'
import { type BridgeOptions, topicOf } from './options.js'
import type { SentRequest } from './outbox.js'
import { asideGone, PutAside } from './put-aside.js'
import { Remembered } from './remembered.js'
import { BridgeRun, lowestPosition, type RunEnd, type RunOptions } from './run.js'
import type { SnapshotFeeder, SnapshotPhase, StoredSnapshot } from './snapshot.js'
import type { BridgeLogger, ClusterTarget, KafkaCluster, OpenCluster } from './types.js'

export interface BridgeStatistics {
  /** Records that are through since this bridge was opened: brokers have acknowledged them, or they were left out or put aside. */
  readonly records: number
  /** Bytes of their messages, before compression. */
  readonly bytes: number
  /**
   * Records that are not delivered. Where a shard began before records were counted: sequence numbers from the oldest that
   * may be undelivered on, an upper bound.
   */
  readonly lagRecords: number
  /** Age of the oldest record that is not delivered; 0 when there is none. */
  readonly lagSeconds: number
  /** Failed attempts and failures since this bridge was opened. */
  readonly errors: number
  readonly lastError: { readonly error: MillraceError; readonly at: number } | undefined
  /** Records that were put aside since this bridge was opened. */
  readonly deadLetters: number
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
  readonly converter?: StoredConverter | undefined
  /** Takes records that cannot be sent; not there of a bridge that has always stopped at them. */
  readonly deadLetters?: StreamId
  readonly snapshot?: StoredSnapshot
}

export interface ConverterRooms {
  readonly workers: Pick<WorkerPool, 'openConverter'>
  /** Where workers load bundles from. */
  readonly folder: string
  readonly bundleBytesMax: number
}

/** What a bridge needs of the daemon. */
export interface BridgeSurroundings {
  readonly commit: Pick<CommitPath, 'submit' | 'readDurableMany'>
  readonly log: Log & Pick<ShardedLog, 'lastSequence'>
  readonly origin: Origin
  /** Which store this is, and its life: numbers of an older life are not those of this one. */
  readonly store: { readonly id: string; readonly epoch: number }
  readonly decodeChange: DecodeChange
  readonly openCluster: OpenCluster
  /** Where converters run; undefined: there are none. */
  readonly converters?: ConverterRooms
  readonly logger: BridgeLogger
  readonly clock: Clock
  readonly random: () => number
}

/** The name of a table or plain stream, from the name of its stream. */
export function sourceNameOf(stream: { readonly kind: 'plain' | 'table'; readonly name: string }): string {
  return stream.kind === 'table' ? stream.name.replace(/^table:/, '') : stream.name
}

/** The cluster of a bridge. */
export function targetOf(
  options: Pick<BridgeOptions, 'name' | 'cluster' | 'brokers' | 'driver' | 'clientId'>,
  logger: BridgeLogger,
): ClusterTarget {
  const { cluster, brokers = [], driver, clientId = `millrace-${options.name}` } = options
  return { cluster, brokers, driver, clientId, logger }
}

/** The last step of a bridge's messages, where it has one. Throws UNSUPPORTED where there are no threads for it. */
export function convertingOf(
  { options: { name, schema, format, refused }, converter }: Pick<BridgeRecord, 'options' | 'converter'>,
  { converters }: Pick<BridgeSurroundings, 'converters'>,
): Converting | undefined {
  if (converter === undefined && schema === undefined) return undefined
  if (!converters)
    throw new MillraceError('UNSUPPORTED', 'There are no worker threads for converters and schemas here.')
  const file = converter && placeConverter(converters.folder, converter)
  // The schema of an event is that of its data.
  const member = format === 'cloudevents' ? 'data' : undefined
  return new Converting({
    workers: converters.workers,
    converter: { label: `bridge:${name}`, file, schema: schema && JSON.stringify(schema), member },
    leavesOut: refused === 'dead-letter',
  })
}

/** Mirrors one stream to one topic, in order per key, exactly once or at least once. docs/kafka.md says what that means. */
export class Bridge {
  readonly name: string
  readonly topic: string
  readonly #around: BridgeSurroundings
  readonly #group: Group
  readonly #save: (record: BridgeRecord) => Promise<void>
  readonly #remembered: Remembered<BridgeRecord>
  readonly #condition: BridgeCondition
  readonly #snapshot:
    | (SnapshotPhase & { finish(record: BridgeRecord, rows: readonly RowEffect[]): Promise<void> })
    | undefined
  #feeder: SnapshotFeeder | undefined
  #isStopping = false
  #counting: Promise<void> = Promise.resolve()
  #backlog: Backlog
  #run: BridgeRun | undefined
  #ending: Promise<void> = Promise.resolve()
  #records = 0
  #bytes = 0
  #refused = 0

  /**
   * @param save makes what is to be remembered durable
   * @param snapshot of a bridge that has not delivered it; `finish` makes durable, in one commit, what is to be remembered then,
   * and that nothing of the snapshot is needed any more
   */
  constructor(
    record: BridgeRecord,
    group: Group,
    around: BridgeSurroundings,
    save: (record: BridgeRecord) => Promise<void>,
    snapshot?: SnapshotPhase & { finish(record: BridgeRecord, rows: readonly RowEffect[]): Promise<void> },
  ) {
    const stream = around.log.stream(group.stream)
    this.name = record.options.name
    this.topic = topicOf(record.options, stream ? sourceNameOf(stream) : record.options.source.replace(/^table:/, ''))
    this.#around = around
    this.#group = group
    this.#save = save
    this.#remembered = new Remembered(record)
    this.#snapshot = snapshot
    this.#backlog = new Backlog(around.log, this.#reads.stream)
    this.#condition = new BridgeCondition({ ...around, bridge: this.name, topic: this.topic })
  }

  get isInSnapshot(): boolean {
    return this.#snapshot !== undefined && this.record.snapshot?.isDone === false
  }

  /** Rows to be removed with it, or with this life of it. */
  rowsGone(): readonly RowEffect[] {
    const { deadLetters, instance } = this.record
    return deadLetters === undefined || instance === undefined ? [] : [asideGone(instance)]
  }

  /** The group whose stream is delivered at this time. */
  get #reads(): Group {
    return this.#snapshot && this.isInSnapshot ? this.#snapshot.group : this.#group
  }

  get record(): BridgeRecord {
    return this.#remembered.record
  }

  get state(): BridgeState {
    return this.#condition.state
  }

  /** What is known without a look into the store: the age of what was not read counts as none. */
  get statistics(): BridgeStatistics {
    const { log, clock } = this.#around
    const { errors, lastError } = this.#condition
    const oldest = this.#run?.oldestCommitTime
    return {
      records: this.#records,
      bytes: this.#bytes,
      lagRecords: this.#lagRecords(log.nextSequence()),
      lagSeconds: oldest === undefined ? 0 : Math.max(0, clock.now() - oldest) / 1000,
      errors,
      lastError,
      deadLetters: this.#refused,
    }
  }

  /** The statistics, with the age of what nobody reads at this moment. */
  async measured(): Promise<BridgeStatistics> {
    await this.#counting
    const { statistics } = this
    if (this.#run?.oldestCommitTime !== undefined) return statistics
    // The group may stand a moment behind what is delivered.
    if (statistics.lagRecords === 0) return { ...statistics, lagSeconds: 0 }
    const { log, clock } = this.#around
    // A stream that is gone has nothing that could be old.
    const age = await lagSeconds(log, this.#reads, clock.now()).catch(() => 0)
    return { ...statistics, lagSeconds: Math.max(0, age) }
  }

  /** Starts what is not paused. Returns at once; `state` says how it goes. */
  start(): void {
    if (this.#run) return
    const group = this.#reads
    void this.#stand(group.positions())
    if (this.record.paused) return
    const { log, commit, clock, random, origin, decodeChange, openCluster, logger } = this.#around
    const stream = log.stream(group.stream)
    const source = log.stream(this.#group.stream)
    if (!stream || !source) {
      this.#condition.ended({ kind: 'sourceDeleted' })
      return
    }
    const { options } = this.record
    const { format, images, tombstones, compression, headers, schema } = options
    let cluster: KafkaCluster
    try {
      cluster = openCluster(targetOf(options, logger))
    } catch (error) {
      // The configuration has changed since: it does not know the cluster any more.
      this.#condition.ended({ kind: 'failed', error: asMillraceError(error) })
      return
    }
    this.#condition.is('starting')
    let converting: Converting | undefined
    try {
      converting = convertingOf(this.record, this.#around)
    } catch (error) {
      // The disk may be full, and the others go on.
      this.#condition.ended({ kind: 'failed', error: asMillraceError(error) })
      return
    }
    const encoding: EncoderOptions = {
      stream,
      sourceName: sourceNameOf(source),
      isSnapshot: this.isInSnapshot,
      format,
      images,
      tombstones,
      headers,
      schemaId: schema?.$id,
      origin,
      decodeChange,
      bodies: () => log.shapes.reader(group.stream),
    }
    const run = new BridgeRun({
      log,
      commit,
      clock,
      random,
      compression,
      group,
      cluster,
      topic: { ...options, topic: this.topic, settledPartitions: this.record.settledPartitions },
      encode: createEncoder(encoding),
      passing: createPassing(encoding),
      converting,
      putAside: this.#putAside(),
      putsAside: options.refused === 'dead-letter',
      exactly: this.#exactly(),
      settle: async (partitions) => {
        if (this.record.settledPartitions !== partitions) await this.#remember({ settledPartitions: partitions })
      },
      onWaiting: (error, tryAgainInMs) => {
        this.#condition.failed(error)
        this.#condition.waiting(error, tryAgainInMs)
      },
      onRunning: () => this.#condition.is('running'),
      onDelivered: (requests) => this.#delivered(requests),
      onMoved: () => this.#feeder?.moved(),
      onStanding: (positions) => this.#stand(positions),
    })
    this.#run = run
    if (this.#snapshot && this.isInSnapshot) {
      this.#feeder = this.#snapshot.feeder()
      this.#feeder.start((error) => run.fail(error))
    }
    this.#ending = run.end.then((end) => this.#afterRun(end))
  }

  async #afterRun(end: RunEnd): Promise<void> {
    this.#feeder?.stop()
    await this.#feeder?.ended()
    this.#feeder = undefined
    this.#run = undefined
    if (end.kind !== 'sourceDeleted' || !this.isInSnapshot) return this.#condition.ended(end)
    try {
      await this.#endSnapshot()
    } catch (error) {
      return this.#condition.ended({ kind: 'failed', error: asMillraceError(error) })
    }
    if (this.#isStopping) this.#condition.ended({ kind: 'stopped' })
    else this.start()
  }

  /** All of it is delivered: the changes behind it begin where it has left the group of the bridge. */
  async #endSnapshot(): Promise<void> {
    const snapshot = { ...(this.record.snapshot as StoredSnapshot), isDone: true }
    const change = { snapshot, instance: randomUUID(), begun: false }
    const gone = this.rowsGone()
    await this.#remembered.change(change, async (record) => this.#snapshot?.finish(record, gone))
    this.#backlog = new Backlog(this.#around.log, this.#group.stream)
  }

  /** Stops until `resume`, also over a restart of the daemon. Resolves when nothing is in flight any more. */
  async pause(): Promise<void> {
    if (!this.record.paused) await this.#remember({ paused: true })
    await this.#stop()
    this.#condition.paused()
  }

  /** Goes on after a pause or a failure, at the group's position; one that runs is left alone. */
  async resume(): Promise<void> {
    if (this.#run) return
    if (this.record.paused) await this.#remember({ paused: false })
    this.start()
  }

  /**
   * Goes on from somewhere else: a message may be passed over, or come again. Kafka's checkpoint is of the instance before; the
   * new one fences whatever may still be sent for that, and begins at the positions of the group.
   *
   * @param move makes the positions of the group, what is to be remembered, and more rows durable, in one commit
   */
  async seek(move: (record: BridgeRecord, rows: readonly RowEffect[]) => Promise<void>): Promise<void> {
    if (this.isInSnapshot)
      throw new MillraceError('CONFLICT', `The bridge ${this.name} is delivering its snapshot.`, {
        remedy: 'Wait until it has; or delete it and create it again without a snapshot.',
      })
    const before = this.state
    await this.#stop()
    const isExact = this.record.instance !== undefined
    const gone = this.rowsGone()
    try {
      await this.#remembered.change(isExact ? { instance: randomUUID(), begun: false } : {}, (record) =>
        move(record, gone),
      )
    } catch (error) {
      if (before.kind === 'failed' || before.kind === 'stopped') this.#condition.enter(before)
      else this.start()
      throw error
    }
    if (this.record.paused) this.#condition.is('paused')
    this.start()
  }

  /** Does otherwise with what is sent from now on. */
  async change(change: Partial<Pick<BridgeRecord, 'converter' | 'options' | 'deadLetters'>>): Promise<void> {
    await this.#stop()
    await this.#remember(change)
    if (this.record.paused) this.#condition.is('paused')
    this.start()
  }

  /** Finishes what is in flight and makes its position durable. */
  async close(): Promise<void> {
    await this.#stop()
    this.#condition.closed()
  }

  #exactly(): RunOptions['exactly'] {
    const { options, instance } = this.record
    // A bridge from before there were guarantees has none stored.
    if (options.guarantee !== 'exactly-once' || instance === undefined) return undefined
    const { log, store, logger } = this.#around
    const group = this.#reads
    const checkpoint = {
      topic: this.topic,
      bridge: this.name,
      instance,
      transactionalId: `millrace.${store.id}.${this.name}`,
      store,
      shards: () => log.shards(group.stream),
      start: () => group.positions(),
      isBegun: () => this.record.begun === true,
      logger,
    }
    return { checkpoint, begun: () => this.#remember({ begun: true }) }
  }

  #putAside(): PutAside | undefined {
    const { deadLetters, instance } = this.record
    if (deadLetters === undefined || instance === undefined) return undefined
    return new PutAside({
      ...this.#around,
      bridge: this.name,
      topic: this.topic,
      instance,
      deadLetters,
      onBusy: (error, tryAgainInMs) => this.#condition.waiting(error, tryAgainInMs),
      onPut: (records) => {
        this.#refused += records
        this.#condition.succeeded()
      },
    })
  }

  async #stop(): Promise<void> {
    this.#isStopping = true
    this.#run?.stop()
    await this.#ending
    this.#isStopping = false
  }

  #remember(change: Partial<BridgeRecord>): Promise<void> {
    return this.#remembered.change(change, this.#save)
  }

  /** Where the count fails, as in a stream that is taken away, the bound by numbers is told. */
  #stand(positions: Parameters<Backlog['stand']>[0]): Promise<void> {
    this.#counting = this.#backlog.stand(positions).catch(() => {})
    return this.#counting
  }

  #lagRecords(newest: Sequence): number {
    const { records } = this.#backlog
    if (records !== undefined) return records
    const isRead = this.#run !== undefined || this.state.kind === 'stopped'
    const from = isRead ? this.#run?.behindFrom : lowestPosition(this.#reads)
    return from === undefined ? 0 : Math.max(0, newest - from)
  }

  #delivered(requests: readonly SentRequest[]): void {
    for (const { records, bytes, counts, positions } of requests) {
      this.#records += records
      this.#bytes += bytes
      this.#backlog.delivered(counts, positions)
    }
    this.#condition.succeeded()
  }
}
