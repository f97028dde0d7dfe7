import fc from 'fast-check'
import { expect, test } from 'vitest'
import { asking } from './asking.js'

const nested = (levels: number, open: string, inner: string, close: string) =>
  open.repeat(levels) + inner + close.repeat(levels)

test('a member of a wrong JSON type is said before anything else that is wrong', async () => {
  const { ask } = await asking()
  const wrong: [string, object, string][] = [
    ['PutItem', { ReturnValues: 5 }, 'NUMBER_VALUE cannot be converted to String'],
    ['PutItem', { ExpressionAttributeNames: { '#a': true } }, 'TRUE_VALUE cannot be converted to String'],
    ['PutItem', { Item: [] }, 'Unrecognized collection type'],
    ['GetItem', { TableName: 'nowhere', ConsistentRead: 'true' }, 'Unexpected token received from parser'],
    ['Query', { TableName: 'nowhere', Limit: '5' }, 'STRING_VALUE cannot be converted to Integer'],
    ['Scan', { Segment: 1.5, TotalSegments: [] }, 'Unrecognized collection type class java.lang.Integer'],
    ['BatchGetItem', { RequestItems: { a: { Keys: {} } } }, 'Start of structure or map found where not expected'],
    ['BatchWriteItem', { RequestItems: { a: [{ PutRequest: [] }] } }, 'PutRequest'],
    ['CreateTable', { KeySchema: ['pk'] }, 'Unexpected value type in payload'],
    ['CreateTable', { ProvisionedThroughput: { ReadCapacityUnits: 'x' } }, 'STRING_VALUE cannot be converted to Long'],
    ['GetRecords', { Limit: {} }, 'Start of structure or map found where not expected'],
    ['DeleteItem', { Key: { a: 'x' } }, 'Unexpected value type in payload'],
    ['DeleteItem', { Key: { a: { B: '=+/=' } } }, 'Invalid last non-pad Base64 character dectected'],
    ['DeleteItem', { Key: { a: { B: '=+A=' } } }, 'Invalid Base64 character detected'],
    [
      'PutItem',
      { Expected: [] },
      'java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.ExpectedAttributeValue>',
    ],
    ['PutItem', { ExpressionAttributeNames: [] }, 'java.util.Map<java.lang.String, java.lang.String>'],
    ['PutItem', { Expected: { a: { Value: 'x' } } }, 'Unexpected field type'],
    ['CreateTable', { ProvisionedThroughput: 'x' }, 'Unexpected field type'],
    ['BatchGetItem', { RequestItems: { a: { Keys: ['x'] } } }, 'cannot be cast to class java.lang.Class'],
    ['GetItem', { TableName: 'nowhere', Key: { a: { S: 1 } } }, 'NUMBER_VALUE cannot be converted to String'],
    ['PutItem', { Item: { a: { M: { b: { L: [null, { B: '23456' }] } } } } }, 'a multiple of 4 bytes but found: 5'],
    ['PutItem', { Item: { a: { S: 'x' } }, Expected: { a: { Value: { BOOL: 5 } } } }, 'converted to Boolean'],
    ['PutItem', { Item: {}, ExpressionAttributeValues: { ':a': { SS: ['x', 1] } } }, 'converted to String'],
    ['Query', { KeyConditions: { a: { AttributeValueList: [{ N: true }] } } }, 'TRUE_VALUE cannot be converted'],
    ['BatchGetItem', { RequestItems: { nowhere: { Keys: [{ a: { NS: {} } }] } } }, 'Start of structure or map'],
    ['BatchWriteItem', { RequestItems: { a: [{ PutRequest: { Item: { a: { BS: [[]] } } } }] } }, 'ByteBuffer'],
    ['TransactGetItems', { TransactItems: [{ Get: { Key: { a: { M: [] } } } }] }, 'Unrecognized collection type'],
  ]
  for (const [operation, input, message] of wrong) {
    const answer = await ask(operation, input)
    expect([operation, answer.status, answer.error]).toEqual([operation, 400, 'SerializationException'])
    expect(answer.message).toContain(message)
  }
})

