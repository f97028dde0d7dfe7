import { expect, test } from 'vitest'
import { Counters } from '../../../src/commit/index.js'
import { ShardedLog } from '../../../src/log/index.js'
import { silentLogger } from '../../../src/runtime/index.js'
import { Tables } from '../../../src/tables/index.js'
import { limits, open } from '../../commit/open-memory.js'
import { logLimits } from '../../log/open-log.js'
import { ManualClock } from '../../manual-clock.js'
import { MemoryStorage } from '../../memory-storage.js'
import { temporaryFolder } from '../../temporary-folder.js'

interface BatchAnswer {
  readonly UnprocessedItems: Record<string, { PutRequest: { Item: { pk: { S: string } } } }[]>
}

test('writes of a batch that find no room are named, and are an error only when none found any', async () => {
  const storage = new MemoryStorage()
  const clock = new ManualClock()
  const queueBytesMax = 20_000
  const { commit } = await open(storage, temporaryFolder(), { clock, limits: { ...limits, queueBytesMax } })
  const counters = await Counters.open(storage)
  const log = await ShardedLog.open({ storage, commit, counters, limits: logLimits })
  const logger = silentLogger
  const names = {
    region: 'here',
    accountId: '123456789012',
    eventIdPrefix: () => 'event',
    streamRetentionMs: 86_400_000,
  }
  const tables = await Tables.open({ storage, commit, counters, log, clock, logger, ...names })
  const run = async <Body>(operation: string, input: unknown): Promise<Body> => {
    const answer = await tables.execute('DynamoDB_20120810', operation, Buffer.from(JSON.stringify(input)))
    return JSON.parse(answer.toString()) as Body
  }
  const TableName = 'busy'
  await run('CreateTable', {
    TableName,
    AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
  })
  let goOn = () => {}
  const held = new Promise<void>((resolve) => {
    goOn = resolve
  })
  storage.beforeWrite = () => held
  const put = (pk: string) => ({ PutRequest: { Item: { pk: { S: pk }, x: { S: 'x'.repeat(1000) } } } })
  const batch = (prefix: string) => ({
    RequestItems: { [TableName]: Array.from({ length: 25 }, (_, i) => put(`${prefix}${i}`)) },
  })
  const before = run('PutItem', { TableName, Item: { pk: { S: 'before' }, x: { S: 'x'.repeat(1000) } } })
  const first = run<BatchAnswer>('BatchWriteItem', batch('a'))
  // The queue is full by now and stays so while the disk is held.
  await expect(run('BatchWriteItem', batch('b'))).rejects.toMatchObject({ code: 'TOO_BUSY' })
  goOn()
  const left = (await first).UnprocessedItems[TableName]!.map(({ PutRequest }) => PutRequest.Item.pk.S)
  const page = await run<{ Items: { pk: { S: string } }[] }>('Scan', { TableName })
  await before
  const there = page.Items.map(({ pk }) => pk.S).filter((pk) => pk !== 'before')
  expect(there.length).toBeGreaterThan(5)
  expect(left.length).toBeGreaterThan(3)
  expect([...there, ...left].sort()).toEqual(Array.from({ length: 25 }, (_, i) => `a${i}`).sort())
})
