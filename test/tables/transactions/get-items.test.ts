import { expect, test } from 'vitest'
import { asking } from '../asking.js'

const pk = (S: string) => ({ pk: { S } })
const nulls = (member: string) =>
  `1 validation error detected: Value null at '${member}' failed to satisfy constraint: Member must not be null`

test('the items of gets come in their order, each with its projection; a missing one is an empty object', async () => {
  const { ask, table } = await asking()
  const one = await table()
  const two = await table({ range: true })
  await ask('PutItem', { TableName: one, Item: { ...pk('a'), m: { M: { x: { N: '1' }, y: { N: '2' } } } } })
  await ask('PutItem', { TableName: two, Item: { ...pk('b'), sk: { N: '1' }, big: { S: 'x'.repeat(5000) } } })
  const { status, body } = await ask('TransactGetItems', {
    TransactItems: [
      { Get: { TableName: one, Key: pk('missing') } },
      { Get: { TableName: two, Key: { ...pk('b'), sk: { N: '1.0' } }, ProjectionExpression: 'sk' } },
      { Get: { TableName: one, Key: pk('a'), ProjectionExpression: '#m.x', ExpressionAttributeNames: { '#m': 'm' } } },
    ],
    ReturnConsumedCapacity: 'INDEXES',
  })
  expect(status).toBe(200)
  expect(body).toEqual({
    ConsumedCapacity: [
      { TableName: one, CapacityUnits: 4, ReadCapacityUnits: 4, Table: { CapacityUnits: 4, ReadCapacityUnits: 4 } },
      { TableName: two, CapacityUnits: 4, ReadCapacityUnits: 4, Table: { CapacityUnits: 4, ReadCapacityUnits: 4 } },
    ],
    Responses: [{}, { Item: { sk: { N: '1' } } }, { Item: { m: { M: { x: { N: '1' } } } } }],
  })
})

test('faults of a request of gets', async () => {
  const { ask, table } = await asking()
  const TableName = await table()
  const refusal = async (input: unknown) => {
    const { status, error, message } = await ask('TransactGetItems', input)
    expect(status).toBe(400)
    return `${error}: ${message}`
  }
  const get = (more: object) => ({ Get: { TableName, Key: pk('a'), ...more } })
  expect(await refusal({})).toBe(`ValidationException: ${nulls('transactItems')}`)
  expect(await refusal({ TransactItems: [{}] })).toBe(`ValidationException: ${nulls('transactItems.1.member.get')}`)
  expect(await refusal({ TransactItems: [{ Get: { TableName } }] })).toBe(
    `ValidationException: ${nulls('transactItems.1.member.get.key')}`,
  )
  expect(await refusal({ TransactItems: Array.from({ length: 101 }, (_, i) => get({ Key: pk(`${i}`) })) })).toMatch(
    /Member must have length less than or equal to 100$/,
  )
  expect(await refusal({ TransactItems: [get({}), get({ ProjectionExpression: '!!!' })] })).toBe(
    'ValidationException: Invalid ProjectionExpression: Syntax error; token: "!", near: "!!"',
  )
  expect(await refusal({ TransactItems: [get({}), get({ ExpressionAttributeNames: { '#a': 'a' } })] })).toBe(
    'ValidationException: ExpressionAttributeNames can only be specified when using expressions',
  )
  expect(await refusal({ TransactItems: [get({ TableName: 'no-such-table' }), get({}), get({})] })).toBe(
    'ResourceNotFoundException: Requested resource not found',
  )
  expect(await refusal({ TransactItems: [get({}), get({})] })).toBe(
    'ValidationException: Transaction request cannot include multiple operations on one item',
  )
  const cancelled = await ask<{ CancellationReasons: object[] }>('TransactGetItems', {
    TransactItems: [get({}), get({ Key: {} })],
  })
  expect(cancelled.error).toBe('TransactionCanceledException')
  expect(cancelled.body.CancellationReasons).toEqual([
    { Code: 'None' },
    { Code: 'ValidationError', Message: 'The provided key element does not match the schema' },
  ])
})

test('items of more than 4 MiB are not answered together', async () => {
  const { ask, table } = await asking()
  const TableName = await table()
  const keys = Array.from({ length: 11 }, (_, i) => pk(`${i}`))
  for (const key of keys) await ask('PutItem', { TableName, Item: { ...key, x: { S: 'x'.repeat(400_000) } } })
  const get = (count: number) =>
    ask<{ Responses: object[] }>('TransactGetItems', {
      TransactItems: keys.slice(0, count).map((Key) => ({ Get: { TableName, Key } })),
    })
  expect((await get(10)).body.Responses).toHaveLength(10)
  expect(await get(11)).toMatchObject({
    error: 'ValidationException',
    message: 'Transaction payload size cannot exceed 4 MB',
  })
})
