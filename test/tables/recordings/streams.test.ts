import { expect, test } from 'vitest'
import { asking } from '../asking.js'
import {
  aLabel,
  aSequence,
  aShardId,
  aTime,
  bodyOf,
  described,
  recordOf,
  recordsOf,
  streamArn,
  tableOf,
} from './recorded.js'

const both = 'NEW_AND_OLD_IMAGES'

test('writes one by one and in a batch, as the stream of AWS told them', async () => {
  const { ask } = await asking()
  const name = 'batches'
  const created = bodyOf(
    await ask<{ TableDescription: { LatestStreamArn: string } }>('CreateTable', tableOf(name, both)),
  )
  expect(created).toEqual({ TableDescription: described(name, both) })
  const StreamArn = created.TableDescription.LatestStreamArn
  expect(bodyOf(await ask('DescribeStream', { StreamArn }))).toEqual({
    StreamDescription: {
      CreationRequestDateTime: aTime,
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      Shards: [{ SequenceNumberRange: { StartingSequenceNumber: aSequence }, ShardId: aShardId }],
      StreamArn,
      StreamLabel: aLabel,
      StreamStatus: 'ENABLED',
      StreamViewType: both,
      TableName: name,
    },
  })
  const fred = { id: { S: 'Fred' } }
  const named = { ...fred, name: { S: 'Fred' } }
  const key = { id: { S: 'NewKey' } }
  const batch = (...requests: object[]) => ask('BatchWriteItem', { RequestItems: { [name]: requests } })
  expect(bodyOf(await ask('PutItem', { TableName: name, Item: fred }))).toEqual({})
  // The same item again is no change.
  const again = await batch({ PutRequest: { Item: fred } }, { PutRequest: { Item: key } })
  expect(bodyOf(again)).toEqual({ UnprocessedItems: {} })
  const deleted = await batch({ DeleteRequest: { Key: key } })
  expect(bodyOf(deleted)).toEqual({ UnprocessedItems: {} })
  await batch({ PutRequest: { Item: named } })
  expect(await recordsOf(ask, StreamArn)).toEqual([
    recordOf('INSERT', both, { Keys: fred, NewImage: fred, SizeBytes: 12 }),
    recordOf('INSERT', both, { Keys: key, NewImage: key, SizeBytes: 16 }),
    recordOf('REMOVE', both, { Keys: key, OldImage: key, SizeBytes: 16 }),
    recordOf('MODIFY', both, { Keys: fred, NewImage: named, OldImage: fred, SizeBytes: 26 }),
  ])
})

test('an update makes an INSERT and then a MODIFY', async () => {
  const { ask } = await asking()
  const name = 'updates'
  const created = bodyOf(
    await ask<{ TableDescription: { LatestStreamArn: string } }>('CreateTable', tableOf(name, both)),
  )
  const StreamArn = created.TableDescription.LatestStreamArn
  const Keys = { id: { S: 'my-item-id' } }
  const update = (one: string, two: string) =>
    ask('UpdateItem', {
      TableName: name,
      Key: Keys,
      UpdateExpression: 'SET attr1 = :v1, attr2 = :v2',
      ExpressionAttributeValues: { ':v1': { S: one }, ':v2': { S: two } },
    })
  expect(bodyOf(await update('value1', 'value2'))).toEqual({})
  expect(bodyOf(await update('value2', 'value3'))).toEqual({})
  const image = (one: string, two: string) => ({ ...Keys, attr1: { S: one }, attr2: { S: two } })
  const [first, second] = [image('value1', 'value2'), image('value2', 'value3')]
  expect(await recordsOf(ask, StreamArn)).toEqual([
    recordOf('INSERT', both, { Keys, NewImage: first, SizeBytes: 46 }),
    recordOf('MODIFY', both, { Keys, NewImage: second, OldImage: first, SizeBytes: 80 }),
  ])
})

test('a binary value is the same in the item and in the stream', async () => {
  const { ask } = await asking()
  const name = 'encodings'
  const created = bodyOf(
    await ask<{ TableDescription: { LatestStreamArn: string } }>('CreateTable', tableOf(name, both)),
  )
  const Key = { id: { S: 'id1' } }
  // One byte that is no UTF-8.
  const item = (version: string) => ({
    ...Key,
    data: { B: Buffer.from([0x90]).toString('base64') },
    version: { N: version },
  })
  const get = async () => bodyOf(await ask('GetItem', { TableName: name, Key })).Item
  await ask('PutItem', { TableName: name, Item: item('1') })
  expect(await get()).toEqual(item('1'))
  await ask('UpdateItem', {
    TableName: name,
    Key,
    UpdateExpression: 'SET version = :v',
    ExpressionAttributeValues: { ':v': { N: '2' } },
  })
  expect(await get()).toEqual(item('2'))
  const records = (await recordsOf(ask, created.TableDescription.LatestStreamArn)) as {
    dynamodb: { NewImage: object }
  }[]
  expect(records.map(({ dynamodb }) => dynamodb.NewImage)).toEqual([item('1'), item('2')])
})

test('DescribeStream behind the last shard lists none, and ListStreams names the stream of a table', async () => {
  const { ask } = await asking()
  const name = 'shards'
  const created = bodyOf(
    await ask<{ TableDescription: { LatestStreamArn: string } }>('CreateTable', tableOf(name, 'NEW_IMAGE')),
  )
  const StreamArn = created.TableDescription.LatestStreamArn
  type Answer = { StreamDescription: { Shards: { ShardId: string }[] } }
  const { Shards } = bodyOf(await ask<Answer>('DescribeStream', { StreamArn })).StreamDescription
  const ExclusiveStartShardId = Shards.at(-1)?.ShardId
  const behind = bodyOf(await ask<Answer>('DescribeStream', { StreamArn, ExclusiveStartShardId }))
  expect(behind.StreamDescription.Shards).toEqual([])
  expect(bodyOf(await ask('ListStreams', { TableName: name }))).toEqual({
    Streams: [{ StreamArn: streamArn(name), StreamLabel: aLabel, TableName: name }],
  })
})
