import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  BatchGetItemCommand,
  BatchWriteItemCommand,
  ConditionalCheckFailedException,
  CreateTableCommand,
  DeleteItemCommand,
  DeleteTableCommand,
  DescribeTableCommand,
  DynamoDBClient,
  GetItemCommand,
  ListTablesCommand,
  PutItemCommand,
  QueryCommand,
  ResourceInUseException,
  ResourceNotFoundException,
  ScanCommand,
  type StreamViewType,
  UpdateItemCommand,
  UpdateTableCommand,
  waitUntilTableExists,
  waitUntilTableNotExists,
} from '@aws-sdk/client-dynamodb'
import {
  type _Record,
  DescribeStreamCommand,
  DynamoDBStreamsClient,
  GetRecordsCommand,
  GetShardIteratorCommand,
  ListStreamsCommand,
} from '@aws-sdk/client-dynamodb-streams'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'

let daemon: DaemonProcess
let client: DynamoDBClient
let streams: DynamoDBStreamsClient
const data = mkdtempSync(join(tmpdir(), 'millrace-test-'))

beforeAll(async () => {
  ensureBuilt()
  daemon = await DaemonProcess.start({ data })
  const options = {
    endpoint: daemon.url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  }
  client = new DynamoDBClient(options)
  streams = new DynamoDBStreamsClient(options)
})

afterAll(async () => {
  client.destroy()
  streams.destroy()
  expect(await daemon.stop()).toBe(0)
  rmSync(data, { recursive: true, force: true })
})

let number = 0
async function table(options: { range?: boolean; view?: StreamViewType } = {}): Promise<string> {
  const TableName = `table-${number++}`
  await client.send(
    new CreateTableCommand({
      TableName,
      AttributeDefinitions: [
        { AttributeName: 'pk', AttributeType: 'S' },
        ...(options.range ? [{ AttributeName: 'sk', AttributeType: 'N' as const }] : []),
      ],
      KeySchema: [
        { AttributeName: 'pk', KeyType: 'HASH' },
        ...(options.range ? [{ AttributeName: 'sk', KeyType: 'RANGE' as const }] : []),
      ],
      BillingMode: 'PAY_PER_REQUEST',
      ...(options.view ? { StreamSpecification: { StreamEnabled: true, StreamViewType: options.view } } : {}),
    }),
  )
  await waitUntilTableExists({ client, maxWaitTime: 30 }, { TableName })
  return TableName
}

async function arnOf(TableName: string): Promise<string> {
  return (await client.send(new DescribeTableCommand({ TableName }))).Table!.LatestStreamArn!
}

async function shardsOf(StreamArn: string) {
  return (await streams.send(new DescribeStreamCommand({ StreamArn }))).StreamDescription!.Shards!
}

async function recordsOf(StreamArn: string): Promise<_Record[]> {
  const all: _Record[] = []
  for (const shard of await shardsOf(StreamArn)) {
    const { ShardIterator } = await streams.send(
      new GetShardIteratorCommand({ StreamArn, ShardId: shard.ShardId, ShardIteratorType: 'TRIM_HORIZON' }),
    )
    let iterator = ShardIterator
    while (iterator) {
      const page = await streams.send(new GetRecordsCommand({ ShardIterator: iterator }))
      all.push(...page.Records!)
      if (page.Records!.length === 0) break
      iterator = page.NextShardIterator
    }
  }
  return all
}

