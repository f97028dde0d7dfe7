import { expect, test } from 'vitest'
import { ManualClock } from '../../manual-clock.js'
import { temporaryFolder } from '../../temporary-folder.js'
import { openTables } from '../open-tables.js'

test('an index is filled though a page of its items is larger than one commit may be', async () => {
  // One effect set may have 1 MiB here, as little as a page of items has at most.
  const { run, table, close } = await openTables({ clock: new ManualClock(), folder: temporaryFolder() })
  const TableName = await table('table')
  const large = 'x'.repeat(390 * 1024)
  for (let i = 0; i < 7; i++)
    await run('PutItem', { TableName, Item: { pk: { S: `${i}` }, a: { S: 'a' }, x: { S: large } } })
  await run('UpdateTable', {
    TableName,
    AttributeDefinitions: [{ AttributeName: 'a', AttributeType: 'S' }],
    GlobalSecondaryIndexUpdates: [
      {
        Create: {
          IndexName: 'index',
          KeySchema: [{ AttributeName: 'a', KeyType: 'HASH' }],
          Projection: { ProjectionType: 'ALL' },
        },
      },
    ],
  })
  const status = async () => {
    const { Table } = await run<{ Table: { GlobalSecondaryIndexes: { IndexStatus: string }[] } }>('DescribeTable', {
      TableName,
    })
    return Table.GlobalSecondaryIndexes[0]?.IndexStatus
  }
  for (let turn = 0; turn < 1000 && (await status()) !== 'ACTIVE'; turn++) await new Promise(setImmediate)
  expect(await status()).toBe('ACTIVE')
  expect((await run('Scan', { TableName, IndexName: 'index', Select: 'COUNT', Limit: 2 })).Count).toBe(2)
  await close()
})
