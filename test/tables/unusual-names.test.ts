import { expect, test } from 'vitest'
import { ManualClock } from '../manual-clock.js'
import { temporaryFolder } from '../temporary-folder.js'
import { openTables } from './open-tables.js'

/** Names that every object of JavaScript has something under. */
const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']

async function opened() {
  const tables = await openTables({ clock: new ManualClock(), folder: temporaryFolder() })
  return tables
}

test.each(names)('a table and its attributes may be called %s', async (name) => {
  const { run, close } = await opened()
  const named = <T>(value: T) => Object.fromEntries([[name, value]])
  await run('CreateTable', {
    TableName: name,
    AttributeDefinitions: [
      { AttributeName: name, AttributeType: 'S' },
      { AttributeName: 'sk', AttributeType: 'N' },
      { AttributeName: 'valueOf', AttributeType: 'N' },
    ],
    KeySchema: [
      { AttributeName: name, KeyType: 'HASH' },
      { AttributeName: 'sk', KeyType: 'RANGE' },
    ],
    LocalSecondaryIndexes: [
      {
        IndexName: name.length < 3 ? 'index' : name,
        KeySchema: [
          { AttributeName: name, KeyType: 'HASH' },
          { AttributeName: 'valueOf', KeyType: 'RANGE' },
        ],
        Projection: { ProjectionType: 'KEYS_ONLY' },
      },
    ],
    BillingMode: 'PAY_PER_REQUEST',
  })
  const item = (n: number) => ({
    ...named({ S: 'a' }),
    sk: { N: `${n}` },
    valueOf: { N: '1' },
    x: { M: named({ N: '1' }) },
  })
  const shown = { ReturnConsumedCapacity: 'INDEXES', ReturnItemCollectionMetrics: 'SIZE' }
  const collection = { ItemCollectionKey: named({ S: 'a' }), SizeEstimateRangeGB: [0, 1] }
  const batch = await run('BatchWriteItem', { RequestItems: named([{ PutRequest: { Item: item(1) } }]), ...shown })
  expect(Object.entries(batch.ItemCollectionMetrics as object)).toEqual([[name, [collection]]])
  const transaction = await run('TransactWriteItems', {
    TransactItems: [{ Put: { TableName: name, Item: item(2) } }],
    ...shown,
  })
  expect(Object.entries(transaction.ItemCollectionMetrics as object)).toEqual([[name, [collection]]])
  const keys = { Keys: [{ ...named({ S: 'a' }), sk: { N: '1' } }] }
  const read = await run('BatchGetItem', { RequestItems: named(keys) })
  expect(Object.entries(read.Responses as object)).toEqual([[name, [item(1)]]])
  const query = await run<{ Items: object[]; LastEvaluatedKey: object }>('Query', {
    TableName: name,
    IndexName: name,
    KeyConditionExpression: '#n = :a',
    ExpressionAttributeNames: { '#n': name },
    ExpressionAttributeValues: { ':a': { S: 'a' } },
    Limit: 1,
  })
  expect(Object.entries(query.LastEvaluatedKey).length).toBe(3)
  const selected = await run<{ Items: object[] }>('ExecuteStatement', {
    Statement: `SELECT "${name}" FROM "${name}" WHERE "${name}" = 'a' AND sk = 1`,
  })
  expect(Object.entries(selected.Items[0] as object)).toEqual([[name, { S: 'a' }]])
  await run('UpdateTimeToLive', { TableName: name, TimeToLiveSpecification: { AttributeName: name, Enabled: true } })
  await run('DeleteItem', { TableName: name, Key: { ...named({ S: 'a' }), sk: { N: '1' } } })
  await close()
})
