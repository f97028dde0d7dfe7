import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Counters, Family } from '../../src/commit/index.js'
import { DurableGroups } from '../../src/groups/index.js'
import { type Shard, ShardedLog, type Stream } from '../../src/log/index.js'
import { Replication, type ReplicationSettings, type Transport } from '../../src/replicate/index.js'
import { decodeFrame, encodeFrame } from '../../src/replicate/wire.js'
import { answeredError, asMillraceError, MillraceError, silentLogger } from '../../src/runtime/index.js'
import { Tables } from '../../src/tables/index.js'
import { open } from '../commit/open-memory.js'
import { logLimits } from '../log/open-log.js'
import { ManualClock } from '../manual-clock.js'
import { MemoryStorage } from '../memory-storage.js'

const settings: ReplicationSettings = {
  tombstoneRetentionMs: 3_600_000,
  batchBytesMax: 64 * 1024,
  skewMsMax: 300_000,
}

interface Opened {
  readonly tables: Tables
  readonly replication: Replication
  readonly log: ShardedLog
  readonly groups: DurableGroups
  readonly close: () => Promise<void>
}

export interface StreamRecord {
  readonly eventName: 'INSERT' | 'MODIFY' | 'REMOVE'
  readonly userIdentity?: { readonly type: string }
}

/** A daemon's rooms in one region, on a store in memory and a clock of its own. */
export class Region {
  readonly name: string
  readonly clock = new ManualClock()
  readonly #world: World
  readonly #folder: string
  storage = new MemoryStorage()
  opened: Opened | undefined

  constructor(world: World, name: string, folder: string) {
    this.#world = world
    this.name = name
    this.#folder = folder
    mkdirSync(folder, { recursive: true })
  }

  get tables(): Tables {
    if (!this.opened) throw new Error(`${this.name} is down`)
    return this.opened.tables
  }

  get replication(): Replication {
    if (!this.opened) throw new Error(`${this.name} is down`)
    return this.opened.replication
  }

