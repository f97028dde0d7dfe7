import { expect, test } from 'vitest'
import { type Asking, asking } from '../asking.js'

async function indexed({ ask }: Asking): Promise<string> {
  const TableName = 'indexed'
  const made = await ask('CreateTable', {
    TableName,
    AttributeDefinitions: ['pk', 'sk', 'g', 'l'].map((AttributeName) => ({ AttributeName, AttributeType: 'S' })),
    KeySchema: [
      { AttributeName: 'pk', KeyType: 'HASH' },
      { AttributeName: 'sk', KeyType: 'RANGE' },
    ],
    BillingMode: 'PAY_PER_REQUEST',
    GlobalSecondaryIndexes: [
      {
        IndexName: 'global',
        KeySchema: [{ AttributeName: 'g', KeyType: 'HASH' }],
        Projection: { ProjectionType: 'INCLUDE', NonKeyAttributes: ['p'] },
      },
    ],
    LocalSecondaryIndexes: [
      {
        IndexName: 'local',
        KeySchema: [
          { AttributeName: 'pk', KeyType: 'HASH' },
          { AttributeName: 'l', KeyType: 'RANGE' },
        ],
        Projection: { ProjectionType: 'ALL' },
      },
    ],
  })
  expect(made.message).toBeUndefined()
  return TableName
}

const item = (sk: string, more: object = {}) => ({ pk: { S: 'p' }, sk: { S: sk }, ...more })

test('a transaction keeps the indexes, and shows what it took in each: twice only for the table', async () => {
  const asks = await asking()
  const { ask } = asks
  const TableName = await indexed(asks)
  const run = async (TransactItems: object[]) => {
    const answer = await ask<{ ConsumedCapacity: object[] }>('TransactWriteItems', {
      TransactItems,
      ReturnConsumedCapacity: 'INDEXES',
    })
    expect(answer.message).toBeUndefined()
    return answer.body.ConsumedCapacity
  }
  const both = (units: number) => ({ CapacityUnits: units, WriteCapacityUnits: units })
  const put = (sk: string, more: object = {}) => ({ Put: { TableName, Item: item(sk, more) } })
  expect(await run([put('a', { g: { S: 'g1' }, l: { S: 'l1' } }), put('b', { x: { S: 'x' } })])).toEqual([
    {
      TableName,
      ...both(6),
      Table: both(4),
      GlobalSecondaryIndexes: { global: both(1) },
      LocalSecondaryIndexes: { local: both(1) },
    },
  ])
  const move = {
    Update: {
      TableName,
      Key: item('a'),
      UpdateExpression: 'SET g = :g',
      ExpressionAttributeValues: { ':g': { S: 'g2' } },
    },
  }
  const check = { ConditionCheck: { TableName, Key: item('b'), ConditionExpression: 'attribute_exists(pk)' } }
  expect(await run([move, check])).toEqual([
    {
      TableName,
      ...both(7),
      Table: both(4),
      GlobalSecondaryIndexes: { global: both(2) },
      LocalSecondaryIndexes: { local: both(1) },
    },
  ])
  const found = await ask<{ Items: object[] }>('Query', {
    TableName,
    IndexName: 'global',
    KeyConditions: { g: { ComparisonOperator: 'EQ', AttributeValueList: [{ S: 'g2' }] } },
  })
  expect(found.body.Items).toEqual([item('a', { g: { S: 'g2' } })])
  const local = await ask<{ Items: object[] }>('Query', {
    TableName,
    IndexName: 'local',
    KeyConditions: {
      pk: { ComparisonOperator: 'EQ', AttributeValueList: [{ S: 'p' }] },
      l: { ComparisonOperator: 'BEGINS_WITH', AttributeValueList: [{ S: 'l' }] },
    },
    QueryFilter: { g: { ComparisonOperator: 'NOT_NULL' } },
    AttributesToGet: ['sk'],
  })
  expect(local.body.Items).toEqual([{ sk: { S: 'a' } }])
})

test('item collections that were written to are shown by table', async () => {
  const asks = await asking()
  const TableName = await indexed(asks)
  const plain = await asks.table()
  const { body } = await asks.ask<{ ItemCollectionMetrics: Record<string, object[]> }>('TransactWriteItems', {
    ReturnItemCollectionMetrics: 'SIZE',
    TransactItems: [
      { Put: { TableName, Item: item('a') } },
      { Put: { TableName: plain, Item: { pk: { S: 'p' } } } },
      { Delete: { TableName, Key: item('b') } },
      { Put: { TableName, Item: { ...item('a'), pk: { S: 'q' } } } },
      {
        ConditionCheck: {
          TableName,
          Key: { ...item('a'), pk: { S: 'r' } },
          ConditionExpression: 'attribute_not_exists(pk)',
        },
      },
    ],
  })
  expect(body.ItemCollectionMetrics).toEqual({
    [TableName]: ['p', 'q'].map((S) => ({ ItemCollectionKey: { pk: { S } }, SizeEstimateRangeGB: [0, 1] })),
  })
})

test('a key of an index of a wrong type cancels, an empty one refuses the request', async () => {
  const asks = await asking()
  const TableName = await indexed(asks)
  const failing = { ConditionCheck: { TableName, Key: item('x'), ConditionExpression: 'attribute_exists(pk)' } }
  const run = (action: object) =>
    asks.ask<{ CancellationReasons: object[] }>('TransactWriteItems', { TransactItems: [failing, action] })
  const update = (value: object) => ({
    Update: { TableName, Key: item('a'), UpdateExpression: 'SET g = :g', ExpressionAttributeValues: { ':g': value } },
  })
  for (const action of [{ Put: { TableName, Item: item('a', { g: { N: '5' } }) } }, update({ N: '5' })]) {
    const { error, body } = await run(action)
    expect(error).toBe('TransactionCanceledException')
    expect(body.CancellationReasons).toEqual([
      { Code: 'None' },
      {
        Code: 'ValidationError',
        Message:
          'One or more parameter values were invalid: Type mismatch for Index Key g Expected: S Actual: N IndexName: global',
      },
    ])
  }
  const empty = 'The AttributeValue for a key attribute cannot contain an empty string value.'
  expect(await run({ Put: { TableName, Item: item('a', { g: { S: '' } }) } })).toMatchObject({
    error: 'ValidationException',
    message: `One or more parameter values are not valid. A value specified for a secondary index key is not supported. ${empty} IndexName: global, IndexKey: g`,
  })
  expect(await run(update({ S: '' }))).toMatchObject({
    error: 'ValidationException',
    message: `One or more parameter values are not valid. The update expression attempted to update a secondary index key to a value that is not supported. ${empty}`,
  })
  expect((await asks.ask('Scan', { TableName })).body).toMatchObject({ Count: 0 })
})
