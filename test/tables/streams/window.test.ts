import {
  CreateTableCommand,
  DeleteItemCommand,
  DeleteTableCommand,
  DescribeTableCommand,
  DynamoDBClient,
  PutItemCommand,
  UpdateTableCommand,
} from '@aws-sdk/client-dynamodb'
import {
  DescribeStreamCommand,
  DynamoDBStreamsClient,
  GetRecordsCommand,
  GetShardIteratorCommand,
  ListStreamsCommand,
  ResourceNotFoundException,
  type Shard,
  type ShardIteratorType,
  TrimmedDataAccessException,
} from '@aws-sdk/client-dynamodb-streams'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { ConfigInput } from '../../../src/config/index.js'
import { ManualClock } from '../../manual-clock.js'
import { serve } from '../../server/serving.js'

const hour = 3_600_000
const day = 24 * hour

async function tableWithStream(input: ConfigInput = {}) {
  const clock = new ManualClock()
  const serving = await serve(input, clock)
  const options = {
    endpoint: serving.url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    maxAttempts: 1,
  }
  const client = new DynamoDBClient(options)
  const streams = new DynamoDBStreamsClient(options)
  onTestFinished(() => {
    client.destroy()
    streams.destroy()
  })
  const TableName = 'window'
  await client.send(
    new CreateTableCommand({
      TableName,
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'KEYS_ONLY' },
    }),
  )
  const arnNow = async () =>
    (await client.send(new DescribeTableCommand({ TableName }))).Table!.LatestStreamArn as string
  const iterator = async (
    StreamArn: string,
    ShardId: string,
    ShardIteratorType: ShardIteratorType,
    SequenceNumber?: string,
  ) =>
    (await streams.send(new GetShardIteratorCommand({ StreamArn, ShardId, ShardIteratorType, SequenceNumber })))
      .ShardIterator as string
  const records = async (ShardIterator: string, Limit?: number) =>
    (await streams.send(new GetRecordsCommand({ ShardIterator, Limit }))).Records!.map(({ dynamodb }) => ({
      id: dynamodb!.Keys!.id!.S as string,
      sequence: dynamodb!.SequenceNumber as string,
    }))
  return {
    ...serving,
    clock,
    client,
    streams,
    arnNow,
    iterator,
    records,
    retention: () => serving.daemon.rooms.retention.run(),
    put: (id: string) => client.send(new PutItemCommand({ TableName, Item: { id: { S: id } } })),
    remove: (id: string) => client.send(new DeleteItemCommand({ TableName, Key: { id: { S: id } } })),
    shards: async (StreamArn: string): Promise<Shard[]> =>
      (await streams.send(new DescribeStreamCommand({ StreamArn }))).StreamDescription!.Shards!,
    stream: async (on: boolean) =>
      client.send(
        new UpdateTableCommand({
          TableName,
          StreamSpecification: on ? { StreamEnabled: true, StreamViewType: 'KEYS_ONLY' } : { StreamEnabled: false },
        }),
      ),
    listed: async () => (await streams.send(new ListStreamsCommand({ TableName }))).Streams!.length,
  }
}