describe('items', () => {
  it('are put, read, updated and deleted, and give back what ReturnValues asks for', async () => {
    const TableName = await table()
    const Key = { pk: { S: 'a' } }
    const Item = {
      ...Key,
      n: { N: '1.50' },
      list: { L: [{ S: 'x' }, { BOOL: true }, { NULL: true }] },
      map: { M: { b: { B: new Uint8Array([1, 2]) } } },
      set: { SS: ['q', 'p'] },
    }
    expect(
      (await client.send(new PutItemCommand({ TableName, Item, ReturnValues: 'ALL_OLD' }))).Attributes,
    ).toBeUndefined()
    const read = (await client.send(new GetItemCommand({ TableName, Key }))).Item!
    expect(read).toMatchObject({
      ...Key,
      n: { N: '1.5' },
      list: Item.list,
      map: { M: { b: { B: new Uint8Array([1, 2]) } } },
    })
    expect(new Set(read.set!.SS)).toEqual(new Set(['p', 'q']))
    const update = {
      TableName,
      Key,
      UpdateExpression: 'SET n = n + :one, #l[1] = :no ADD cnt :one REMOVE #m',
      ExpressionAttributeNames: { '#l': 'list', '#m': 'map' },
      ExpressionAttributeValues: { ':one': { N: '1' }, ':no': { BOOL: false } },
    }
    const updated = await client.send(new UpdateItemCommand({ ...update, ReturnValues: 'ALL_NEW' }))
    expect(updated.Attributes).toMatchObject({
      n: { N: '2.5' },
      cnt: { N: '1' },
      list: { L: [{ S: 'x' }, { BOOL: false }, { NULL: true }] },
    })
    expect(updated.Attributes!.map).toBeUndefined()
    const old = await client.send(
      new UpdateItemCommand({
        TableName,
        Key,
        UpdateExpression: 'SET n = :z',
        ExpressionAttributeValues: { ':z': { N: '0' } },
        ReturnValues: 'UPDATED_OLD',
      }),
    )
    expect(old.Attributes).toEqual({ n: { N: '2.5' } })
    const projected = await client.send(
      new GetItemCommand({
        TableName,
        Key,
        ProjectionExpression: '#l[0], n',
        ExpressionAttributeNames: { '#l': 'list' },
      }),
    )
    expect(projected.Item).toEqual({ list: { L: [{ S: 'x' }] }, n: { N: '0' } })
    expect(
      (await client.send(new DeleteItemCommand({ TableName, Key, ReturnValues: 'ALL_OLD' }))).Attributes,
    ).toMatchObject(Key)
    expect((await client.send(new GetItemCommand({ TableName, Key }))).Item).toBeUndefined()
  })

  it('fail a condition with the item when it is asked for, and let one of many creators win', async () => {
    const TableName = await table()
    const attempts = Array.from({ length: 20 }, (_, i) =>
      client
        .send(
          new PutItemCommand({
            TableName,
            Item: { pk: { S: 'one' }, by: { N: String(i) } },
            ConditionExpression: 'attribute_not_exists(pk)',
          }),
        )
        .then(
          () => true,
          (error: unknown) => {
            expect(error).toBeInstanceOf(ConditionalCheckFailedException)
            return false
          },
        ),
    )
    expect((await Promise.all(attempts)).filter(Boolean)).toHaveLength(1)
    await expect(
      client.send(
        new UpdateItemCommand({
          TableName,
          Key: { pk: { S: 'one' } },
          UpdateExpression: 'SET x = :x',
          ConditionExpression: '#b > :big',
          ExpressionAttributeNames: { '#b': 'by' },
          ExpressionAttributeValues: { ':x': { S: 'x' }, ':big': { N: '100' } },
          ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
        }),
      ),
    ).rejects.toMatchObject({ name: 'ConditionalCheckFailedException', Item: { pk: { S: 'one' } } })
  })

  it('count up on one hot key without losing any', async () => {
    const TableName = await table()
    const add = () =>
      client.send(
        new UpdateItemCommand({
          TableName,
          Key: { pk: { S: 'hot' } },
          UpdateExpression: 'ADD n :one',
          ExpressionAttributeValues: { ':one': { N: '1' } },
        }),
      )
    await Promise.all(Array.from({ length: 200 }, add))
    expect((await client.send(new GetItemCommand({ TableName, Key: { pk: { S: 'hot' } } }))).Item!.n).toEqual({
      N: '200',
    })
  })

  it('go and come in batches', async () => {
    const TableName = await table({ range: true })
    const put = (i: number) => ({ PutRequest: { Item: { pk: { S: 'a' }, sk: { N: String(i) }, v: { S: `v${i}` } } } })
    for (let i = 0; i < 100; i += 25) {
      const answer = await client.send(
        new BatchWriteItemCommand({ RequestItems: { [TableName]: Array.from({ length: 25 }, (_, n) => put(i + n)) } }),
      )
      expect(answer.UnprocessedItems).toEqual({})
    }
    const Keys = Array.from({ length: 100 }, (_, i) => ({ pk: { S: 'a' }, sk: { N: String(i * 2) } }))
    const { Responses, UnprocessedKeys } = await client.send(
      new BatchGetItemCommand({ RequestItems: { [TableName]: { Keys } } }),
    )
    expect(Responses![TableName]).toHaveLength(50)
    expect(UnprocessedKeys).toEqual({})
    const tooMany = Array.from({ length: 26 }, (_, n) => put(n))
    await expect(
      client.send(new BatchWriteItemCommand({ RequestItems: { [TableName]: tooMany } })),
    ).rejects.toMatchObject({ name: 'ValidationException' })
    await expect(
      client.send(new BatchWriteItemCommand({ RequestItems: { [TableName]: [put(1), put(1)] } })),
    ).rejects.toMatchObject({ message: 'Provided list of item keys contains duplicates' })
  })
})

