import { expect, test } from 'vitest'
import { type Asking, asking } from './asking.js'

const gone = { ':gone': { SS: ['x'] } }

/** Updates that only take away. */
const takingAway: readonly (readonly [string, object])[] = [
  ['REMOVE', { UpdateExpression: 'REMOVE a, b' }],
  ['REMOVE of a member', { UpdateExpression: 'REMOVE a.b, c[0]' }],
  ['DELETE', { UpdateExpression: 'DELETE a :gone', ExpressionAttributeValues: gone }],
  ['REMOVE and DELETE', { UpdateExpression: 'REMOVE b.c DELETE a :gone', ExpressionAttributeValues: gone }],
  ['AttributeUpdates of DELETE', { AttributeUpdates: { a: { Action: 'DELETE' } } }],
  ['AttributeUpdates of DELETE with a set', { AttributeUpdates: { a: { Action: 'DELETE', Value: { NS: ['4'] } } } }],
]

async function eventNames({ ask }: Asking, TableName: string): Promise<readonly string[]> {
  const { body } = await ask<{ Table: { LatestStreamArn: string } }>('DescribeTable', { TableName })
  const StreamArn = body.Table.LatestStreamArn
  const described = await ask<{ StreamDescription: { Shards: { ShardId: string }[] } }>('DescribeStream', { StreamArn })
  const names: string[] = []
  for (const { ShardId } of described.body.StreamDescription.Shards) {
    const at = await ask('GetShardIterator', { StreamArn, ShardId, ShardIteratorType: 'TRIM_HORIZON' })
    const { body: page } = await ask<{ Records: { eventName: string }[] }>('GetRecords', at.body)
    names.push(...page.Records.map(({ eventName }) => eventName))
  }
  return names
}

test.each(takingAway)('%s makes no item where there is none', async (_name, update) => {
  const asks = await asking()
  const { ask } = asks
  const TableName = await asks.table({ view: 'NEW_AND_OLD_IMAGES' })
  const Key = { pk: { S: 'missing' } }
  for (const ReturnValues of ['NONE', 'ALL_OLD', 'ALL_NEW', 'UPDATED_OLD', 'UPDATED_NEW']) {
    const asked = { TableName, Key, ReturnValues, ReturnConsumedCapacity: 'TOTAL', ...update }
    const answer = await ask('UpdateItem', asked)
    expect(answer.body).toEqual({ ConsumedCapacity: { TableName, CapacityUnits: 1 } })
  }
  if (!('AttributeUpdates' in update)) {
    const answer = await ask('TransactWriteItems', { TransactItems: [{ Update: { TableName, Key, ...update } }] })
    expect(answer.body).toEqual({})
  }
  expect((await ask('GetItem', { TableName, Key, ConsistentRead: true })).body).toEqual({})
  expect(await eventNames(asks, TableName)).toEqual([])
})

test('an update that takes away and sets, or does nothing, makes the item', async () => {
  const asks = await asking()
  const { ask } = asks
  const TableName = await asks.table({ view: 'NEW_AND_OLD_IMAGES' })
  const key = (S: string) => ({ pk: { S } })
  const updates: readonly (readonly [object, object])[] = [
    [{ UpdateExpression: 'SET n = :n REMOVE a.b', ExpressionAttributeValues: { ':n': { N: '1' } } }, { n: { N: '1' } }],
    [{ UpdateExpression: 'ADD s :gone REMOVE a', ExpressionAttributeValues: gone }, { s: { SS: ['x'] } }],
    [{ AttributeUpdates: {} }, {}],
    [{}, {}],
  ]
  for (const [i, [update, attributes]] of updates.entries()) {
    const Key = key(`${i}`)
    const made = { ...Key, ...attributes }
    expect((await ask('UpdateItem', { TableName, Key, ReturnValues: 'ALL_NEW', ...update })).body).toEqual({
      Attributes: made,
    })
    expect((await ask('GetItem', { TableName, Key, ConsistentRead: true })).body).toEqual({ Item: made })
  }
  expect(await eventNames(asks, TableName)).toEqual(updates.map(() => 'INSERT'))
})

test('a condition is asked of what is not there before an update takes nothing away', async () => {
  const asks = await asking()
  const TableName = await asks.table()
  const asked = { TableName, Key: { pk: { S: 'missing' } }, UpdateExpression: 'REMOVE a' }
  const refused = await asks.ask('UpdateItem', { ...asked, ConditionExpression: 'attribute_exists(pk)' })
  expect(refused.error).toBe('ConditionalCheckFailedException')
  const done = await asks.ask('UpdateItem', { ...asked, ConditionExpression: 'attribute_not_exists(pk)' })
  expect(done.body).toEqual({})
})