test('a body that is no JSON, no object or no UTF-8 is refused, not stored as something else', async () => {
  const { ask, table } = await asking()
  const TableName = await table()
  const put = Buffer.from(JSON.stringify({ TableName, Item: { pk: { S: 'xx' } } }))
  put[put.indexOf('xx')] = 0xff
  for (const body of ['', '{', 'null', '[]', '"x"', new Uint8Array(put)]) {
    expect(await ask('PutItem', body)).toMatchObject({ status: 400, error: 'SerializationException' })
  }
  expect((await ask('Scan', { TableName })).body).toMatchObject({ Count: 0 })
})

test('nesting without end is refused like any other fault', async () => {
  const { ask, table } = await asking()
  const TableName = await table()
  const bodies: [string, string][] = [
    ['PutItem', `{"TableName":"${TableName}","Item":{"pk":${nested(100_000, '{"L":[', '{"S":"x"}', ']}')}}}`],
    ['PutItem', `{"TableName":${nested(500_000, '[', '', ']')}}`],
    ['CreateTable', `{"TableName":"abc","KeySchema":[${nested(500_000, '[', '', ']')},1,2]}`],
    [
      'PutItem',
      `{"TableName":"${TableName}","Item":{"pk":{"S":"x"}},"ConditionExpression":"pk BETWEEN :b AND :a",` +
        `"ExpressionAttributeValues":{":a":{"S":"a"},":b":{"S":"b","x":${nested(100_000, '[', '', ']')}}}}`,
    ],
  ]
  for (const [operation, body] of bodies) expect((await ask(operation, body)).status).toBe(400)
})

test('__proto__ and its like are names as any other: of tables, keys, attributes and members', async () => {
  const { ask } = await asking()
  for (const TableName of ['__proto__', 'constructor']) {
    const created = await ask(
      'CreateTable',
      `{"TableName":"${TableName}","BillingMode":"PAY_PER_REQUEST",
        "AttributeDefinitions":[{"AttributeName":"constructor","AttributeType":"S"},{"AttributeName":"__proto__","AttributeType":"N"}],
        "KeySchema":[{"AttributeName":"constructor","KeyType":"HASH"},{"AttributeName":"__proto__","KeyType":"RANGE"}]}`,
    )
    expect(created.status).toBe(200)
    const key = (number: number) => `{"constructor":{"S":"a"},"__proto__":{"N":"${number}"}}`
    const item = `{"constructor":{"S":"a"},"__proto__":{"N":"1"},"toString":{"M":{"__proto__":{"S":"x"}}}}`
    const written = await ask(
      'BatchWriteItem',
      `{"RequestItems":{"${TableName}":[{"PutRequest":{"Item":${item}}},{"PutRequest":{"Item":${key(2)}}}]}}`,
    )
    expect(written.status).toBe(200)
    const read = await ask('BatchGetItem', `{"RequestItems":{"${TableName}":{"Keys":[${key(1)}]}}}`)
    expect(JSON.stringify(read.body)).toBe(`{"Responses":{"${TableName}":[${item}]},"UnprocessedKeys":{}}`)
    const page = await ask('Scan', { TableName, Limit: 1 })
    expect(JSON.stringify(page.body)).toContain(`"LastEvaluatedKey":${key(1)}`)
    const updated = await ask(
      'UpdateItem',
      `{"TableName":"${TableName}","Key":${key(1)},"UpdateExpression":"SET #t.#p = :y","ReturnValues":"UPDATED_NEW",
        "ExpressionAttributeNames":{"#t":"toString","#p":"__proto__"},"ExpressionAttributeValues":{":y":{"S":"y"}}}`,
    )
    expect(JSON.stringify(updated.body)).toBe('{"Attributes":{"toString":{"M":{"__proto__":{"S":"y"}}}}}')
  }
})