describe('Query and Scan', () => {
  it('give the items of a partition in order, by any sort condition, in pages', async () => {
    const TableName = await table({ range: true })
    const sorts = [-1000.5, -3, -1, 0, 0.001, 1, 2, 10, 11, 1e20]
    for (const sk of sorts)
      await client.send(
        new PutItemCommand({
          TableName,
          Item: { pk: { S: 'p' }, sk: { N: String(sk) }, even: { BOOL: sk % 2 === 0 } },
        }),
      )
    await client.send(new PutItemCommand({ TableName, Item: { pk: { S: 'p2' }, sk: { N: '5' } } }))
    const query = async (condition: string, values: Record<string, number>, more: object = {}) => {
      const { Items } = await client.send(
        new QueryCommand({
          TableName,
          KeyConditionExpression: `pk = :p${condition && ` AND ${condition}`}`,
          ExpressionAttributeValues: {
            ':p': { S: 'p' },
            ...Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { N: String(value) }])),
          },
          ...more,
        }),
      )
      return Items!.map((item) => Number(item.sk!.N))
    }
    expect(await query('', {})).toEqual(sorts)
    expect(await query('', {}, { ScanIndexForward: false })).toEqual([...sorts].reverse())
    expect(await query('sk = :a', { ':a': 2 })).toEqual([2])
    expect(await query('sk < :a', { ':a': 0 })).toEqual([-1000.5, -3, -1])
    expect(await query('sk <= :a', { ':a': 0 })).toEqual([-1000.5, -3, -1, 0])
    expect(await query('sk > :a', { ':a': 2 })).toEqual([10, 11, 1e20])
    expect(await query('sk >= :a', { ':a': 2 })).toEqual([2, 10, 11, 1e20])
    expect(await query('sk BETWEEN :a AND :b', { ':a': -1, ':b': 1 })).toEqual([-1, 0, 0.001, 1])
    for (const forward of [true, false]) {
      const found: number[] = []
      let start: Record<string, never> | undefined
      do {
        const page = await client.send(
          new QueryCommand({
            TableName,
            KeyConditionExpression: 'pk = :p',
            ExpressionAttributeValues: { ':p': { S: 'p' } },
            Limit: 3,
            ScanIndexForward: forward,
            ExclusiveStartKey: start,
          }),
        )
        expect(page.ScannedCount).toBeLessThanOrEqual(3)
        found.push(...page.Items!.map((item) => Number(item.sk!.N)))
        start = page.LastEvaluatedKey as never
      } while (start)
      expect(found).toEqual(forward ? sorts : [...sorts].reverse())
    }
    const filtered = await client.send(
      new QueryCommand({
        TableName,
        KeyConditionExpression: 'pk = :p',
        FilterExpression: 'even = :t',
        ExpressionAttributeValues: { ':p': { S: 'p' }, ':t': { BOOL: true } },
        Select: 'COUNT',
      }),
    )
    expect(filtered).toMatchObject({ Count: 4, ScannedCount: sorts.length })
    expect(filtered.Items).toBeUndefined()
  })

  it('begins_with on a text sort key takes exactly what begins so', async () => {
    const TableName = `texts-${number++}`
    await client.send(
      new CreateTableCommand({
        TableName,
        AttributeDefinitions: [
          { AttributeName: 'pk', AttributeType: 'N' },
          { AttributeName: 'sk', AttributeType: 'S' },
        ],
        KeySchema: [
          { AttributeName: 'pk', KeyType: 'HASH' },
          { AttributeName: 'sk', KeyType: 'RANGE' },
        ],
        ProvisionedThroughput: { ReadCapacityUnits: 1, WriteCapacityUnits: 1 },
      }),
    )
    for (const sk of ['a', 'ab', 'ab\u0000', 'ab\u0000c', 'abc', 'ac', 'b'])
      await client.send(new PutItemCommand({ TableName, Item: { pk: { N: '1.0' }, sk: { S: sk } } }))
    const { Items } = await client.send(
      new QueryCommand({
        TableName,
        KeyConditionExpression: 'pk = :p AND begins_with(sk, :s)',
        ExpressionAttributeValues: { ':p': { N: '1' }, ':s': { S: 'ab' } },
      }),
    )
    expect(Items!.map((item) => item.sk!.S)).toEqual(['ab', 'ab\u0000', 'ab\u0000c', 'abc'])
  })

  it('scan every item exactly once, whole or in segments, also past a page of 1 MB', async () => {
    const TableName = await table()
    const pad = { S: 'x'.repeat(10_000) }
    for (let i = 0; i < 160; i += 20) {
      await client.send(
        new BatchWriteItemCommand({
          RequestItems: {
            [TableName]: Array.from({ length: 20 }, (_, n) => ({
              PutRequest: { Item: { pk: { S: `k${i + n}` }, pad } },
            })),
          },
        }),
      )
    }
    // A page ends with the item that takes it to 1 MB, so AWS charges each whole one a little more than that.
    const whole = await client.send(new ScanCommand({ TableName, ReturnConsumedCapacity: 'TOTAL' }))
    expect(whole).toMatchObject({ Count: 105, ConsumedCapacity: { CapacityUnits: 128.5 } })
    for (const total of [1, 7]) {
      const keys: string[] = []
      for (let Segment = 0; Segment < total; Segment++) {
        let start: Record<string, never> | undefined
        do {
          const page = await client.send(
            new ScanCommand({
              TableName,
              ...(total > 1 ? { Segment, TotalSegments: total } : {}),
              ExclusiveStartKey: start,
            }),
          )
          keys.push(...page.Items!.map((item) => item.pk!.S!))
          start = page.LastEvaluatedKey as never
        } while (start)
      }
      expect(keys).toHaveLength(160)
      expect(new Set(keys).size).toBe(160)
    }
  })
})

