import { expect, test } from 'vitest'
import { ManualClock } from '../../manual-clock.js'
import { asking } from '../asking.js'

const keys = {
  AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
  KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
}
const tableArn = (name: string) => `arn:aws:dynamodb:us-east-1:123456789012:table/${name}`

test('provisioned throughput is saved up for 300 seconds, then requests are refused with their reason', async () => {
  const clock = new ManualClock()
  const { ask } = await asking({ tables: { throttle: true } }, clock)
  const TableName = 'small'
  const units = { ReadCapacityUnits: 1, WriteCapacityUnits: 1 }
  await ask('CreateTable', { TableName, ...keys, ProvisionedThroughput: units })
  const put = (size: number) =>
    ask<{ ThrottlingReasons: object[] }>('PutItem', {
      TableName,
      Item: { pk: { S: 'a' }, x: { S: 'x'.repeat(size * 1024 - 10) } },
    })
  // 300 units are there; the request that takes the last of them may take more.
  expect((await put(299)).status).toBe(200)
  expect((await put(101)).status).toBe(200)
  const refused = await put(1)
  expect(refused.error).toBe('ProvisionedThroughputExceededException')
  expect(refused.message).toMatch(/^The level of configured provisioned throughput for the table was exceeded\./)
  expect(refused.body.ThrottlingReasons).toEqual([
    { reason: 'TableWriteProvisionedThroughputExceeded', resource: tableArn(TableName) },
  ])
  const batch = { RequestItems: { [TableName]: [{ PutRequest: { Item: { pk: { S: 'b' } } } }] } }
  expect((await ask('BatchWriteItem', batch)).error).toBe('ProvisionedThroughputExceededException')
  // Reads have a bucket of their own: 50 units a read of 400 KiB at once.
  const get = () => ask('GetItem', { TableName, Key: { pk: { S: 'a' } }, ConsistentRead: true })
  let reads = 0
  while ((await get()).status === 200) reads++
  expect(reads).toBe(12)
  expect((await ask('Scan', { TableName })).error).toBe('ProvisionedThroughputExceededException')
  const batchGet = { RequestItems: { [TableName]: { Keys: [{ pk: { S: 'a' } }] } } }
  expect((await ask('BatchGetItem', batchGet)).error).toBe('ProvisionedThroughputExceededException')
  clock.advance(120_000)
  expect((await put(1)).status).toBe(200)
  expect((await get()).status).toBe(200)
})

test('a table on demand is bounded by its maximum alone, and nothing is by default', async () => {
  const { ask } = await asking({ tables: { throttle: true } }, new ManualClock())
  const TableName = 'bounded'
  await ask('CreateTable', {
    TableName,
    ...keys,
    BillingMode: 'PAY_PER_REQUEST',
    OnDemandThroughput: { MaxWriteRequestUnits: 1 },
  })
  const item = { pk: { S: 'a' }, x: { S: 'x'.repeat(320 * 1024) } }
  expect((await ask('PutItem', { TableName, Item: item })).status).toBe(200)
  const refused = await ask<{ throttlingReasons: object[] }>('PutItem', { TableName, Item: { pk: { S: 'b' } } })
  expect(refused.error).toBe('ThrottlingException')
  expect(refused.body.throttlingReasons).toEqual([
    { reason: 'TableWriteMaxOnDemandThroughputExceeded', resource: tableArn(TableName) },
  ])
  for (let i = 0; i < 40; i++)
    expect((await ask('GetItem', { TableName, Key: { pk: { S: 'a' } }, ConsistentRead: true })).status).toBe(200)

  const free = await asking({}, new ManualClock())
  await free.ask('CreateTable', {
    TableName,
    ...keys,
    ProvisionedThroughput: { ReadCapacityUnits: 1, WriteCapacityUnits: 1 },
  })
  for (let i = 0; i < 3; i++) expect((await free.ask('PutItem', { TableName, Item: item })).status).toBe(200)
})