test('a batch is looked at whole before its tables are', async () => {
  const { ask, table } = await asking()
  const there = await table()
  const put = (Item: unknown) => ({ PutRequest: { Item } })
  const batch = (count: number) => Array.from({ length: count }, (_, i) => put({ pk: { S: `${i}` } }))
  const keys = (count: number) => Array.from({ length: count }, (_, i) => ({ pk: { S: `${i}` } }))
  const wrong: [string, object, string][] = [
    ['BatchWriteItem', {}, 'The requestItems parameter is required for BatchWriteItem'],
    ['BatchWriteItem', { nowhere: [] }, 'Map value must satisfy constraint'],
    ['BatchWriteItem', { nowhere: batch(26) }, 'Member must have length less than or equal to 25'],
    ['BatchWriteItem', { nowhere: batch(20), [there]: batch(6) }, 'Too many items requested'],
    ['BatchWriteItem', { nowhere: [put({ pk: { N: 'x' } })] }, 'cannot be converted to a numeric value'],
    ['BatchWriteItem', { nowhere: [{}] }, 'must contain exactly one of the supported datatypes'],
    ['BatchWriteItem', { nowhere: [put({ pk: { S: 'x'.repeat(409_600) } })] }, 'Item size has exceeded'],
    ['BatchWriteItem', { [there]: [...batch(2), ...batch(1)] }, 'Provided list of item keys contains duplicates'],
    ['BatchGetItem', {}, 'The requestItems parameter is required for BatchGetItem'],
    ['BatchGetItem', { nowhere: { Keys: keys(101) } }, 'Member must have length less than or equal to 100'],
    ['BatchGetItem', { nowhere: { Keys: keys(60) }, [there]: { Keys: keys(41) } }, 'Too many items requested'],
    ['BatchGetItem', { nowhere: { Keys: [{ pk: {} }] } }, 'Supplied AttributeValue is empty'],
    ['BatchGetItem', { nowhere: { Keys: keys(1), ProjectionExpression: 'a,' } }, 'Syntax error'],
    ['BatchGetItem', { [there]: { Keys: [...keys(2), ...keys(1)] } }, 'Provided list of item keys contains duplicates'],
  ]
  for (const [operation, RequestItems, message] of wrong) {
    const answer = await ask(operation, { RequestItems })
    expect([answer.error, answer.message]).toEqual(['ValidationException', expect.stringContaining(message)])
  }
  for (const [operation, entry] of [
    ['BatchWriteItem', batch(1)],
    ['BatchGetItem', { Keys: keys(1) }],
  ] as const) {
    const answer = await ask(operation, { RequestItems: { [there]: entry, nowhere: entry } })
    expect(answer.error).toBe('ResourceNotFoundException')
  }
  expect((await ask('Scan', { TableName: there })).body).toMatchObject({ Count: 0 })
})

test('what a write consumes is by the larger of the item as it was and as it is', async () => {
  const { ask, table } = await asking()
  const TableName = await table()
  const small = { pk: { S: 'a' } }
  const write = async (operation: string, input: object) => {
    const answer = await ask<{ ConsumedCapacity: unknown }>(operation, { ...input, ReturnConsumedCapacity: 'TOTAL' })
    return answer.body.ConsumedCapacity
  }
  const grow = () => ask('PutItem', { TableName, Item: { ...small, x: { S: 'x'.repeat(3000) } } })
  await grow()
  expect(await write('PutItem', { TableName, Item: small })).toEqual({ TableName, CapacityUnits: 3 })
  expect(await write('PutItem', { TableName, Item: small })).toEqual({ TableName, CapacityUnits: 1 })
  await grow()
  const remove = { RequestItems: { [TableName]: [{ DeleteRequest: { Key: small } }] } }
  expect(await write('BatchWriteItem', remove)).toEqual([{ TableName, CapacityUnits: 3 }])
})