describe('the window of an AWS stream', () => {
  it('shows 24 hours of the change log, to the millisecond, though the log keeps more', async () => {
    const table = await tableWithStream()
    const { clock, put, iterator, records, shards, arnNow } = table
    const arn = await arnNow()
    await put('a')
    clock.advance(hour)
    await put('b')
    clock.advance(hour)
    await put('c')
    const shard = (await shards(arn))[0]!.ShardId!
    const all = await records(await iterator(arn, shard, 'TRIM_HORIZON'))
    expect(all.map(({ id }) => id)).toEqual(['a', 'b', 'c'])
    const [a, b] = all.map(({ sequence }) => sequence) as [string, string]
    clock.advance(22 * hour - 1)
    const onA = await iterator(arn, shard, 'AT_SEQUENCE_NUMBER', a)
    const behindA = await iterator(arn, shard, 'AFTER_SEQUENCE_NUMBER', a)
    expect((await records(onA, 1)).map(({ id }) => id)).toEqual(['a'])
    clock.advance(1)
    await table.retention()
    await expect(records(onA)).rejects.toThrow(TrimmedDataAccessException)
    await expect(iterator(arn, shard, 'AT_SEQUENCE_NUMBER', a)).rejects.toThrow(TrimmedDataAccessException)
    await expect(iterator(arn, shard, 'AFTER_SEQUENCE_NUMBER', a)).rejects.toThrow(TrimmedDataAccessException)
    // An iterator that has passed the last one to go has lost nothing.
    expect((await records(behindA)).map(({ id }) => id)).toEqual(['b', 'c'])
    expect((await records(await iterator(arn, shard, 'TRIM_HORIZON'))).map(({ id }) => id)).toEqual(['b', 'c'])
    expect((await records(await iterator(arn, shard, 'AT_SEQUENCE_NUMBER', b))).map(({ id }) => id)).toEqual(['b', 'c'])
    // The log below keeps all of it.
    const { json } = await table.v1('GET', 'streams/table:window/records?shard=1')
    expect((json as unknown as { records: object[] }).records).toHaveLength(3)
    clock.advance(10 * hour)
    expect(await records(await iterator(arn, shard, 'TRIM_HORIZON'))).toEqual([])
    await put('d')
    expect((await records(await iterator(arn, shard, 'TRIM_HORIZON'))).map(({ id }) => id)).toEqual(['d'])
  })

  it('shows a closed shard for 24 hours after its end, and iterators of one that has left it are told so', async () => {
    const table = await tableWithStream()
    const { clock, put, iterator, records, shards, arnNow } = table
    const arn = await arnNow()
    await put('a')
    const first = (await shards(arn))[0]!.ShardId!
    await table.v1('POST', 'streams/table:window/shards/1/split', {})
    expect((await shards(arn)).map(({ ParentShardId }) => ParentShardId)).toEqual([undefined, first, first])
    clock.advance(day - 1)
    expect(await shards(arn)).toHaveLength(3)
    const held = await iterator(arn, first, 'TRIM_HORIZON')
    clock.advance(1)
    expect((await shards(arn)).map(({ ParentShardId }) => ParentShardId)).toEqual([undefined, undefined])
    await expect(records(held)).rejects.toThrow(TrimmedDataAccessException)
    await expect(iterator(arn, first, 'TRIM_HORIZON')).rejects.toThrow(ResourceNotFoundException)
  })

  it('can be read for 24 hours after it was switched off, and then it and its log go', async () => {
    const table = await tableWithStream()
    const { clock, put, iterator, records, shards, arnNow, listed } = table
    const old = await arnNow()
    await put('a')
    await table.stream(false)
    clock.advance(hour)
    await table.stream(true)
    const next = await arnNow()
    expect(next).not.toBe(old)
    clock.advance(day - hour - 1)
    await table.retention()
    expect(await listed()).toBe(2)
    const shard = (await shards(old))[0]!.ShardId!
    expect((await records(await iterator(old, shard, 'TRIM_HORIZON'))).map(({ id }) => id)).toEqual(['a'])
    clock.advance(1)
    await table.retention()
    expect(await listed()).toBe(1)
    await expect(shards(old)).rejects.toThrow(ResourceNotFoundException)
    expect(table.daemon.rooms.log.streams().map(({ closedAt }) => closedAt)).toEqual([undefined])
    expect(await shards(next)).toHaveLength(1)
  })

  it('of a deleted table can be read for 24 hours more, and then nothing of the table is left', async () => {
    const table = await tableWithStream()
    const { clock, client, put, iterator, records, shards, arnNow, listed } = table
    const arn = await arnNow()
    await put('a')
    clock.advance(hour)
    await table.remove('a')
    const shard = (await shards(arn))[0]!.ShardId!
    await client.send(new DeleteTableCommand({ TableName: 'window' }))
    clock.advance(day - hour)
    await table.retention()
    expect((await records(await iterator(arn, shard, 'TRIM_HORIZON'))).map(({ id }) => id)).toEqual(['a'])
    expect(await listed()).toBe(1)
    clock.advance(hour)
    await table.retention()
    expect(await listed()).toBe(0)
    await expect(shards(arn)).rejects.toThrow(ResourceNotFoundException)
    const { log, store } = table.daemon.rooms
    expect(log.streams()).toEqual([])
    for (const family of [0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x15]) {
      const page = await store.storage.page({
        gte: Buffer.from([family]),
        lt: Buffer.from([family + 1]),
        limit: 10,
        bytesMax: 1000,
      })
      expect(page.keys, `family ${family}`).toEqual([])
    }
  })

  it('stays where it is while the clock is not believed', async () => {
    const table = await tableWithStream()
    const { clock, put, iterator, records, shards, arnNow } = table
    const arn = await arnNow()
    await put('a')
    const shard = (await shards(arn))[0]!.ShardId!
    clock.wall += 3 * day
    await put('b')
    expect((await records(await iterator(arn, shard, 'TRIM_HORIZON'))).map(({ id }) => id)).toEqual(['a', 'b'])
    await table.v1('POST', 'clock/confirm', {})
    expect(await records(await iterator(arn, shard, 'TRIM_HORIZON'))).toEqual([])
  })

  it('keeps its 24 hours when the log is to keep less', async () => {
    const table = await tableWithStream({ changeLog: { retentionMs: hour } })
    const { clock, put, iterator, records, shards, arnNow } = table
    const arn = await arnNow()
    await put('a')
    await table.v1('PATCH', 'streams/table:window', { retention: { bytes: 1 } })
    clock.advance(day - 1)
    await table.retention()
    const shard = (await shards(arn))[0]!.ShardId!
    expect((await records(await iterator(arn, shard, 'TRIM_HORIZON'))).map(({ id }) => id)).toEqual(['a'])
    clock.advance(1)
    await put('b')
    await table.retention()
    const { json } = await table.v1('GET', 'streams/table:window/records?shard=1')
    expect((json as unknown as { records: object[] }).records).toHaveLength(1)
  })
})
