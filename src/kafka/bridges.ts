import { randomUUID } from 'node:crypto'
import type { CommitPath, RowEffect } from '../commit/index.js'
import type { Group, Groups } from '../groups/index.js'
import { isSnapshot, type StartPosition, type StreamId } from '../log/index.js'
import { MillraceError } from '../runtime/index.js'
import {
  Bridge,
  type BridgeRecord,
  type BridgeStatistics,
  type BridgeSurroundings,
  convertingOf,
  sourceNameOf,
  targetOf,
} from './bridge.js'
import { checkImages, checkPlain, inStream, inTopic } from './bridge-checks.js'
import { bridgeKey, bridgeValue, isIntakeRecord, recordOf } from './bridge-rows.js'
import type { BridgeState } from './bridge-state.js'
import { type StoredConverter, storedConverter } from './converter-module.js'
import { deadLetterStream } from './dead-letters.js'
import type { IntakeSurroundings } from './intake/intake.js'
import { Intakes, viewOf } from './intake/intakes.js'
import { checkIntakeRequest, type IntakeOptions, type IntakeRequest, isIntakeRequest } from './intake/options.js'
import type { TopicPlace } from './intake/seeking.js'
import {
  type BridgeOptions,
  type BridgeRequest,
  checkBridgeRequest,
  checkDeadLetters,
  checkRoomForCheckpoints,
  deadLettersOf,
  topicOf,
} from './options.js'
import { checkSchema } from './schema.js'
import type { Snapshots } from './snapshot.js'

/** Each bridge holds a producer and its connections. */
export const bridgesMax = 64

export interface BridgesOptions extends BridgeSurroundings {
  readonly commit: CommitPath
  readonly tables: IntakeSurroundings['tables']
  readonly groups: Groups
  /** The values of all rows of `Family.bridge`, as they lie in the store. */
  readonly stored: readonly Buffer[]
  /**
   * The stream behind a source's name: a plain stream, or `table:NAME`, whose change log this switches on with both
   * images. Throws NOT_FOUND.
   */
  readonly resolveSource: (source: string) => Promise<StreamId>
  /** Reads tables for bridges that begin with a snapshot; undefined: there are none. */
  readonly snapshots?: Snapshots
}

/** What is shown of a bridge. */
export interface BridgeView {
  readonly name: string
  readonly direction: 'in' | 'out'
  /** The stream that is mirrored, or the topic that is read. */
  readonly source: string
  readonly topic: string
  /** Of a bridge in: `stream:NAME` or `table:NAME`. */
  readonly into?: string
  readonly group: string
  readonly options: BridgeOptions | IntakeOptions
  readonly createdAt: number
  /** SHA-256 of the bundle of its converter. */
  readonly converter: { readonly hash: string } | undefined
  /** Partitions of the topic, once it was reached. */
  readonly partitions: number | undefined
  readonly state: BridgeState
  /** Of one that began with a snapshot: whether it is still on its way. */
  readonly snapshot: 'running' | 'done' | undefined
  readonly statistics: BridgeStatistics
}

export interface ResumeOptions {
  /** A bridge in goes on behind records that its topic has lost. */
  readonly skipLost?: boolean
  /** What a bridge out does from now on with records that cannot be sent, the one that it has stopped at among them. */
  readonly refused?: BridgeOptions['refused'] | undefined
}

/** The group that holds a bridge's position. */
export const bridgeGroupName = (bridge: string): string => `bridge:${bridge}`
/** Reads the items of its snapshot. No bridge has a colon in its name. */
const snapshotGroupName = (bridge: string): string => `bridge:${bridge}:snapshot`

/** All bridges of the daemon: remembered in the store, started at its opening, stopped at its close. */
export class Bridges {
  readonly #options: BridgesOptions
  readonly #bridges = new Map<string, Bridge>()
  readonly #intakes: Intakes
  /** Names that are being created or deleted. */
  readonly #busy = new Set<string>()
  #closed = false

