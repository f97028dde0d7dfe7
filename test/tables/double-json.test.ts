import { expect, test } from 'vitest'
import { asking } from './asking.js'

/** The text of an answer: what JSON.parse makes of it no longer tells 1 from 1.0. */
async function textOf(url: string, operation: string, input: object): Promise<string> {
  const answer = await fetch(`${url}/`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': `DynamoDB_20120810.${operation}` },
    body: JSON.stringify(input),
  })
  const text = await answer.text()
  expect([operation, answer.status, text]).toEqual([operation, 200, text])
  return text
}

test('units and estimates are written with a fraction by every operation that tells them, and nothing else is', async () => {
  const { ask, url } = await asking()
  const made = await ask('CreateTable', {
    TableName: 'doubles',
    AttributeDefinitions: ['pk', 'sk', 'at'].map((AttributeName) => ({ AttributeName, AttributeType: 'S' })),
    KeySchema: [
      { AttributeName: 'pk', KeyType: 'HASH' },
      { AttributeName: 'sk', KeyType: 'RANGE' },
    ],
    BillingMode: 'PAY_PER_REQUEST',
    LocalSecondaryIndexes: [
      {
        IndexName: 'local',
        KeySchema: [
          { AttributeName: 'pk', KeyType: 'HASH' },
          { AttributeName: 'at', KeyType: 'RANGE' },
        ],
        Projection: { ProjectionType: 'ALL' },
      },
    ],
  })
  expect(made.status).toBe(200)
  const TableName = 'doubles'
  const Key = { pk: { S: 'a' }, sk: { S: 'b' } }
  const trap = '"CapacityUnits":7,"SizeEstimateRangeGB":[1,2]'
  const Item = { ...Key, at: { S: 'now' }, CapacityUnits: { N: '7' }, trap: { S: trap } }
  const asked = { ReturnConsumedCapacity: 'INDEXES', ReturnItemCollectionMetrics: 'SIZE' }
  const query = { TableName, KeyConditionExpression: 'pk = :a', ExpressionAttributeValues: { ':a': { S: 'a' } } }
  const statement = `SELECT * FROM doubles WHERE pk = 'a' AND sk = 'b'`
  const { ReturnConsumedCapacity } = asked
  const answers: [string, object, metrics: boolean][] = [
    ['PutItem', { TableName, Item, ReturnValues: 'ALL_OLD', ...asked }, true],
    ['BatchWriteItem', { RequestItems: { doubles: [{ PutRequest: { Item } }] }, ...asked }, true],
    ['TransactWriteItems', { TransactItems: [{ Put: { TableName, Item } }], ...asked }, true],
    ['GetItem', { TableName, Key, ConsistentRead: true, ReturnConsumedCapacity }, false],
    ['Query', { ...query, ConsistentRead: true, ReturnConsumedCapacity }, false],
    ['Query', { ...query, ConsistentRead: true, IndexName: 'local', ReturnConsumedCapacity }, false],
    ['Scan', { TableName, ConsistentRead: true, ReturnConsumedCapacity }, false],
    [
      'BatchGetItem',
      { RequestItems: { doubles: { Keys: [Key], ConsistentRead: true } }, ReturnConsumedCapacity },
      false,
    ],
    ['TransactGetItems', { TransactItems: [{ Get: { TableName, Key } }], ReturnConsumedCapacity }, false],
    ['ExecuteStatement', { Statement: statement, ConsistentRead: true, ReturnConsumedCapacity }, false],
    [
      'BatchExecuteStatement',
      { Statements: [{ Statement: statement, ConsistentRead: true }], ReturnConsumedCapacity },
      false,
    ],
    ['ExecuteTransaction', { TransactStatements: [{ Statement: statement }], ReturnConsumedCapacity }, false],
    ['UpdateItem', { TableName, Key, UpdateExpression: 'REMOVE z', ...asked }, true],
    ['DeleteItem', { TableName, Key, ReturnValues: 'ALL_OLD', ...asked }, true],
  ]
  for (const [operation, input, metrics] of answers) {
    const text = await textOf(url, operation, input)
    const units = text.match(/"(Read|Write)?CapacityUnits":[0-9.]+/g) ?? []
    expect([operation, units.length > 1, units.filter((each) => !/:\d+\.\d+$/.test(each))]).toEqual([
      operation,
      true,
      [],
    ])
    if (metrics) expect(text).toMatch(/"SizeEstimateRangeGB":\[\d+\.\d+,\d+\.\d+\]/)
    if (text.includes('trap')) expect(text).toContain(JSON.stringify(trap))
  }
  const described = await textOf(url, 'DescribeTable', { TableName })
  expect(described).toContain('"ReadCapacityUnits":0,')
})