test('a table that cannot be what is asked for is refused, not made as something else', async () => {
  const { ask } = await asking()
  const hash = [{ AttributeName: 'pk', KeyType: 'HASH' }]
  const wanted = {
    TableName: 'wanted',
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
    KeySchema: hash,
  }
  const throughput = { ReadCapacityUnits: 5, WriteCapacityUnits: 5 }
  const wrong: [object, string][] = [
    [{ ResourcePolicy: '{}' }, 'ResourcePolicy is not supported'],
    [{ LocalSecondaryIndexes: [{}] }, "Value null at 'localSecondaryIndexes.1.member.indexName'"],
    [{ TableName: undefined }, "The parameter 'TableName' is required"],
    [{ TableName: 'ab' }, 'Member must have length greater than or equal to 3'],
    [{ AttributeDefinitions: undefined }, "Value null at 'attributeDefinitions'"],
    [{ AttributeDefinitions: [] }, 'Some index key attribute have no definition'],
    [{ AttributeDefinitions: [{ AttributeName: 'x', AttributeType: 'S' }] }, 'Keys: [pk], AttributeDefinitions: [x]'],
    [{ AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'M' }] }, 'enum value set: [B, N, S]'],
    [{ KeySchema: [{ AttributeName: 'pk', KeyType: 'RANGE' }] }, 'The first KeySchemaElement is not a HASH key type'],
    [{ KeySchema: [...hash, ...hash, ...hash] }, 'Member must have length less than or equal to 2'],
    [{ KeySchema: [{ AttributeName: 'x'.repeat(256), KeyType: 'HASH' }] }, 'less than or equal to 255'],
    [{ ProvisionedThroughput: throughput }, 'Neither ReadCapacityUnits nor WriteCapacityUnits'],
    [{ BillingMode: 'PROVISIONED' }, 'must both be specified when BillingMode is PROVISIONED'],
    [{ StreamSpecification: { StreamEnabled: true } }, 'a stream enabled, UpdateViewType is required'],
    [
      { StreamSpecification: { StreamEnabled: false, StreamViewType: 'KEYS_ONLY' } },
      'UpdateViewType should not be specified',
    ],
  ]
  for (const [change, message] of wrong) {
    const answer = await ask('CreateTable', { ...wanted, ...change })
    expect([answer.error, answer.message]).toEqual(['ValidationException', expect.stringContaining(message)])
  }
  expect((await ask('ListTables', {})).body).toEqual({ TableNames: [] })

  const provisioned = { ...wanted, BillingMode: 'PROVISIONED', ProvisionedThroughput: throughput }
  expect((await ask('CreateTable', provisioned)).status).toBe(200)
  const same = await ask('UpdateTable', { TableName: 'wanted', ProvisionedThroughput: throughput })
  expect(same.message).toContain('The provisioned throughput for the table will not change')
  for (const TableName of ['ab', 'a'.repeat(256)]) {
    const answer = await ask('DescribeTable', { TableName })
    expect(answer.message).toBe('TableName must be at least 3 characters long and at most 255 characters long')
    const put = await ask('PutItem', { TableName, Item: { pk: { S: 'x' } } })
    expect(put.error).toBe(TableName.length > 255 ? 'ValidationException' : 'ResourceNotFoundException')
  }
})

test('expressions are read before the table is looked for', async () => {
  const { ask, table } = await asking()
  const TableName = await table({ range: true })
  const query = (KeyConditionExpression: string, change: object = {}) =>
    ask('Query', {
      TableName: 'nowhere',
      KeyConditionExpression,
      ExpressionAttributeValues: { ':p': { S: 'a' }, ':n': { N: '1' } },
      ...change,
    })
  const wrong: [string, string][] = [
    ['pk = :p AND', 'Syntax error; token: "<EOF>"'],
    ['pk = :p OR sk = :n', 'Invalid operator used in KeyConditionExpression: OR'],
    ['pk = :p AND NOT sk = :n', 'Invalid operator used in KeyConditionExpression: NOT'],
    ['pk = :p AND sk <> :n', 'Invalid operator used in KeyConditionExpression: <>'],
    ['pk.a = :p AND sk = :n', 'KeyConditionExpressions cannot have conditions on nested attributes'],
    ['size(pk) = :n AND sk = :p', 'KeyConditionExpressions cannot contain nested operations'],
    ['pk = :p AND pk = :n', 'KeyConditionExpressions must only contain one condition per key'],
    ['pk = sk AND a = :p AND b = :n', 'Multiple attribute names used in one condition'],
    ['pk = :p', 'Value provided in ExpressionAttributeValues unused in expressions: keys: {:n}'],
  ]
  for (const [text, message] of wrong) {
    const answer = await query(text)
    expect([text, answer.error, answer.message]).toEqual([
      text,
      'ValidationException',
      expect.stringContaining(message),
    ])
  }
  expect((await query('pk = :p AND sk = :n')).error).toBe('ResourceNotFoundException')
  const there = (text: string) => query(text, { TableName })
  expect((await there('sk = :n AND extra = :p')).message).toBe('Query condition missed key schema element: pk')
  expect((await there('pk = :p AND extra = :n')).message).toBe('Query condition missed key schema element: sk')
  expect((await there('pk > :p AND sk = :n')).message).toBe('Query key condition not supported')
  expect((await there('pk = :p AND a = :p AND b = :n')).message).toBe(
    'The number of query conditions (3) exceeds the number of key attributes defined in the schema (2)',
  )
  expect((await there('pk = :n AND sk = :p')).message).toContain('Condition parameter type does not match schema type')
})

