import { expect, test } from 'vitest'
import { running } from './running.js'

interface Response {
  readonly TableName?: string
  readonly Item?: object
  readonly Error?: { readonly Code: string; readonly Message: string; readonly Item?: object }
}

async function batches() {
  const tables = await running()
  return {
    ...tables,
    batch: async (Statements: object[], more: object = {}) => {
      const { body, message } = await tables.ask<{ Responses: Response[]; ConsumedCapacity?: object[] }>(
        'BatchExecuteStatement',
        { Statements, ...more },
      )
      expect(message).toBeUndefined()
      return body
    },
  }
}

test('every statement of a batch has an answer of its own', async () => {
  const { batch, put, get, hashed } = await batches()
  await put(hashed, { pk: { S: 'there' }, x: { N: '1' } })
  await put(hashed, { pk: { S: 'gone' }, x: { N: '1' } })
  const { Responses } = await batch([
    { Statement: `INSERT INTO "${hashed}" VALUE {'pk': 'new'}` },
    { Statement: `INSERT INTO "${hashed}" VALUE {'pk': ?}`, Parameters: [{ S: 'there' }] },
    { Statement: `UPDATE "${hashed}" SET y = 1 WHERE pk = 'there' AND x = 1 RETURNING MODIFIED NEW *` },
    {
      Statement: `UPDATE "${hashed}" SET y = 1 WHERE pk = 'there' AND x = 2`,
      ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
    },
    { Statement: `DELETE FROM "${hashed}" WHERE pk = 'gone' RETURNING ALL OLD *` },
    { Statement: `UPDATE "${hashed}" REMOVE zz WHERE pk = 'new' RETURNING MODIFIED OLD *` },
    { Statement: `UPDATE "${hashed}" SET x.y = 1 WHERE pk = 'there'` },
    { Statement: `SLECT * FROM "${hashed}"` },
    { Statement: `DELETE FROM "${hashed}"` },
    { Statement: `DELETE FROM "not-there" WHERE pk = 'x'` },
    { Statement: `UPDATE "${hashed}" SET y = ? WHERE pk = 'there'`, Parameters: [{ SS: [] }] },
    { Statement: `EXISTS(SELECT * FROM "${hashed}" WHERE pk = 'x' AND a = 1)` },
  ])
  expect(Responses).toEqual([
    { TableName: hashed },
    { TableName: hashed, Error: { Code: 'DuplicateItem', Message: 'Duplicate primary key exists in table' } },
    { TableName: hashed, Item: { y: { N: '1' } } },
    {
      TableName: hashed,
      Error: {
        Code: 'ConditionalCheckFailed',
        Message: 'The conditional request failed',
        Item: { pk: { S: 'there' }, x: { N: '1' }, y: { N: '1' } },
      },
    },
    { TableName: hashed, Item: { pk: { S: 'gone' }, x: { N: '1' } } },
    { TableName: hashed },
    {
      TableName: hashed,
      Error: {
        Code: 'ValidationError',
        Message: 'The document path provided in the update expression is invalid for update',
      },
    },
    {
      Error: {
        Code: 'ValidationError',
        Message: "Statement wasn't well formed, can't be processed: Expected data manipulation",
      },
    },
    {
      Error: {
        Code: 'ValidationError',
        Message: 'Where clause does not contain a mandatory equality on all key attributes',
      },
    },
    { Error: { Code: 'ResourceNotFound', Message: 'Requested resource not found' } },
    {
      Error: {
        Code: 'ValidationError',
        Message: 'One or more parameter values were invalid: An string set  may not be empty',
      },
    },
    {
      Error: {
        Code: 'ValidationError',
        Message: 'EXISTS can only be used in ExecuteTransaction write requests.',
      },
    },
  ])
  expect(await get('gone')).toBeUndefined()
  expect(await get('new')).toEqual({ pk: { S: 'new' } })
})

test('a SELECT of a batch names the whole key and nothing else', async () => {
  const { batch, put, hashed, ranged } = await batches()
  await put(ranged, { pk: { S: 'a' }, sk: { N: '1' }, m: { M: { x: { S: 'y' } } } })
  const select = `SELECT m.x FROM "${ranged}" WHERE `
  const { Responses, ConsumedCapacity } = await batch(
    [
      { Statement: `${select}pk = 'a' AND sk = 1`, ConsistentRead: true },
      { Statement: `${select}pk IN ['a'] AND sk IN [?]`, Parameters: [{ N: '1.0' }] },
      { Statement: `SELECT * FROM "${hashed}" WHERE pk = 'none'` },
      { Statement: `${select}pk = 'a'` },
      { Statement: `${select}pk = 'a' AND sk = 1 AND m.x = 'y'` },
      {
        Statement: `SELECT * FROM "${ranged}" WHERE pk = 'a' AND sk = 1 ORDER BY sk`,
      },
    ],
    { ReturnConsumedCapacity: 'TOTAL' },
  )
  const refused = {
    Error: {
      Code: 'ValidationError',
      Message: 'Select statements within BatchExecuteStatement must specify the primary key in the where clause.',
    },
  }
  const found = { TableName: ranged, Item: { x: { S: 'y' } } }
  expect(Responses).toEqual([found, found, { TableName: hashed }, refused, refused, refused])
  expect(ConsumedCapacity).toEqual([
    { TableName: ranged, CapacityUnits: 1.5 },
    { TableName: hashed, CapacityUnits: 0.5 },
  ])
})

test('a batch reads or writes, and has 1 to 25 statements', async () => {
  const { ask, hashed } = await batches()
  const select = { Statement: `SELECT * FROM "${hashed}" WHERE pk = 'x'` }
  const insert = { Statement: `INSERT INTO "${hashed}" VALUE {'pk': 'x'}` }
  const because = async (Statements: unknown) => {
    const { error, message } = await ask('BatchExecuteStatement', { Statements })
    expect(error).toBe('ValidationException')
    return message
  }
  expect(await because([select, insert])).toBe('Read and write requests together in the same batch is not supported.')
  expect(await because([])).toMatch(/'statements'.*greater than or equal to 1$/)
  expect(await because(Array(26).fill(select))).toMatch(/'statements'.*less than or equal to 25$/)
  expect(await because([select, {}])).toMatch(/Value null at 'statements\.2\.member\.statement'/)
  expect(await because(undefined)).toMatch(/Value null at 'statements'/)
})
