import { expect, test } from 'vitest'
import { type Asking, asking } from '../asking.js'

const pk = (S: string) => ({ pk: { S } })
const equals = (S: string) => ({ ComparisonOperator: 'EQ', AttributeValueList: [{ S }] })

async function refusal({ ask }: Asking, operation: string, input: unknown): Promise<string> {
  const { status, error, message } = await ask(operation, input)
  expect(status).toBe(400)
  return `${error}: ${message}`
}

/** Of single writes AWS counts the faults of a request. */
const counted = (operation: string): string =>
  ['PutItem', 'UpdateItem', 'DeleteItem'].includes(operation) ? '1 validation error detected: ' : ''

test('parameters of both kinds are refused, each kind listed in AWS order', async () => {
  const asks = await asking()
  const TableName = await asks.table()
  const values = { ExpressionAttributeValues: { ':v': { S: 'x' }, ':more': { S: 'y' } } }
  const put = { TableName, Item: pk('a') }
  const key = { TableName, Key: pk('a') }
  const updates = { AttributeUpdates: { a: { Action: 'PUT', Value: { S: 'x' } } } }
  const filter = { FilterExpression: 'a = :v', ...values }
  const exists = { ConditionExpression: 'attribute_exists(pk)' }
  const Expected = { a: equals('x') }
  const cases: [string, object, string, string][] = [
    ['PutItem', { ...put, Expected, ...exists }, 'Expected', 'ConditionExpression'],
    ['PutItem', { ...put, ConditionalOperator: 'AND', ...exists }, 'ConditionalOperator', 'ConditionExpression'],
    [
      'DeleteItem',
      { ...key, ConditionalOperator: 'OR', Expected, ...exists },
      'Expected, ConditionalOperator',
      'ConditionExpression',
    ],
    [
      'UpdateItem',
      {
        ...key,
        ...exists,
        UpdateExpression: 'SET a = :v',
        ...values,
        ConditionalOperator: 'AND',
        Expected,
        ...updates,
      },
      'AttributeUpdates, Expected, ConditionalOperator',
      'UpdateExpression, ConditionExpression',
    ],
    ['UpdateItem', { ...key, ...updates, ...exists }, 'AttributeUpdates', 'ConditionExpression'],
    ['UpdateItem', { ...key, Expected, UpdateExpression: 'REMOVE a' }, 'Expected', 'UpdateExpression'],
    [
      'GetItem',
      { ...key, AttributesToGet: ['a'], ProjectionExpression: 'a' },
      'AttributesToGet',
      'ProjectionExpression',
    ],
    [
      'BatchGetItem',
      { RequestItems: { [TableName]: { Keys: [pk('a')], AttributesToGet: ['a'], ProjectionExpression: 'a' } } },
      'AttributesToGet',
      'ProjectionExpression',
    ],
    [
      'Query',
      {
        TableName,
        KeyConditions: { pk: equals('a') },
        KeyConditionExpression: 'pk = :v',
        ...filter,
        ProjectionExpression: 'b',
        ConditionalOperator: 'AND',
        QueryFilter: { a: equals('x') },
        AttributesToGet: ['a'],
      },
      'AttributesToGet, QueryFilter, ConditionalOperator, KeyConditions',
      'ProjectionExpression, FilterExpression, KeyConditionExpression',
    ],
    [
      'Query',
      { TableName, KeyConditions: { pk: equals('a') }, QueryFilter: { a: equals('x') }, ...filter },
      'QueryFilter',
      'FilterExpression',
    ],
    [
      'Scan',
      { TableName, ScanFilter: { a: equals('x') }, ProjectionExpression: 'b' },
      'ScanFilter',
      'ProjectionExpression',
    ],
    [
      'Scan',
      {
        TableName,
        ScanFilter: { a: equals('x') },
        AttributesToGet: ['a'],
        ConditionalOperator: 'AND',
        ProjectionExpression: 'b',
        ...filter,
      },
      'AttributesToGet, ScanFilter, ConditionalOperator',
      'ProjectionExpression, FilterExpression',
    ],
  ]
  for (const [operation, input, legacy, expressions] of cases)
    expect(await refusal(asks, operation, input)).toBe(
      `ValidationException: ${counted(operation)}Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {${legacy}} Expression parameters: {${expressions}}`,
    )
})

test('KeyConditions may stand beside expressions that are not on the key', async () => {
  const { ask, table } = await asking()
  const TableName = await table()
  await ask('PutItem', { TableName, Item: { ...pk('k'), a: { S: 'x' }, b: { S: 'y' } } })
  const KeyConditions = { pk: equals('k') }
  const values = { ExpressionAttributeValues: { ':v': { S: 'x' } } }
  expect((await ask('Query', { TableName, KeyConditions, FilterExpression: 'a = :v', ...values })).body).toMatchObject({
    Count: 1,
  })
  expect((await ask('Query', { TableName, KeyConditions, FilterExpression: 'b = :v', ...values })).body).toMatchObject({
    Count: 0,
  })
  expect((await ask('Query', { TableName, KeyConditions, ProjectionExpression: 'a' })).body).toMatchObject({
    Items: [{ a: { S: 'x' } }],
  })
  expect((await ask('Query', { TableName, KeyConditions, AttributesToGet: ['b', 'c'] })).body).toMatchObject({
    Items: [{ b: { S: 'y' } }],
  })
})

