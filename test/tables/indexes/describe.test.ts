/** What CreateTable and UpdateTable take and refuse of indexes, and what DescribeTable says of them. */
import { describe, expect, it } from 'vitest'
import { type Asking, asking } from '../asking.js'

const on = (...names: string[]) => names.map((AttributeName) => ({ AttributeName, AttributeType: 'S' }))
const hash = (...names: string[]) => names.map((AttributeName) => ({ AttributeName, KeyType: 'HASH' }))
const range = (...names: string[]) => names.map((AttributeName) => ({ AttributeName, KeyType: 'RANGE' }))
const all = { ProjectionType: 'ALL' }
const index = (IndexName: string, KeySchema: object[], Projection: object = all) => ({
  IndexName,
  KeySchema,
  Projection,
})
const invalid = (text: string) => `One or more parameter values were invalid: ${text}`

let number = 0
const base = () => ({
  TableName: `described-${number++}`,
  AttributeDefinitions: on('pk', 'sk', 'a', 'b'),
  KeySchema: [...hash('pk'), ...range('sk')],
  BillingMode: 'PAY_PER_REQUEST',
})
const local = index('local', [...hash('pk'), ...range('a')])
const global = index('global', [...hash('b'), ...range('a')])

type Described = {
  AttributeDefinitions: { AttributeName: string }[]
  TableStatus: string
  LatestStreamArn?: string
  GlobalSecondaryIndexes?: Record<string, unknown>[]
  LocalSecondaryIndexes?: Record<string, unknown>[]
}

async function describeTable({ ask }: Asking, TableName: string): Promise<Described> {
  return (await ask<{ Table: Described }>('DescribeTable', { TableName })).body.Table
}

async function whenActive(server: Asking, TableName: string): Promise<Described> {
  for (;;) {
    const table = await describeTable(server, TableName)
    if ((table.GlobalSecondaryIndexes ?? []).every(({ IndexStatus }) => IndexStatus === 'ACTIVE')) return table
    await new Promise((resolve) => setImmediate(resolve))
  }
}

