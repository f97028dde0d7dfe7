import { expect, test } from 'vitest'
import { running } from './running.js'

interface Cancelled {
  readonly CancellationReasons: { readonly Code: string; readonly Message?: string; readonly Item?: object }[]
}

async function transactions() {
  const tables = await running()
  const transact = (statements: (string | object)[], more: object = {}) =>
    tables.ask<{ Responses: object[]; ConsumedCapacity?: object[] } & Cancelled>('ExecuteTransaction', {
      TransactStatements: statements.map((each) => (typeof each === 'string' ? { Statement: each } : each)),
      ...more,
    })
  return {
    ...tables,
    transact,
    /** The reasons of a transaction that is cancelled. */
    reasons: async (...statements: (string | object)[]) => {
      const { error, body } = await transact(statements)
      expect(error).toBe('TransactionCanceledException')
      return body.CancellationReasons
    },
    because: async (...statements: (string | object)[]) => {
      const { error, message } = await transact(statements)
      expect(error).toBe('ValidationException')
      return message
    },
  }
}

test('all writes of a transaction are done, or none', async () => {
  const { transact, reasons, put, get, hashed } = await transactions()
  await put(hashed, { pk: { S: 'a' }, n: { N: '1' } })
  await put(hashed, { pk: { S: 'b' }, n: { N: '1' } })
  const writes = [
    `INSERT INTO "${hashed}" VALUE {'pk': 'new'}`,
    { Statement: `UPDATE "${hashed}" SET n = n + ? WHERE pk = 'a' AND n = 1`, Parameters: [{ N: '4' }] },
    `DELETE FROM "${hashed}" WHERE pk = 'b' AND attribute_exists(n)`,
    `DELETE FROM "${hashed}" WHERE pk = 'none' AND n = 1`,
    `EXISTS(SELECT * FROM "${hashed}" WHERE pk = 'guard' AND n IS MISSING)`,
  ]
  expect((await transact(writes)).body).toEqual({ Responses: [] })
  expect([await get('new'), await get('a'), await get('b')]).toEqual([
    { pk: { S: 'new' } },
    { pk: { S: 'a' }, n: { N: '5' } },
    undefined,
  ])
  const failed = { Code: 'ConditionalCheckFailed', Message: 'The conditional request failed' }
  expect(
    await reasons(
      `INSERT INTO "${hashed}" VALUE {'pk': 'other'}`,
      `INSERT INTO "${hashed}" VALUE {'pk': 'new'}`,
      {
        Statement: `UPDATE "${hashed}" SET n = 0 WHERE pk = 'a' AND n = 1`,
        ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
      },
      `UPDATE "${hashed}" SET n = 0 WHERE pk = 'not there'`,
      `EXISTS(SELECT * FROM "${hashed}" WHERE pk = 'guard' AND n = 1)`,
    ),
  ).toEqual([
    { Code: 'None' },
    { Code: 'DuplicateItem', Message: 'Duplicate primary key exists in table' },
    { ...failed, Item: { pk: { S: 'a' }, n: { N: '5' } } },
    failed,
    failed,
  ])
  expect(await get('other')).toBeUndefined()
})

test('reads of a transaction are by key, one answer each', async () => {
  const { transact, because, put, hashed, ranged } = await transactions()
  await put(hashed, { pk: { S: 'a' }, m: { M: { x: { N: '1' } } } })
  const { body } = await transact(
    [
      `SELECT m.x FROM "${hashed}" WHERE pk = 'a'`,
      `SELECT * FROM "${ranged}" WHERE sk = 1 AND pk = 'none'`,
      `SELECT * FROM "${hashed}" WHERE pk IN ['b']`,
    ],
    { ReturnConsumedCapacity: 'TOTAL' },
  )
  expect(body.Responses).toEqual([{ Item: { x: { N: '1' } } }, {}, {}])
  expect(body.ConsumedCapacity).toMatchObject([
    { TableName: hashed, ReadCapacityUnits: 4 },
    { TableName: ranged, ReadCapacityUnits: 2 },
  ])
  const keyOnly =
    'Validation failed in TransactStatements[0]: Select statements within ExecuteTransaction must specify the primary key in the where clause.'
  for (const where of ["pk = 'a'", "pk = 'a' AND sk = 1 AND x = 2", "pk = 'a' AND sk = 1 AND pk = 'b'", 'x = 1'])
    expect(await because(`SELECT * FROM "${ranged}" WHERE ${where}`), where).toBe(keyOnly)
  const select = `SELECT * FROM "${hashed}" WHERE pk = 'a'`
  expect(await because(select, `SELECT m FROM "${hashed}" WHERE 'a' = pk`)).toBe(
    'Transaction request cannot include multiple operations on one item',
  )
  expect(await because(select, `UPDATE "${hashed}" SET x = 1 WHERE pk = 'b'`)).toBe(
    'ExecuteTransaction API does not support both read and write operations in the same request.',
  )
  expect(await because(`SELECT * FROM "${hashed}"."index" WHERE pk = 'a'`)).toBe(
    'Validation failed in TransactStatements[0]: Reads on indices are not supported within transactions.',
  )
})

