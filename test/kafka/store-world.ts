import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Commit, Counters } from '../../src/commit/index.js'
import { DurableGroups } from '../../src/groups/index.js'
import { type BridgeRequest, Bridges, type KafkaMessage, type OpenCluster } from '../../src/kafka/index.js'
import { ChunkCursor, Codec, ShardedLog, type StreamId } from '../../src/log/index.js'
import { TableSnapshots } from '../../src/pipelines/index.js'
import { type Clock, hashKey, silentLogger, systemClock } from '../../src/runtime/index.js'
import { decodeChange, Tables } from '../../src/tables/index.js'
import type { WorkerPool } from '../../src/workers/index.js'
import { open } from '../commit/open-memory.js'
import { logLimits } from '../log/open-log.js'
import { MemoryStorage } from '../memory-storage.js'
import { FakeCluster, seenBy } from './fake-cluster.js'
import { origin, silent, until } from './memory.js'

/** Family of the rows of bridges. */
const bridgeFamily = 0x0c

/** The rooms that bridges stand on, over a store in memory, and a broker in memory: what a restart finds is what was committed. */
export class StoreWorld {
  readonly storage = new MemoryStorage()
  readonly cluster = new FakeCluster()
  readonly folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
  commit!: Commit
  log!: ShardedLog
  groups!: DurableGroups
  tables!: Tables
  bridges!: Bridges
  #n = 0
  #life = { killed: false, over: false }

  constructor(
    readonly around: { readonly workers?: WorkerPool; readonly clock?: Clock; readonly openCluster?: OpenCluster } = {},
  ) {}

  static async open(around: StoreWorld['around'] = {}): Promise<StoreWorld> {
    const world = new StoreWorld(around)
    await world.start()
    return world
  }

  async start(): Promise<void> {
    const { storage, cluster } = this
    const { workers, openCluster } = this.around
    const given = this.around.clock ?? systemClock
    const life = { killed: false, over: false }
    this.#life = life
    // What waits in a life that is over waits for good.
    const clock: Clock = {
      now: () => given.now(),
      monotonic: () => given.monotonic(),
      setTimeout: (run, ms) => given.setTimeout(() => life.over || run(), ms),
    }
    const { commit } = await open(storage, this.folder, { clock })
    const submit = commit.submit.bind(commit)
    commit.submit = (effects) => (life.killed ? new Promise(() => {}) : submit(effects))
    const counters = await Counters.open(storage)
    const log = await ShardedLog.open({ storage, commit, counters, limits: logLimits })
    const groups = await DurableGroups.open({ storage, commit, counters, log, groupsMax: 100 })
    const names = { region: 'here', accountId: '123456789012', eventIdPrefix: () => 'e', streamRetentionMs: 86_400_000 }
    const tables = await Tables.open({ storage, commit, counters, log, clock, logger: silentLogger, ...names })
    Object.assign(this, { commit, log, groups, tables })
    const stored = [...storage.rows].filter(([name]) => name.charCodeAt(0) === bridgeFamily).map(([, value]) => value)
    this.bridges = new Bridges({
      commit,
      groups,
      log,
      tables,
      clock,
      origin,
      stored,
      logger: silent,
      store: { id: 'store', epoch: 1 },
      random: () => 1,
      resolveSource: async (source) => this.#source(source),
      decodeChange,
      openCluster: openCluster ?? (() => seenBy(cluster, life)),
      snapshots: new TableSnapshots({ log, commit, clock, tables }),
      ...(workers && { converters: { workers, folder: this.folder, bundleBytesMax: 1 << 20 } }),
    })
    this.bridges.start()
  }

  async #source(source: string): Promise<StreamId> {
    if (source.startsWith('table:')) return this.tables.changeLog(source.slice('table:'.length))
    return this.log.streamNamed(source)!.id
  }

  async close(): Promise<void> {
    await this.bridges.close()
    this.#life.over = true
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** A kill and a start: nothing of the older life is answered, and nothing that it asks for comes to pass. */
  async kill(): Promise<void> {
    this.#life.killed = true
    // What was on its way to the disk may get there.
    await new Promise((resolve) => setTimeout(resolve, 10))
    this.#life.over = true
    await this.start()
  }

  /** A stop and a start of the daemon. */
  async restart(): Promise<void> {
    await this.bridges.close()
    this.#life.over = true
    await this.start()
  }

  create(request: Partial<BridgeRequest> & { readonly converter?: unknown } = {}) {
    return this.bridges.create({ name: 'test', source: 'clicks', brokers: 'a:1', ...request } as BridgeRequest)
  }

  async stream(name = 'clicks', shards = 1): Promise<StreamId> {
    return (await this.log.createStream({ name, kind: 'plain', shards, images: { old: false, new: false } })).id
  }

  /** Appends so many records, whose values count up. */
  async append(count: number, name = 'clicks', keys = 7): Promise<void> {
    const records = Array.from({ length: count }, () => {
      const key = Buffer.from(`key-${this.#n % keys}`)
      const body = Buffer.from(String(this.#n++))
      return { hash: hashKey(key), kind: 0 as const, flags: 0, codec: Codec.json, time: 0, key, body }
    })
    await this.commit.submit({ records: [{ stream: this.log.streamNamed(name)!.id, records }] })
  }

  async aws(operation: string, input: object): Promise<unknown> {
    return this.tables.execute('DynamoDB_20120810', operation, Buffer.from(JSON.stringify(input)))
  }

  async table(name = 'todo'): Promise<void> {
    await this.aws('CreateTable', {
      TableName: name,
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
    })
  }

  put(id: string, n: number): Promise<unknown> {
    return this.aws('PutItem', { TableName: 'todo', Item: { id: { S: id }, n: { N: String(n) } } })
  }

  remove(id: string): Promise<unknown> {
    return this.aws('DeleteItem', { TableName: 'todo', Key: { id: { S: id } } })
  }

  /** What the records of a stream of one shard say, out of their JSON. */
  async bodies(name: string): Promise<Record<string, unknown>[]> {
    const [shard] = this.log.shards(this.log.streamNamed(name)!.id)
    const { chunks } = await this.log.read(shard!.id, shard!.firstSequence, { bytesMax: 1e9 })
    const bodies: Record<string, unknown>[] = []
    for (const chunk of chunks)
      for (const cursor = new ChunkCursor(chunk); cursor.next(); ) bodies.push(JSON.parse(cursor.body.toString()))
    return bodies
  }

  messages(topic = 'millrace.clicks'): readonly KafkaMessage[] {
    return this.cluster.messages(topic)
  }

  /** The values in the order in which they came, of messages that have one. */
  values(topic = 'millrace.clicks'): number[] {
    return this.messages(topic).map(({ value }) => Number((JSON.parse(String(value)) as { after: number }).after))
  }

  async shown(name = 'test') {
    return this.bridges.show(name)
  }

  /** Waits until a bridge has delivered everything that there is. */
  async caughtUp(name = 'test'): Promise<void> {
    const view = () => this.bridges.list().find((each) => each.name === name)
    await until(() => view()?.state.kind === 'running' && view()?.statistics.lagRecords === 0, view)
  }

  async state(kind: string, name = 'test') {
    const view = () => this.bridges.list().find((each) => each.name === name)
    await until(() => view()?.state.kind === kind, view)
    const state = view()!.state
    return 'error' in state ? state.error : undefined
  }
}
