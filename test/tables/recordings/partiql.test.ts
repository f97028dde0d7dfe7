import { expect, test } from 'vitest'
import { asking } from '../asking.js'
import { bodyOf } from './recorded.js'

const table = (TableName: string) => ({
  TableName,
  AttributeDefinitions: [{ AttributeName: 'Username', AttributeType: 'S' }],
  KeySchema: [{ AttributeName: 'Username', KeyType: 'HASH' }],
  BillingMode: 'PAY_PER_REQUEST',
})

test('a transaction of two INSERTs answers with nothing, and both are there', async () => {
  const { ask } = await asking()
  await ask('CreateTable', table('inserts'))
  const done = await ask('ExecuteTransaction', {
    TransactStatements: ['user01', 'user02'].map((user) => ({
      Statement: `INSERT INTO "inserts" VALUE {'Username': '${user}'}`,
    })),
  })
  expect(bodyOf(done)).toEqual({ Responses: [] })
  const { Items, ...counts } = bodyOf(
    await ask<{ Items: { Username: { S: string } }[] }>('Scan', { TableName: 'inserts' }),
  )
  expect(counts).toEqual({ Count: 2, ScannedCount: 2 })
  expect(Items.map(({ Username }) => Username.S).sort()).toEqual(['user01', 'user02'])
})

test('IS NOT MISSING leaves out what has no such attribute', async () => {
  const { ask } = await asking()
  await ask('CreateTable', table('missing'))
  const alice = { Username: { S: 'Alice123' }, FirstName: { S: 'Alice' } }
  for (const Item of [alice, { Username: { S: 'Bob321' }, LastName: { S: 'Smith' } }])
    await ask('PutItem', { TableName: 'missing', Item })
  const found = await ask('ExecuteStatement', { Statement: 'SELECT * FROM "missing" WHERE FirstName IS NOT MISSING' })
  expect(bodyOf(found).Items).toEqual([alice])
})
