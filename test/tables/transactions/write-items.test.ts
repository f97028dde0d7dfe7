import { expect, test } from 'vitest'
import { type Asking, asking } from '../asking.js'

interface Cancelled {
  readonly __type: string
  readonly Message: string
  readonly CancellationReasons: readonly { Code: string; Message?: string; Item?: object }[]
}

const pk = (S: string) => ({ pk: { S } })
const none = { Code: 'None' }
const failed = { Code: 'ConditionalCheckFailed', Message: 'The conditional request failed' }

async function items({ ask }: Asking, TableName: string): Promise<object[]> {
  const { body } = await ask<{ Items: { pk: { S: string } }[] }>('Scan', { TableName })
  return body.Items.sort((a, b) => (a.pk.S < b.pk.S ? -1 : 1))
}

async function reasons(
  { ask }: Asking,
  TransactItems: unknown[],
  more: object = {},
): Promise<Cancelled['CancellationReasons']> {
  const { status, body } = await ask<Cancelled>('TransactWriteItems', { TransactItems, ...more })
  expect(status).toBe(400)
  expect(body).toEqual({
    __type: 'com.amazonaws.dynamodb.v20120810#TransactionCanceledException',
    Message: `Transaction cancelled, please refer cancellation reasons for specific reasons [${body.CancellationReasons.map(({ Code }) => Code).join(', ')}]`,
    CancellationReasons: body.CancellationReasons,
  })
  return body.CancellationReasons
}

test('puts, updates, deletes and checks of several tables are done together', async () => {
  const asks = await asking()
  const one = await asks.table()
  const two = await asks.table({ range: true })
  for (const S of ['b', 'c', 'd']) await asks.ask('PutItem', { TableName: one, Item: { ...pk(S), n: { N: '1' } } })
  const done = await asks.ask('TransactWriteItems', {
    TransactItems: [
      { Put: { TableName: one, Item: pk('a'), ConditionExpression: 'attribute_not_exists(pk)' } },
      {
        Update: {
          TableName: one,
          Key: pk('b'),
          UpdateExpression: 'SET #n = #n + :one',
          ConditionExpression: '#n = :one',
          ExpressionAttributeNames: { '#n': 'n' },
          ExpressionAttributeValues: { ':one': { N: '1.0' } },
        },
      },
      { Delete: { TableName: one, Key: pk('c') } },
      { ConditionCheck: { TableName: one, Key: pk('d'), ConditionExpression: 'attribute_exists(n)' } },
      {
        Update: {
          TableName: two,
          Key: { ...pk('u'), sk: { N: '7' } },
          UpdateExpression: 'ADD x :x',
          ExpressionAttributeValues: { ':x': { SS: ['y'] } },
        },
      },
      { Delete: { TableName: two, Key: { ...pk('nothing'), sk: { N: '1' } } } },
    ],
  })
  expect(done).toMatchObject({ status: 200, body: {} })
  expect(await items(asks, one)).toEqual([pk('a'), { ...pk('b'), n: { N: '2' } }, { ...pk('d'), n: { N: '1' } }])
  expect(await items(asks, two)).toEqual([{ ...pk('u'), sk: { N: '7' }, x: { SS: ['y'] } }])
})

test('a transaction with a failed condition does nothing, and says of each action whether it was the one', async () => {
  const asks = await asking()
  const TableName = await asks.table({ view: 'NEW_AND_OLD_IMAGES' })
  const old = { ...pk('there'), n: { N: '1' } }
  await asks.ask('PutItem', { TableName, Item: old })
  const found = await reasons(asks, [
    { Put: { TableName, Item: pk('new') } },
    {
      Put: {
        TableName,
        Item: pk('there'),
        ConditionExpression: 'attribute_not_exists(pk)',
        ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
      },
    },
    {
      ConditionCheck: {
        TableName,
        Key: pk('missing'),
        ConditionExpression: 'attribute_exists(pk)',
        ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
      },
    },
    { Delete: { TableName, Key: pk('other'), ConditionExpression: 'attribute_not_exists(pk)' } },
  ])
  expect(found).toEqual([none, { ...failed, Item: old }, failed, none])
  expect(await items(asks, TableName)).toEqual([old])
})

