import { expect, test } from 'vitest'
import { Family } from '../../../src/commit/index.js'
import { ManualClock } from '../../manual-clock.js'
import { temporaryFolder } from '../../temporary-folder.js'
import { type OpenTables, openTables } from '../open-tables.js'

const pk = (S: string) => ({ pk: { S } })
const opening = () => openTables({ clock: new ManualClock(), folder: temporaryFolder() })

/** Holds the writes of the store until the function that it gives is called. */
function holdWrites({ storage }: OpenTables): () => void {
  let goOn = () => {}
  const held = new Promise<void>((resolve) => {
    goOn = resolve
  })
  storage.beforeWrite = () => held
  return goOn
}

test('of transactions that decide at once on what the other writes, the second sees the first', async () => {
  const opened = await opening()
  const TableName = await opened.table('cross')
  const write = (own: string, other: string) =>
    opened
      .run('TransactWriteItems', {
        TransactItems: [
          { Put: { TableName, Item: pk(own) } },
          { ConditionCheck: { TableName, Key: pk(other), ConditionExpression: 'attribute_not_exists(pk)' } },
        ],
      })
      .then(
        () => 'done',
        (error: Error) => error.message,
      )
  const answers = await Promise.all([write('a', 'b'), write('b', 'a')])
  expect(answers).toEqual([
    'done',
    'Transaction cancelled, please refer cancellation reasons for specific reasons [None, ConditionalCheckFailed]',
  ])
  await opened.close()
})

test('what a transaction rests on is durable before it is answered, also when it is cancelled or only reads', async () => {
  const opened = await opening()
  const TableName = await opened.table('queued')
  const goOn = holdWrites(opened)
  const writing = opened.run('TransactWriteItems', {
    TransactItems: ['a', 'b'].map((S) => ({ Put: { TableName, Item: pk(S) } })),
  })
  let answered = 0
  const count = () => {
    answered++
  }
  const check = { ConditionCheck: { TableName, Key: pk('b'), ConditionExpression: 'attribute_not_exists(pk)' } }
  const reading = opened.run('TransactGetItems', {
    TransactItems: ['b', 'a'].map((S) => ({ Get: { TableName, Key: pk(S) } })),
  })
  const cancelling = opened.run('TransactWriteItems', { TransactItems: [check] })
  void reading.then(count)
  void cancelling.catch(count)
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
  expect(answered).toBe(0)
  goOn()
  await writing
  expect(await reading).toEqual({ Responses: [{ Item: pk('b') }, { Item: pk('a') }] })
  await expect(cancelling).rejects.toThrow('[ConditionalCheckFailed]')
  await opened.close()
})

test('rows of all tables, their records and the token of a transaction are one write of the store', async () => {
  const opened = await opening()
  const one = await opened.table('one')
  const two = await opened.table('two')
  await opened.run('UpdateTable', {
    TableName: one,
    StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_IMAGE' },
  })
  const before = opened.storage.history.length
  await opened.run('TransactWriteItems', {
    ClientRequestToken: 'token',
    TransactItems: [one, two, one].map((TableName, i) => ({ Put: { TableName, Item: pk(`${i}`) } })),
  })
  const writes = opened.storage.history.slice(before)
  expect(writes).toHaveLength(1)
  const count = (family: number) => writes[0]!.puts.filter(([key]) => key[0] === family).length
  expect([count(Family.item), count(Family.token), count(Family.chunk)]).toEqual([3, 1, 1])
  await opened.close()
})
