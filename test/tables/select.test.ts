import { expect, test } from 'vitest'
import { asking } from './asking.js'

const words: readonly (readonly [string, object, string])[] = [
  [
    'projected attributes without an index',
    { Select: 'ALL_PROJECTED_ATTRIBUTES' },
    'ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName',
  ],
  [
    'specific attributes without any',
    { Select: 'SPECIFIC_ATTRIBUTES' },
    'Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES',
  ],
  [
    'a projection beside all attributes',
    { Select: 'ALL_ATTRIBUTES', ProjectionExpression: 'a' },
    'Cannot specify the ProjectionExpression when choosing to get ALL_ATTRIBUTES',
  ],
  [
    'a projection beside a count',
    { Select: 'COUNT', ProjectionExpression: 'a' },
    'Cannot specify the ProjectionExpression when choosing to get only the Count',
  ],
]

test.each(words)('Select of %s is refused, counted in a Query and bare in a Scan', async (_what, input, message) => {
  const { ask, table } = await asking()
  const TableName = await table()
  const of = { KeyConditionExpression: 'pk = :p', ExpressionAttributeValues: { ':p': { S: 'p' } } }
  const query = await ask('Query', { TableName, ...of, ...input })
  expect([query.error, query.message]).toEqual(['ValidationException', `1 validation error detected: ${message}`])
  const scan = await ask('Scan', { TableName, ...input })
  expect([scan.error, scan.message]).toEqual(['ValidationException', message])
})

test('how two filters of a Query are joined is looked at before Select', async () => {
  const { ask } = await asking()
  const joined = (QueryFilter: object) =>
    ask('Query', {
      TableName: 'nowhere',
      KeyConditions: { pk: { ComparisonOperator: 'EQ', AttributeValueList: [{ S: 'p' }] } },
      QueryFilter,
      ConditionalOperator: 'NOR',
      Select: 'NOTHING',
    })
  const absent = { ComparisonOperator: 'NULL' }
  expect((await joined({ a: absent, b: absent })).message).toBe(
    'Failed to satisfy constraint: Member must satisfy enum value set: [ALL, OR]',
  )
  expect((await joined({ a: absent })).message).toMatch(/^2 validation errors detected: /)
})
