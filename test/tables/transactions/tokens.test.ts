import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Family } from '../../../src/commit/index.js'
import { decodeToken, digestOf, encodeToken, tokenKey, tokenMs } from '../../../src/tables/transactions/tokens.js'
import { ManualClock } from '../../manual-clock.js'
import { temporaryFolder } from '../../temporary-folder.js'
import { type OpenTables, openTables } from '../open-tables.js'

const pk = (S: string) => ({ pk: { S } })
const add = (TableName: string, key: string) => ({
  Update: {
    TableName,
    Key: pk(key),
    UpdateExpression: 'ADD n :one',
    ExpressionAttributeValues: { ':one': { N: '1' } },
  },
})

async function count({ run }: OpenTables, TableName: string, key: string): Promise<string | undefined> {
  const { Item } = await run<{ Item?: { n: { N: string } } }>('GetItem', {
    TableName,
    Key: pk(key),
    ConsistentRead: true,
  })
  return Item?.n.N
}

async function tokenRows({ storage }: OpenTables): Promise<number> {
  const page = await storage.page({
    gte: Buffer.from([Family.token]),
    lt: Buffer.from([Family.token + 1]),
    limit: 10_000,
    bytesMax: 1 << 20,
  })
  return page.keys.length
}

test('a transaction is done once for its token, also after a restart; for ten minutes', async () => {
  const clock = new ManualClock()
  const folder = temporaryFolder()
  let opened = await openTables({ clock, folder })
  const TableName = await opened.table('counts')
  await opened.run('PutItem', { TableName, Item: { ...pk('a'), x: { S: 'x'.repeat(9000) } } })
  const request = {
    ClientRequestToken: 'token',
    TransactItems: [add(TableName, 'a'), add(TableName, 'b')],
    ReturnConsumedCapacity: 'TOTAL',
  }
  const first = [{ TableName, CapacityUnits: 20, WriteCapacityUnits: 20 }]
  const again = [{ TableName, CapacityUnits: 8, ReadCapacityUnits: 8 }]
  expect((await opened.run('TransactWriteItems', request)).ConsumedCapacity).toEqual(first)
  expect((await opened.run('TransactWriteItems', request)).ConsumedCapacity).toEqual(again)
  // The same, whatever the order of members; and what an answer shows is no part of it.
  const { Update } = add(TableName, 'a')
  const { ExpressionAttributeValues, Key, ...rest } = Update
  await opened.run('TransactWriteItems', {
    ...request,
    TransactItems: [{ Update: { ExpressionAttributeValues, ...rest, Key } }, add(TableName, 'b')],
    ReturnConsumedCapacity: 'NONE',
  })
  expect(await count(opened, TableName, 'a')).toBe('1')

  await opened.close()
  opened = await openTables({ clock, folder, storage: opened.storage })
  clock.advance(tokenMs - 1)
  expect((await opened.run('TransactWriteItems', request)).ConsumedCapacity).toEqual(again)
  await expect(
    opened.run('TransactWriteItems', { ...request, TransactItems: [add(TableName, 'c')] }),
  ).rejects.toMatchObject({
    type: expect.stringContaining('#IdempotentParameterMismatchException'),
    message: 'Specified idempotent token was used with different request parameters within the idempotency window',
  })
  expect(await count(opened, TableName, 'c')).toBeUndefined()
  clock.advance(1)
  await opened.run('TransactWriteItems', request)
  expect(await count(opened, TableName, 'a')).toBe('2')
  await opened.close()
})

test('a token whose transaction was cancelled may be used again, also for another', async () => {
  const opened = await openTables({ clock: new ManualClock(), folder: temporaryFolder() })
  const TableName = await opened.table('counts')
  const check = { ConditionCheck: { TableName, Key: pk('b'), ConditionExpression: 'attribute_exists(pk)' } }
  const request = { ClientRequestToken: 'token', TransactItems: [add(TableName, 'a'), check] }
  await expect(opened.run('TransactWriteItems', request)).rejects.toThrow('[None, ConditionalCheckFailed]')
  await opened.run('PutItem', { TableName, Item: pk('b') })
  await opened.run('TransactWriteItems', request)
  expect(await count(opened, TableName, 'a')).toBe('1')
  await opened.close()
})

