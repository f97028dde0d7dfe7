import { expect, test } from 'vitest'
import { asking } from '../asking.js'
import { aTableId, aTime, bodyOf, tableArn } from './recorded.js'

test('a local index finds an item by its own sort key', async () => {
  const { ask } = await asking()
  const key = (AttributeName: string, KeyType: string) => ({ AttributeName, KeyType })
  const made = await ask('CreateTable', {
    TableName: 'local',
    KeySchema: [key('PK', 'HASH'), key('SK', 'RANGE')],
    AttributeDefinitions: [
      { AttributeName: 'PK', AttributeType: 'S' },
      { AttributeName: 'SK', AttributeType: 'S' },
      { AttributeName: 'LSI1SK', AttributeType: 'N' },
    ],
    LocalSecondaryIndexes: [
      {
        IndexName: 'LSI1',
        KeySchema: [key('PK', 'HASH'), key('LSI1SK', 'RANGE')],
        Projection: { ProjectionType: 'ALL' },
      },
    ],
    BillingMode: 'PAY_PER_REQUEST',
  })
  bodyOf(made)
  const item = { PK: { S: 'test one' }, SK: { S: 'hello' }, LSI1SK: { N: '123' } }
  bodyOf(await ask('PutItem', { TableName: 'local', Item: item }))
  const found = await ask('Query', {
    TableName: 'local',
    IndexName: 'LSI1',
    KeyConditionExpression: 'PK = :v1',
    ExpressionAttributeValues: { ':v1': { S: 'test one' } },
    Select: 'ALL_ATTRIBUTES',
  })
  expect(bodyOf(found)).toEqual({ Items: [item], Count: 1, ScannedCount: 1 })
})

test('a table on demand with a global index is described as AWS describes it, made and then ready', async () => {
  const { ask } = await asking()
  const name = 'global'
  const IndexName = 'TransactionRecordID'
  const request = {
    TableName: name,
    KeySchema: [{ AttributeName: 'TID', KeyType: 'HASH' }],
    AttributeDefinitions: [
      { AttributeName: 'TID', AttributeType: 'S' },
      { AttributeName: 'TRID', AttributeType: 'S' },
    ],
    GlobalSecondaryIndexes: [
      { IndexName, KeySchema: [{ AttributeName: 'TRID', KeyType: 'HASH' }], Projection: { ProjectionType: 'ALL' } },
    ],
    BillingMode: 'PAY_PER_REQUEST',
  }
  const none = { NumberOfDecreasesToday: 0, ReadCapacityUnits: 0, WriteCapacityUnits: 0 }
  const warm = { ReadUnitsPerSecond: 12_000, Status: 'ACTIVE', WriteUnitsPerSecond: 4000 }
  const index = {
    ...request.GlobalSecondaryIndexes[0],
    IndexArn: expect.stringMatching(new RegExp(`:table/${name}/index/${IndexName}$`)),
    IndexSizeBytes: 0,
    ItemCount: 0,
    ProvisionedThroughput: none,
  }
  const table = {
    AttributeDefinitions: expect.arrayContaining(request.AttributeDefinitions),
    CreationDateTime: aTime,
    DeletionProtectionEnabled: false,
    ItemCount: 0,
    KeySchema: request.KeySchema,
    ProvisionedThroughput: none,
    TableArn: tableArn(name),
    TableId: aTableId,
    TableName: name,
    TableSizeBytes: 0,
  }
  const { TableDescription } = bodyOf(await ask<{ TableDescription: object }>('CreateTable', request))
  expect(TableDescription).toMatchObject({
    ...table,
    BillingModeSummary: { BillingMode: 'PAY_PER_REQUEST' },
    GlobalSecondaryIndexes: [index],
  })
  expect(bodyOf(await ask('DescribeTable', { TableName: name }))).toMatchObject({
    Table: {
      ...table,
      BillingModeSummary: { BillingMode: 'PAY_PER_REQUEST', LastUpdateToPayPerRequestDateTime: aTime },
      GlobalSecondaryIndexes: [{ ...index, IndexStatus: 'ACTIVE', WarmThroughput: warm }],
      TableStatus: 'ACTIVE',
    },
  })
})
