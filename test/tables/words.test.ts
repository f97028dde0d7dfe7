import { expect, test } from 'vitest'
import { asking } from './asking.js'

/*
 * AWS checks values and expressions in one of two layers, and an operation runs one of them (measured on AWS in October
 * 2026). PutItem, UpdateItem and DeleteItem count what is wrong with a request by itself; GetItem, BatchGetItem and Query
 * have the same words uncounted; BatchWriteItem, Scan and the rest have the words of before.
 */
const one = (message: string) => `1 validation error detected: ${message}`
const invalid = 'One or more parameter values were invalid: '
const overflow = 'Number overflow. Attempting to store a number with magnitude larger than supported range'
const underflow = 'Number underflow. Attempting to store a number with magnitude smaller than supported range'
const noNumber = 'The parameter cannot be converted to a numeric value'

const faulty: { value: object; newer: string; older: string }[] = [
  { value: { N: 'abc' }, newer: `${noNumber}: abc`, older: `${noNumber}: abc` },
  { value: { N: '' }, newer: `${noNumber}: `, older: noNumber },
  { value: { N: '1e126' }, newer: overflow, older: overflow },
  { value: { N: '1e2147483647' }, newer: overflow, older: underflow },
  {
    value: { SS: ['b', 'a', 'b'] },
    newer: `${invalid}Input collection ["a", "b", "b"] contains duplicates.`,
    older: `${invalid}Input collection [b, a, b] contains duplicates.`,
  },
  {
    value: { BS: ['/w==', 'AA==', 'AA=='] },
    newer: `${invalid}Input collection ["AA==","/w==","AA=="]of type BS contains duplicates.`,
    older: `${invalid}Input collection [/w==, AA==, AA==]of type BS contains duplicates.`,
  },
  {
    value: { NS: ['2', '1', '2'] },
    newer: `${invalid}Input collection contains duplicates.`,
    older: 'Input collection contains duplicates',
  },
]

const Key = { pk: { S: 'a' } }
const filter = (value: object, more: object = {}) => ({
  FilterExpression: 'a = :v',
  ExpressionAttributeValues: { ':v': value, ...more },
})
const condition = (value: object) => ({
  ConditionExpression: 'a = :v',
  ExpressionAttributeValues: { ':v': value },
})

test('a value that is wrong is answered in the words of the layer that checks the operation', async () => {
  const { ask, table } = await asking()
  const TableName = await table()
  const counted: [string, (value: object) => object][] = [
    ['PutItem', (value) => ({ TableName, Item: { ...Key, a: value } })],
    ['PutItem', (value) => ({ TableName, Item: { ...Key, a: { M: { b: { L: [value] } } } } })],
    ['PutItem', (value) => ({ TableName, Item: Key, ...condition(value) })],
    ['UpdateItem', (value) => ({ TableName, Key: { pk: value } })],
    ['UpdateItem', (value) => ({ TableName, Key, UpdateExpression: 'SET a = :v', ...condition(value) })],
    ['DeleteItem', (value) => ({ TableName, Key: { pk: value } })],
    ['DeleteItem', (value) => ({ TableName, Key, ...condition(value) })],
  ]
  const bare: [string, (value: object) => object][] = [
    ['GetItem', (value) => ({ TableName, Key: { pk: value } })],
    ['BatchGetItem', (value) => ({ RequestItems: { [TableName]: { Keys: [{ pk: value }] } } })],
    ['Query', (value) => ({ TableName, KeyConditionExpression: 'pk = :p', ...filter(value, { ':p': { S: 'a' } }) })],
  ]
  const before: [string, (value: object) => object][] = [
    [
      'BatchWriteItem',
      (value) => ({ RequestItems: { [TableName]: [{ PutRequest: { Item: { ...Key, a: value } } }] } }),
    ],
    ['BatchWriteItem', (value) => ({ RequestItems: { [TableName]: [{ DeleteRequest: { Key: { pk: value } } }] } })],
  ]
  for (const { value, newer, older } of faulty) {
    const said = async ([operation, input]: [string, (value: object) => object]) => {
      const { error, message } = await ask(operation, input(value))
      return [operation, error, message]
    }
    for (const each of counted) expect(await said(each)).toEqual([each[0], 'ValidationException', one(newer)])
    for (const each of bare) expect(await said(each)).toEqual([each[0], 'ValidationException', newer])
    for (const each of before) expect(await said(each)).toEqual([each[0], 'ValidationException', older])
    const scanned = await ask('Scan', { TableName, ...filter(value) })
    expect(scanned.message).toBe(`ExpressionAttributeValues contains invalid value: ${older} for key :v`)
  }
  expect((await ask('Scan', { TableName })).body).toMatchObject({ Count: 0 })
})

