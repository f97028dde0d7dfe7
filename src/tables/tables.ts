import type { Commit, Counters, EffectSet, Release } from '../commit/index.js'
import type { ShardedLog, StreamId } from '../log/index.js'
import { type Clock, type Logger, MillraceError } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import { AwsError, asAwsError, unknownOperation } from './aws-error.js'
import { Backfills } from './backfill.js'
import { BatchOperations } from './batch-operations.js'
import { Catalogue, type Table } from './catalogue.js'
import { deriveEntry, ItemCollections } from './indexes/index.js'
import { ItemOperations } from './item-operations.js'
import { itemKey } from './item-row.js'
import { statementOperations } from './partiql/index.js'
import { RangeOperations } from './range-operations.js'
import { type Input, parseInput } from './request.js'
import { checkShape } from './shapes.js'
import { StreamOperations } from './stream-operations.js'
import { TableOperations } from './table-operations.js'
import { TransactionOperations, Transactions } from './transactions/index.js'
import { type Item, itemSize, type KeySchema, keyOf } from './values/index.js'
import { WindowTime } from './window-time.js'
import { type Target, Writer } from './writer.js'

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
  readonly eventId: (sequence: number) => string
  /** What an AWS stream shows of its change log, and how long a closed one can be read. */
  readonly streamRetentionMs: number
}

export interface TableInfo {
  readonly name: string
  readonly keys: string
  readonly billing: string
  /** View type of the AWS stream that is on. */
  readonly stream: string | undefined
  readonly arn: string
}

type Operation = (input: Input) => Promise<Buffer | object>

/** Tables that speak the DynamoDB API, and the streams over their changes. */
export class Tables {
  readonly #catalogue: Catalogue
  readonly #writer: Writer
  readonly #transactions: Transactions
  readonly #backfills: Backfills
  readonly #operations: Readonly<Record<string, Readonly<Record<string, Operation>>>>

  private constructor(options: TablesOptions, catalogue: Catalogue, windowTime: WindowTime) {
    this.#catalogue = catalogue
    this.#writer = new Writer(options.commit, catalogue)
    this.#backfills = new Backfills({ ...options, catalogue, derivers: { index: deriveEntry } })
    const collections = new ItemCollections(options.storage)
    const items = new ItemOperations(options.commit, catalogue, this.#writer, collections)
    const batches = new BatchOperations(options.commit, catalogue, this.#writer, collections)
    const ranges = new RangeOperations(options.storage, options.commit, catalogue)
    const tables = new TableOperations(catalogue, this.#backfills)
    this.#transactions = new Transactions({ ...options, catalogue, writer: this.#writer })
    const transactions = new TransactionOperations(this.#transactions, collections)
    const streams = new StreamOperations({ ...options, catalogue, windowTime })
    this.#operations = {
      DynamoDB_20120810: {
        PutItem: (input) => items.put(input),
        GetItem: (input) => items.get(input),
        UpdateItem: (input) => items.update(input),
        DeleteItem: (input) => items.delete(input),
        BatchWriteItem: (input) => batches.write(input),
        BatchGetItem: (input) => batches.get(input),
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
        DescribeTimeToLive: (input) => tables.describeTimeToLive(input),
        DescribeContinuousBackups: (input) => tables.describeContinuousBackups(input),
        ListTagsOfResource: (input) => tables.listTags(input),
        DescribeLimits: async () => ({
          AccountMaxReadCapacityUnits: 80_000,
          AccountMaxWriteCapacityUnits: 80_000,
          TableMaxReadCapacityUnits: 40_000,
          TableMaxWriteCapacityUnits: 40_000,
        }),
      },
      DynamoDBStreams_20120810: {
        ListStreams: (input) => streams.listStreams(input),
        DescribeStream: (input) => streams.describeStream(input),
        GetShardIterator: (input) => streams.getShardIterator(input),
        GetRecords: (input) => streams.getRecords(input),
      },
    }
  }

  static async open(options: TablesOptions): Promise<Tables> {
    const windowTime = new WindowTime(options.commit.time, options.streamRetentionMs)
    const catalogue = await Catalogue.open({ ...options, windowTime })
    // A reader of AWS polls a closed parent for its children until it finds them, and knows a single parent of a shard.
    options.log.guardMerges((stream) => {
      const window = catalogue.awsStreams().find((each) => each.stream === stream)
      return window && `the AWS stream ${catalogue.streamArn(window)} can still be read`
    })
    return new Tables(options, catalogue, windowTime)
  }

  /** Runs one operation of the AWS JSON protocol. Throws AwsError, or MillraceError for faults of the daemon itself. */
  async execute(service: string, operation: string, body: Buffer): Promise<Buffer> {
    const run = this.#operations[service]
    if (!run || !Object.hasOwn(run, operation)) throw unknownOperation()
    try {
      const input = parseInput(body)
      checkShape(operation, input)
      const answer = await (run[operation] as Operation)(input)
      return Buffer.isBuffer(answer) ? answer : Buffer.from(JSON.stringify(answer))
    } catch (error) {
      throw asAwsError(error, operation)
    }
  }

  list(): TableInfo[] {
    return [...this.#catalogue.tables()].map(({ row }) => ({
      name: row.name,
      keys: [row.schema.hash, row.schema.range].flatMap((key) => (key ? [`${key.name} ${key.type}`] : [])).join(', '),
      billing: row.billing,
      stream:
        row.label === undefined
          ? undefined
          : this.#catalogue.awsStream(this.#catalogue.streamArn({ tableName: row.name, label: row.label }))?.view,
      arn: this.#catalogue.tableArn(row.name),
    }))
  }

  /** The key attributes of a table, or undefined when it is not there. */
  schema(name: string): KeySchema | undefined {
    return this.#catalogue.find(name)?.row.schema
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

  /** Whether an AWS stream over a change log can still be read. */
  hasWindow(stream: StreamId): boolean {
    return this.#catalogue.awsStreams().some((window) => window.stream === stream)
  }

  /** Forgets AWS streams that can no longer be read. */
  expireStreams(): Promise<void> {
    return this.#catalogue.expireStreams()
  }

  async close(): Promise<void> {
    await Promise.all([this.#backfills.close(), this.#transactions.close()])
    await this.#catalogue.close()
  }
}

const tableNotFound = (name: string): MillraceError =>
  new MillraceError('NOT_FOUND', `There is no table named ${name}.`)

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
