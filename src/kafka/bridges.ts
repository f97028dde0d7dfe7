import { randomUUID } from 'node:crypto'
import { type CommitPath, Family } from '../commit/index.js'
import type { Groups } from '../groups/index.js'
import type { Shard, StreamId } from '../log/index.js'
import { MillraceError } from '../runtime/index.js'
import {
  Bridge,
  type BridgeRecord,
  type BridgeState,
  type BridgeStatistics,
  type BridgeSurroundings,
  sourceNameOf,
  targetOf,
} from './bridge.js'
import { type BridgeOptions, type BridgeRequest, checkBridgeRequest, topicOf } from './options.js'

/** Each bridge holds a producer and its connections. */
export const bridgesMax = 64

export interface BridgesOptions extends BridgeSurroundings {
  readonly commit: CommitPath
  readonly groups: Groups
  /** The values of all rows of `Family.bridge`, as they lie in the store. */
  readonly stored: readonly Buffer[]
  /**
   * The stream behind a source's name: a plain stream, or `table:NAME`, whose change log this switches on with both
   * images. Throws NOT_FOUND.
   */
  readonly resolveSource: (source: string) => Promise<StreamId>
}

/** What is shown of a bridge. */
export interface BridgeView {
  readonly name: string
  readonly source: string
  readonly topic: string
  readonly group: string
  readonly options: BridgeOptions
  readonly createdAt: number
  /** Partitions of the topic, once it was reached. */
  readonly partitions: number | undefined
  readonly state: BridgeState
  readonly statistics: BridgeStatistics
}

const rowVersion = 1

/** `bridge`: family, name in UTF-8 -> version u8, JSON of the bridge's record. */
const bridgeKey = (name: string): Buffer => Buffer.concat([Buffer.from([Family.bridge]), Buffer.from(name)])
const bridgeValue = (record: BridgeRecord): Buffer =>
  Buffer.concat([Buffer.from([rowVersion]), Buffer.from(JSON.stringify(record))])

function recordOf(value: Buffer): BridgeRecord {
  if (value[0] !== rowVersion)
    throw new MillraceError(
      'DATA_DIR_NEWER',
      `A stored bridge has the row version ${value[0]}; this version of Millrace knows ${rowVersion}.`,
    )
  return JSON.parse(value.toString('utf8', 1)) as BridgeRecord
}

/** The group that holds a bridge's position. */
export const bridgeGroupName = (bridge: string): string => `bridge:${bridge}`

/** All bridges of the daemon: remembered in the store, started at its opening, stopped at its close. */
export class Bridges {
  readonly #options: BridgesOptions
  readonly #bridges = new Map<string, Bridge>()
  /** Names that are being created or deleted. */
  readonly #busy = new Set<string>()
  #closed = false

  constructor(options: BridgesOptions) {
    this.#options = options
    for (const value of options.stored) {
      const record = recordOf(value)
      const { name } = record.options
      const group = options.groups.group(bridgeGroupName(name))
      if (!group) throw new MillraceError('STORE_CORRUPT', `The bridge ${name} is stored without its group.`)
      this.#bridges.set(name, this.#make(record, group))
    }
  }