describe('CreateTable', () => {
  it('describes its indexes in full', async () => {
    const server = await asking()
    const wanted = {
      ...base(),
      LocalSecondaryIndexes: [index('local', [...hash('pk'), ...range('a')], { ProjectionType: 'KEYS_ONLY' })],
      GlobalSecondaryIndexes: [
        index('global', [...hash('b', 'a'), ...range('sk')], {
          ProjectionType: 'INCLUDE',
          NonKeyAttributes: ['z', 'x'],
        }),
      ],
    }
    const made = await server.ask<{ TableDescription: Described }>('CreateTable', wanted)
    expect(made.message).toBeUndefined()
    expect(made.body.TableDescription.GlobalSecondaryIndexes?.[0]).toMatchObject({ IndexStatus: 'CREATING' })
    const table = await describeTable(server, wanted.TableName)
    const arn = `arn:aws:dynamodb:us-east-1:123456789012:table/${wanted.TableName}/index`
    expect(table.AttributeDefinitions.map(({ AttributeName }) => AttributeName)).toEqual(['a', 'b', 'pk', 'sk'])
    expect(table.LocalSecondaryIndexes).toEqual([
      {
        IndexName: 'local',
        KeySchema: [...hash('pk'), ...range('a')],
        Projection: { ProjectionType: 'KEYS_ONLY' },
        IndexSizeBytes: 0,
        ItemCount: 0,
        IndexArn: `${arn}/local`,
      },
    ])
    expect(table.GlobalSecondaryIndexes).toEqual([
      {
        IndexName: 'global',
        KeySchema: [...hash('b', 'a'), ...range('sk')],
        Projection: { ProjectionType: 'INCLUDE', NonKeyAttributes: ['x', 'z'] },
        IndexStatus: 'ACTIVE',
        ProvisionedThroughput: { NumberOfDecreasesToday: 0, ReadCapacityUnits: 0, WriteCapacityUnits: 0 },
        IndexSizeBytes: 0,
        ItemCount: 0,
        IndexArn: `${arn}/global`,
        WarmThroughput: { ReadUnitsPerSecond: 12000, WriteUnitsPerSecond: 4000, Status: 'ACTIVE' },
      },
    ])
  })

  const many = (count: number, name: (i: number) => string) =>
    Array.from({ length: count }, (_, i) => index(name(i), hash('a')))
  const include = (count: number, from = 0) => ({
    ProjectionType: 'INCLUDE',
    NonKeyAttributes: Array.from({ length: count }, (_, i) => `x${from + i}`),
  })
  const both = { LocalSecondaryIndexes: [local], GlobalSecondaryIndexes: [global] }
  const globals = (KeySchema: object[], Projection: object = all) => ({
    GlobalSecondaryIndexes: [index('global', KeySchema, Projection), index('other', hash('a', 'b'))],
  })
  const wrong: [string, object, string][] = [
    ['no local index', { LocalSecondaryIndexes: [] }, invalid('List of LocalSecondaryIndexes is empty')],
    ['no global index', { GlobalSecondaryIndexes: [] }, invalid('List of GlobalSecondaryIndexes is empty')],
    [
      'a local index without a range key of the table',
      { KeySchema: hash('pk'), LocalSecondaryIndexes: [local] },
      invalid('Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex'),
    ],
    [
      'an attribute that no key uses',
      { ...both, AttributeDefinitions: on('pk', 'sk', 'a', 'b', 'c') },
      invalid(
        'Some AttributeDefinitions are not used. AttributeDefinitions: [pk, sk, a, b, c], keys used: [pk, sk, a, b]',
      ),
    ],
    [
      'a key without a definition',
      { ...both, GlobalSecondaryIndexes: [index('global', hash('q'))] },
      invalid(
        'Some index key attributes are not defined in AttributeDefinitions. Keys: [q], AttributeDefinitions: [pk, sk, a, b]',
      ),
    ],
    [
      'a definition twice',
      { ...both, AttributeDefinitions: on('pk', 'sk', 'a', 'b', 'a') },
      'Attribute Name is duplicated: a',
    ],
    [
      'a local index with another hash key',
      { ...both, LocalSecondaryIndexes: [index('local', [...hash('a'), ...range('b')])] },
      invalid(
        'Index KeySchema does not have the same leading hash key as table KeySchema for index: local. index hash key: a, table hash key: pk',
      ),
    ],
    [
      'a local index without a range key',
      { ...both, LocalSecondaryIndexes: [index('local', hash('pk'))] },
      invalid('Index KeySchema does not have a range key for index: local'),
    ],
    [
      'a local index of three attributes',
      { ...both, LocalSecondaryIndexes: [index('local', [...hash('pk'), ...range('a', 'b')])] },
      'Member must have length less than or equal to 2',
    ],
    ['a range key first', globals(range('b')), 'Invalid KeySchema: The first KeySchemaElement is not a HASH key type'],
    [
      'a hash key behind a range key',
      globals([...hash('a'), ...range('b'), ...hash('pk')]),
      invalid('All HASH key attributes must precede RANGE key attributes in the KeySchema'),
    ],
    [
      'an attribute in a key twice',
      globals([...hash('a', 'b'), ...range('a')]),
      'The KeySchema contains multiple key attributes with the same name',
    ],
    [
      'five hash keys',
      {
        AttributeDefinitions: on('pk', 'sk', 'a', 'b', 'c'),
        GlobalSecondaryIndexes: [index('global', hash('pk', 'sk', 'a', 'b', 'c'))],
      },
      invalid('The KeySchema exceeds the maximum allowed number of HASH key attributes'),
    ],
    [
      'five range keys',
      {
        AttributeDefinitions: on('pk', 'sk', 'a', 'b', 'c', 'd'),
        GlobalSecondaryIndexes: [index('global', [...hash('pk'), ...range('sk', 'a', 'b', 'c', 'd')])],
      },
      invalid('The KeySchema exceeds the maximum allowed number of RANGE key attributes'),
    ],
    ['no projection type', globals(hash('b'), {}), invalid('Unknown ProjectionType: null')],
    [
      'an unknown projection type',
      globals(hash('b'), { ProjectionType: 'SOME' }),
      "Value 'SOME' at 'globalSecondaryIndexes.1.member.projection.projectionType'",
    ],
    [
      'names for a projection of keys',
      globals(hash('b'), { ProjectionType: 'KEYS_ONLY', NonKeyAttributes: ['x'] }),
      invalid('ProjectionType is KEYS_ONLY, but NonKeyAttributes is specified'),
    ],
    [
      'no names to include',
      globals(hash('b'), { ProjectionType: 'INCLUDE' }),
      invalid('ProjectionType is INCLUDE, but NonKeyAttributes is not specified'),
    ],
    [
      'a name to include twice',
      globals(hash('b'), { ProjectionType: 'INCLUDE', NonKeyAttributes: ['x', 'x'] }),
      invalid('Duplicate element in NonKeyAttributes: x'),
    ],
    ['21 names to include', globals(hash('b'), include(21)), 'Member must have length less than or equal to 20'],
    [
      '101 names to include in all',
      {
        AttributeDefinitions: on('pk', 'sk', 'a'),
        GlobalSecondaryIndexes: [
          ...Array.from({ length: 5 }, (_, i) => index(`global${i}`, hash('a'), include(20, 20 * i))),
          index('global5', hash('a'), include(1)),
        ],
      },
      invalid('Number of projected attributes exceeds per-table limit of 100'),
    ],
    [
      'a name twice, once local and once global',
      { LocalSecondaryIndexes: [local], GlobalSecondaryIndexes: [index('local', hash('b'))] },
      invalid('Duplicate index name: local'),
    ],
    [
      'a short name',
      { ...both, LocalSecondaryIndexes: [{ ...local, IndexName: 'ab' }] },
      "Value 'ab' at 'localSecondaryIndexes.1.member.indexName'",
    ],
    [
      '21 global indexes',
      { AttributeDefinitions: on('pk', 'sk', 'a'), GlobalSecondaryIndexes: many(21, (i) => `global${i}`) },
      invalid('GlobalSecondaryIndex count exceeds the per-table limit of 20'),
    ],
    [
      'six local indexes',
      {
        AttributeDefinitions: on('pk', 'sk', 'a'),
        LocalSecondaryIndexes: Array.from({ length: 6 }, (_, i) => ({ ...local, IndexName: `local${i}` })),
      },
      invalid('Number of LocalSecondaryIndexes exceeds per-table limit of 5'),
    ],
    [
      'throughput on demand',
      {
        ...both,
        GlobalSecondaryIndexes: [{ ...global, ProvisionedThroughput: { ReadCapacityUnits: 1, WriteCapacityUnits: 1 } }],
      },
      invalid('ProvisionedThroughput should not be specified for index: global when BillingMode is PAY_PER_REQUEST'),
    ],
    [
      'no throughput where it is provisioned',
      { ...both, BillingMode: 'PROVISIONED', ProvisionedThroughput: { ReadCapacityUnits: 1, WriteCapacityUnits: 1 } },
      invalid('ProvisionedThroughput is not specified for index: global'),
    ],
  ]

  it.each(wrong)('refuses %s', async (_, change, message) => {
    const { ask } = await asking()
    const answer = await ask('CreateTable', { ...base(), ...change })
    expect([answer.error, answer.message]).toEqual(['ValidationException', expect.stringContaining(message)])
    expect((await ask('ListTables', {})).body).toEqual({ TableNames: [] })
  })
})

