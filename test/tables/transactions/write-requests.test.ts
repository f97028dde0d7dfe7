import { expect, test } from 'vitest'
import { type Asking, asking } from '../asking.js'

const one = (text: string) => `1 validation error detected: ${text}`
const nulls = (member: string) => `Value null at '${member}' failed to satisfy constraint: Member must not be null`
const badCapacity =
  "Value 'ALL' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]"
const badMetrics =
  "Value 'ALL' at 'returnItemCollectionMetrics' failed to satisfy constraint: Member must satisfy enum value set: [SIZE, NONE]"
const pk = (S: string) => ({ pk: { S } })

async function refusal({ ask }: Asking, input: unknown): Promise<string> {
  const { status, error, message } = await ask('TransactWriteItems', input)
  expect(status).toBe(400)
  return `${error}: ${message}`
}

test('members of a wrong JSON type are refused before anything else', async () => {
  const asks = await asking()
  for (const [input, text] of [
    [{ TransactItems: {} }, 'Start of structure or map found where not expected'],
    [{ TransactItems: ['x'] }, 'Unexpected value type in payload'],
    [{ TransactItems: [{ Put: 'x' }] }, 'Unexpected field type'],
    [{ TransactItems: [{ Put: { Item: 'x' } }] }, 'Unexpected field type'],
    [{ TransactItems: [{ Update: { UpdateExpression: 1 } }] }, 'NUMBER_VALUE cannot be converted to String'],
    [{ ClientRequestToken: true }, 'TRUE_VALUE cannot be converted to String'],
  ] as const)
    expect(await refusal(asks, input)).toBe(`SerializationException: ${text}`)
})

test('constraints of members are counted, the token first', async () => {
  const asks = await asking()
  const validation = async (input: unknown) =>
    (await refusal(asks, input)).replace(/^ValidationException: (\d+ validation errors? detected: )?/, '')
  expect(await refusal(asks, {})).toBe(`ValidationException: ${one(nulls('transactItems'))}`)
  expect(await refusal(asks, { TransactItems: [] })).toBe(
    `ValidationException: ${one("Value '[]' at 'transactItems' failed to satisfy constraint: Member must have length greater than or equal to 1")}`,
  )
  const TableName = await asks.table()
  const many = Array.from({ length: 101 }, (_, i) => ({ Put: { TableName, Item: pk(`${i}`) } }))
  expect(await refusal(asks, { TransactItems: many })).toMatch(
    /^ValidationException: 1 validation error detected: Value '\[.+\]' at 'transactItems' failed to satisfy constraint: Member must have length less than or equal to 100$/,
  )
  const long = 'x'.repeat(37)
  const both = await refusal(asks, {
    ClientRequestToken: long,
    TransactItems: [],
    ReturnConsumedCapacity: 'ALL',
    ReturnItemCollectionMetrics: 'ALL',
  })
  expect(both).toBe(
    `ValidationException: 4 validation errors detected: Value '${long}' at 'clientRequestToken' failed to satisfy constraint: Member must have length less than or equal to 36; ${badCapacity}; ${badMetrics}; Value '[]' at 'transactItems' failed to satisfy constraint: Member must have length greater than or equal to 1`,
  )
  expect(await validation({ ClientRequestToken: '', TransactItems: [{ Put: { TableName, Item: pk('a') } }] })).toBe(
    "Value '' at 'clientRequestToken' failed to satisfy constraint: Member must have length greater than or equal to 1",
  )
  const of = (action: unknown) => validation({ TransactItems: [{ Put: { TableName, Item: pk('a') } }, action] })
  expect(await of({ Put: { TableName } })).toBe(nulls('transactItems.2.member.put.item'))
  expect(await of({ Delete: { TableName } })).toBe(nulls('transactItems.2.member.delete.key'))
  expect(await of({ Delete: { Key: pk('b') } })).toBe(nulls('transactItems.2.member.delete.tableName'))
  expect(await of({ Update: { TableName, Key: pk('b') } })).toBe(
    nulls('transactItems.2.member.update.updateExpression'),
  )
  expect(await of({ ConditionCheck: { TableName, Key: pk('b') } })).toBe(
    nulls('transactItems.2.member.conditionCheck.conditionExpression'),
  )
  expect(await of({ Put: { TableName, Item: pk('b'), ReturnValuesOnConditionCheckFailure: 'none' } })).toBe(
    "Value 'none' at 'transactItems.2.member.put.returnValuesOnConditionCheckFailure' failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, NONE]",
  )
  expect(await of({ Put: { TableName: 'a b', Item: pk('b') } })).toBe(
    "Value 'a b' at 'transactItems.2.member.put.tableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
  )
})

