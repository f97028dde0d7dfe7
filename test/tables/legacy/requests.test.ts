import { expect, test } from 'vitest'
import { type Asking, asking } from '../asking.js'

const pk = (S: string) => ({ pk: { S } })
const N = (N: string) => ({ N })

async function item({ ask }: Asking, TableName: string, key: object): Promise<object | undefined> {
  return (await ask<{ Item?: object }>('GetItem', { TableName, Key: key, ConsistentRead: true })).body.Item
}

test('AttributeUpdates put, add and delete, each in its place', async () => {
  const asks = await asking()
  const TableName = await asks.table()
  const Key = pk('a')
  const update = (AttributeUpdates: object, more: object = {}) =>
    asks.ask<{ Attributes?: object }>('UpdateItem', { TableName, Key, AttributeUpdates, ...more })
  expect((await update({})).status).toBe(200)
  expect(await item(asks, TableName, Key)).toEqual(Key)
  await update({
    'a.b': { Value: { S: 'x' } },
    n: { Action: 'ADD', Value: N('5') },
    s: { Action: 'ADD', Value: { SS: ['b', 'a'] } },
    l: { Action: 'ADD', Value: { L: [N('1')] } },
    gone: { Action: 'DELETE' },
  })
  const first = { ...Key, 'a.b': { S: 'x' }, n: N('5'), s: { SS: ['a', 'b'] }, l: { L: [N('1')] } }
  expect(await item(asks, TableName, Key)).toEqual(first)
  const answer = await update(
    {
      'a.b': { Action: 'DELETE' },
      n: { Action: 'ADD', Value: N('-2') },
      s: { Action: 'DELETE', Value: { SS: ['a', 'z'] } },
      l: { Action: 'ADD', Value: { L: [N('2'), N('3')] } },
    },
    { ReturnValues: 'ALL_NEW' },
  )
  const second = { ...Key, n: N('3'), s: { SS: ['b'] }, l: { L: [N('1'), N('2'), N('3')] } }
  expect(answer.body.Attributes).toEqual(second)
  expect(
    (
      await update(
        { s: { Action: 'DELETE', Value: { SS: ['b'] } }, n: { Value: N('1') } },
        { ReturnValues: 'UPDATED_OLD' },
      )
    ).body.Attributes,
  ).toEqual({ s: { SS: ['b'] }, n: N('3') })
  expect(await item(asks, TableName, Key)).toEqual({ ...Key, n: N('1'), l: second.l })
})

test('AttributeUpdates that cannot be are refused, and change nothing', async () => {
  const asks = await asking()
  const TableName = await asks.table()
  const before = { ...pk('a'), n: N('1'), s: { SS: ['a'] }, t: { S: 'text' } }
  await asks.ask('PutItem', { TableName, Item: before })
  const invalid = 'One or more parameter values were invalid: '
  const counted = `1 validation error detected: ${invalid}`
  const mismatch = 'Type mismatch for attribute to update'
  for (const [AttributeUpdates, text] of [
    [{ a: {} }, `${counted}Only DELETE action is allowed when no attribute value is specified`],
    [{ a: { Action: 'ADD' } }, `${counted}Only DELETE action is allowed when no attribute value is specified`],
    [{ a: { Action: 'ADD', Value: { S: 'x' } } }, `${counted}ADD action is not supported for the type S`],
    [{ a: { Action: 'ADD', Value: { M: {} } } }, `${counted}ADD action is not supported for the type M`],
    [{ a: { Action: 'DELETE', Value: N('1') } }, `${counted}DELETE action with value is not supported for the type N`],
    [
      { a: { Action: 'DELETE', Value: { L: [] } } },
      `${counted}DELETE action with value is not supported for the type L`,
    ],
    [{ pk: { Value: { S: 'b' } } }, `${invalid}Cannot update attribute pk. This attribute is part of the key`],
    [{ t: { Action: 'ADD', Value: N('1') } }, mismatch],
    [{ s: { Action: 'ADD', Value: { NS: ['1'] } } }, mismatch],
    [{ s: { Action: 'DELETE', Value: { NS: ['1'] } } }, mismatch],
    [{ n: { Action: 'ADD', Value: { L: [] } } }, mismatch],
  ] as const) {
    const answer = await asks.ask('UpdateItem', { TableName, Key: pk('a'), AttributeUpdates })
    expect(`${answer.error}: ${answer.message}`).toBe(`ValidationException: ${text}`)
  }
  expect(await item(asks, TableName, pk('a'))).toEqual(before)
})