test('a path into a key attribute is a mistake, not an item without it', async () => {
  const { ask, table } = await asking()
  const TableName = await table()
  const message = "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: pk"
  const Key = { pk: { S: 'a' } }
  const values = { ':p': { S: 'a' } }
  for (const [operation, input] of [
    ['GetItem', { TableName, Key, ProjectionExpression: 'a.b, pk[0]' }],
    ['BatchGetItem', { RequestItems: { [TableName]: { Keys: [Key], ProjectionExpression: 'pk.a' } } }],
    ['Scan', { TableName, ProjectionExpression: 'pk.a' }],
    ['Scan', { TableName, FilterExpression: 'pk.a = :p', ExpressionAttributeValues: values }],
    [
      'Query',
      {
        TableName,
        KeyConditionExpression: 'pk = :p',
        ProjectionExpression: 'pk.a',
        ExpressionAttributeValues: values,
      },
    ],
    ['PutItem', { TableName, Item: Key, ConditionExpression: 'attribute_not_exists(pk.a)' }],
    ['DeleteItem', { TableName, Key, ConditionExpression: 'size(pk[1]) > :p', ExpressionAttributeValues: values }],
    ['UpdateItem', { TableName, Key, UpdateExpression: 'SET a = pk[0]' }],
    ['UpdateItem', { TableName, Key, UpdateExpression: 'REMOVE a', ConditionExpression: 'attribute_exists(pk.a)' }],
    ['ExecuteStatement', { Statement: `SELECT pk.a FROM "${TableName}"` }],
    ['ExecuteStatement', { Statement: `DELETE FROM "${TableName}" WHERE pk = 'a' AND pk.a = 1` }],
  ] as const) {
    expect([operation, (await ask(operation, input)).message]).toEqual([operation, message])
  }
  for (const [operation, item] of [
    ['TransactGetItems', { Get: { TableName, Key, ProjectionExpression: 'pk.a' } }],
    ['TransactWriteItems', { Delete: { TableName, Key, ConditionExpression: 'attribute_exists(pk.a)' } }],
    ['TransactWriteItems', { Update: { TableName, Key, UpdateExpression: 'SET a = if_not_exists(b, pk.a)' } }],
  ] as const) {
    const { body } = await ask(operation, { TransactItems: [item] })
    expect(body.CancellationReasons).toEqual([{ Code: 'ValidationError', Message: message }])
  }
})

test('operations that know no values of expressions pass them over', async () => {
  const { ask, table } = await asking()
  const TableName = await table()
  const Key = { pk: { S: 'a' } }
  const get = { Key, ExpressionAttributeValues: { ':p': 'nothing' } }
  const read = { ProjectionExpression: 'a' }
  for (const [operation, input] of [
    ['GetItem', { TableName, ...get }],
    ['GetItem', { TableName, ...get, ...read }],
    ['BatchGetItem', { RequestItems: { [TableName]: { Keys: [Key], ...read, ExpressionAttributeValues: {} } } }],
    ['TransactGetItems', { TransactItems: [{ Get: { TableName, ...get, ...read } }] }],
  ] as const) {
    expect([operation, (await ask(operation, input)).error]).toEqual([operation, undefined])
  }
})

test('a query begins anywhere in its range, and nowhere else', async () => {
  const { ask, table } = await asking()
  const TableName = await table({ range: true })
  const key = (sk: number, pk = 'a') => ({ pk: { S: pk }, sk: { N: `${sk}` } })
  for (let sk = 0; sk < 10; sk++) await ask('PutItem', { TableName, Item: key(sk) })
  const query = (change: object) =>
    ask<{ Items: { sk: { N: string } }[]; LastEvaluatedKey?: object }>('Query', {
      TableName,
      KeyConditionExpression: 'pk = :p AND sk BETWEEN :low AND :high',
      ExpressionAttributeValues: { ':p': { S: 'a' }, ':low': { N: '2' }, ':high': { N: '7' } },
      ...change,
    })
  for (const ScanIndexForward of [true, false]) {
    for (let Limit = 1; Limit <= 7; Limit++) {
      const found: string[] = []
      let ExclusiveStartKey: object | undefined
      do {
        const { body } = await query({ Limit, ScanIndexForward, ExclusiveStartKey })
        expect(body.Items.length).toBeLessThanOrEqual(Limit)
        found.push(...body.Items.map(({ sk }) => sk.N))
        ExclusiveStartKey = body.LastEvaluatedKey
      } while (ExclusiveStartKey)
      expect(found).toEqual(ScanIndexForward ? [...'234567'] : [...'765432'])
    }
    // A key that no item has begins behind where it would lie.
    const between = await query({ ScanIndexForward, ExclusiveStartKey: key(4.5) })
    expect(between.body.Items.map(({ sk }) => sk.N)).toEqual(ScanIndexForward ? [...'567'] : [...'432'])
    for (const outside of [key(1), key(8)]) {
      const answer = await query({ ScanIndexForward, ExclusiveStartKey: outside })
      expect(answer.message).toBe('The provided starting key does not match the range key predicate')
    }
    const other = await query({ ScanIndexForward, ExclusiveStartKey: key(4, 'b') })
    expect(other.message).toBe('The query can return at most one row and cannot be restarted')
  }
})

