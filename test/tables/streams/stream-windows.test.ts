import { expect, test } from 'vitest'
import { Counters } from '../../../src/commit/index.js'
import { ShardedLog } from '../../../src/log/index.js'
import { silentLogger } from '../../../src/runtime/index.js'
import { Tables } from '../../../src/tables/index.js'
import { open } from '../../commit/open-memory.js'
import { logLimits } from '../../log/open-log.js'
import { ManualClock } from '../../manual-clock.js'
import { MemoryStorage } from '../../memory-storage.js'
import { temporaryFolder } from '../../temporary-folder.js'

type Json = Record<string, unknown>

interface Described {
  readonly StreamStatus: string
  readonly Shards: readonly {
    readonly ShardId: string
    readonly ParentShardId?: string
    readonly SequenceNumberRange: { readonly StartingSequenceNumber: string; readonly EndingSequenceNumber?: string }
  }[]
  readonly LastEvaluatedShardId?: string
}

interface Page {
  readonly Records: readonly { readonly dynamodb: { readonly Keys: unknown; readonly SequenceNumber: string } }[]
  readonly NextShardIterator?: string
}

/** Tables on a memory store, with a clock of the test's. */
async function openTables() {
  const storage = new MemoryStorage()
  const clock = new ManualClock()
  const { commit } = await open(storage, temporaryFolder(), { clock })
  const counters = await Counters.open(storage)
  const log = await ShardedLog.open({ storage, commit, counters, limits: logLimits })
  const tables = await Tables.open({
    storage,
    commit,
    counters,
    log,
    clock,
    logger: silentLogger,
    region: 'here',
    accountId: '123456789012',
    eventIdPrefix: () => 'event',
    streamRetentionMs: 24 * 60 * 60 * 1000,
  })
  const run = async <Body>(service: string, operation: string, input: Json): Promise<Body> =>
    JSON.parse((await tables.execute(service, operation, Buffer.from(JSON.stringify(input)))).toString()) as Body
  const table = <Body = Json>(operation: string, input: Json) => run<Body>('DynamoDB_20120810', operation, input)
  const stream = <Body = Json>(operation: string, input: Json) =>
    run<Body>('DynamoDBStreams_20120810', operation, input)
  const describe = async (StreamArn: string, input: Json = {}) =>
    (await stream<{ StreamDescription: Described }>('DescribeStream', { StreamArn, ...input })).StreamDescription
  const iterator = async (StreamArn: string, ShardId: string, ShardIteratorType: string, SequenceNumber?: string) =>
    (
      await stream<{ ShardIterator: string }>('GetShardIterator', {
        StreamArn,
        ShardId,
        ShardIteratorType,
        SequenceNumber,
      })
    ).ShardIterator
  const read = (ShardIterator: string, Limit?: number) => stream<Page>('GetRecords', { ShardIterator, Limit })
  const on = { StreamEnabled: true, StreamViewType: 'KEYS_ONLY' }
  const create = async (TableName: string) => {
    const made = await table<{ TableDescription: { LatestStreamArn: string } }>('CreateTable', {
      TableName,
      AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
      StreamSpecification: on,
    })
    return made.TableDescription.LatestStreamArn
  }
  const put = (TableName: string, pk: string) => table('PutItem', { TableName, Item: { pk: { S: pk } } })
  const turn = (TableName: string, spec: Json) => table('UpdateTable', { TableName, StreamSpecification: spec })
  return { clock, log, table, stream, describe, iterator, read, create, put, turn, on }
}

const keysOf = (page: Page) => page.Records.map(({ dynamodb }) => dynamodb.Keys)

test('an iterator is good for fifteen minutes, and one that is handed out later for its own', async () => {
  const { clock, create, put, describe, iterator, read } = await openTables()
  const arn = await create('expiring')
  await put('expiring', 'a')
  const [shard] = (await describe(arn)).Shards
  const first = await iterator(arn, shard!.ShardId, 'TRIM_HORIZON')
  clock.advance(15 * 60 * 1000)
  const page = await read(first)
  expect(keysOf(page)).toEqual([{ pk: { S: 'a' } }])
  clock.advance(1)
  await expect(read(first)).rejects.toMatchObject({ type: expect.stringContaining('#ExpiredIteratorException') })
  clock.advance(15 * 60 * 1000 - 1)
  expect((await read(page.NextShardIterator!)).Records).toEqual([])
})