  /** Starts every bridge that is not paused. Returns at once. */
  start(): void {
    for (const bridge of this.#bridges.values()) bridge.start()
  }

  /** Stops all of them; what is in flight is finished first. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#bridges.values()].map((bridge) => bridge.close()))
  }

  list(): readonly BridgeView[] {
    return [...this.#bridges.values()].map((bridge) => this.#view(bridge))
  }

  /** Throws NOT_FOUND. */
  show(name: string): BridgeView {
    return this.#view(this.#bridge(name))
  }

  /** Throws BAD_REQUEST, ALREADY_EXISTS, NOT_FOUND (the source, the cluster), IMAGES_NOT_KEPT, TOO_BUSY. A broker that is away is no error: the bridge waits. */
  async create(request: BridgeRequest): Promise<BridgeView> {
    const options = checkBridgeRequest(request)
    const { name } = options
    if (this.#bridges.has(name)) throw new MillraceError('ALREADY_EXISTS', `A bridge named ${name} exists.`)
    if (this.#bridges.size >= bridgesMax)
      throw new MillraceError('TOO_BUSY', `There are ${bridgesMax} bridges already.`)
    return this.#exclusively(name, async () => {
      const { groups, log, clock, resolveSource, openCluster, logger } = this.#options
      // Connects to nothing: a cluster that is not configured is found now, one that is away is waited for.
      openCluster(targetOf(options, logger))
      const streamId = await resolveSource(options.source)
      const stream = log.stream(streamId)
      if (!stream) throw new MillraceError('NOT_FOUND', `There is no source ${options.source}.`)
      topicOf(options, sourceNameOf(stream))
      if (stream.kind === 'table') checkImages(options, log.shards(streamId))
      else checkPlain(options)
      const record: BridgeRecord = {
        options,
        createdAt: clock.now(),
        paused: false,
        settledPartitions: undefined,
        instance: randomUUID(),
        begun: false,
      }
      const group = await groups.create(bridgeGroupName(name), streamId, options.start, {
        kind: 'bridge',
        rows: [{ key: bridgeKey(name), value: bridgeValue(record) }],
      })
      const bridge = this.#make(record, group)
      this.#bridges.set(name, bridge)
      if (!this.#closed) bridge.start()
      return this.#view(bridge)
    })
  }

  /** Stops the bridge and forgets it with its position. The topic stays as it is. */
  async delete(name: string): Promise<void> {
    await this.#exclusively(name, async () => {
      const bridge = this.#bridge(name)
      await bridge.close()
      await this.#options.groups.delete(bridgeGroupName(name), [{ key: bridgeKey(name), value: undefined }])
      this.#bridges.delete(name)
    })
  }

  async pause(name: string): Promise<BridgeView> {
    return this.#exclusively(name, async () => {
      await this.#bridge(name).pause()
      return this.show(name)
    })
  }

  /** Goes on after a pause or a failure. */
  async resume(name: string): Promise<BridgeView> {
    return this.#exclusively(name, async () => {
      await this.#bridge(name).resume()
      return this.show(name)
    })
  }

  #bridge(name: string): Bridge {
    const bridge = this.#bridges.get(name)
    if (!bridge) throw new MillraceError('NOT_FOUND', `There is no bridge named ${name}.`)
    return bridge
  }

  #make(record: BridgeRecord, group: ConstructorParameters<typeof Bridge>[1]): Bridge {
    const key = bridgeKey(record.options.name)
    return new Bridge(record, group, this.#options, async (changed) => {
      await this.#options.commit.submit({ rows: [{ key, value: bridgeValue(changed) }], essential: true })
    })
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

  #view(bridge: Bridge): BridgeView {
    const { options, createdAt, settledPartitions } = bridge.record
    return {
      name: bridge.name,
      source: options.source,
      topic: bridge.topic,
      group: bridgeGroupName(bridge.name),
      options,
      createdAt,
      partitions: settledPartitions,
      state: bridge.state,
      statistics: bridge.statistics,
    }
  }
}

/** A message about an item needs the item: every shard that will be read must keep new images. */
function checkImages(options: BridgeOptions, shards: readonly Shard[]): void {
  if (options.format === 'dynamodb-streams') return
  const lacking = shards.filter((shard) => !shard.images.new && (options.start === 'oldest' || shard.state === 'open'))
  if (lacking.length === 0) return
  const from = Math.min(...shards.filter((shard) => shard.images.new).map((shard) => shard.firstSequence))
  throw new MillraceError(
    'IMAGES_NOT_KEPT',
    `Some changes of ${options.source} were logged without the item.${Number.isFinite(from) ? ` Images are kept from sequence number ${from} on.` : ''}`,
    {
      remedy: 'Start at newest, or choose the format dynamodb-streams.',
      details: { from: Number.isFinite(from) ? from : undefined },
    },
  )
}

function checkPlain(options: BridgeOptions): void {
  if (options.format !== 'dynamodb-streams') return
  throw new MillraceError(
    'BAD_REQUEST',
    `${options.source} is a plain stream; the format dynamodb-streams is for tables.`,
  )
}