test('a transaction that changes nothing keeps its token all the same', async () => {
  const opened = await openTables({ clock: new ManualClock(), folder: temporaryFolder() })
  const TableName = await opened.table('counts')
  const check = { ConditionCheck: { TableName, Key: pk('b'), ConditionExpression: 'attribute_not_exists(pk)' } }
  const request = { ClientRequestToken: 'token', TransactItems: [check] }
  await opened.run('TransactWriteItems', request)
  await opened.run('PutItem', { TableName, Item: pk('b') })
  await opened.run('TransactWriteItems', request)
  await opened.close()
})

test('of a request that runs, the same one is told so and another one is refused', async () => {
  const opened = await openTables({ clock: new ManualClock(), folder: temporaryFolder() })
  const TableName = await opened.table('counts')
  let goOn = () => {}
  const held = new Promise<void>((resolve) => {
    goOn = resolve
  })
  opened.storage.beforeWrite = () => held
  const request = { ClientRequestToken: 'token', TransactItems: [add(TableName, 'a')] }
  const first = opened.run('TransactWriteItems', request)
  await expect(opened.run('TransactWriteItems', request)).rejects.toMatchObject({
    type: expect.stringContaining('#TransactionInProgressException'),
  })
  await expect(
    opened.run('TransactWriteItems', { ...request, TransactItems: [add(TableName, 'b')] }),
  ).rejects.toMatchObject({ type: expect.stringContaining('#IdempotentParameterMismatchException') })
  goOn()
  expect(await first).toEqual({})
  await opened.run('TransactWriteItems', request)
  expect(await count(opened, TableName, 'a')).toBe('1')
  await opened.close()
})

test('tokens that are over are removed', async () => {
  const clock = new ManualClock()
  const opened = await openTables({ clock, folder: temporaryFolder() })
  const TableName = await opened.table('counts')
  const run = (token: string) =>
    opened.run('TransactWriteItems', { ClientRequestToken: token, TransactItems: [add(TableName, token)] })
  await Promise.all(Array.from({ length: 1500 }, (_, i) => run(`old ${i}`)))
  clock.advance(tokenMs / 2)
  await run('newer')
  expect(await tokenRows(opened)).toBe(1501)
  clock.advance(tokenMs / 2)
  await expect.poll(() => tokenRows(opened)).toBe(1)
  await run('newer')
  expect(await count(opened, TableName, 'newer')).toBe('1')
  clock.advance(tokenMs)
  await expect.poll(() => tokenRows(opened)).toBe(0)
  await opened.close()
})

test('the row of a token is the vector of docs/formats.md', () => {
  const digest = digestOf(['TransactWriteItems', [{ b: 1, a: 2 }]])
  expect(digest.equals(digestOf(['TransactWriteItems', [{ a: 2, b: 1 }]]))).toBe(true)
  expect(digest.toString('hex')).toBe('262e213f1d61dcd37e191403bbfb893af31791311a3b1c55ece55fd4ef7ac2f5')
  const expiresAt = Date.parse('2026-01-01T00:10:00Z')
  const same = Buffer.alloc(32, 0xab)
  const row = encodeToken(expiresAt, same, [['orders', 8]])
  const vector = /```token\n([^`]*)```/.exec(readFileSync('docs/formats.md', 'utf8'))![1]!.replace(/\s/g, '')
  expect(tokenKey('token').toString('hex') + row.toString('hex')).toBe(vector)
  expect(decodeToken(row)).toEqual({ expiresAt, digest: same, units: [['orders', 8]] })
})