test('Expected guards puts, updates and deletes', async () => {
  const asks = await asking()
  const TableName = await asks.table()
  const Key = pk('a')
  const run = async (operation: string, input: object) => (await asks.ask(operation, { TableName, ...input })).error
  const failed = 'ConditionalCheckFailedException'
  const absent = { Expected: { pk: { Exists: false } } }
  const one = { Expected: { n: { Value: N('1') } } }
  const two = { Expected: { n: { ComparisonOperator: 'GE', AttributeValueList: [N('2')] } } }
  expect(await run('PutItem', { Item: { ...Key, n: N('1') }, ...absent })).toBeUndefined()
  expect(await run('PutItem', { Item: { ...Key, n: N('9') }, ...absent })).toBe(failed)
  expect(await run('UpdateItem', { Key, AttributeUpdates: { n: { Action: 'ADD', Value: N('1') } }, ...two })).toBe(
    failed,
  )
  expect(
    await run('UpdateItem', { Key, AttributeUpdates: { n: { Action: 'ADD', Value: N('1') } }, ...one }),
  ).toBeUndefined()
  expect(await run('DeleteItem', { Key, ...one })).toBe(failed)
  const either = { Expected: { ...one.Expected, x: { Exists: false } }, ConditionalOperator: 'OR' }
  expect(await run('DeleteItem', { Key, ...either })).toBeUndefined()
  expect(await item(asks, TableName, Key)).toBeUndefined()
  const shown = await asks.ask<{ Item?: object }>('PutItem', {
    TableName,
    Item: Key,
    Expected: { x: { Value: N('1') } },
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  })
  expect(shown).toMatchObject({ error: failed, message: 'The conditional request failed' })
})

test('KeyConditions, QueryFilter, ScanFilter and AttributesToGet read what expressions would', async () => {
  const asks = await asking()
  const TableName = await asks.table({ range: true })
  for (let i = 0; i < 10; i++)
    await asks.ask('PutItem', {
      TableName,
      Item: { ...pk('p'), sk: N(`${i}`), v: { S: i % 2 ? 'odd' : 'even' }, w: N(`${i}`) },
    })
  await asks.ask('PutItem', { TableName, Item: { ...pk('q'), sk: N('1') } })
  const equals = (value: object) => ({ ComparisonOperator: 'EQ', AttributeValueList: [value] })
  const partition = { pk: equals({ S: 'p' }) }
  const query = async (input: object) => {
    const answer = await asks.ask<{ Items: { sk?: { N: string } }[]; Count: number; ScannedCount: number }>('Query', {
      TableName,
      ...input,
    })
    return answer.error ? `${answer.error}: ${answer.message}` : answer.body.Items.map(({ sk }) => sk?.N).join('')
  }
  const range = (ComparisonOperator: string, ...numbers: string[]) =>
    query({ KeyConditions: { ...partition, sk: { ComparisonOperator, AttributeValueList: numbers.map(N) } } })
  expect(await query({ KeyConditions: partition })).toBe('0123456789')
  expect(await range('EQ', '3')).toBe('3')
  expect(await range('LT', '3')).toBe('012')
  expect(await range('LE', '3')).toBe('0123')
  expect(await range('GT', '7')).toBe('89')
  expect(await range('GE', '7')).toBe('789')
  expect(await range('BETWEEN', '2', '4')).toBe('234')
  expect(await query({ KeyConditions: partition, ScanIndexForward: false, Limit: 2 })).toBe('98')
  const filtered = (QueryFilter: object, more: object = {}) => query({ KeyConditions: partition, QueryFilter, ...more })
  expect(await filtered({})).toBe('0123456789')
  expect(await filtered({ v: equals({ S: 'odd' }) })).toBe('13579')
  expect(
    await filtered({ v: equals({ S: 'odd' }), w: { ComparisonOperator: 'GT', AttributeValueList: [N('4')] } }),
  ).toBe('579')
  expect(await filtered({ v: equals({ S: 'odd' }), w: equals(N('4')) }, { ConditionalOperator: 'OR' })).toBe('134579')

  const scan = await asks.ask<{ Count: number; ScannedCount: number; Items: object[] }>('Scan', {
    TableName,
    ScanFilter: { pk: equals({ S: 'p' }), w: { ComparisonOperator: 'IN', AttributeValueList: [N('1'), N('2')] } },
    AttributesToGet: ['v', 'x'],
  })
  expect(scan.body).toMatchObject({ Count: 2, ScannedCount: 11 })
  expect(scan.body.Items.map((each) => JSON.stringify(each)).sort()).toEqual([
    '{"v":{"S":"even"}}',
    '{"v":{"S":"odd"}}',
  ])
  expect(
    (
      await asks.ask<{ Item: object }>('GetItem', {
        TableName,
        Key: { ...pk('p'), sk: N('1') },
        AttributesToGet: ['w'],
      })
    ).body.Item,
  ).toEqual({ w: N('1') })
  expect(
    (
      await asks.ask<{ Item: object }>('GetItem', {
        TableName,
        Key: { ...pk('p'), sk: N('1') },
        AttributesToGet: ['none'],
      })
    ).body.Item,
  ).toEqual({})
  const batch = await asks.ask<{ Responses: Record<string, object[]> }>('BatchGetItem', {
    RequestItems: { [TableName]: { Keys: [{ ...pk('p'), sk: N('2') }], AttributesToGet: ['sk', 'v'] } },
  })
  expect(batch.body.Responses[TableName]).toEqual([{ sk: N('2'), v: { S: 'even' } }])
})

