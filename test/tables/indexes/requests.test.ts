/** Reads and writes where there are indexes: what is refused, fetched, counted and consumed. */
import { describe, expect, it } from 'vitest'
import { type Asking, asking } from '../asking.js'

const invalid = (text: string) => `One or more parameter values were invalid: ${text}`
const S = (value: string) => ({ S: value })

let number = 0

/** `pk`, `sk`; local by `a` with keys alone; global by `b`, `a` with `x`; global by `b` and `n`, `a` and `sk`. */
async function table({ ask }: Asking): Promise<string> {
  const TableName = `indexed-${number++}`
  const key = (hash: string[], range: string[]) => [
    ...hash.map((AttributeName) => ({ AttributeName, KeyType: 'HASH' })),
    ...range.map((AttributeName) => ({ AttributeName, KeyType: 'RANGE' })),
  ]
  const made = await ask('CreateTable', {
    TableName,
    AttributeDefinitions: [
      ...['pk', 'sk', 'a', 'b'].map((AttributeName) => ({ AttributeName, AttributeType: 'S' })),
      { AttributeName: 'n', AttributeType: 'N' },
    ],
    KeySchema: key(['pk'], ['sk']),
    LocalSecondaryIndexes: [
      { IndexName: 'local', KeySchema: key(['pk'], ['a']), Projection: { ProjectionType: 'KEYS_ONLY' } },
    ],
    GlobalSecondaryIndexes: [
      {
        IndexName: 'global',
        KeySchema: key(['b'], ['a']),
        Projection: { ProjectionType: 'INCLUDE', NonKeyAttributes: ['x'] },
      },
      { IndexName: 'many', KeySchema: key(['b', 'n'], ['a', 'sk']), Projection: { ProjectionType: 'ALL' } },
    ],
    BillingMode: 'PAY_PER_REQUEST',
  })
  expect(made.message).toBeUndefined()
  return TableName
}

const item = (sk: string, more: object = {}) => ({ pk: S('p'), sk: S(sk), ...more })