test('an element has exactly one action', async () => {
  const asks = await asking()
  const TableName = await asks.table()
  const both = { Put: { TableName, Item: pk('a') }, Delete: { TableName, Key: pk('a') } }
  expect(await refusal(asks, { TransactItems: [both] })).toBe(
    'ValidationException: TransactItems can only contain one of Check, Put, Update or Delete',
  )
  for (const none of [{}, null, { Get: { TableName, Key: pk('a') } }])
    expect(await refusal(asks, { TransactItems: [none] })).toBe(
      'ValidationException: Invalid Request: TransactWriteRequest should contain Delete or Put or Update request',
    )
})

test('what can be seen in the request comes action by action, before tables, and before two actions on one item', async () => {
  const asks = await asking()
  const TableName = await asks.table()
  const gone = { Put: { TableName: 'no-such-table', Item: pk('a') } }
  const check = (more: object) => ({ ConditionCheck: { TableName, Key: pk('c'), ...more } })
  const malformed = check({ ConditionExpression: 'attribute_not_exists(' })
  let deep: object = { S: 'leaf' }
  for (let i = 0; i < 32; i++) deep = { M: { n: deep } }
  const tooDeep = { Put: { TableName, Item: { ...pk('d'), deep } } }
  const unused = check({ ConditionExpression: 'attribute_exists(pk)', ExpressionAttributeValues: { ':v': { S: 'x' } } })
  const syntax = 'ValidationException: Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "("'
  const nesting =
    'ValidationException: Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit'
  const notUsed = 'ValidationException: Value provided in ExpressionAttributeValues unused in expressions: keys: {:v}'
  const missing = 'ResourceNotFoundException: Requested resource not found'
  const twice = 'ValidationException: Transaction request cannot include multiple operations on one item'
  const cases: [unknown[], string][] = [
    [[gone, malformed], syntax],
    [[malformed, tooDeep], syntax],
    [[tooDeep, malformed], nesting],
    [[gone, unused], notUsed],
    [[unused, gone], notUsed],
    [[{ Put: { TableName, Item: pk('c') } }, unused], notUsed],
    [[gone], missing],
    [[{ Delete: { TableName: 'no-such-table', Key: pk('a') } }, gone], missing],
    [[{ Put: { TableName, Item: pk('a') } }, { Delete: { TableName, Key: pk('a') } }], twice],
    [
      [check({ ConditionExpression: 'attribute_exists(pk)' }), check({ ConditionExpression: 'attribute_exists(pk)' })],
      twice,
    ],
    [
      [{ Put: { TableName, Item: pk('a'), ExpressionAttributeValues: { ':v': { S: 'x' } } } }],
      'ValidationException: ExpressionAttributeValues can only be specified when using expressions: ConditionExpression is null',
    ],
  ]
  for (const [TransactItems, text] of cases) {
    expect(await refusal(asks, { TransactItems })).toBe(text)
    expect(await refusal(asks, { TransactItems, ReturnConsumedCapacity: 'ALL' })).toBe(
      `ValidationException: ${one(badCapacity)}`,
    )
  }
  const page = await asks.ask<{ Count: number }>('Scan', { TableName })
  expect(page.body.Count).toBe(0)
})

test('a payload may have 4 MiB', async () => {
  const asks = await asking()
  const TableName = await asks.table()
  const puts = (count: number, rest: number) => [
    ...Array.from({ length: count }, (_, i) => ({
      Put: { TableName, Item: { pk: { S: `${i}`.padStart(3, '0') }, x: { S: 'x'.repeat(399_994) } } },
    })),
    { Put: { TableName, Item: { pk: { S: 'rest' }, x: { S: 'x'.repeat(rest - 7) } } } },
  ]
  const four = 4 * 1024 * 1024
  expect(await refusal(asks, { TransactItems: puts(10, four - 4_000_000 + 1) })).toBe(
    'ValidationException: Transaction payload size cannot exceed 4 MB',
  )
  const done = await asks.ask('TransactWriteItems', { TransactItems: puts(10, four - 4_000_000) })
  expect(done.status).toBe(200)
  // What counts is what is sent: items of more than that can be deleted at once.
  const keys = puts(10, 10).map(({ Put: { Item } }) => ({ Delete: { TableName, Key: { pk: Item.pk } } }))
  expect((await asks.ask('TransactWriteItems', { TransactItems: keys })).status).toBe(200)
})
