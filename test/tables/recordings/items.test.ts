import { expect, test } from 'vitest'
import { asking } from '../asking.js'
import { bodyOf, tableOf } from './recorded.js'

test('empty and binary values are taken', async () => {
  const { ask } = await asking()
  await ask('CreateTable', tableOf('values'))
  for (const data of [{ S: '' }, { B: Buffer.from([0, 255, 0x80]).toString('base64') }]) {
    const Item = { id: { S: 'id1' }, data }
    expect(bodyOf(await ask('PutItem', { TableName: 'values', Item }))).toEqual({})
    expect(bodyOf(await ask('GetItem', { TableName: 'values', Key: { id: { S: 'id1' } } }))).toEqual({ Item })
  }
})

test('a batch that leaves nothing undone says so', async () => {
  const { ask } = await asking()
  await ask('CreateTable', tableOf('batch'))
  await ask('PutItem', { TableName: 'batch', Item: { id: { S: 'Fred' } } })
  const requests = [
    { DeleteRequest: { Key: { id: { S: 'Fred' } } } },
    { PutRequest: { Item: { id: { S: 'NewKey' } } } },
  ]
  const written = await ask('BatchWriteItem', { RequestItems: { batch: requests } })
  expect(bodyOf(written)).toEqual({ UnprocessedItems: {} })
})

test('a failed condition shows the item when it is asked for', async () => {
  const { ask } = await asking()
  await ask('CreateTable', tableOf('conditions'))
  const Item = { id: { S: '456' }, price: { N: '650' }, product: { S: 'sporting goods' } }
  await ask('PutItem', { TableName: 'conditions', Item })
  const failed = await ask('DeleteItem', {
    TableName: 'conditions',
    Key: { id: { S: '456' } },
    ConditionExpression: '(price BETWEEN :lo AND :hi) and product IN (:p1, :p2)',
    ExpressionAttributeValues: {
      ':lo': { N: '500' },
      ':hi': { N: '600' },
      ':p1': { S: 'sporting goods' },
      ':p2': { S: 'toys' },
    },
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  })
  expect(failed).toMatchObject({ status: 400, error: 'ConditionalCheckFailedException' })
  expect(failed.body).toEqual({
    __type: 'com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException',
    message: 'The conditional request failed',
    Item,
  })
})