test('what is wrong with the request of a write is counted, and what shows against the table or the item is not', async () => {
  const { ask, table } = await asking()
  const TableName = await table({ range: true })
  const item = { pk: { S: 'a' }, sk: { N: '1' } }
  await ask('PutItem', { TableName, Item: { ...item, n: { N: '9'.repeat(38) }, s: { S: 'x' } } })
  const v = { ':v': { N: '1' } }
  const requests: [string, object, string][] = [
    [
      'PutItem',
      { Item: item, ExpressionAttributeValues: v },
      'ExpressionAttributeValues can only be specified when using expressions',
    ],
    [
      'PutItem',
      { Item: item, ExpressionAttributeNames: { '#a': 'a' } },
      'ExpressionAttributeNames can only be specified when using expressions',
    ],
    [
      'PutItem',
      { Item: item, ConditionExpression: '' },
      'Invalid ConditionExpression: The expression can not be empty;',
    ],
    [
      'PutItem',
      { Item: item, ConditionExpression: '((attribute_exists(a)))' },
      'Invalid ConditionExpression: The expression has redundant parentheses;',
    ],
    [
      'PutItem',
      { Item: item, Expected: { a: { Exists: false } }, ConditionExpression: 'attribute_exists(a)' },
      'Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {Expected} Expression parameters: {ConditionExpression}',
    ],
    [
      'DeleteItem',
      { Key: item, Expected: { a: { Exists: true } } },
      `${invalid}Value must be provided when Exists is true for Attribute: a`,
    ],
    [
      'DeleteItem',
      { Key: item, Expected: { a: { ComparisonOperator: 'BETWEEN', AttributeValueList: [{ S: 'x' }] } } },
      `${invalid}Invalid number of argument(s) for the BETWEEN ComparisonOperator`,
    ],
    [
      'DeleteItem',
      { Key: item, Expected: { a: { Exists: false } }, ExpressionAttributeNames: { '#a': 'a' } },
      'ExpressionAttributeNames can only be specified when using expressions',
    ],
    ['PutItem', { Item: item, ReturnValues: 'ALL_NEW' }, 'ReturnValues can only be ALL_OLD or NONE'],
    ['DeleteItem', { Key: item, ReturnValues: 'UPDATED_NEW' }, 'ReturnValues can only be ALL_OLD or NONE'],
    [
      'DeleteItem',
      { Key: item, ConditionExpression: 'attribute_exists(a)', ExpressionAttributeValues: {} },
      'ExpressionAttributeValues must not be empty',
    ],
    [
      'DeleteItem',
      { Key: item, ConditionExpression: 'attribute_exists(a)', ExpressionAttributeNames: {} },
      'ExpressionAttributeNames must not be empty',
    ],
    [
      'UpdateItem',
      { Key: item, UpdateExpression: 'SET a = :v', ConditionExpression: 'b = :w', ExpressionAttributeValues: v },
      'Invalid ConditionExpression: An expression attribute value used in expression is not defined; attribute value: :w',
    ],
    [
      'UpdateItem',
      { Key: item, UpdateExpression: 'SET token = :v', ExpressionAttributeValues: v },
      'Invalid UpdateExpression: Attribute name is a reserved keyword; reserved keyword: token',
    ],
    [
      'UpdateItem',
      { Key: item, UpdateExpression: 'SET a = :v', ExpressionAttributeValues: { ...v, ':w': { S: 'x' } } },
      'Value provided in ExpressionAttributeValues unused in expressions: keys: {:w}',
    ],
    [
      'UpdateItem',
      { Key: item, ReturnValues: 'ALL', ReturnConsumedCapacity: 'ALL' },
      'Failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]',
    ],
  ]
  for (const [operation, input, message] of requests) {
    const answer = await ask(operation, { TableName, ...input })
    expect([operation, answer.error, answer.message]).toEqual([operation, 'ValidationException', one(message)])
  }
  const against: [string, object, string][] = [
    ['PutItem', { Item: { pk: { S: 'a' } } }, `${invalid}Missing the key sk in the item`],
    [
      'PutItem',
      { Item: { ...item, pk: { S: '' } } },
      'One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: pk',
    ],
    ['DeleteItem', { Key: { pk: { S: 'a' } } }, 'The provided key element does not match the schema'],
    [
      'UpdateItem',
      { Key: item, UpdateExpression: 'SET sk = :v', ExpressionAttributeValues: v },
      `${invalid}Cannot update attribute sk. This attribute is part of the key`,
    ],
    [
      'UpdateItem',
      { Key: item, UpdateExpression: 'SET a = b' },
      'The provided expression refers to an attribute that does not exist in the item',
    ],
    [
      'UpdateItem',
      { Key: item, UpdateExpression: 'SET a = s + :v', ExpressionAttributeValues: v },
      'An operand in the update expression has an incorrect data type',
    ],
    [
      'UpdateItem',
      { Key: item, UpdateExpression: 'ADD n :v SET a.b = :v', ExpressionAttributeValues: v },
      'The document path provided in the update expression is invalid for update',
    ],
    [
      'UpdateItem',
      { Key: item, UpdateExpression: 'ADD n :v', ExpressionAttributeValues: { ':v': { N: '0.1' } } },
      overflow,
    ],
  ]
  for (const [operation, input, message] of against) {
    const answer = await ask(operation, { TableName, ...input })
    expect([operation, answer.error, answer.message]).toEqual([operation, 'ValidationException', message])
  }
})

test('an empty table name is all that a write says, unless its key is missing too', async () => {
  const { ask } = await asking()
  const empty = { TableName: '', ReturnValues: 'INVALID', ReturnConsumedCapacity: 'INVALID' }
  const alone = one(
    "Value at 'TableName' failed to satisfy constraint: Member must have length greater than or equal to 1",
  )
  expect((await ask('PutItem', { ...empty, Item: Key })).message).toBe(alone)
  expect((await ask('UpdateItem', { ...empty, Key })).message).toBe(alone)
  expect((await ask('DeleteItem', { ...empty, Key })).message).toBe(alone)
  expect((await ask('UpdateItem', empty)).message).toBe(
    '4 validation errors detected: ' +
      "Value 'INVALID' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]; " +
      "Value '' at 'tableName' failed to satisfy constraint: Member must have length greater than or equal to 1; " +
      "Value 'INVALID' at 'returnValues' failed to satisfy constraint: Member must satisfy enum value set: [ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]; " +
      "Value null at 'key' failed to satisfy constraint: Member must not be null",
  )
})