const odd = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom<unknown>(
    -1,
    1e308,
    '',
    '__proto__',
    ':v',
    '#n',
    [null],
    { S: 'x', N: '1' },
    { N: '' },
    { SS: [] },
    null,
  ),
)

test('whatever stands in a request, the answer is never that of a fault of the daemon', async () => {
  const { ask, table } = await asking()
  const TableName = await table({ range: true, view: 'NEW_AND_OLD_IMAGES' })
  const Key = { pk: { S: 'a' }, sk: { N: '1' } }
  const requests: [string, Record<string, unknown>][] = [
    ['PutItem', { TableName, Item: { ...Key, x: { L: [{ M: { y: { N: '1' } } }] } }, ReturnValues: 'ALL_OLD' }],
    [
      'UpdateItem',
      {
        TableName,
        Key,
        UpdateExpression: 'SET #n = if_not_exists(#n, :v) + :v ADD c :v',
        ConditionExpression: 'NOT size(x) < :v OR pk IN (:s)',
        ExpressionAttributeNames: { '#n': 'n' },
        ExpressionAttributeValues: { ':v': { N: '1' }, ':s': { S: 'a' } },
        ReturnValues: 'UPDATED_NEW',
      },
    ],
    ['GetItem', { TableName, Key, ProjectionExpression: 'x[0].y', ReturnConsumedCapacity: 'TOTAL' }],
    ['BatchWriteItem', { RequestItems: { [TableName]: [{ PutRequest: { Item: Key } }] } }],
    ['BatchGetItem', { RequestItems: { [TableName]: { Keys: [Key], ConsistentRead: true } } }],
    [
      'Query',
      {
        TableName,
        KeyConditionExpression: 'pk = :p AND sk > :n',
        FilterExpression: 'contains(x, :p)',
        ExpressionAttributeValues: { ':p': { S: 'a' }, ':n': { N: '0' } },
        ExclusiveStartKey: Key,
        Limit: 3,
      },
    ],
    ['Scan', { TableName, Segment: 0, TotalSegments: 2, ExclusiveStartKey: Key }],
    [
      'CreateTable',
      {
        TableName: 'made',
        AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
        KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
        ProvisionedThroughput: { ReadCapacityUnits: 1, WriteCapacityUnits: 1 },
        StreamSpecification: { StreamEnabled: true, StreamViewType: 'KEYS_ONLY' },
      },
    ],
    ['UpdateTable', { TableName: 'made', StreamSpecification: { StreamEnabled: false } }],
    ['DeleteTable', { TableName: 'made' }],
    ['ListStreams', { TableName, Limit: 1 }],
    ['GetRecords', { ShardIterator: 'x|1|MC4xLjE=', Limit: 1 }],
  ]
  const places = (value: unknown, at: readonly string[] = []): (readonly string[])[] => [
    at,
    ...(typeof value === 'object' && value !== null
      ? Object.entries(value).flatMap(([name, inner]) => places(inner, [...at, name]))
      : []),
  ]
  const mutated = fc.constantFrom(...requests).chain(([operation, input]) =>
    fc.tuple(fc.constantFrom(...places(input).slice(1)), odd).map(([place, replacement]) => {
      const copy = structuredClone(input)
      const parent = place.slice(0, -1).reduce<Record<string, unknown>>((node, name) => node[name] as never, copy)
      parent[place.at(-1) as string] = replacement
      return { operation, input: copy }
    }),
  )
  await fc.assert(
    fc.asyncProperty(mutated, async ({ operation, input }) => {
      const { status } = await ask(operation, input)
      expect(status === 200 || status === 400).toBe(true)
    }),
    { numRuns: 400 },
  )
})