describe('tables', () => {
  it('are made, listed, refused twice, and deleted', async () => {
    const TableName = await table()
    expect((await client.send(new ListTablesCommand({}))).TableNames).toContain(TableName)
    const again = new CreateTableCommand({
      TableName,
      AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
    })
    await expect(client.send(again)).rejects.toBeInstanceOf(ResourceInUseException)
    await client.send(new PutItemCommand({ TableName, Item: { pk: { S: 'left behind' } } }))
    await client.send(new DeleteTableCommand({ TableName }))
    await waitUntilTableNotExists({ client, maxWaitTime: 30 }, { TableName })
    await expect(client.send(new GetItemCommand({ TableName, Key: { pk: { S: 'x' } } }))).rejects.toBeInstanceOf(
      ResourceNotFoundException,
    )
    // A table of the same name does not meet the rows of the old one.
    await client.send(again)
    expect((await client.send(new ScanCommand({ TableName }))).Count).toBe(0)
  })

  it('answer faults in AWS types and words', async () => {
    const TableName = await table()
    await expect(client.send(new PutItemCommand({ TableName, Item: { other: { S: 'x' } } }))).rejects.toMatchObject({
      name: 'ValidationException',
      message: 'One or more parameter values were invalid: Missing the key pk in the item',
    })
    await expect(
      client.send(new GetItemCommand({ TableName: 'nowhere', Key: { pk: { S: 'x' } } })),
    ).rejects.toMatchObject({ name: 'ResourceNotFoundException', message: 'Requested resource not found' })
    await expect(client.send(new DescribeTableCommand({ TableName: 'nowhere' }))).rejects.toMatchObject({
      message: 'Requested resource not found: Table: nowhere not found',
    })
    await expect(
      client.send(
        new UpdateItemCommand({
          TableName,
          Key: { pk: { S: 'x' } },
          UpdateExpression: 'SET pk = :x',
          ExpressionAttributeValues: { ':x': { S: 'y' } },
        }),
      ),
    ).rejects.toMatchObject({
      message:
        'One or more parameter values were invalid: Cannot update attribute pk. This attribute is part of the key',
    })
    await expect(
      client.send(new PutItemCommand({ TableName, Item: { pk: { S: 'big' }, x: { S: 'x'.repeat(409_600) } } })),
    ).rejects.toMatchObject({ message: 'Item size has exceeded the maximum allowed size' })
  })
})

