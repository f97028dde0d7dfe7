import { expect, test } from 'vitest'
import { asking } from '../asking.js'
import { bodyOf, described, recordOf, recordsOf, tableOf } from './recorded.js'

const both = 'NEW_AND_OLD_IMAGES'

test('a transaction of every kind of action, its table by name and by ARN', async () => {
  const { ask } = await asking()
  const made = bodyOf(
    await ask<{ TableDescription: { TableArn: string } }>('CreateTable', tableOf('actions')),
  ).TableDescription
  const put = (id: string) => ask('PutItem', { TableName: 'actions', Item: { id: { S: id } } })
  for (const TableName of ['actions', made.TableArn]) {
    await put('checked')
    await put('updated')
    await put('deleted')
    const answer = await ask('TransactWriteItems', {
      TransactItems: [
        {
          ConditionCheck: {
            TableName,
            Key: { id: { S: 'checked' } },
            ConditionExpression: 'attribute_exists(id)',
          },
        },
        { Put: { TableName, Item: { id: { S: 'put' } } } },
        {
          Update: {
            TableName,
            Key: { id: { S: 'updated' } },
            UpdateExpression: 'SET attr1 = :v1, attr2 = :v2',
            ExpressionAttributeValues: { ':v1': { S: 'value1' }, ':v2': { S: 'value2' } },
          },
        },
        { Delete: { TableName, Key: { id: { S: 'deleted' } } } },
      ],
    })
    expect(bodyOf(answer)).toEqual({})
  }
})

test('binary data goes through a transaction as it is', async () => {
  const { ask } = await asking()
  await ask('CreateTable', tableOf('binary'))
  const Item = { id: { S: 'someUser' }, binaryData: { B: Buffer.from('foobar').toString('base64') } }
  const written = await ask('TransactWriteItems', { TransactItems: [{ Put: { TableName: 'binary', Item } }] })
  expect(bodyOf(written)).toEqual({})
  const got = await ask('GetItem', { TableName: 'binary', Key: { id: { S: 'someUser' } } })
  expect(bodyOf(got).Item).toEqual(Item)
})

test('a transaction that is sent again with its token is answered again and done once', async () => {
  const { ask } = await asking()
  const { TableDescription } = bodyOf(
    await ask<{ TableDescription: { LatestStreamArn: string } }>('CreateTable', tableOf('once', both)),
  )
  const request = {
    ClientRequestToken: 'dedupe_token',
    TransactItems: [{ Put: { TableName: 'once', Item: { id: { S: 'id1' }, name: { S: 'name1' } } } }],
  }
  expect(bodyOf(await ask('TransactWriteItems', request))).toEqual({})
  expect(bodyOf(await ask('TransactWriteItems', request))).toEqual({})
  expect(await recordsOf(ask, TableDescription.LatestStreamArn)).toHaveLength(1)
})

test('a transaction on a table that is not there', async () => {
  const { ask } = await asking()
  const answer = await ask('TransactWriteItems', {
    TransactItems: [{ Put: { TableName: 'non-existent-table', Item: { id: { S: 'a' } } } }],
  })
  expect(answer).toMatchObject({
    status: 400,
    error: 'ResourceNotFoundException',
    message: 'Requested resource not found',
  })
})

test('of a transaction over two tables the stream of one tells what was done to that one', async () => {
  const { ask } = await asking()
  const [streamed, plain] = ['streamed', 'plain']
  const created = bodyOf(
    await ask<{ TableDescription: { LatestStreamArn: string } }>('CreateTable', tableOf(streamed, both)),
  )
  expect(created.TableDescription).toEqual(described(streamed, both))
  expect(bodyOf(await ask('CreateTable', tableOf(plain)))).toEqual({ TableDescription: described(plain) })
  const fred = { id: { S: 'Fred' } }
  const written = await ask('TransactWriteItems', {
    TransactItems: [
      { Put: { TableName: plain, Item: { id: { S: 'Fred' } } } },
      { Put: { TableName: streamed, Item: fred } },
    ],
  })
  expect(bodyOf(written)).toEqual({})
  expect(await recordsOf(ask, created.TableDescription.LatestStreamArn)).toEqual([
    recordOf('INSERT', both, { Keys: fred, NewImage: fred, SizeBytes: 12 }),
  ])
})