test('what a Query by KeyConditions cannot be', async () => {
  const asks = await asking()
  const TableName = await asks.table({ range: true })
  const refused = async (input: object) => {
    const { error, message } = await asks.ask('Query', { TableName, ...input })
    return `${error}: ${message}`
  }
  const equals = (value: object) => ({ ComparisonOperator: 'EQ', AttributeValueList: [value] })
  const partition = { pk: equals({ S: 'p' }) }
  const invalid = 'ValidationException: One or more parameter values were invalid: '
  expect(await refused({ TableName: 'no-such-table', KeyConditions: { pk: { ComparisonOperator: 'NULL' } } })).toBe(
    'ResourceNotFoundException: Requested resource not found',
  )
  expect(await refused({ KeyConditions: { pk: { ComparisonOperator: 'NULL' } } })).toBe(
    'ValidationException: Attempted conditional constraint is not an indexable operation',
  )
  expect(await refused({ KeyConditions: { sk: equals({ N: '1' }) } })).toBe(
    'ValidationException: Query condition missed key schema element: pk',
  )
  expect(await refused({ KeyConditions: { pk: { ComparisonOperator: 'LE', AttributeValueList: [{ S: 'p' }] } } })).toBe(
    'ValidationException: Query key condition not supported',
  )
  expect(await refused({ KeyConditions: { ...partition, sk: equals({ S: '1' }) } })).toBe(
    `${invalid}Condition parameter type does not match schema type`,
  )
  expect(
    await refused({
      KeyConditions: { ...partition, sk: { ComparisonOperator: 'BEGINS_WITH', AttributeValueList: [{ N: '1' }] } },
    }),
  ).toBe(`${invalid}ComparisonOperator BEGINS_WITH is not valid for N AttributeValue type`)
  expect(await refused({ KeyConditions: partition, QueryFilter: { sk: equals({ N: '1' }) } })).toBe(
    'ValidationException: QueryFilter can only contain non-primary key attributes: Primary key attribute: sk',
  )
  expect(await refused({ KeyConditions: partition, AttributesToGet: ['a', 'b', 'a'] })).toBe(
    `${invalid}Duplicate value in attribute name: a`,
  )
  expect(await refused({ KeyConditions: partition, AttributesToGet: ['a'], Select: 'COUNT' })).toBe(
    'ValidationException: 1 validation error detected: Cannot specify the AttributesToGet when choosing to get only the Count',
  )
  expect(await refused({ KeyConditions: partition, AttributesToGet: ['a'], Select: 'ALL_ATTRIBUTES' })).toBe(
    'ValidationException: 1 validation error detected: Cannot specify the AttributesToGet when choosing to get ALL_ATTRIBUTES',
  )
  expect(await refused({ KeyConditions: partition, Select: 'SPECIFIC_ATTRIBUTES' })).toBe(
    'ValidationException: 1 validation error detected: Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES',
  )
})

test('names of attributes are checked in every legacy parameter', async () => {
  const { ask, table } = await asking()
  const TableName = await table()
  const Key = pk('a')
  const comparison = { ComparisonOperator: 'NOT_NULL' }
  const requests = (name: string): readonly (readonly [string, object])[] => [
    ['GetItem', { Key, AttributesToGet: ['pk', name] }],
    ['UpdateItem', { Key, AttributeUpdates: { [name]: { Action: 'DELETE' } } }],
    ['PutItem', { Item: Key, Expected: { [name]: { Exists: false } } }],
    ['Scan', { ScanFilter: { [name]: comparison } }],
    ['Query', { KeyConditions: { [name]: { ComparisonOperator: 'EQ', AttributeValueList: [N('1')] } } }],
  ]
  const tooLarge =
    'One or more parameter values were invalid: Attribute name is too large, must be less than 65536 bytes'
  for (const [name, message] of [
    ['', 'Empty attribute name'],
    ['x'.repeat(65_536), tooLarge],
  ] as const) {
    for (const [operation, input] of requests(name)) {
      const answer = await ask(operation, { TableName, ...input })
      expect([operation, answer.error]).toEqual([operation, 'ValidationException'])
      expect(answer.message).toContain(message)
    }
  }
  for (const [operation, input] of requests('x'.repeat(65_535)).slice(0, 4))
    expect([operation, (await ask(operation, { TableName, ...input })).status]).toEqual([operation, 200])
})