test('a wrong key cancels with the first such fault, before conditions; an empty one refuses the request', async () => {
  const asks = await asking()
  const TableName = await asks.table({ range: true })
  const key = (text: string, number: string) => ({ pk: { S: text }, sk: { N: number } })
  const fails = { ConditionCheck: { TableName, Key: key('a', '1'), ConditionExpression: 'attribute_exists(pk)' } }
  const fault = (Message: string) => [none, { Code: 'ValidationError', Message }, none]
  const mismatch = 'The provided key element does not match the schema'
  const invalid = 'One or more parameter values were invalid: '
  const wrong: [object, string][] = [
    [
      { Put: { TableName, Item: { pk: { N: '5' }, sk: { N: '1' } } } },
      `${invalid}Type mismatch for key pk expected: S actual: N`,
    ],
    [{ Put: { TableName, Item: pk('x') } }, `${invalid}Missing the key sk in the item`],
    [{ Delete: { TableName, Key: pk('x') } }, mismatch],
    [{ Delete: { TableName, Key: {} } }, mismatch],
    [
      {
        ConditionCheck: {
          TableName,
          Key: { ...key('x', '1'), more: { S: 'x' } },
          ConditionExpression: 'attribute_exists(pk)',
        },
      },
      mismatch,
    ],
    [{ Update: { TableName, Key: { pk: { L: [] }, sk: { N: '1' } }, UpdateExpression: 'REMOVE a' } }, mismatch],
    [
      { Update: { TableName, Key: key('x', '1'), UpdateExpression: 'REMOVE sk' } },
      `${invalid}Cannot update attribute sk. This attribute is part of the key`,
    ],
    [
      { Delete: { TableName, Key: key('x'.repeat(2049), '1') } },
      `${invalid}Size of hashkey has exceeded the maximum size limit of2048 bytes`,
    ],
  ]
  for (const [action, Message] of wrong)
    expect(await reasons(asks, [fails, action, { Put: { TableName, Item: { pk: { N: '8' } } } }])).toEqual(
      fault(Message),
    )
  for (const action of [
    { Put: { TableName, Item: key('', '1') } },
    { Delete: { TableName, Key: key('', '1') } },
    { Update: { TableName, Key: key('', '1'), UpdateExpression: 'REMOVE a' } },
  ]) {
    const answer = await asks.ask('TransactWriteItems', { TransactItems: [fails, action] })
    expect(answer).toMatchObject({
      error: 'ValidationException',
      message:
        'One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: pk',
    })
  }
})

test('an item that is too large refuses a put, and cancels an update', async () => {
  const asks = await asking()
  const TableName = await asks.table()
  const text = (bytes: number) => ({ S: 'x'.repeat(bytes - 'pkkx'.length) })
  const put = (bytes: number) => [{ Put: { TableName, Item: { ...pk('k'), x: text(bytes) } } }]
  const update = (bytes: number) => [
    {
      Update: {
        TableName,
        Key: pk('k'),
        UpdateExpression: 'SET x = :x',
        ExpressionAttributeValues: { ':x': text(bytes) },
      },
    },
  ]
  expect(await asks.ask('TransactWriteItems', { TransactItems: put(409_601) })).toMatchObject({
    error: 'ValidationException',
    message: 'Item size has exceeded the maximum allowed size',
  })
  expect(await reasons(asks, update(409_601))).toEqual([
    { Code: 'ValidationError', Message: 'Item size to update has exceeded the maximum allowed size' },
  ])
  expect((await asks.ask('TransactWriteItems', { TransactItems: update(409_600) })).status).toBe(200)
  expect((await asks.ask('TransactWriteItems', { TransactItems: put(409_600) })).status).toBe(200)
})