describe('a write', () => {
  it('of an index key that cannot be fails as a whole, in the words of its operation', async () => {
    const server = await asking()
    const { ask } = server
    const TableName = await table(server)
    const long = S('x'.repeat(2049))
    const put: [object, string][] = [
      [{ b: { N: '1' } }, invalid('Type mismatch for Index Key b Expected: S Actual: N IndexName: global')],
      [{ b: { NULL: true } }, invalid('Type mismatch for Index Key b Expected: S Actual: NULL IndexName: global')],
      [
        { b: S('') },
        'One or more parameter values are not valid. A value specified for a secondary index key is not supported. ' +
          'The AttributeValue for a key attribute cannot contain an empty string value. IndexName: global, IndexKey: b',
      ],
      [{ b: long }, invalid('Size of hashkey has exceeded the maximum size limit of2048 bytes')],
      [
        { a: S('x'.repeat(1025)) },
        invalid('Aggregated size of all range keys has exceeded the size limit of 1024 bytes'),
      ],
    ]
    for (const [wrong, message] of put) {
      const Item = item('s', wrong)
      expect((await ask('PutItem', { TableName, Item })).message).toBe(message)
      // A batch with one that is wrong writes none.
      const batch = [{ PutRequest: { Item: item('t') } }, { PutRequest: { Item } }]
      expect((await ask('BatchWriteItem', { RequestItems: { [TableName]: batch } })).message).toBe(message)
    }
    expect((await ask('Scan', { TableName })).body).toMatchObject({ Count: 0 })

    await ask('PutItem', { TableName, Item: item('s', { number: { N: '1' }, empty: S(''), long }) })
    const update: [string, object | undefined, string][] = [
      [
        'SET b = :v',
        { ':v': { N: '1' } },
        invalid('Type mismatch for Index Key b Expected: S Actual: N IndexName: global'),
      ],
      [
        'ADD b :v',
        { ':v': { N: '1' } },
        invalid('Type mismatch for Index Key b Expected: S Actual: N IndexName: global'),
      ],
      [
        'SET b.c = :v',
        { ':v': S('x') },
        "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: b",
      ],
      [
        'SET e = b[1], b = :v',
        { ':v': { N: '1' } },
        invalid('Type mismatch for Index Key b Expected: S Actual: N IndexName: global'),
      ],
      [
        'SET e = if_not_exists(b.c, :v)',
        { ':v': S('x') },
        "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: b",
      ],
      [
        'SET b = #number',
        undefined,
        'The update expression attempted to update the secondary index key to unsupported type',
      ],
      [
        'SET b = #empty',
        undefined,
        'One or more parameter values are not valid. The update expression attempted to update a secondary index key to a ' +
          'value that is not supported. The AttributeValue for a key attribute cannot contain an empty string value.',
      ],
      [
        'SET b = #long',
        undefined,
        'The update expression attempted to update the secondary index key beyond allowed size limits',
      ],
    ]
    for (const [UpdateExpression, ExpressionAttributeValues, message] of update) {
      const name = /#(\w+)/.exec(UpdateExpression)?.[1]
      const answer = await ask('UpdateItem', {
        TableName,
        Key: item('s'),
        UpdateExpression,
        ExpressionAttributeValues,
        ...(name ? { ExpressionAttributeNames: { [`#${name}`]: name } } : {}),
      })
      expect([UpdateExpression, answer.error, answer.message]).toEqual([
        UpdateExpression,
        'ValidationException',
        message,
      ])
    }
    expect((await ask('Scan', { TableName, IndexName: 'global' })).body).toMatchObject({ Count: 0 })
  })

  it('has room for 400 KB in item and local entries together', async () => {
    const server = await asking()
    const { ask } = server
    const TableName = await table(server)
    // The item has 15 bytes beside the padding; its entry, with keys alone, has 12 of these.
    const put = (pad: number) =>
      ask('PutItem', { TableName, Item: { pk: S('p'), sk: S('sk'), a: S('ab'), pad: S('x'.repeat(pad)) } })
    const size = 2 + 1 + 2 + 2 + 1 + 2 + 3
    const entry = 2 + 1 + 2 + 2 + 1 + 2
    expect((await put(409_600 - size - entry)).status).toBe(200)
    expect((await put(409_600 - size - entry + 1)).message).toBe('Item size has exceeded the maximum allowed size')
    const grown = await ask('UpdateItem', {
      TableName,
      Key: { pk: S('p'), sk: S('sk') },
      UpdateExpression: 'SET more = :v',
      ExpressionAttributeValues: { ':v': S('') },
    })
    expect(grown.message).toBe('Item size to update has exceeded the maximum allowed size')
    const without = { pk: S('p'), sk: S('sk'), pad: S('x'.repeat(409_600 - size + 3)) }
    expect((await ask('PutItem', { TableName, Item: without })).status).toBe(200)
  })

  it('consumes of each index what it changes there', async () => {
    const server = await asking()
    const { ask } = server
    const TableName = await table(server)
    type Capacity = { CapacityUnits: number; Table: object } & Record<string, Record<string, { CapacityUnits: number }>>
    const units = async (operation: string, input: object) => {
      const { body, message } = await ask<{ ConsumedCapacity: Capacity }>(operation, {
        TableName,
        ReturnConsumedCapacity: 'INDEXES',
        ...input,
      })
      expect(message).toBeUndefined()
      const { CapacityUnits, Table, GlobalSecondaryIndexes, LocalSecondaryIndexes } = body.ConsumedCapacity
      const of = (indexes = {}) =>
        Object.fromEntries(Object.entries(indexes).map(([name, each]) => [name, (each as Capacity).CapacityUnits]))
      return [CapacityUnits, Table, of(GlobalSecondaryIndexes), of(LocalSecondaryIndexes)]
    }
    const put = (more: object) => units('PutItem', { Item: item('s', more) })
    const own = { CapacityUnits: 1 }
    expect(await put({})).toEqual([1, own, {}, {}])
    expect(await put({ a: S('a') })).toEqual([2, own, {}, { local: 1 }])
    expect(await put({ a: S('a'), b: S('b') })).toEqual([2, own, { global: 1 }, {}])
    // Not projected: nothing to do.
    expect(await put({ a: S('a'), b: S('b'), y: S('y') })).toEqual([1, own, {}, {}])
    expect(await put({ a: S('a'), b: S('b'), x: S('x'.repeat(1500)) })).toEqual([
      4,
      { CapacityUnits: 2 },
      { global: 2 },
      {},
    ])
    // An entry that moves is deleted and put.
    expect(await put({ a: S('c'), b: S('b'), n: { N: '1' } })).toEqual([
      2 + 3 + 1 + 2,
      { CapacityUnits: 2 },
      { global: 3, many: 1 },
      { local: 2 },
    ])
    expect(await put({ a: S('c'), b: S('b'), n: { N: '1' } })).toEqual([1, own, {}, {}])
    expect(await units('DeleteItem', { Key: item('s') })).toEqual([4, own, { global: 1, many: 1 }, { local: 1 }])
    expect(await units('DeleteItem', { Key: item('s') })).toEqual([1, own, {}, {}])
    const batch = await ask<{ ConsumedCapacity: object[] }>('BatchWriteItem', {
      ReturnConsumedCapacity: 'INDEXES',
      RequestItems: {
        [TableName]: ['s', 't'].map((sk) => ({ PutRequest: { Item: item(sk, { a: S('a'), b: S(sk) }) } })),
      },
    })
    expect(batch.body.ConsumedCapacity).toEqual([
      {
        TableName,
        CapacityUnits: 6,
        Table: { CapacityUnits: 2 },
        GlobalSecondaryIndexes: { global: { CapacityUnits: 2 } },
        LocalSecondaryIndexes: { local: { CapacityUnits: 2 } },
      },
    ])
    const total = await ask<{ ConsumedCapacity: object }>('PutItem', {
      TableName,
      ReturnConsumedCapacity: 'TOTAL',
      Item: item('u', { a: S('a') }),
    })
    expect(total.body.ConsumedCapacity).toEqual({ TableName, CapacityUnits: 2 })
  })

  it('shows the size of its item collection, where there are local indexes', async () => {
    const server = await asking()
    const { ask } = server
    const TableName = await table(server)
    const metrics = { ItemCollectionKey: { pk: S('p') }, SizeEstimateRangeGB: [0, 1] }
    const input = { TableName, ReturnItemCollectionMetrics: 'SIZE' }
    for (const [operation, more] of [
      ['PutItem', { Item: item('s') }],
      ['UpdateItem', { Key: item('s') }],
      ['DeleteItem', { Key: item('s') }],
    ] as const) {
      expect((await ask(operation, { ...input, ...more })).body).toEqual({ ItemCollectionMetrics: metrics })
    }
    const batch = await ask('BatchWriteItem', {
      ReturnItemCollectionMetrics: 'SIZE',
      RequestItems: { [TableName]: ['s', 't'].map((sk) => ({ PutRequest: { Item: item(sk) } })) },
    })
    expect(batch.body).toMatchObject({ ItemCollectionMetrics: { [TableName]: [metrics] } })
    const plain = await server.table()
    const put = await ask('PutItem', { ...input, TableName: plain, Item: { pk: S('p') } })
    expect(put.body).toEqual({})
  })
})