test('a stream that was switched off is read for a day, then it is gone', async () => {
  const { clock, stream, create, put, describe, iterator, read, turn } = await openTables()
  const arn = await create('fading')
  await put('fading', 'a')
  await turn('fading', { StreamEnabled: false })
  const listed = async () => (await stream<{ Streams: unknown[] }>('ListStreams', { TableName: 'fading' })).Streams
  clock.advance(24 * 60 * 60 * 1000 - 1)
  const description = await describe(arn)
  expect(description.StreamStatus).toBe('DISABLED')
  const page = await read(await iterator(arn, description.Shards[0]!.ShardId, 'TRIM_HORIZON'))
  expect(keysOf(page)).toEqual([{ pk: { S: 'a' } }])
  expect(page).not.toHaveProperty('NextShardIterator')
  expect(await listed()).toHaveLength(1)
  clock.advance(1)
  await expect(describe(arn)).rejects.toMatchObject({ type: expect.stringContaining('#ResourceNotFoundException') })
  expect(await listed()).toEqual([])
})

test('pages of every size give each record once, in order, over splits, and a closed shard ends', async () => {
  const { log, create, put, describe, iterator, read, turn } = await openTables()
  const arn = await create('split')
  for (let generation = 0; generation < 3; generation++) {
    for (let i = 0; i < 7; i++) await put('split', `${generation}-${i}`)
    const stream = log.streamNamed('table:split')!
    for (const shard of log.shards(stream.id).filter(({ state }) => state === 'open')) await log.split(shard.id)
  }
  await turn('split', { StreamEnabled: false })
  const { Shards } = await describe(arn)
  expect(Shards).toHaveLength(15)
  const byId = new Map(Shards.map((shard) => [shard.ShardId, shard]))
  for (const { ParentShardId, SequenceNumberRange } of Shards) {
    if (ParentShardId === undefined) continue
    const parent = byId.get(ParentShardId)!.SequenceNumberRange
    expect(BigInt(parent.EndingSequenceNumber!)).toBeLessThan(BigInt(SequenceNumberRange.StartingSequenceNumber))
  }
  for (const Limit of [1, 2, 3, 7, 1000]) {
    const sequences: string[] = []
    for (const { ShardId, SequenceNumberRange } of Shards) {
      let next: string | undefined = await iterator(arn, ShardId, 'TRIM_HORIZON')
      const own: string[] = []
      while (next !== undefined) {
        const page: Page = await read(next, Limit)
        expect(page.Records.length).toBeLessThanOrEqual(Limit)
        own.push(...page.Records.map(({ dynamodb }) => dynamodb.SequenceNumber))
        next = page.NextShardIterator
      }
      expect(own).toEqual([...own].sort())
      for (const sequence of own) {
        expect(sequence >= SequenceNumberRange.StartingSequenceNumber).toBe(true)
        expect(sequence <= SequenceNumberRange.EndingSequenceNumber!).toBe(true)
      }
      sequences.push(...own)
    }
    expect(sequences).toHaveLength(21)
    expect(new Set(sequences).size).toBe(21)
  }
})

test('shards are listed in pages of every size, and streams too', async () => {
  const { log, stream, create, describe, turn, on } = await openTables()
  const arn = await create('paged')
  const change = log.streamNamed('table:paged')!
  await log.split(log.shards(change.id)[0]!.id)
  for (const shard of log.shards(change.id).filter(({ state }) => state === 'open')) await log.split(shard.id)
  const all = (await describe(arn)).Shards.map(({ ShardId }) => ShardId)
  expect(all).toEqual([...all].sort())
  for (let Limit = 1; Limit <= 8; Limit++) {
    const found: string[] = []
    let ExclusiveStartShardId: string | undefined
    do {
      const page: Described = await describe(arn, { Limit, ExclusiveStartShardId })
      found.push(...page.Shards.map(({ ShardId }) => ShardId))
      ExclusiveStartShardId = page.LastEvaluatedShardId
      if (ExclusiveStartShardId !== undefined) expect(ExclusiveStartShardId).toBe(found.at(-1))
    } while (ExclusiveStartShardId !== undefined)
    expect(found).toEqual(all)
  }
  expect((await describe(arn, { ExclusiveStartShardId: all.at(-1) })).Shards).toEqual([])

  for (let i = 0; i < 3; i++) {
    await turn('paged', { StreamEnabled: false })
    await turn('paged', on)
  }
  const arns: string[] = []
  let ExclusiveStartStreamArn: string | undefined
  do {
    const page: { Streams: { StreamArn: string }[]; LastEvaluatedStreamArn?: string } = await stream('ListStreams', {
      Limit: 1,
      ExclusiveStartStreamArn,
    })
    arns.push(...page.Streams.map(({ StreamArn }) => StreamArn))
    ExclusiveStartStreamArn = page.LastEvaluatedStreamArn
    // What is made between two pages neither repeats nor hides what was there.
    if (arns.length === 2) await create('between')
  } while (ExclusiveStartStreamArn !== undefined)
  expect(new Set(arns).size).toBe(arns.length)
  expect(arns.filter((each) => each.includes('/paged/'))).toHaveLength(4)
})