  constructor(options: BridgesOptions) {
    this.#options = options
    this.#intakes = new Intakes({
      ...options,
      rowOf: (name, record) => ({ key: bridgeKey(name), value: record && bridgeValue(record) }),
    })
    for (const value of options.stored) {
      const record = recordOf(value)
      if (isIntakeRecord(record)) {
        this.#intakes.add(record)
        continue
      }
      const { name } = record.options
      const group = options.groups.group(bridgeGroupName(name))
      if (!group) throw new MillraceError('STORE_CORRUPT', `The bridge ${name} is stored without its group.`)
      this.#bridges.set(name, this.#make(record, group))
    }
  }

  /** Starts every bridge that is not paused. Returns at once. */
  start(): void {
    for (const bridge of this.#bridges.values()) bridge.start()
    this.#intakes.start()
    this.#closeOrphans().catch((error: unknown) =>
      this.#options.logger.warn(
        { error: String(error) },
        'Streams of snapshots that nobody needs could not be closed.',
      ),
    )
  }

  /** Closes what no bridge reads: its making was cut off, or its end. */
  async #closeOrphans(): Promise<void> {
    const { log } = this.#options
    const used = new Set([...this.#bridges.values()].map(({ record }) => record.snapshot?.stream))
    for (const stream of log.streams())
      if (isSnapshot(stream) && stream.closedAt === undefined && !used.has(stream.id)) await log.closeStream(stream.id)
  }

  /** Stops all of them; what is in flight is finished first. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...[...this.#bridges.values()].map((bridge) => bridge.close()), this.#intakes.close()])
  }

  get count(): number {
    return this.#bridges.size + this.#intakes.count
  }

  /** What is known without a look into the store. */
  list(): readonly BridgeView[] {
    const out = [...this.#bridges.values()].map((bridge) => this.#view(bridge, bridge.statistics))
    return [...out, ...this.#intakes.list()]
  }

  /** The same with the age of what is not read. */
  async measured(): Promise<readonly BridgeView[]> {
    const bridges = [...this.#bridges.values()]
    const out = await Promise.all(bridges.map(async (bridge) => this.#view(bridge, await bridge.measured())))
    return [...out, ...this.#intakes.list()]
  }

  /** Throws NOT_FOUND. */
  async show(name: string): Promise<BridgeView> {
    const intake = this.#intakes.get(name)
    if (intake) return viewOf(intake)
    const bridge = this.#bridge(name)
    return this.#view(bridge, await bridge.measured())
  }

  /** Throws BAD_REQUEST, ALREADY_EXISTS, NOT_FOUND (the source, the cluster), IMAGES_NOT_KEPT, TOO_BUSY. A broker that is away is no error: the bridge waits. */
  async create(given: (BridgeRequest & { readonly converter?: unknown }) | IntakeRequest): Promise<BridgeView> {
    if (isIntakeRequest(given)) return this.#createIntake(checkIntakeRequest(given))
    const { converter: bundle, ...request } = given
    const options = checkBridgeRequest(request)
    const converter = this.#stored(bundle)
    const { name } = options
    this.#checkNew(name)
    return this.#exclusively(name, async () => {
      const { log, clock, resolveSource, openCluster, logger } = this.#options
      // Connects to nothing: a cluster that is not configured is found now, one that is away is waited for.
      openCluster(targetOf(options, logger))
      const streamId = await resolveSource(options.source)
      const stream = log.stream(streamId)
      if (!stream) throw new MillraceError('NOT_FOUND', `There is no source ${options.source}.`)
      checkRoomForCheckpoints(topicOf(options, sourceNameOf(stream)), options)
      // What comes behind a snapshot is logged from now on.
      const asked = options.snapshot ? { ...options, start: 'newest' as const } : options
      if (stream.kind === 'table') checkImages(asked, log.shards(streamId))
      else checkPlain(options)
      await this.#tryOut({ options, converter })
      const record: BridgeRecord = {
        options,
        createdAt: clock.now(),
        paused: false,
        settledPartitions: undefined,
        instance: randomUUID(),
        begun: false,
        ...(converter === undefined ? {} : { converter }),
        ...(options.refused === 'stop' ? {} : { deadLetters: await deadLetterStream(log, deadLettersOf(options)) }),
      }
      const { snapshot } = options
      const bridge = await (snapshot ? this.#createWithSnapshot(record, streamId) : this.#createAt(record, streamId))
      this.#bridges.set(name, bridge)
      if (!this.#closed) bridge.start()
      return this.show(name)
    })
  }

  #checkNew(name: string): void {
    if (this.#bridges.has(name) || this.#intakes.get(name))
      throw new MillraceError('ALREADY_EXISTS', `A bridge named ${name} exists.`)
    if (this.count >= bridgesMax) throw new MillraceError('TOO_BUSY', `There are ${bridgesMax} bridges already.`)
  }

  async #createIntake(options: IntakeOptions): Promise<BridgeView> {
    this.#checkNew(options.name)
    return this.#exclusively(options.name, async () => {
      const intake = await this.#intakes.create(options)
      if (!this.#closed) intake.start()
      return viewOf(intake)
    })
  }

  async #createAt(record: BridgeRecord, stream: StreamId): Promise<Bridge> {
    const { name, start } = record.options
    const group = await this.#options.groups.create(bridgeGroupName(name), stream, start, {
      kind: 'bridge',
      rows: [{ key: bridgeKey(name), value: bridgeValue(record) }],
    })
    return this.#make(record, group)
  }

  /** Changes are followed from now on: the snapshot brings those up to its own moments along. */
  async #createWithSnapshot(record: BridgeRecord, stream: StreamId): Promise<Bridge> {
    const { groups, snapshots } = this.#options
    const { name } = record.options
    if (!snapshots) throw new MillraceError('UNSUPPORTED', 'Nobody reads tables for snapshots here.')
    const items = await snapshots.createStream(name)
    const begun = { ...record, snapshot: { stream: items, isDone: false } }
    const [group] = await groups.createAll(
      [
        { name: bridgeGroupName(name), stream, start: 'newest' },
        { name: snapshotGroupName(name), stream: items, start: 'oldest' },
      ],
      { kind: 'bridge', rows: [{ key: bridgeKey(name), value: bridgeValue(begun) }] },
    )
    return this.#make(begun, group as Group)
  }

  /** Stops the bridge and forgets it with its position. The topic stays as it is. */
  async delete(name: string): Promise<void> {
    await this.#exclusively(name, async () => {
      const { groups, log, snapshots } = this.#options
      const intake = this.#intakes.get(name)
      if (intake) return this.#intakes.delete(intake)
      const bridge = this.#bridge(name)
      await bridge.close()
      const { snapshot } = bridge.record
      const rows = [{ key: bridgeKey(name), value: undefined }, ...bridge.rowsGone()]
      if (!bridge.isInSnapshot || !snapshot || !snapshots) await groups.delete(bridgeGroupName(name), rows)
      else {
        await groups.replace({
          gone: [bridgeGroupName(name), snapshotGroupName(name)],
          renamed: new Map(),
          kind: 'bridge',
          rows: [...rows, snapshots.gone(snapshot.stream)],
        })
        if (log.stream(snapshot.stream)?.closedAt === undefined) await log.closeStream(snapshot.stream)
      }
      this.#bridges.delete(name)
    })
  }

  async pause(name: string): Promise<BridgeView> {
    return this.#exclusively(name, async () => {
      await (this.#intakes.get(name) ?? this.#bridge(name)).pause()
      return this.show(name)
    })
  }

  /** Goes on after a pause or a failure. Throws NOT_FOUND, CONFLICT, BAD_REQUEST. */
  async resume(name: string, { skipLost = false, refused }: ResumeOptions = {}): Promise<BridgeView> {
    return this.#exclusively(name, async () => {
      const intake = this.#intakes.get(name)
      if (intake && refused === undefined) await intake.resume(skipLost)
      else {
        const bridge = this.#bridge(name)
        if (refused !== undefined) await this.#refuse(bridge, refused)
        await bridge.resume()
      }
      return this.show(name)
    })
  }

  /** What was put aside stays so when the bridge is to stop at the next: where they would have been is not passed yet. */
  async #refuse(bridge: Bridge, refused: BridgeOptions['refused']): Promise<void> {
    const { record, name } = bridge
    if (record.options.refused === refused) return
    const options = { ...record.options, refused }
    if (refused === 'stop') return bridge.change({ options })
    if (record.instance === undefined)
      throw new MillraceError('CONFLICT', `The bridge ${name} is from before there were dead letters.`, {
        remedy: 'Delete it and create it again.',
      })
    checkDeadLetters(options)
    const deadLetters = await deadLetterStream(this.#options.log, deadLettersOf(options))
    await bridge.change({ options, deadLetters })
  }

  /**
   * Gives a bridge another converter or another schema for what is sent from now on; null takes it away, undefined leaves it as
   * it is. A bridge that has failed is started again. Throws NOT_FOUND, BAD_REQUEST, TOO_LARGE, MODULE_INVALID.
   */
  async convert(
    name: string,
    change: { readonly converter?: unknown; readonly schema?: unknown },
  ): Promise<BridgeView> {
    return this.#exclusively(name, async () => {
      const bridge = this.#bridge(name)
      const { options, converter: before } = bridge.record
      const converter = change.converter === undefined ? before : this.#stored(change.converter)
      const schema = change.schema === undefined ? options.schema : change.schema && checkSchema(change.schema)
      const changed = { options: { ...options, schema: schema || undefined }, converter }
      await this.#tryOut(changed)
      await bridge.change(changed)
      return this.show(name)
    })
  }

  #stored(bundle: unknown): StoredConverter | undefined {
    return storedConverter(bundle, this.#options.converters?.bundleBytesMax ?? 0)
  }

  /** A module that cannot be loaded is refused to who gives it. */
  async #tryOut(record: Pick<BridgeRecord, 'options' | 'converter'>): Promise<void> {
    const converting = convertingOf(record, this.#options)
    if (!converting) return
    try {
      await converting.load()
    } finally {
      converting.close()
    }
  }

  /**
   * Goes on somewhere else. What lies between is passed over, or comes once more. Throws NOT_FOUND, BAD_REQUEST (a place that is not
   * there, or is of the other direction), CONFLICT; of a bridge in, KAFKA_UNAVAILABLE when no broker says where that is.
   */
  async seek(name: string, to: StartPosition | TopicPlace): Promise<BridgeView> {
    return this.#exclusively(name, async () => {
      const intake = this.#intakes.get(name)
      if (intake) await intake.seek(inTopic(to))
      else await this.#seekOut(this.#bridge(name), inStream(to))
      return this.show(name)
    })
  }

  async #seekOut(bridge: Bridge, to: StartPosition): Promise<void> {
    const { name } = bridge
    await bridge.seek((record, rows) =>
      this.#options.groups.move(bridgeGroupName(name), to, [
        { key: bridgeKey(name), value: bridgeValue(record) },
        ...rows,
      ]),
    )
  }

  #bridge(name: string): Bridge {
    const bridge = this.#bridges.get(name)
    if (this.#intakes.get(name))
      throw new MillraceError('CONFLICT', `The bridge ${name} reads a topic: that is for bridges out alone.`, {
        remedy: 'Delete it and create it again.',
      })
    if (!bridge) throw new MillraceError('NOT_FOUND', `There is no bridge named ${name}.`)
    return bridge
  }

  #make(record: BridgeRecord, group: Group): Bridge {
    const key = bridgeKey(record.options.name)
    const save = async (changed: BridgeRecord): Promise<void> => {
      await this.#options.commit.submit({ rows: [{ key, value: bridgeValue(changed) }], essential: true })
    }
    return new Bridge(record, group, this.#options, save, this.#snapshotOf(record, group))
  }

  #snapshotOf({ options: { name, source }, snapshot }: BridgeRecord, changes: Group) {
    const { groups, snapshots } = this.#options
    if (!snapshot || snapshot.isDone || !snapshots) return undefined
    const group = groups.group(snapshotGroupName(name))
    if (!group)
      throw new MillraceError('STORE_CORRUPT', `The snapshot of the bridge ${name} is stored without its group.`)
    const { stream } = snapshot
    return {
      group,
      feeder: () => snapshots.feeder({ table: source.slice('table:'.length), stream, group, changes }),
      finish: (done: BridgeRecord, rows: readonly RowEffect[]) =>
        groups.delete(snapshotGroupName(name), [
          { key: bridgeKey(name), value: bridgeValue(done) },
          snapshots.gone(stream),
          ...rows,
        ]),
    }
  }

  async #exclusively<T>(name: string, work: () => Promise<T>): Promise<T> {
    if (this.#busy.has(name))
      throw new MillraceError('CONFLICT', `The bridge ${name} is being changed by another request.`)
    this.#busy.add(name)
    try {
      return await work()
    } finally {
      this.#busy.delete(name)
    }
  }

  #view(bridge: Bridge, statistics: BridgeStatistics): BridgeView {
    const { options, createdAt, settledPartitions, converter } = bridge.record
    return {
      name: bridge.name,
      direction: 'out',
      source: options.source,
      topic: bridge.topic,
      group: bridgeGroupName(bridge.name),
      options,
      createdAt,
      converter: converter && { hash: converter.hash },
      partitions: settledPartitions,
      state: bridge.state,
      snapshot: bridge.record.snapshot && (bridge.isInSnapshot ? 'running' : 'done'),
      statistics,
    }
  }
}