test('tables that are not there and keys that do not fit cancel, and each is named', async () => {
  const { reasons, hashed, ranged } = await transactions()
  const missing = { Code: 'ResourceNotFound', Message: 'Requested resource not found' }
  const mismatch = { Code: 'ValidationError', Message: 'The provided key element does not match the schema' }
  expect(
    await reasons(
      `DELETE FROM "not-there" WHERE pk = 'x' RETURNING ALL OLD *`,
      `DELETE FROM "${ranged}" WHERE pk = 'x'`,
      `UPDATE "${ranged}" SET a = 1 WHERE pk = 'x' AND sk = '1'`,
      `INSERT INTO "${ranged}" VALUE {'pk': 'x'}`,
      `UPDATE "${ranged}" SET sk = 1 WHERE pk = 'x' AND sk = 2`,
      `DELETE FROM "${hashed}" WHERE pk = 'x'`,
    ),
  ).toEqual([
    missing,
    mismatch,
    mismatch,
    { Code: 'ValidationError', Message: 'One or more parameter values were invalid: Missing the key sk in the item' },
    {
      Code: 'ValidationError',
      Message:
        'One or more parameter values were invalid: Cannot update attribute sk. This attribute is part of the key',
    },
    { Code: 'None' },
  ])
  expect(await reasons(`SELECT * FROM "${ranged}" WHERE pk = 'x' AND sk = 'y'`, 'SELECT * FROM "not-there"')).toEqual([
    mismatch,
    missing,
  ])
})

test('a fault of a statement ends the request and says which it is', async () => {
  const { because, get, hashed } = await transactions()
  const insert = `INSERT INTO "${hashed}" VALUE {'pk': 'x'}`
  const second = 'Validation failed in TransactStatements[1]: '
  expect(await because(insert, `UPDATE "${hashed}" SET a = 1 WHERE`)).toBe(
    `${second}Statement wasn't well formed, can't be processed: Unexpected term`,
  )
  expect(await because(insert, `DELETE FROM "${hashed}" WHERE pk = 'y' RETURNING ALL OLD *`)).toBe(
    `${second}RETURNING clause is not supported in ExecuteTransaction.`,
  )
  const exists = 'EXISTS() must contain a single item read with additional condition'
  expect(await because(insert, `EXISTS(SELECT * FROM "${hashed}" WHERE pk = 'y')`)).toBe(second + exists)
  expect(await because(insert, `EXISTS(SELECT * FROM "${hashed}" WHERE pk IN ['y'] AND a = 1)`)).toBe(second + exists)
  expect(await because(insert, `EXISTS(a = 1)`)).toBe(`${second}Unsupported operation in transaction.`)
  // Parameters come first, and say nothing of where they are.
  expect(await because(`UPDATE`, { Statement: insert, Parameters: [{ NULL: false }] })).toBe(
    'One or more parameter values were invalid: Null attribute value types must have the value of true',
  )
  expect(await get('x')).toBeUndefined()
})

test('a token makes a transaction once', async () => {
  const { transact, put, get, hashed } = await transactions()
  await put(hashed, { pk: { S: 'n' }, n: { N: '0' } })
  const add = { Statement: `UPDATE "${hashed}" SET n = n + ? WHERE pk = 'n'`, Parameters: [{ N: '1' }] }
  const once = { ClientRequestToken: 'token', ReturnConsumedCapacity: 'TOTAL' }
  const first = await transact([add], once)
  const again = await transact([add], once)
  expect(await get('n')).toEqual({ pk: { S: 'n' }, n: { N: '1' } })
  expect(first.body.ConsumedCapacity).toEqual([{ TableName: hashed, CapacityUnits: 2, WriteCapacityUnits: 2 }])
  expect(again.body).toEqual({
    Responses: [],
    ConsumedCapacity: [{ TableName: hashed, CapacityUnits: 2, ReadCapacityUnits: 2 }],
  })
  const other = await transact([{ ...add, Parameters: [{ N: '2' }] }], once)
  expect(other.error).toBe('IdempotentParameterMismatchException')
})

test('a transaction has 1 to 100 statements, and a token of 1 to 36 characters', async () => {
  const { transact, ask, hashed } = await transactions()
  const insert = (i: number) => `INSERT INTO "${hashed}" VALUE {'pk': 'k${i}'}`
  const inserts = (count: number) => Array.from({ length: count }, (_, i) => insert(i))
  expect((await transact([])).message).toMatch(/'transactStatements'.*greater than or equal to 1$/)
  expect((await transact(inserts(101))).message).toMatch(/'transactStatements'.*less than or equal to 100$/)
  expect((await transact(inserts(1), { ClientRequestToken: 'x'.repeat(37) })).message).toMatch(/'clientRequestToken'/)
  expect((await ask('ExecuteTransaction', {})).message).toMatch(/Value null at 'transactStatements'/)
  expect((await transact(inserts(100))).body).toEqual({ Responses: [] })
})
