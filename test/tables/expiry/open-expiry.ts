import { type Commit, Counters, Family } from '../../../src/commit/index.js'
import { ShardedLog } from '../../../src/log/index.js'
import { type Logger, silentLogger } from '../../../src/runtime/index.js'
import { decodeExpiryKey } from '../../../src/tables/expiry/expiry-row.js'
import { AwsError, Tables, type TablesOptions } from '../../../src/tables/index.js'
import { open } from '../../commit/open-memory.js'
import { logLimits } from '../../log/open-log.js'
import { ManualClock } from '../../manual-clock.js'
import { MemoryStorage } from '../../memory-storage.js'
import { temporaryFolder } from '../../temporary-folder.js'

type Json = Record<string, unknown>

export interface StreamRecord {
  readonly eventName: string
  readonly userIdentity?: unknown
  readonly dynamodb: { readonly Keys: { pk: { S: string } }; readonly OldImage?: Json; readonly NewImage?: Json }
}

export interface OpenedExpiry {
  readonly storage: MemoryStorage
  readonly folder: string
  readonly clock: ManualClock
  readonly commit: Commit
  readonly log: ShardedLog
  readonly tables: Tables
  run<Body = Json>(operation: string, input: Json): Promise<Body>
  /** Type and text of the error that an operation is answered with. */
  refusal(operation: string, input: Json): Promise<[string, string]>
  /** Makes a table of the key `pk`. */
  create(name: string, options?: { view?: string }): Promise<void>
  ttl(name: string, attribute: string, isOn?: boolean): Promise<unknown>
  put(name: string, pk: string, more?: Json): Promise<unknown>
  /** The keys of a table's items, sorted. */
  keys(name: string): Promise<string[]>
  /** All records of a table's stream. */
  records(name: string): Promise<StreamRecord[]>
  /** The times of all expiry rows, in order. */
  expiryTimes(): number[]
  close(): Promise<void>
}

/** Tables on a store in memory, with a clock of the test's; a folder and a store of before for a restart. */
export async function openExpiry(
  options: {
    storage?: MemoryStorage
    folder?: string
    clock?: ManualClock
    control?: TablesOptions['control']
    ttl?: TablesOptions['ttl']
    logger?: Logger
  } = {},
): Promise<OpenedExpiry> {
  const storage = options.storage ?? new MemoryStorage()
  const folder = options.folder ?? temporaryFolder()
  const clock = options.clock ?? new ManualClock()
  const { commit } = await open(storage, folder, { clock })
  const counters = await Counters.open(storage)
  const log = await ShardedLog.open({ storage, commit, counters, limits: logLimits })
  const { control = {}, ttl = {} } = options
  const tables = await Tables.open({
    storage,
    commit,
    counters,
    log,
    clock,
    logger: options.logger ?? silentLogger,
    region: 'us-east-1',
    accountId: '123456789012',
    eventIdPrefix: () => 'event',
    streamRetentionMs: 24 * 60 * 60 * 1000,
    control,
    ttl,
  })
  const ask = async <Body>(service: string, operation: string, input: Json): Promise<Body> => {
    const answer = await tables.execute(service, operation, Buffer.from(JSON.stringify(input)))
    return JSON.parse(answer.toString() || '{}') as Body
  }
  const run = <Body = Json>(operation: string, input: Json) => ask<Body>('DynamoDB_20120810', operation, input)
  const stream = <Body>(operation: string, input: Json) => ask<Body>('DynamoDBStreams_20120810', operation, input)
  return {
    storage,
    folder,
    clock,
    commit,
    log,
    tables,
    run,
    refusal: async (operation, input) => {
      try {
        await run(operation, input)
      } catch (error) {
        if (error instanceof AwsError) return [error.type.slice(error.type.indexOf('#') + 1), error.message]
        throw error
      }
      throw new Error(`${operation} was not refused`)
    },
    create: async (TableName, { view } = {}) => {
      await run('CreateTable', {
        TableName,
        AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
        KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
        BillingMode: 'PAY_PER_REQUEST',
        ...(view ? { StreamSpecification: { StreamEnabled: true, StreamViewType: view } } : {}),
      })
    },
    ttl: (TableName, AttributeName, Enabled = true) =>
      run('UpdateTimeToLive', { TableName, TimeToLiveSpecification: { AttributeName, Enabled } }),
    put: (TableName, pk, more = {}) => run('PutItem', { TableName, Item: { pk: { S: pk }, ...more } }),
    keys: async (TableName) => {
      const { Items } = await run<{ Items: { pk: { S: string } }[] }>('Scan', { TableName })
      return Items.map(({ pk }) => pk.S).sort()
    },
    records: async (TableName) => {
      const { Table } = await run<{ Table: { LatestStreamArn: string } }>('DescribeTable', { TableName })
      const StreamArn = Table.LatestStreamArn
      const found: StreamRecord[] = []
      const { StreamDescription } = await stream<{ StreamDescription: { Shards: { ShardId: string }[] } }>(
        'DescribeStream',
        { StreamArn },
      )
      for (const { ShardId } of StreamDescription.Shards) {
        const request = { StreamArn, ShardId, ShardIteratorType: 'TRIM_HORIZON' }
        const { ShardIterator } = await stream<{ ShardIterator: string }>('GetShardIterator', request)
        const page = await stream<{ Records: StreamRecord[] }>('GetRecords', { ShardIterator })
        found.push(...page.Records)
      }
      return found
    },
    expiryTimes: () =>
      [...storage.rows.keys()]
        .filter((name) => name.charCodeAt(0) === Family.expiry)
        .map((name) => decodeExpiryKey(Buffer.from(name, 'latin1')).seconds)
        .sort((a, b) => a - b),
    close: async () => {
      await tables.close()
      await commit.close()
    },
  }
}

/** A number of an item. */
export const n = (value: number | string): { N: string } => ({ N: String(value) })
