import type { Commit, Counters, EffectSet, Release } from '../commit/index.js'
import type { Sequence, ShardedLog, StreamId } from '../log/index.js'
import { type Clock, type Logger, MillraceError } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import { Backfills } from './catalogue/backfill.js'
import { Catalogue, type Table } from './catalogue/catalogue.js'
import { AbsentFeatures } from './control/absent-features.js'
import { ItemCounts } from './control/item-counts.js'
import { type ControlSettings, controlDefaults } from './control/settings.js'
import { refuseForeignArns } from './control/table-arns.js'
import { TableOperations } from './control/table-operations.js'
import { TagOperations } from './control/tags.js'
import { Throttle } from './control/throttle.js'
import { deriveExpiry } from './expiry/expiry-row.js'
import { Sweeper } from './expiry/sweeper.js'
import { TimeToLive } from './expiry/time-to-live.js'
import { deriveEntry, ItemCollections } from './indexes/index.js'
import type { TableKeys } from './indexes/item-check.js'
import { BatchReads } from './items/batch-get.js'
import { BatchWrites } from './items/batch-write.js'
import { type GivenWrite, givenDelete, givenPut, givenTargets } from './items/given-writes.js'
import { ItemOperations } from './items/item-operations.js'
import { itemKey } from './items/item-row.js'
import { type TakeOptions, takeItems } from './items/take-items.js'
import { type Target, Writer } from './items/writer.js'
import { statementOperations } from './partiql/index.js'
import { type ItemPage, type ItemPageRequest, itemPage } from './reads/item-page.js'
import type { PageCache } from './reads/page-cache.js'
import { RangeOperations } from './reads/range-operations.js'
import { clockKey, clockMsOf, HybridClock, PastMembers, ReplicatedTables } from './replication/index.js'
import type { Asked } from './requests/asked.js'
import { AwsError, asAwsError, isRefusal, unknownOperation } from './requests/aws-error.js'
import { type Input, parseInput } from './requests/request.js'
import { checkShape, checkShapeOfValues } from './requests/shapes.js'
import { type FollowedStream, followedStream } from './streams/followed-stream.js'
import { StreamOperations } from './streams/stream-operations.js'
import { WindowTime } from './streams/window-time.js'
import { type TableInfo, tableInfo } from './table-info.js'
import { TransactionOperations, Transactions } from './transactions/index.js'
import { type Item, itemSize, type KeySchema, keyOf, ValidationError } from './values/index.js'

export interface TablesOptions {
  readonly storage: Storage
  readonly commit: Commit
  readonly counters: Counters
  readonly log: ShardedLog
  readonly clock: Clock
  readonly logger: Logger
  /** Region and account of resource names. */
  readonly region: string
  readonly accountId: string
  /** Of an event id, what stands before the digits of its sequence number (log/event-id.ts). */
  readonly eventIdPrefix: (sequence: number) => string
  /** What an AWS stream shows of its change log, and how long a closed one can be read. */
  readonly streamRetentionMs: number
  /** How the control plane behaves; what is left out is as by default. */
  readonly control?: Partial<ControlSettings>
  readonly ttl?: Partial<ExpirySettings>
  readonly replicas?: { readonly conflictsMax: number }
}

/** `ttl` of the configuration. */
export interface ExpirySettings {
  readonly sweepMs: number
  readonly rowsAtOnceMax: number
  readonly changeMs: number
}

const expiryDefaults: ExpirySettings = { sweepMs: 500, rowsAtOnceMax: 256, changeMs: 0 }

/** Conflicts of one table that are kept. */
const conflictsMaxInitial = 1000

type Operation = (input: Input, asked: Asked) => Buffer | Promise<Buffer | object>

/** Minutes for which a client may keep what DescribeEndpoints answers. */
const endpointMinutes = 1440