describe('a read', () => {
  async function filled() {
    const server = await asking()
    const TableName = await table(server)
    for (const [sk, a] of ['s1 a1', 's2 a2', 's3 a2'].map((each) => each.split(' ')) as [string, string][]) {
      const more = { a: S(a), b: S('b'), n: { N: '1' }, x: S('x'), y: S('y') }
      await server.ask('PutItem', { TableName, Item: item(sk, more) })
    }
    type Page = {
      Items?: Record<string, { S: string }>[]
      Count: number
      LastEvaluatedKey?: object
      ConsumedCapacity: object
    }
    const query = (IndexName: string, KeyConditionExpression: string, values: object, more: object = {}) =>
      server.ask<Page>('Query', {
        TableName,
        IndexName,
        KeyConditionExpression,
        ExpressionAttributeValues: values,
        ...more,
      })
    const local = (more: object = {}) => query('local', 'pk = :p', { ':p': S('p') }, more)
    const global = (more: object = {}) => query('global', 'b = :b', { ':b': S('b') }, more)
    return { ...server, TableName, query, local, global }
  }
  const names = (items: object[] | undefined) => [...new Set((items ?? []).flatMap((each) => Object.keys(each)))].sort()

  it('of a local index fetches what this does not hold, and pays for it', async () => {
    const { local, TableName, ask } = await filled()
    const ReturnConsumedCapacity = 'INDEXES'
    const projected = await local({ ReturnConsumedCapacity, ConsistentRead: true })
    expect(names(projected.body.Items)).toEqual(['a', 'pk', 'sk'])
    expect(projected.body.ConsumedCapacity).toEqual({
      TableName,
      CapacityUnits: 1,
      Table: { CapacityUnits: 0 },
      LocalSecondaryIndexes: { local: { CapacityUnits: 1 } },
    })
    const whole = await local({ ReturnConsumedCapacity, ConsistentRead: true, Select: 'ALL_ATTRIBUTES' })
    expect(names(whole.body.Items)).toEqual(['a', 'b', 'n', 'pk', 'sk', 'x', 'y'])
    expect(whole.body.ConsumedCapacity).toEqual({
      TableName,
      CapacityUnits: 4,
      Table: { CapacityUnits: 3 },
      LocalSecondaryIndexes: { local: { CapacityUnits: 1 } },
    })
    const some = await local({ ProjectionExpression: 'y, sk' })
    expect(some.body.Items).toEqual(['s1', 's2', 's3'].map((sk) => ({ sk: S(sk), y: S('y') })))
    const filtered = await ask('Scan', {
      TableName,
      IndexName: 'local',
      FilterExpression: 'y = :y',
      ExpressionAttributeValues: { ':y': S('y') },
      Select: 'COUNT',
    })
    expect(filtered.body).toEqual({ Count: 3, ScannedCount: 3 })
  })

  it('of a global index gives what this holds, and refuses what it does not', async () => {
    const { global, query, ask, TableName } = await filled()
    for (const Select of [undefined, 'ALL_PROJECTED_ATTRIBUTES'])
      expect(names((await global({ Select })).body.Items)).toEqual(['a', 'b', 'pk', 'sk', 'x'])
    expect((await global({ Select: 'COUNT' })).body).toEqual({ Count: 3, ScannedCount: 3 })
    const refusals: [object, string][] = [
      [{ ConsistentRead: true }, 'Consistent reads are not supported on global secondary indexes'],
      [
        { Select: 'ALL_ATTRIBUTES' },
        invalid(
          'Select type ALL_ATTRIBUTES is not supported for global secondary index global because its projection type is not ALL',
        ),
      ],
      [{ ProjectionExpression: 'sk, y' }, invalid('Global secondary index global does not project [y]')],
      [
        { FilterExpression: 'a = :b' },
        'Filter Expression can only contain non-primary key attributes: Primary key attribute: a',
      ],
    ]
    for (const [more, message] of refusals) expect((await global(more)).message).toBe(message)
    const byTableKey = await global({
      FilterExpression: 'sk = :s',
      ExpressionAttributeValues: { ':b': S('b'), ':s': S('s2') },
    })
    expect(byTableKey.body.Count).toBe(1)
    const values = { ':b': S('b') }
    expect((await query('nothing', 'b = :b', values)).message).toBe(
      'The table does not have the specified index: nothing',
    )
    expect((await query('global', 'a = :b', values)).message).toBe('Query condition missed key schema element: b')
    expect((await query('global', 'b = :b AND pk = :b', values)).message).toBe(
      'Query condition missed key schema element: a',
    )
    const scanned = await ask('Scan', { TableName, IndexName: 'many', Select: 'ALL_ATTRIBUTES', Limit: 1 })
    expect(scanned.body).toMatchObject({ Count: 1, Items: [{ y: S('y') }] })
  })

  it('of an index of several attributes wants the first of them', async () => {
    const { query } = await filled()
    const values = { ':b': S('b'), ':n': { N: '1' }, ':v': S('a2') }
    const many = (condition: string, more: object = {}) =>
      query(
        'many',
        condition,
        Object.fromEntries(Object.entries(values).filter(([name]) => condition.includes(name))),
        more,
      )
    const found = async (condition: string) => (await many(condition)).body.Items?.map(({ sk }) => sk?.S)
    expect(await found('b = :b AND n = :n')).toEqual(['s1', 's2', 's3'])
    expect(await found('a = :v AND n = :n AND b = :b')).toEqual(['s2', 's3'])
    expect(await found('b = :b AND n = :n AND a < :v')).toEqual(['s1'])
    expect(await found('b = :b AND n = :n AND a = :v AND sk > :v')).toEqual(['s2', 's3'])
    const equality = (names: string, present: string) =>
      `RANGE key attributes ${names} must have equality conditions specified in the query because a condition is present on key attribute ${present}`
    expect((await many('b = :b')).message).toBe(
      'HASH key attributes n must have equality conditions specified in the query',
    )
    expect((await many('b = :b AND n > :n')).message).toContain('HASH key attributes n must have equality')
    expect((await many('b = :b AND n = :n AND sk = :v')).message).toBe(equality('a', 'sk'))
    expect((await many('b = :b AND n = :n AND a > :v AND sk = :v')).message).toBe(equality('a', 'sk'))
    expect((await many('b = :b AND n = :v')).message).toBe(
      invalid('Condition parameter type does not match schema type'),
    )
    const page = await many('b = :b AND n = :n', { Limit: 1 })
    expect(page.body.LastEvaluatedKey).toEqual({ pk: S('p'), sk: S('s1'), a: S('a1'), b: S('b'), n: { N: '1' } })
  })

  it('goes on where it ended, and nowhere else', async () => {
    const { global, ask, TableName, query } = await filled()
    const key = { pk: S('p'), sk: S('s2'), a: S('a2'), b: S('b') }
    const first = await global({ Limit: 2 })
    expect(first.body.LastEvaluatedKey).toEqual(key)
    expect((await global({ ExclusiveStartKey: key })).body.Items?.map(({ sk }) => sk?.S)).toEqual(['s3'])
    const back = await global({ ExclusiveStartKey: key, ScanIndexForward: false })
    expect(back.body.Items?.map(({ sk }) => sk?.S)).toEqual(['s1'])
    const start = 'The provided starting key is invalid'
    const { a: _, ...short } = key
    const refusals: [object, string][] = [
      [{}, start],
      [short, start],
      [{ ...key, y: S('y') }, start],
      [{ ...short, y: S('y') }, start],
      [{ ...key, a: { N: '1' } }, 'The provided key element does not match the schema'],
      [{ ...key, sk: { N: '1' } }, `${start}: The provided key element does not match the schema`],
      [{ ...key, b: S('c') }, 'The provided starting key is outside query boundaries based on provided conditions'],
      [
        { ...key, sk: {} },
        `${start}: Supplied AttributeValue is empty, must contain exactly one of the supported datatypes`,
      ],
    ]
    for (const [ExclusiveStartKey, message] of refusals) {
      expect([ExclusiveStartKey, (await global({ ExclusiveStartKey })).message]).toEqual([ExclusiveStartKey, message])
      if (message.includes('boundaries')) continue
      const scanned = await ask('Scan', { TableName, IndexName: 'global', ExclusiveStartKey })
      expect([ExclusiveStartKey, scanned.message]).toEqual([ExclusiveStartKey, message])
    }
    const ranged = (ExclusiveStartKey: object) =>
      query('global', 'b = :b AND a > :a', { ':b': S('b'), ':a': S('a1') }, { ExclusiveStartKey })
    expect((await ranged(key)).body.Count).toBe(1)
    expect((await ranged({ ...key, a: S('a1') })).message).toBe(
      'The provided starting key does not match the range key predicate',
    )
    expect((await ranged({ ...key, b: S('c') })).message).toBe(
      'The query can return at most one row and cannot be restarted',
    )
  })

  it('ends a page with the item that takes it to 1 MB, by what it reads', async () => {
    const server = await asking()
    const { ask } = server
    const TableName = await table(server)
    const Item = (sk: string) => item(sk, { a: S(sk), b: S('b'), y: S('y'.repeat(300_000)) })
    for (const sk of ['s1', 's2', 's3', 's4', 's5']) await ask('PutItem', { TableName, Item: Item(sk) })
    const counts = async (input: object) => {
      const found: number[] = []
      let ExclusiveStartKey: object | undefined
      do {
        const { body } = await ask<{ Count: number; LastEvaluatedKey?: object }>('Query', {
          TableName,
          Select: 'COUNT',
          ...input,
          ExclusiveStartKey,
        })
        found.push(body.Count)
        ExclusiveStartKey = body.LastEvaluatedKey
      } while (ExclusiveStartKey)
      return found
    }
    const byPartition = { KeyConditionExpression: 'pk = :p', ExpressionAttributeValues: { ':p': S('p') } }
    expect(await counts(byPartition)).toEqual([4, 1])
    expect(await counts({ ...byPartition, IndexName: 'local' })).toEqual([5])
    // Fetched items count as they are.
    const names = { FilterExpression: 'attribute_exists(y)' }
    expect(await counts({ ...byPartition, ...names, IndexName: 'local' })).toEqual([4, 1])
  })
})