test('an update that does not fit the item cancels, beside failed conditions', async () => {
  const asks = await asking()
  const TableName = await asks.table()
  await asks.ask('PutItem', { TableName, Item: { ...pk('a'), s: { S: 'text' } } })
  const update = (UpdateExpression: string) => ({
    Update: { TableName, Key: pk('a'), UpdateExpression, ExpressionAttributeValues: { ':n': { N: '1' } } },
  })
  const check = { ConditionCheck: { TableName, Key: pk('b'), ConditionExpression: 'attribute_exists(pk)' } }
  expect(await reasons(asks, [check, update('ADD s :n')])).toEqual([
    failed,
    { Code: 'ValidationError', Message: 'An operand in the update expression has an incorrect data type' },
  ])
  expect(await reasons(asks, [update('SET x = zz + :n')])).toEqual([
    {
      Code: 'ValidationError',
      Message: 'The provided expression refers to an attribute that does not exist in the item',
    },
  ])
})

test('each item that changed has its record, in the streams that are on; what changes nothing has none', async () => {
  const asks = await asking()
  const silent = await asks.table()
  const TableName = await asks.table({ view: 'NEW_AND_OLD_IMAGES' })
  await asks.ask('TransactWriteItems', {
    TransactItems: ['same', 'gone', 'new'].map((S) => ({ Put: { TableName, Item: { ...pk(S), n: { N: '1' } } } })),
  })
  await asks.ask('TransactWriteItems', {
    TransactItems: [
      { Put: { TableName, Item: { ...pk('same'), n: { N: '1.0' } } } },
      { Delete: { TableName, Key: pk('gone') } },
      { Delete: { TableName, Key: pk('never') } },
      { ConditionCheck: { TableName, Key: pk('x'), ConditionExpression: 'attribute_not_exists(pk)' } },
      { Put: { TableName: silent, Item: pk('silent') } },
      {
        Update: {
          TableName,
          Key: pk('new'),
          UpdateExpression: 'SET n = :n',
          ExpressionAttributeValues: { ':n': { N: '2' } },
        },
      },
    ],
  })
  const { body } = await asks.ask<{ Streams: { StreamArn: string }[] }>('ListStreams', { TableName })
  const { StreamArn } = body.Streams[0]!
  const described = await asks.ask<{ StreamDescription: { Shards: { ShardId: string }[] } }>('DescribeStream', {
    StreamArn,
  })
  const { ShardId } = described.body.StreamDescription.Shards[0]!
  const at = await asks.ask<{ ShardIterator: string }>('GetShardIterator', {
    StreamArn,
    ShardId,
    ShardIteratorType: 'TRIM_HORIZON',
  })
  const read = await asks.ask<{ Records: { eventName: string; dynamodb: { Keys: { pk: { S: string } } } }[] }>(
    'GetRecords',
    at.body,
  )
  expect(read.body.Records.map(({ eventName, dynamodb }) => `${eventName} ${dynamodb.Keys.pk.S}`)).toEqual([
    'INSERT same',
    'INSERT gone',
    'INSERT new',
    'REMOVE gone',
    'MODIFY new',
  ])
})

test('what a transaction consumes is double, by the larger item, and by table', async () => {
  const asks = await asking()
  const one = await asks.table()
  const two = await asks.table()
  const large = { ...pk('large'), x: { S: 'x'.repeat(3000) } }
  await asks.ask('PutItem', { TableName: one, Item: large })
  const run = async (TransactItems: unknown[], ReturnConsumedCapacity: string) => {
    const answer = await asks.ask<{ ConsumedCapacity?: object }>('TransactWriteItems', {
      TransactItems,
      ReturnConsumedCapacity,
    })
    expect(answer.status).toBe(200)
    return answer.body.ConsumedCapacity
  }
  const check = { ConditionCheck: { TableName: one, Key: pk('large'), ConditionExpression: 'attribute_exists(pk)' } }
  const put = { Put: { TableName: two, Item: pk('a') } }
  const missing = { Delete: { TableName: one, Key: pk('missing') } }
  expect(await run([put, check, missing], 'TOTAL')).toEqual([
    { TableName: two, CapacityUnits: 2, WriteCapacityUnits: 2 },
    { TableName: one, CapacityUnits: 8, WriteCapacityUnits: 8 },
  ])
  expect(await run([{ Put: { TableName: one, Item: pk('large') } }], 'INDEXES')).toEqual([
    { TableName: one, CapacityUnits: 6, WriteCapacityUnits: 6, Table: { CapacityUnits: 6, WriteCapacityUnits: 6 } },
  ])
  expect(await run([put], 'NONE')).toBeUndefined()
})