describe('UpdateTable', () => {
  const create = (IndexName: string, KeySchema: object[], more: object = {}) => ({
    AttributeDefinitions: on('a', 'b', 'c'),
    GlobalSecondaryIndexUpdates: [{ Create: { ...index(IndexName, KeySchema), ...more } }],
  })
  const remove = (IndexName: string) => ({ GlobalSecondaryIndexUpdates: [{ Delete: { IndexName } }] })

  async function made(change: object = {}) {
    const server = await asking()
    const wanted = { ...base(), ...change }
    expect((await server.ask('CreateTable', wanted)).message).toBeUndefined()
    const { TableName } = wanted
    const update = (input: object) =>
      server.ask<{ TableDescription: Described }>('UpdateTable', { TableName, ...input })
    return { server, TableName, update, table: () => whenActive(server, TableName) }
  }

  it('puts an index on a table that goes on, and takes it off; the stream keeps its ARN', async () => {
    const { server, TableName, update, table } = await made({
      AttributeDefinitions: on('pk', 'sk'),
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'KEYS_ONLY' },
    })
    const { LatestStreamArn } = await table()
    for (const pk of ['p', 'q'])
      await server.ask('PutItem', { TableName, Item: { pk: { S: pk }, sk: { S: 's' }, c: { S: 'c' } } })
    // Of the wrong type, and empty: allowed as long as there is no index, and left out of it.
    await server.ask('PutItem', { TableName, Item: { pk: { S: 'r' }, sk: { S: 's' }, c: { N: '1' } } })
    await server.ask('PutItem', { TableName, Item: { pk: { S: 't' }, sk: { S: 's' }, c: { S: '' } } })
    const { body, message } = await update(create('late', hash('c')))
    expect(message).toBeUndefined()
    expect(body.TableDescription).toMatchObject({ TableStatus: 'UPDATING', LatestStreamArn })
    expect(body.TableDescription.GlobalSecondaryIndexes).toMatchObject([
      { IndexName: 'late', IndexStatus: 'CREATING', Backfilling: false },
    ])
    const active = await table()
    // What was defined and is used by no key is forgotten.
    expect(active).toMatchObject({ LatestStreamArn, AttributeDefinitions: on('c', 'pk', 'sk') })
    expect(active.GlobalSecondaryIndexes?.[0]).not.toHaveProperty('Backfilling')
    const scanned = await server.ask<{ Items: { pk: { S: string } }[] }>('Scan', { TableName, IndexName: 'late' })
    expect(scanned.body.Items.map(({ pk }) => pk.S).sort()).toEqual(['p', 'q'])
    const mismatch = await server.ask('PutItem', { TableName, Item: { pk: { S: 'u' }, sk: { S: 's' }, c: { N: '1' } } })
    expect(mismatch.message).toContain('Type mismatch for Index Key c Expected: S Actual: N IndexName: late')

    const gone = await update(remove('late'))
    expect(gone.body.TableDescription.GlobalSecondaryIndexes).toMatchObject([{ IndexStatus: 'DELETING' }])
    const without = await table()
    expect(without).toMatchObject({ LatestStreamArn, AttributeDefinitions: on('pk', 'sk') })
    expect(without).not.toHaveProperty('GlobalSecondaryIndexes')
    const asked = await server.ask('Scan', { TableName, IndexName: 'late' })
    expect(asked.message).toBe('The table does not have the specified index: late')
    const put = await server.ask('PutItem', { TableName, Item: { pk: { S: 'u' }, sk: { S: 's' }, c: { N: '1' } } })
    expect(put.status).toBe(200)
  })

  it('refuses what AWS refuses', async () => {
    const { server, TableName, update, table } = await made({
      LocalSecondaryIndexes: [local],
      GlobalSecondaryIndexes: [global],
    })
    const only = 'Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table'
    const refusals: [object, string, string][] = [
      [{ GlobalSecondaryIndexUpdates: [] }, 'ValidationException', 'At least one of'],
      [
        { GlobalSecondaryIndexUpdates: [], DeletionProtectionEnabled: true },
        'ValidationException',
        invalid('List of GlobalSecondaryIndexUpdates is empty'),
      ],
      [
        { GlobalSecondaryIndexUpdates: [{}] },
        'ValidationException',
        invalid('One of GlobalSecondaryIndexUpdate.Update'),
      ],
      [
        { GlobalSecondaryIndexUpdates: [{ Delete: { IndexName: 'one' }, Update: { IndexName: 'one' } }] },
        'ValidationException',
        invalid('Only one global secondary index action is allowed per GlobalSecondaryIndexUpdate object'),
      ],
      [
        { GlobalSecondaryIndexUpdates: [{ Delete: { IndexName: 'one' } }, { Delete: { IndexName: 'one' } }] },
        'ValidationException',
        invalid('Only one global secondary index update per index is allowed simultaneously. Index: one'),
      ],
      [
        { GlobalSecondaryIndexUpdates: [{ Delete: { IndexName: 'one' } }, { Delete: { IndexName: 'two' } }] },
        'LimitExceededException',
        only,
      ],
      [
        remove('nothing'),
        'ResourceNotFoundException',
        `Requested resource not found: Index nothing for table ${TableName}`,
      ],
      [remove('local'), 'ValidationException', 'Cannot delete an index that is not a GlobalSecondaryIndex: local'],
      [create('global', hash('c')), 'ValidationException', 'Attempting to create an index which already exists'],
      [create('local', hash('c')), 'ValidationException', 'Attempting to create an index which already exists'],
      [
        { ...create('new', hash('a')), AttributeDefinitions: undefined },
        'ValidationException',
        invalid('AttributeDefinitions is not specified for index: new'),
      ],
      [
        create('new', hash('q')),
        'ValidationException',
        invalid(
          'Some index key attributes are not defined in AttributeDefinitions. Keys: [q], AttributeDefinitions: [a, b, pk, sk, c]',
        ),
      ],
      [
        { ...create('new', hash('b')), AttributeDefinitions: [{ AttributeName: 'b', AttributeType: 'N' }] },
        'ValidationException',
        invalid(
          'Attributes cannot be redefined. Please check that your attribute has the same type as previously defined. ' +
            'Existing schema: Schema:[SchemaElement: key{b:S:HASH}, SchemaElement: key{a:S:RANGE}] ' +
            'New schema: Schema:[SchemaElement: key{b:N:HASH}]',
        ),
      ],
      [
        create('new', hash('c'), { ProvisionedThroughput: { ReadCapacityUnits: 1, WriteCapacityUnits: 1 } }),
        'ValidationException',
        invalid(
          'Neither ReadCapacityUnits nor WriteCapacityUnits can be specified for index: new when BillingMode is PAY_PER_REQUEST',
        ),
      ],
      [
        {
          GlobalSecondaryIndexUpdates: [
            { Update: { IndexName: 'global', ProvisionedThroughput: { ReadCapacityUnits: 1, WriteCapacityUnits: 1 } } },
          ],
        },
        'ValidationException',
        invalid(
          'The only Updates for index: global when TableThroughputMode is PAY_PER_REQUEST can be to OnDemandThroughput, WarmThroughput',
        ),
      ],
      [
        { BillingMode: 'PROVISIONED', ProvisionedThroughput: { ReadCapacityUnits: 1, WriteCapacityUnits: 1 } },
        'ValidationException',
        invalid('ProvisionedThroughput must be specified for index: global'),
      ],
    ]
    const before = await table()
    for (const [input, error, message] of refusals) {
      const answer = await update(input)
      expect([answer.error, answer.message]).toEqual([error, expect.stringContaining(message)])
    }
    expect(await describeTable(server, TableName)).toEqual(before)
  })

  it('changes the throughput of indexes, and how their table is paid', async () => {
    const one = { ReadCapacityUnits: 1, WriteCapacityUnits: 1 }
    const two = { ReadCapacityUnits: 2, WriteCapacityUnits: 2 }
    const { update, table } = await made({
      AttributeDefinitions: on('pk', 'sk', 'a', 'b'),
      BillingMode: 'PROVISIONED',
      ProvisionedThroughput: one,
      GlobalSecondaryIndexes: [{ ...global, ProvisionedThroughput: one }],
    })
    const set = (ProvisionedThroughput: object) => ({
      GlobalSecondaryIndexUpdates: [{ Update: { IndexName: 'global', ProvisionedThroughput } }],
    })
    const same = await update(set(one))
    expect(same.message).toContain('The provisioned throughput for the index global will not change.')
    const changed = await update(set(two))
    // As on AWS: as it was, until the change is done.
    expect(changed.body.TableDescription).toMatchObject({
      TableStatus: 'ACTIVE',
      GlobalSecondaryIndexes: [{ IndexStatus: 'UPDATING', ProvisionedThroughput: one }],
    })
    expect((await table()).GlobalSecondaryIndexes).toMatchObject([
      { IndexStatus: 'ACTIVE', ProvisionedThroughput: two, WarmThroughput: { ReadUnitsPerSecond: 2 } },
    ])
    expect((await update({ BillingMode: 'PAY_PER_REQUEST' })).message).toBeUndefined()
    expect((await table()).GlobalSecondaryIndexes).toMatchObject([
      { ProvisionedThroughput: { ReadCapacityUnits: 0 }, WarmThroughput: { ReadUnitsPerSecond: 12_000 } },
    ])
    const back = await update({ BillingMode: 'PROVISIONED', ProvisionedThroughput: one, ...set(one) })
    expect(back.message).toBeUndefined()
    expect((await table()).GlobalSecondaryIndexes).toMatchObject([{ ProvisionedThroughput: one }])
  })
})
