import { expect, test } from 'vitest'
import { ManualClock } from '../manual-clock.js'
import { temporaryFolder } from '../temporary-folder.js'
import { openTables } from './open-tables.js'

/** Tables whose disk stands still from now on, until `resume`. */
async function held() {
  const opened = await openTables({ clock: new ManualClock(), folder: temporaryFolder() })
  const table = await opened.table('table')
  let resume = () => {}
  opened.storage.beforeWrite = () =>
    new Promise((resolve) => {
      resume = () => {
        opened.storage.beforeWrite = () => {}
        resolve()
      }
    })
  return { ...opened, table, resume: () => resume() }
}

const turns = async (count: number) => {
  for (let i = 0; i < count; i++) await new Promise(setImmediate)
}

const Key = { pk: { S: 'a' } }
const add = { Key, UpdateExpression: 'ADD x :one', ExpressionAttributeValues: { ':one': { N: '1' } } }

test.each([
  ['UpdateItem', (TableName: string) => ({ TableName, ...add })],
  ['TransactWriteItems', (TableName: string) => ({ TransactItems: [{ Update: { TableName, ...add } }] })],
  ['ExecuteStatement', (TableName: string) => ({ Statement: `UPDATE "${TableName}" SET x = x + 1 WHERE pk = 'a'` })],
  ['PutItem', (TableName: string) => ({ TableName, Item: Key, ConditionExpression: 'attribute_not_exists(pk)' })],
  ['ExecuteStatement', (TableName: string) => ({ Statement: `INSERT INTO "${TableName}" VALUE {'pk': 'a'}` })],
] as const)('%s is not refused for what another write may yet lose', async (operation, input) => {
  const { run, table, resume, close } = await held()
  const put = run('PutItem', { TableName: table, Item: { ...Key, x: { S: 'text' } } })
  let answered = false
  const refused = run(operation, input(table)).then(
    () => 'done',
    (error: Error & { type: string }) => {
      answered = true
      return error.type.slice(error.type.indexOf('#') + 1)
    },
  )
  await turns(20)
  expect(answered).toBe(false)
  resume()
  expect(await refused).toMatch(/Exception$/)
  await put
  await close()
})