test('ConditionalOperator needs two conditions, and comes before missing KeyConditions', async () => {
  const asks = await asking()
  const TableName = await asks.table()
  const without = 'ValidationException: ConditionalOperator cannot be used without Filter or Expected'
  const two =
    'ValidationException: ConditionalOperator can only be used when Filter or Expected has two or more elements'
  const one = { a: equals('x') }
  const ConditionalOperator = 'AND'
  const cases: [string, object, string][] = [
    ['Scan', { TableName }, without],
    ['Scan', { TableName, ScanFilter: {} }, without],
    ['Scan', { TableName, AttributesToGet: ['a'] }, without],
    ['Scan', { TableName, ScanFilter: one }, two],
    ['Query', { TableName, KeyConditions: { pk: equals('k') } }, without],
    ['Query', { TableName }, without],
    ['Query', { TableName, KeyConditions: { pk: equals('k') }, QueryFilter: one }, two],
    ['PutItem', { TableName, Item: pk('a') }, without],
    ['PutItem', { TableName, Item: pk('a'), Expected: one }, two],
    ['DeleteItem', { TableName, Key: pk('a'), Expected: {} }, without],
    ['UpdateItem', { TableName, Key: pk('a') }, without],
    ['UpdateItem', { TableName, Key: pk('a'), Expected: one }, two],
  ]
  for (const [operation, input, text] of cases)
    expect(await refusal(asks, operation, { ...input, ConditionalOperator })).toBe(
      text.replace('Exception: ', `Exception: ${counted(operation)}`),
    )
  expect(await refusal(asks, 'Query', { TableName })).toBe(
    'ValidationException: Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.',
  )
})

test('constraints of the model', async () => {
  const asks = await asking()
  const TableName = await asks.table()
  const operators = '[IN, NULL, BETWEEN, LT, NOT_CONTAINS, EQ, GT, NOT_NULL, NE, LE, BEGINS_WITH, GE, CONTAINS]'
  const fault = (text: string) => `ValidationException: 1 validation error detected: Value ${text}`
  const enumeration = (value: string, member: string, allowed: string) =>
    fault(`'${value}' at '${member}' failed to satisfy constraint: Member must satisfy enum value set: ${allowed}`)
  const cases: [string, object, string][] = [
    [
      'Query',
      { TableName, KeyConditions: { pk: { ComparisonOperator: 'eq' } } },
      enumeration('eq', 'keyConditions.pk.member.comparisonOperator', operators),
    ],
    [
      'Query',
      { TableName, KeyConditions: { pk: {} } },
      fault(
        "null at 'keyConditions.pk.member.comparisonOperator' failed to satisfy constraint: Member must not be null",
      ),
    ],
    [
      'Scan',
      { TableName, ScanFilter: { a: { ComparisonOperator: 'DOG' } } },
      enumeration('DOG', 'scanFilter.a.member.comparisonOperator', operators),
    ],
    ['Scan', { TableName, ConditionalOperator: 'and' }, enumeration('and', 'conditionalOperator', '[OR, AND]')],
    [
      'PutItem',
      { TableName, Item: pk('a'), Expected: { a: { ComparisonOperator: 'X' } } },
      enumeration('X', 'expected.a.member.comparisonOperator', operators),
    ],
    [
      'UpdateItem',
      { TableName, Key: pk('a'), AttributeUpdates: { a: { Action: 'SET' } } },
      enumeration('SET', 'attributeUpdates.a.member.action', '[ADD, PUT, DELETE]'),
    ],
    [
      'GetItem',
      { TableName, Key: pk('a'), AttributesToGet: [] },
      fault(
        "'[]' at 'attributesToGet' failed to satisfy constraint: Member must have length greater than or equal to 1",
      ),
    ],
    [
      'BatchGetItem',
      { RequestItems: { [TableName]: { Keys: [pk('a')], AttributesToGet: [] } } },
      fault(
        `'[]' at 'requestItems.${TableName}.member.attributesToGet' failed to satisfy constraint: Member must have length greater than or equal to 1`,
      ),
    ],
    [
      'PutItem',
      { TableName, Item: pk('a'), Expected: { a: 'x' } },
      'SerializationException: Unexpected value type in payload',
    ],
    [
      'Scan',
      { TableName, ScanFilter: { a: { ComparisonOperator: 'EQ', AttributeValueList: {} } } },
      'SerializationException: Start of structure or map found where not expected',
    ],
  ]
  for (const [operation, input, text] of cases) expect(await refusal(asks, operation, input)).toBe(text)
})

test('without a Key, an unknown ConditionalOperator is told before that', async () => {
  const { ask } = await asking()
  const of = (operation: string) =>
    ask(operation, { TableName: 'nowhere', Expected: { a: { Exists: false } }, ConditionalOperator: 'XOR' })
  for (const operation of ['UpdateItem', 'DeleteItem']) {
    expect((await of(operation)).message).toBe(
      "2 validation errors detected: Value 'XOR' at 'conditionalOperator' failed to satisfy constraint: " +
        "Member must satisfy enum value set: [OR, AND]; Value null at 'key' failed to satisfy constraint: " +
        'Member must not be null',
    )
  }
})