describe('streams', () => {
  const Item = {
    ListId: { N: '2' },
    TaskId: { S: '1_progress' },
    Description: { S: 'Share progress' },
    Created_date: { S: '20052021' },
  }

  it.each<[StreamViewType, string[] | undefined]>([
    ['NEW_IMAGE', ['Created_date', 'Description', 'ListId', 'TaskId']],
    ['KEYS_ONLY', undefined],
    ['OLD_IMAGE', undefined],
    ['NEW_AND_OLD_IMAGES', ['Created_date', 'Description', 'ListId', 'TaskId']],
  ])('%s shows exactly its attributes', async (view, attributes) => {
    const TableName = `todo-${view}`
    await client.send(
      new CreateTableCommand({
        TableName,
        AttributeDefinitions: [
          { AttributeName: 'ListId', AttributeType: 'N' },
          { AttributeName: 'TaskId', AttributeType: 'S' },
        ],
        KeySchema: [
          { AttributeName: 'ListId', KeyType: 'HASH' },
          { AttributeName: 'TaskId', KeyType: 'RANGE' },
        ],
        BillingMode: 'PAY_PER_REQUEST',
        StreamSpecification: { StreamEnabled: true, StreamViewType: view },
      }),
    )
    const Key = { ListId: Item.ListId, TaskId: Item.TaskId }
    await client.send(new PutItemCommand({ TableName, Item }))
    await client.send(new PutItemCommand({ TableName, Item: { ...Item, ListId: { N: '2.0' } } }))
    await client.send(
      new UpdateItemCommand({
        TableName,
        Key,
        UpdateExpression: 'SET Description = :d',
        ExpressionAttributeValues: { ':d': { S: 'Done' } },
      }),
    )
    await client.send(new DeleteItemCommand({ TableName, Key }))
    await client.send(new DeleteItemCommand({ TableName, Key }))
    const records = await recordsOf(await arnOf(TableName))
    expect(records.map((record) => record.eventName)).toEqual(['INSERT', 'MODIFY', 'REMOVE'])
    expect(new Set(records.map((record) => record.eventID)).size).toBe(3)
    for (const { dynamodb, eventID } of records) {
      expect(eventID).toMatch(/^[0-9a-f]{32}$/)
      expect(Object.keys(dynamodb!.Keys!).sort()).toEqual(['ListId', 'TaskId'])
      expect(dynamodb!.StreamViewType).toBe(view)
      expect(dynamodb!.SequenceNumber).toMatch(/^\d{21}$/)
    }
    const [insert, modify, remove] = records.map((record) => record.dynamodb!)
    expect(insert!.NewImage && Object.keys(insert!.NewImage).sort()).toEqual(attributes)
    expect(insert!.OldImage).toBeUndefined()
    const [showsNew, showsOld] = [view.includes('NEW'), view.includes('OLD')]
    expect(modify!.NewImage?.Description).toEqual(showsNew ? { S: 'Done' } : undefined)
    expect(modify!.OldImage?.Description).toEqual(showsOld ? { S: 'Share progress' } : undefined)
    expect(remove!.NewImage).toBeUndefined()
    expect(remove!.OldImage?.Description).toEqual(showsOld ? { S: 'Done' } : undefined)
    // Keys: ListId 6 + 2, TaskId 6 + 10. Image: and Description 11 + 14, Created_date 12 + 8.
    const [keys, image] = [24, 69]
    expect(insert!.SizeBytes).toBe(keys + (showsNew ? image : 0))
  })

  it('are switched off and on: a new ARN each time, the old one closed and readable', async () => {
    const TableName = await table({ view: 'NEW_IMAGE' })
    const first = await arnOf(TableName)
    await client.send(new PutItemCommand({ TableName, Item: { pk: { S: 'a' } } }))
    await expect(
      client.send(
        new UpdateTableCommand({
          TableName,
          StreamSpecification: { StreamEnabled: true, StreamViewType: 'KEYS_ONLY' },
        }),
      ),
    ).rejects.toMatchObject({ name: 'ValidationException' })
    await client.send(new UpdateTableCommand({ TableName, StreamSpecification: { StreamEnabled: false } }))
    await client.send(new PutItemCommand({ TableName, Item: { pk: { S: 'unseen' } } }))
    expect((await streams.send(new DescribeStreamCommand({ StreamArn: first }))).StreamDescription!.StreamStatus).toBe(
      'DISABLED',
    )
    await client.send(
      new UpdateTableCommand({
        TableName,
        StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' },
      }),
    )
    const second = await arnOf(TableName)
    expect(second).not.toBe(first)
    await client.send(new PutItemCommand({ TableName, Item: { pk: { S: 'b' } } }))
    expect((await recordsOf(first)).map((record) => record.dynamodb!.Keys!.pk!.S)).toEqual(['a'])
    expect((await recordsOf(second)).map((record) => record.dynamodb!.Keys!.pk!.S)).toEqual(['b'])
    const listed = await streams.send(new ListStreamsCommand({ TableName }))
    expect(listed.Streams!.map((stream) => stream.StreamArn).sort()).toEqual([first, second].sort())
    for (const shard of await shardsOf(first)) expect(shard.SequenceNumberRange!.EndingSequenceNumber).toBeDefined()
    await client.send(new DeleteTableCommand({ TableName }))
    expect((await recordsOf(second)).map((record) => record.dynamodb!.Keys!.pk!.S)).toEqual(['b'])
  })

  it('are read from every kind of iterator, and end at a closed shard', async () => {
    const TableName = await table({ view: 'KEYS_ONLY' })
    const StreamArn = await arnOf(TableName)
    for (const key of ['a', 'b', 'c']) await client.send(new PutItemCommand({ TableName, Item: { pk: { S: key } } }))
    const [shard] = await shardsOf(StreamArn)
    const read = async (
      ShardIteratorType: 'TRIM_HORIZON' | 'LATEST' | 'AT_SEQUENCE_NUMBER' | 'AFTER_SEQUENCE_NUMBER',
      SequenceNumber?: string,
    ) => {
      const { ShardIterator } = await streams.send(
        new GetShardIteratorCommand({ StreamArn, ShardId: shard!.ShardId, ShardIteratorType, SequenceNumber }),
      )
      return streams.send(new GetRecordsCommand({ ShardIterator }))
    }
    const keysOf = (records: _Record[]) => records.map((record) => record.dynamodb!.Keys!.pk!.S)
    const all = (await read('TRIM_HORIZON')).Records!
    expect(keysOf(all)).toEqual(['a', 'b', 'c'])
    const second = all[1]!.dynamodb!.SequenceNumber!
    expect(keysOf((await read('AT_SEQUENCE_NUMBER', second)).Records!)).toEqual(['b', 'c'])
    expect(keysOf((await read('AFTER_SEQUENCE_NUMBER', second)).Records!)).toEqual(['c'])
    expect(
      keysOf((await read('AT_SEQUENCE_NUMBER', shard!.SequenceNumberRange!.StartingSequenceNumber)).Records!),
    ).toEqual(['a', 'b', 'c'])
    const latest = await read('LATEST')
    expect(latest.Records).toEqual([])
    await client.send(new PutItemCommand({ TableName, Item: { pk: { S: 'd' } } }))
    const after = await streams.send(new GetRecordsCommand({ ShardIterator: latest.NextShardIterator }))
    expect(keysOf(after.Records!)).toEqual(['d'])
    await client.send(new UpdateTableCommand({ TableName, StreamSpecification: { StreamEnabled: false } }))
    const closed = await read('TRIM_HORIZON')
    expect(keysOf(closed.Records!)).toEqual(['a', 'b', 'c', 'd'])
    expect('NextShardIterator' in closed && closed.NextShardIterator !== undefined).toBe(false)
    await expect(read('LATEST', second)).rejects.toMatchObject({ name: 'ValidationException' })
    for (const ShardIterator of ['garbage', `${latest.NextShardIterator}x`]) {
      const read = streams.send(new GetRecordsCommand({ ShardIterator }))
      await expect(read, ShardIterator).rejects.toMatchObject({ name: 'ValidationException' })
    }
    await expect(streams.send(new DescribeStreamCommand({ StreamArn: `${StreamArn}x` }))).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
    })
  })

  it('follow a split: the parent closes, CHILD_SHARDS names its children, nothing is missed', async () => {
    const TableName = await table({ view: 'KEYS_ONLY' })
    const StreamArn = await arnOf(TableName)
    const put = (from: number) =>
      Promise.all(
        Array.from({ length: 30 }, (_, i) =>
          client.send(new PutItemCommand({ TableName, Item: { pk: { S: `k${from + i}` } } })),
        ),
      )
    await put(0)
    const { shards } = await daemon.v1<{ shards: { id: number }[] }>('GET', `streams/table:${TableName}/shards`)
    await daemon.v1('POST', `streams/table:${TableName}/shards/${shards[0]!.id}/split`, {})
    await put(30)
    const described = await shardsOf(StreamArn)
    expect(described).toHaveLength(3)
    const [parent, ...children] = described
    expect(parent!.SequenceNumberRange!.EndingSequenceNumber).toBeDefined()
    for (const child of children) {
      expect(child.ParentShardId).toBe(parent!.ShardId)
      expect(BigInt(child.SequenceNumberRange!.StartingSequenceNumber!)).toBeGreaterThan(
        BigInt(parent!.SequenceNumberRange!.EndingSequenceNumber!),
      )
      expect(child.ShardId).toMatch(/^shardId-\d{20}-[0-9a-f]{8}$/)
    }
    const filtered = await streams.send(
      new DescribeStreamCommand({ StreamArn, ShardFilter: { Type: 'CHILD_SHARDS', ShardId: parent!.ShardId } }),
    )
    expect(filtered.StreamDescription!.Shards!.map((shard) => shard.ShardId)).toEqual(
      children.map((shard) => shard.ShardId),
    )
    expect(new Set((await recordsOf(StreamArn)).map((record) => record.dynamodb!.Keys!.pk!.S)).size).toBe(60)
  })
})
