import { expect, test } from 'vitest'
import { type Asking, asking } from '../asking.js'

const accounts = 8
const total = 1000 * accounts

const key = (number: number) => ({ pk: { S: `account ${number}` } })
const balance = (item: { n: { N: string } }) => Number(item.n.N)

async function bank({ ask, table }: Asking): Promise<readonly string[]> {
  const tables = [await table({ view: 'NEW_AND_OLD_IMAGES' }), await table()]
  for (let i = 0; i < accounts; i++)
    await ask('PutItem', { TableName: tables[i % 2], Item: { ...key(i), n: { N: '1000' } } })
  return tables
}

const move = (tables: readonly string[], from: number, to: number, amount: number) => ({
  TransactItems: [
    [from, -amount],
    [to, amount],
  ].map(([number, change]) => ({
    Update: {
      TableName: tables[number! % 2],
      Key: key(number!),
      UpdateExpression: 'ADD n :change',
      ConditionExpression: 'n > :low',
      ExpressionAttributeValues: { ':change': { N: String(change) }, ':low': { N: '10' } },
    },
  })),
})

const all = (tables: readonly string[], order: readonly number[]) => ({
  TransactItems: order.map((i) => ({ Get: { TableName: tables[i % 2], Key: key(i) } })),
})

test('transactions of gets see every transfer whole or not at all, whatever else is written', async () => {
  const asks = await asking()
  const { ask } = asks
  const tables = await bank(asks)
  let isDone = false
  const transfers = Array.from({ length: 6 }, async (_, worker) => {
    for (let i = 0; i < 60; i++) {
      const from = (worker * 3 + i) % accounts
      const to = (from + 1 + (i % (accounts - 1))) % accounts
      const answer = await ask('TransactWriteItems', move(tables, from, to, 1 + (i % 7)))
      expect([undefined, 'TransactionCanceledException']).toContain(answer.error)
    }
  })
  // Singles, batches and the control plane go through the same gates and latches.
  const others = [0, 1].map(async (worker) => {
    while (!isDone) {
      const TableName = tables[worker]
      await ask('UpdateItem', {
        TableName,
        Key: key(worker),
        UpdateExpression: 'SET touched = :t',
        ExpressionAttributeValues: { ':t': { S: `${Math.random()}` } },
      })
      await ask('BatchWriteItem', {
        RequestItems: {
          [tables[0]!]: [{ PutRequest: { Item: { pk: { S: `b${worker}` } } } }],
          [tables[1]!]: [{ DeleteRequest: { Key: { pk: { S: `b${worker}` } } } }],
        },
      })
      await ask('UpdateTable', { TableName, DeletionProtectionEnabled: Math.random() < 0.5 })
    }
  })
  const readers = [0, 1, 2].map(async (worker) => {
    const order = Array.from({ length: accounts }, (_, i) => (i * 3 + worker) % accounts)
    let seen = 0
    while (!isDone) {
      const { status, body } = await ask<{ Responses: { Item: { n: { N: string } } }[] }>(
        'TransactGetItems',
        all(tables, order),
      )
      expect(status).toBe(200)
      expect(body.Responses.reduce((sum, { Item }) => sum + balance(Item), 0)).toBe(total)
      seen++
    }
    return seen
  })
  await Promise.all(transfers)
  isDone = true
  await Promise.all(others)
  expect(Math.min(...(await Promise.all(readers)))).toBeGreaterThan(0)
})

test('of two transactions that each check what the other writes, one is cancelled', async () => {
  const { ask, table } = await asking()
  const TableName = await table()
  const oneOf = (own: string, other: string) => ({
    TransactItems: [
      { Put: { TableName, Item: { pk: { S: own } } } },
      { ConditionCheck: { TableName, Key: { pk: { S: other } }, ConditionExpression: 'attribute_not_exists(pk)' } },
    ],
  })
  for (let round = 0; round < 30; round++) {
    const answers = await Promise.all([
      ask('TransactWriteItems', oneOf(`a${round}`, `b${round}`)),
      ask('TransactWriteItems', oneOf(`b${round}`, `a${round}`)),
    ])
    expect(answers.map(({ error }) => error).sort()).toEqual(['TransactionCanceledException', undefined])
  }
})

test('while tables are deleted and made again, transactions over them are done or refused, and nothing hangs', async () => {
  const asks = await asking()
  const { ask } = asks
  const lasting = await asks.table()
  const TableName = 'comes-and-goes'
  const description = {
    TableName,
    AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
  }
  let isDone = false
  const errors = new Set<string | undefined>()
  const writers = Array.from({ length: 4 }, async (_, worker) => {
    for (let i = 0; !isDone; i++) {
      const Item = { pk: { S: `${worker}` }, i: { N: `${i}` } }
      const { error } = await ask('TransactWriteItems', {
        TransactItems: [{ Put: { TableName: lasting, Item } }, { Put: { TableName, Item } }],
      })
      errors.add(error)
    }
  })
  for (let i = 0; i < 10; i++) {
    expect((await ask('CreateTable', description)).status).toBe(200)
    await new Promise((resolve) => setImmediate(resolve))
    expect((await ask('DeleteTable', { TableName })).status).toBe(200)
  }
  isDone = true
  await Promise.all(writers)
  errors.delete(undefined)
  errors.delete('ResourceNotFoundException')
  expect([...errors]).toEqual([])
})
