import { expect, test } from 'vitest'
import { ManualClock } from '../../manual-clock.js'
import { asking } from '../asking.js'
import { openExpiry } from '../expiry/open-expiry.js'

const inUse = 'Attempt to change a resource which is still in use: '

test('a table is CREATING, UPDATING and DELETING for as long as is configured', async () => {
  const clock = new ManualClock()
  const { ask } = await asking({ tables: { createMs: 5000, updateMs: 3000, deleteMs: 2000 } }, clock)
  const TableName = 'slow'
  const wanted = {
    TableName,
    AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
  }
  const status = async () => {
    const { body, error } = await ask<{ Table: { TableStatus: string } }>('DescribeTable', { TableName })
    return error ?? body.Table.TableStatus
  }
  const refusal = async (operation: string, input: object) => {
    const { error, message } = await ask(operation, { TableName, ...input })
    return [error, message]
  }
  const protect = { DeletionProtectionEnabled: false }
  const item = { Item: { pk: { S: 'a' } } }

  expect((await ask('CreateTable', wanted)).body).toMatchObject({ TableDescription: { TableStatus: 'CREATING' } })
  expect(await status()).toBe('CREATING')
  expect(await refusal('PutItem', item)).toEqual(['ResourceNotFoundException', 'Requested resource not found'])
  expect(await refusal('UpdateTable', protect)).toEqual([
    'ResourceInUseException',
    `${inUse}Table is being created: ${TableName}`,
  ])
  expect((await refusal('DeleteTable', {}))[0]).toBe('ResourceInUseException')
  expect(await refusal('DescribeTimeToLive', {})).toEqual([
    'ValidationException',
    'Cannot describe time to live while table is in CREATING state: Current table state is CREATING',
  ])
  expect(await refusal('CreateTable', wanted)).toEqual(['ResourceInUseException', `Table already exists: ${TableName}`])
  clock.advance(4999)
  expect(await status()).toBe('CREATING')
  clock.advance(1)
  expect(await status()).toBe('ACTIVE')

  expect((await ask('UpdateTable', { TableName, ...protect })).body).toMatchObject({
    TableDescription: { TableStatus: 'UPDATING' },
  })
  expect(await status()).toBe('UPDATING')
  expect((await ask('PutItem', { TableName, ...item })).status).toBe(200)
  expect(await refusal('UpdateTable', protect)).toEqual([
    'ResourceInUseException',
    `${inUse}Table is being updated: ${TableName}`,
  ])
  expect(await refusal('DeleteTable', {})).toEqual([
    'ResourceInUseException',
    `${inUse}Table: ${TableName} is in the process of being updated.`,
  ])
  clock.advance(3000)
  expect(await status()).toBe('ACTIVE')

  expect((await ask('DeleteTable', { TableName })).body).toMatchObject({
    TableDescription: { TableStatus: 'DELETING' },
  })
  expect(await status()).toBe('DELETING')
  expect((await ask('ListTables', {})).body).toEqual({ TableNames: [TableName] })
  expect(await refusal('GetItem', { Key: { pk: { S: 'a' } } })).toEqual([
    'ResourceNotFoundException',
    'Requested resource not found',
  ])
  expect(await refusal('DeleteTable', {})).toEqual([
    'ResourceInUseException',
    `${inUse}Table is being deleted: ${TableName}`,
  ])
  expect((await refusal('CreateTable', wanted))[0]).toBe('ResourceInUseException')
  clock.advance(2000)
  expect(await status()).toBe('ResourceNotFoundException')
  expect((await ask('ListTables', {})).body).toEqual({ TableNames: [] })
  expect((await ask('CreateTable', wanted)).status).toBe(200)
})

test('a deleted table is forgotten when it is not described any more, though nobody asks', async () => {
  /** Counts those who wait for a time. */
  class CountingClock extends ManualClock {
    waiting = 0

    override setTimeout(run: () => void, ms: number): { cancel(): void } {
      let isWaiting = true
      this.waiting++
      const end = () => {
        if (isWaiting) this.waiting--
        isWaiting = false
      }
      const timer = super.setTimeout(() => {
        end()
        run()
      }, ms)
      return {
        cancel: () => {
          end()
          timer.cancel()
        },
      }
    }
  }
  const clock = new CountingClock()
  const { create, run, close } = await openExpiry({ clock, control: { deleteMs: 2000 } })
  const before = clock.waiting
  for (const name of ['first', 'second']) {
    await create(name)
    await run('DeleteTable', { TableName: name })
  }
  expect(clock.waiting).toBe(before + 2)
  expect(await run('ListTables', {})).toEqual({ TableNames: ['first', 'second'] })
  clock.advance(2000)
  expect(clock.waiting).toBe(before)
  expect(await run('ListTables', {})).toEqual({ TableNames: [] })
  await create('first')
  await run('DeleteTable', { TableName: 'first' })
  await close()
  expect(clock.waiting).toBe(0)
})

test('the answer to DeleteTable names neither keys nor indexes, nor the time of creation', async () => {
  const { ask } = await asking()
  const TableName = 'indexed'
  await ask('CreateTable', {
    TableName,
    AttributeDefinitions: ['pk', 'sk', 'x'].map((AttributeName) => ({ AttributeName, AttributeType: 'S' })),
    KeySchema: [
      { AttributeName: 'pk', KeyType: 'HASH' },
      { AttributeName: 'sk', KeyType: 'RANGE' },
    ],
    GlobalSecondaryIndexes: [
      {
        IndexName: 'global',
        KeySchema: [{ AttributeName: 'x', KeyType: 'HASH' }],
        Projection: { ProjectionType: 'ALL' },
      },
    ],
    LocalSecondaryIndexes: [
      {
        IndexName: 'local',
        KeySchema: [
          { AttributeName: 'pk', KeyType: 'HASH' },
          { AttributeName: 'x', KeyType: 'RANGE' },
        ],
        Projection: { ProjectionType: 'ALL' },
      },
    ],
    BillingMode: 'PAY_PER_REQUEST',
  })
  const shown = ['AttributeDefinitions', 'KeySchema', 'CreationDateTime']
  const indexes = ['GlobalSecondaryIndexes', 'LocalSecondaryIndexes']
  const described = await ask<{ Table: object }>('DescribeTable', { TableName })
  expect(Object.keys(described.body.Table)).toEqual(expect.arrayContaining([...shown, ...indexes]))
  const { body } = await ask<{ TableDescription: object }>('DeleteTable', { TableName })
  expect(body.TableDescription).toMatchObject({
    TableName,
    TableStatus: 'DELETING',
    TableId: expect.any(String),
    TableArn: expect.stringMatching(/^arn:/),
    ItemCount: 0,
    TableSizeBytes: 0,
    ProvisionedThroughput: { NumberOfDecreasesToday: 0, ReadCapacityUnits: 0, WriteCapacityUnits: 0 },
    BillingModeSummary: { BillingMode: 'PAY_PER_REQUEST', LastUpdateToPayPerRequestDateTime: expect.any(Number) },
  })
  for (const name of [...shown, ...indexes]) expect(body.TableDescription).not.toHaveProperty(name)
})
