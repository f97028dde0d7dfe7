import { type CommitLimits, Counters } from '../../src/commit/index.js'
import { ShardedLog } from '../../src/log/index.js'
import { silentLogger } from '../../src/runtime/index.js'
import { Tables } from '../../src/tables/index.js'
import { open } from '../commit/open-memory.js'
import { logLimits } from '../log/open-log.js'
import type { ManualClock } from '../manual-clock.js'
import { MemoryStorage } from '../memory-storage.js'

export interface OpenTables {
  readonly tables: Tables
  readonly storage: MemoryStorage
  /** Runs an operation; throws what the server would translate. */
  run<Body = Record<string, unknown>>(operation: string, input: unknown): Promise<Body>
  /** A table with `pk` (S). */
  table(name: string): Promise<string>
  close(): Promise<void>
}

/** Tables on a store in memory, which may be one that others were opened on before. */
export async function openTables(options: {
  readonly clock: ManualClock
  readonly folder: string
  readonly storage?: MemoryStorage
  readonly limits?: CommitLimits
  readonly tailCacheBytesMax?: number
}): Promise<OpenTables> {
  const { clock, storage = new MemoryStorage() } = options
  const { commit } = await open(storage, options.folder, {
    clock,
    ...(options.limits ? { limits: options.limits } : {}),
  })
  const counters = await Counters.open(storage)
  const tailCacheBytesMax = options.tailCacheBytesMax ?? logLimits.tailCacheBytesMax
  const log = await ShardedLog.open({ storage, commit, counters, limits: { ...logLimits, tailCacheBytesMax } })
  const names = {
    region: 'here',
    accountId: '123456789012',
    eventIdPrefix: () => 'event',
    streamRetentionMs: 86_400_000,
  }
  const tables = await Tables.open({ storage, commit, counters, log, clock, logger: silentLogger, ...names })
  const run = async <Body>(operation: string, input: unknown): Promise<Body> => {
    const answer = await tables.execute('DynamoDB_20120810', operation, Buffer.from(JSON.stringify(input)))
    return JSON.parse(answer.toString()) as Body
  }
  return {
    tables,
    storage,
    run,
    table: async (TableName) => {
      await run('CreateTable', {
        TableName,
        AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
        KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
        BillingMode: 'PAY_PER_REQUEST',
      })
      return TableName
    },
    close: async () => {
      await tables.close()
      await commit.close()
    },
  }
}