/** Tables that speak the DynamoDB API, and the streams over their changes. */
export class Tables {
  readonly #catalogue: Catalogue
  readonly #writer: Writer
  readonly #transactions: Transactions
  readonly #backfills: Backfills
  readonly #counts: ItemCounts
  /** Answers of Query in memory. */
  readonly queryCache: Pick<PageCache, 'reads' | 'bytes'>
  readonly #now: () => number
  readonly #options: TablesOptions
  readonly #windowTime: WindowTime
  readonly #home: { readonly region: string; readonly accountId: string }
  /** Tables with replicas in other regions. */
  readonly replicas: ReplicatedTables
  /** Deletes items whose time to live is over. */
  readonly sweeper: Sweeper
  readonly #operations: Readonly<Record<string, Readonly<Record<string, Operation>>>>

  private constructor(
    options: TablesOptions,
    catalogue: Catalogue,
    windowTime: WindowTime,
    { stamps, past }: { readonly stamps: HybridClock; readonly past: PastMembers },
  ) {
    this.#catalogue = catalogue
    this.#options = options
    this.#windowTime = windowTime
    this.#home = { region: options.region, accountId: options.accountId }
    const { clock } = options
    const now = () => clock.now()
    this.#now = now
    const settings = { ...controlDefaults, ...options.control }
    const throttle = new Throttle(settings.throttle, clock, (name) => catalogue.tableArn(name))
    this.#writer = new Writer(options.commit, catalogue, throttle, stamps)
    this.replicas = new ReplicatedTables({
      ...options,
      conflictsMax: options.replicas?.conflictsMax ?? conflictsMaxInitial,
      catalogue,
      writer: this.#writer,
      clock: stamps,
      past,
    })
    catalogue.rowsOfDeleted = (row) => past.rowsOfDeleted(row, now())
    catalogue.replicaStatus = (table, region) =>
      this.replicas.links?.status(table, region) ?? {
        status: 'CREATING',
        description: 'This daemon has no links to other regions.',
      }
    this.#backfills = new Backfills({ ...options, catalogue, derivers: { expiry: deriveExpiry, index: deriveEntry } })
    const collections = new ItemCollections(options.storage)
    this.#counts = new ItemCounts({ ...options, catalogue, countMs: settings.countMs })
    this.sweeper = new Sweeper({ ...options, ...expiryDefaults, ...options.ttl, catalogue, writer: this.#writer })
    this.#writer.observeExpiry((table, seconds) => this.sweeper.lower(table, seconds))
    const items = new ItemOperations(options.commit, catalogue, this.#writer, throttle, collections)
    const batchWrites = new BatchWrites(catalogue, this.#writer, collections)
    const batchReads = new BatchReads(options.commit, catalogue, throttle)
    const ranges = new RangeOperations(
      options.storage,
      options.commit,
      catalogue,
      throttle,
      settings.queryCacheBytesMax,
    )
    this.queryCache = ranges.pages
    const tables = new TableOperations({
      catalogue,
      backfills: this.#backfills,
      settings,
      home: this.#home,
      replicas: this.replicas,
      now,
      onDeleted: (id) => throttle.forget(id),
    })
    const tags = new TagOperations(catalogue, this.#home, now)
    const changeMs = options.ttl?.changeMs ?? expiryDefaults.changeMs
    const onSwitched = (id: number) => this.sweeper.forget(id)
    const timeToLive = new TimeToLive({ catalogue, backfills: this.#backfills, clock, changeMs, onSwitched })
    this.#transactions = new Transactions({ ...options, catalogue, writer: this.#writer })
    const transactions = new TransactionOperations(this.#transactions, collections)
    const absent = new AbsentFeatures(catalogue, this.#home)
    const streams = new StreamOperations({ ...options, catalogue, windowTime })
    this.#operations = {
      DynamoDB_20120810: {
        PutItem: (input) => items.put(input),
        GetItem: (input) => items.get(input),
        UpdateItem: (input) => items.update(input),
        DeleteItem: (input) => items.delete(input),
        BatchWriteItem: (input) => batchWrites.write(input),
        BatchGetItem: (input) => batchReads.get(input),
        TransactWriteItems: (input) => transactions.write(input),
        TransactGetItems: (input) => transactions.get(input),
        ...statementOperations({ ...options, catalogue, writer: this.#writer, transactions: this.#transactions }),
        Query: (input) => ranges.query(input),
        Scan: (input) => ranges.scan(input),
        CreateTable: (input) => tables.create(input),
        DescribeTable: (input) => tables.describeTable(input),
        UpdateTable: (input) => tables.update(input),
        DeleteTable: (input) => tables.delete(input),
        ListTables: (input) => tables.list(input),
        UpdateTimeToLive: (input) => timeToLive.update(input),
        DescribeTimeToLive: (input) => timeToLive.describe(input),
        TagResource: (input) => tags.tag(input),
        UntagResource: (input) => tags.untag(input),
        ListTagsOfResource: (input) => tags.list(input),
        DescribeEndpoints: async (_input, { host }) => ({
          Endpoints: [{ Address: host, CachePeriodInMinutes: endpointMinutes }],
        }),
        ...absent.operations,
      },
      DynamoDBStreams_20120810: {
        ListStreams: (input) => streams.listStreams(input),
        DescribeStream: (input) => streams.describeStream(input),
        GetShardIterator: (input) => streams.getShardIterator(input),
        GetRecords: (input, asked) => streams.getRecords(input, asked),
      },
    }
  }

  static async open(options: TablesOptions): Promise<Tables> {
    const windowTime = new WindowTime(options.commit.time, options.streamRetentionMs)
    const settings = { ...controlDefaults, ...options.control }
    const catalogue = await Catalogue.open({ ...options, windowTime, settings })
    // A reader of AWS polls a closed parent for its children until it finds them, and knows a single parent of a shard.
    options.log.guardMerges((stream) => {
      const window = catalogue.awsStreams().find((each) => each.stream === stream)
      return window && `the AWS stream ${catalogue.streamArn(window)} can still be read`
    })
    const stamps = new HybridClock(options.commit.time, clockMsOf(await options.storage.get(clockKey)))
    const past = await PastMembers.open(options.storage)
    return new Tables(options, catalogue, windowTime, { stamps, past })
  }

  /**
   * Runs one operation of the AWS JSON protocol; what needs no disk is answered at once. Throws or rejects with AwsError, or
   * MillraceError for faults of the daemon itself. While an operation waits for the disk its body is held, and not what was
   * parsed of it: the garbage collector copies whatever lives that long.
   */
  execute(
    service: string,
    operation: string,
    body: Buffer,
    asked: Asked = { host: 'localhost' },
  ): Buffer | Promise<Buffer> {
    const operations = this.#operations[service]
    if (!operations || !Object.hasOwn(operations, operation)) throw unknownOperation()
    const input = this.#read(operation, body)
    try {
      const answer = (operations[operation] as Operation)(input, asked)
      if (Buffer.isBuffer(answer)) return answer
      return answer.then(bytesOf, (thrown: unknown) => {
        throw failureOf(thrown, operation, body)
      })
    } catch (thrown) {
      throw failureOf(thrown, operation, body)
    }
  }

  #read(operation: string, body: Buffer): Input {
    try {
      const input = parseInput(body)
      checkShape(operation, input)
      refuseForeignArns(operation, input, this.#home)
      return input
    } catch (thrown) {
      throw asAwsError(thrown, operation)
    }
  }

  list(): TableInfo[] {
    const now = this.#now()
    return [...this.#catalogue.tables()].map(({ row }) => tableInfo(this.#catalogue, row, now))
  }

  /** The key attributes of a table, or undefined when it is not there. */
  schema(name: string): KeySchema | undefined {
    return this.#catalogue.get(name)?.row.schema
  }

  /** The key attributes of a table with its indexes, or undefined when it is not there. */
  keys(name: string): TableKeys | undefined {
    const row = this.#catalogue.get(name)?.row
    return row && { ...row.schema, ...(row.indexes ? { indexes: row.indexes } : {}) }
  }

  /** The table's change log with both images from here on, for pipelines and bridges. Throws NOT_FOUND. */
  async changeLog(name: string): Promise<StreamId> {
    try {
      return await this.#catalogue.follow(name)
    } catch (error) {
      if (error instanceof AwsError)
        throw new MillraceError('NOT_FOUND', `There is no table named ${name}.`, { cause: error })
      throw error
    }
  }

  /** The next items of a table, see `itemPage`: a pipeline's snapshot of it. */
  items(request: ItemPageRequest): Promise<ItemPage> {
    const { storage, commit } = this.#options
    return itemPage(request, { storage, catalogue: this.#catalogue, time: commit.time })
  }

  /**
   * Puts into any tables as one effect set, for sinks; the rows are latched until the release, which the caller calls after
   * its submit. Of several items with one key the last one counts. Throws NOT_FOUND.
   */
  async prepare(
    puts: ReadonlyMap<string, readonly Item[]>,
  ): Promise<{ effects: Pick<EffectSet, 'rows' | 'records'>; release: Release }> {
    const targets: Target[] = []
    for (const [name, items] of puts) {
      const table = this.#catalogue.find(name)
      if (!table) throw tableNotFound(name)
      targets.push(...putTargets(table, items))
    }
    try {
      return await this.#writer.prepare(targets)
    } catch (error) {
      if (!(error instanceof AwsError)) throw error
      throw tableNotFound([...puts.keys()].find((name) => !this.#catalogue.find(name)) ?? [...puts.keys()].join(', '))
    }
  }

  /** A put of the item that DynamoDB JSON says, for `prepareGiven`. Throws NOT_FOUND, and ValidationError for what the table does not take. */
  givenPut(name: string, raw: unknown): GivenWrite {
    return givenPut(this.#given(name), raw)
  }

  /** A delete of the item whose key DynamoDB JSON says, for `prepareGiven`. Throws NOT_FOUND, ValidationError. */
  givenDelete(name: string, raw: unknown): GivenWrite {
    return givenDelete(this.#given(name), raw)
  }

  #given(name: string): Table {
    const table = this.#catalogue.find(name)
    if (!table) throw tableNotFound(name)
    return table
  }

  /**
   * Writes of one table, no two of the same row, as one effect set; the rows are latched until the release, which the caller calls
   * after its submit. Throws NOT_FOUND; CONFLICT when the table has changed since the writes were checked.
   */
  async prepareGiven(
    name: string,
    writes: readonly GivenWrite[],
  ): Promise<{ effects: Pick<EffectSet, 'rows' | 'records'>; release: Release }> {
    const targets = givenTargets(this.#catalogue, name, writes)
    if (!targets) throw tableNotFound(name)
    try {
      return await this.#writer.prepare(targets)
    } catch (error) {
      if (error instanceof AwsError) throw tableNotFound(name)
      if (error instanceof ValidationError) throw new MillraceError('CONFLICT', error.message, { cause: error })
      throw error
    }
  }

  /** Makes a table with the key of another one, on demand and without indexes, where there is none of the name. Throws NOT_FOUND. */
  async createLike(name: string, other: string): Promise<void> {
    const like = this.#catalogue.get(other)
    if (!like) throw tableNotFound(other)
    if (this.#catalogue.get(name)) return
    const { schema } = like.row
    const throughput = { read: 0, write: 0 }
    await asMillrace(
      this.#catalogue.create(
        { name, schema, billing: 'PAY_PER_REQUEST', throughput, deletionProtection: false },
        undefined,
      ),
    )
  }

  /** Deletes a table with all of its items; nothing happens where there is none. */
  async drop(name: string): Promise<void> {
    if (this.#catalogue.find(name)) await asMillrace(this.#catalogue.delete(name))
  }

  /**
   * Makes the items of a table those of another one of the same key, in small commits, each with its change records; the
   * same again goes on. See `takeItems`. Throws NOT_FOUND, CONFLICT.
   */
  async take(from: string, into: string, options: TakeOptions): Promise<boolean> {
    const [source, target] = [this.#catalogue.find(from), this.#catalogue.find(into)]
    if (!source || !target) throw tableNotFound(source ? into : from)
    return asMillrace(takeItems(source.row, target, options, { ...this.#options, writer: this.#writer }))
  }

  /** Whether an AWS stream over a change log can still be read. */
  hasWindow(stream: StreamId): boolean {
    return this.#catalogue.awsStreams().some((window) => window.stream === stream)
  }

  /** An AWS stream for whoever follows it within the daemon; undefined when there is none that can be read. */
  awsStream(arn: string): FollowedStream | undefined {
    const found = this.#catalogue.awsStream(arn)
    return found && followedStream(arn, found)
  }

  /** The AWS stream of a table that is on. */
  latestStream(table: string): FollowedStream | undefined {
    const label = this.#catalogue.get(table)?.row.label
    return label === undefined ? undefined : this.awsStream(this.#catalogue.streamArn({ tableName: table, label }))
  }

  /** The oldest record that an AWS stream shows, as TRIM_HORIZON does. */
  async horizonOf({ stream, first }: Pick<FollowedStream, 'stream' | 'first'>): Promise<Sequence> {
    const { until } = this.#windowTime
    if (until <= 0) return first
    return Math.max(first, await this.#options.log.sequenceAtTime(stream, until + 1)) as Sequence
  }

  /** Forgets AWS streams that can no longer be read. */
  expireStreams(): Promise<void> {
    return this.#catalogue.expireStreams()
  }

  /** How long the oldest item has been due that its time to live has not deleted yet. */
  ttlLagSeconds(): number {
    return this.sweeper.lagSeconds(this.#now())
  }

  /** Begins to sweep and to count. */
  start(): void {
    this.sweeper.start()
    this.#counts.start()
  }

  async close(): Promise<void> {
    await Promise.all([this.sweeper.close(), this.#counts.close()])
    await Promise.all([this.#backfills.close(), this.#transactions.close()])
    await this.#catalogue.close()
  }
}

const bytesOf = (answer: Buffer | object): Buffer =>
  Buffer.isBuffer(answer) ? answer : Buffer.from(JSON.stringify(answer))

/** The walk through all values is left to requests that are refused. */
function failureOf(thrown: unknown, operation: string, body: Buffer): unknown {
  try {
    if (isRefusal(thrown)) checkShapeOfValues(operation, parseInput(body))
    return asAwsError(thrown, operation)
  } catch (fault) {
    return asAwsError(fault, operation)
  }
}

const tableNotFound = (name: string): MillraceError =>
  new MillraceError('NOT_FOUND', `There is no table named ${name}.`)

/** What is refused in AWS's words is said in ours. */
async function asMillrace<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof AwsError)) throw error
    throw new MillraceError('CONFLICT', error.message, { cause: error })
  }
}

/** Of several puts of one item the last one counts: they would otherwise decide on the same old row. */
function putTargets(table: Table, items: readonly Item[]): Iterable<Target> {
  const { id, schema } = table.row
  const targets = new Map<string, Target>()
  for (const item of items) {
    const keyAttributes = keyOf(item, schema)
    const decision = { kind: 'put', item, size: itemSize(item) } as const
    const row = itemKey(id, schema, keyAttributes).row.toString('latin1')
    targets.set(row, { table, keyAttributes, decide: () => decision })
  }
  return targets.values()
}