  async start(): Promise<void> {
    const { storage, clock, name } = this
    const { commit } = await open(storage, this.#folder, { clock })
    const counters = await Counters.open(storage)
    const log = await ShardedLog.open({ storage, commit, counters, limits: logLimits })
    const groups = await DurableGroups.open({ storage, commit, counters, log, groupsMax: 100 })
    const tables = await Tables.open({
      storage,
      commit,
      counters,
      log,
      clock,
      logger: silentLogger,
      region: name,
      accountId: '123456789012',
      eventIdPrefix: () => 'event',
      streamRetentionMs: 86_400_000,
    })
    const replication = new Replication({
      replicas: tables.replicas,
      groups,
      log,
      commit,
      storage,
      clock,
      logger: silentLogger,
      random: () => 0.5,
      transport: this.#world.transportOf(this, storage),
      regions: this.#world.names,
      settings: { ...settings, ...this.#world.settings },
    })
    const close = async () => {
      await replication.close()
      await tables.close()
      await commit.close()
    }
    this.opened = { tables, replication, log, groups, close }
    await replication.start()
  }

  async stop(): Promise<void> {
    const { opened } = this
    this.opened = undefined
    await opened?.close()
  }

  /** As kill -9 does: what is in memory is gone, and so is a write that was under way. */
  kill(): void {
    const before = this.storage
    before.beforeWrite = () => new Promise(() => {})
    this.storage = before.afterPowerLoss()
    const { opened } = this
    this.opened = undefined
    this.clock.clear()
    void opened?.replication.close()
  }

  /** The store as it was at another time, or an empty one. */
  restore(storage: MemoryStorage): void {
    this.storage = storage
    rmSync(join(this.#folder, 'mark'), { force: true })
  }

  /** Deletions that are remembered. */
  tombstones(): number {
    return [...this.storage.rows.keys()].filter((name) => name.charCodeAt(0) === Family.tombstone).length
  }

  /** Everything that is in the table's change log goes. */
  async trim(table: string): Promise<void> {
    const { log } = this.opened as Opened
    const { id } = log.streamNamed(`table:${table}`) as Stream
    await log.trimmer.trim(log.shards(id).map((shard) => ({ shard: shard.id, to: log.nextSequence() })))
  }

  /** Splits the first open shard of the table's change log. */
  async split(table: string): Promise<void> {
    const { log } = this.opened as Opened
    const { id } = log.streamNamed(`table:${table}`) as Stream
    await log.split((log.shards(id)[0] as Shard).id)
  }

  async run<Body = Record<string, unknown>>(operation: string, input: unknown): Promise<Body> {
    const answer = await this.tables.execute('DynamoDB_20120810', operation, Buffer.from(JSON.stringify(input)))
    return JSON.parse(answer.toString()) as Body
  }

  async put(table: string, pk: string, value: string): Promise<void> {
    await this.run('PutItem', { TableName: table, Item: { pk: { S: pk }, value: { S: value } } })
  }

  async delete(table: string, pk: string): Promise<void> {
    await this.run('DeleteItem', { TableName: table, Key: { pk: { S: pk } } })
  }

  async value(table: string, pk: string): Promise<string | undefined> {
    const { Item } = await this.run<{ Item?: { value: { S: string } } }>('GetItem', {
      TableName: table,
      Key: { pk: { S: pk } },
    })
    return Item?.value.S
  }

  /** All items, by key. */
  async items(table: string): Promise<Record<string, string>> {
    const { Items } = await this.run<{ Items: { pk: { S: string }; value: { S: string } }[] }>('Scan', {
      TableName: table,
    })
    return Object.fromEntries(Items.map(({ pk, value }) => [pk.S, value.S]))
  }

  /** The keys of all items, page by page. */
  async keys(table: string): Promise<string[]> {
    const keys: string[] = []
    for (let from = {}; ; ) {
      const { Items, LastEvaluatedKey } = await this.run<{ Items: { pk: { S: string } }[]; LastEvaluatedKey?: object }>(
        'Scan',
        { TableName: table, ProjectionExpression: 'pk', ...from },
      )
      keys.push(...Items.map(({ pk }) => pk.S))
      if (!LastEvaluatedKey) return keys.sort()
      from = { ExclusiveStartKey: LastEvaluatedKey }
    }
  }

  /** Everything in the table's stream. */
  async records(table: string): Promise<StreamRecord[]> {
    const ask = async (operation: string, input: unknown) =>
      JSON.parse(
        (
          await this.tables.execute('DynamoDBStreams_20120810', operation, Buffer.from(JSON.stringify(input)))
        ).toString(),
      )
    const { Table } = await this.run<{ Table: { LatestStreamArn: string } }>('DescribeTable', { TableName: table })
    const StreamArn = Table.LatestStreamArn
    const { StreamDescription } = await ask('DescribeStream', { StreamArn })
    const records: StreamRecord[] = []
    for (const { ShardId } of StreamDescription.Shards as { ShardId: string }[]) {
      const { ShardIterator } = await ask('GetShardIterator', {
        StreamArn,
        ShardId,
        ShardIteratorType: 'TRIM_HORIZON',
      })
      records.push(...((await ask('GetRecords', { ShardIterator })).Records as StreamRecord[]))
    }
    return records
  }

  async replicas(table: string): Promise<Record<string, string>> {
    const { Table } = await this.run<{ Table: { Replicas?: { RegionName: string; ReplicaStatus: string }[] } }>(
      'DescribeTable',
      { TableName: table },
    )
    return Object.fromEntries((Table.Replicas ?? []).map((each) => [each.RegionName, each.ReplicaStatus]))
  }

  async create(table: string, options: object = {}): Promise<void> {
    await this.run('CreateTable', {
      TableName: table,
      AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' },
      ...options,
    })
  }

  async update(table: string, ...ReplicaUpdates: object[]): Promise<Record<string, unknown>> {
    return this.run('UpdateTable', { TableName: table, ReplicaUpdates })
  }
}

/** Regions and the network between them, in one process and in time that the test moves. */
export class World {
  readonly names: readonly string[]
  readonly regions: readonly Region[]
  readonly settings: Partial<ReplicationSettings>
  /** Pairs that cannot reach each other, as `a b`, in both orders. */
  readonly #cut = new Set<string>()
  /** Asked for each call: whether it is lost before it arrives, or its answer is. */
  loses: () => 'call' | 'answer' | undefined = () => undefined
  calls = 0

  constructor(folder: string, names: readonly string[], own: Partial<ReplicationSettings> = {}) {
    this.names = names
    this.settings = own
    this.regions = names.map((name) => new Region(this, name, join(folder, name)))
  }

  static async open(folder: string, names: readonly string[], own?: Partial<ReplicationSettings>): Promise<World> {
    const world = new World(folder, names, own)
    for (const region of world.regions) await region.start()
    return world
  }

  cut(a: Region, b: Region): void {
    this.#cut.add(`${a.name} ${b.name}`).add(`${b.name} ${a.name}`)
  }

  heal(): void {
    this.#cut.clear()
  }

  transportOf(from: Region, storage: MemoryStorage): Transport {
    return {
      call: async (name, call, ask, body, signal) => {
        const unreachable = () => new MillraceError('REPLICA_UNAVAILABLE', `The region ${name} does not answer.`)
        this.calls++
        const lost = this.loses()
        await turn()
        const to = this.regions.find((region) => region.name === name)
        // What was started before a kill sends nothing any more.
        const isDead = () => signal.aborted || from.storage !== storage
        if (isDead() || lost === 'call' || this.#cut.has(`${from.name} ${name}`) || !to?.opened) throw unreachable()
        const { head, body: sent } = decodeFrame(encodeFrame(ask, body))
        const answering = to.opened.replication
          .answer(from.name, call, head as never, Buffer.from(sent))
          .catch((error: unknown) => {
            throw answeredError(JSON.stringify(asMillraceError(error))) ?? error
          })
        const target = to.storage
        const died = (async () => {
          while (to.storage === target && !isDead()) await turn()
          throw unreachable()
        })()
        died.catch(() => {})
        const answer = await Promise.race([answering, died])
        if (isDead() || lost === 'answer' || this.#cut.has(`${from.name} ${name}`)) throw unreachable()
        return JSON.parse(JSON.stringify(answer)) as never
      },
    }
  }

  /** Time goes on by so many milliseconds, in small steps, everywhere. */
  async pass(ms: number, stepMs = 50): Promise<void> {
    for (let passed = 0; passed < ms; passed += stepMs) {
      for (const region of this.regions) region.clock.advance(stepMs)
      for (let i = 0; i < 10; i++) await turn()
    }
  }

  /** Until something holds; fails when it does not within so much time of the clocks. */
  async until(what: string, holds: () => Promise<boolean> | boolean, withinMs = 60_000, stepMs = 50): Promise<void> {
    for (let passed = 0; passed < withinMs; passed += stepMs) {
      if (await holds()) return
      await this.pass(stepMs, stepMs)
    }
    throw new Error(`${what}: not within ${withinMs} ms`)
  }

  async close(): Promise<void> {
    for (const region of this.regions) await region.stop()
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
