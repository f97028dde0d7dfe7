import { expect, test } from 'vitest'
import { running, type Values } from './running.js'

const key = (name: string, type: 'HASH' | 'RANGE') => ({ AttributeName: name, KeyType: type })
const keysOnly = { ProjectionType: 'KEYS_ONLY' }

/** Items `a1` to `a3` of one hash key, the last of them in no index, and `b1`. */
async function indexed() {
  const tables = await running()
  const made = await tables.ask('CreateTable', {
    TableName: 'indexed',
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: ['pk', 'sk', 'g', 'h', 'l'].map((AttributeName) => ({ AttributeName, AttributeType: 'S' })),
    KeySchema: [key('pk', 'HASH'), key('sk', 'RANGE')],
    GlobalSecondaryIndexes: [
      {
        IndexName: 'some',
        KeySchema: [key('g', 'HASH'), key('h', 'RANGE')],
        Projection: { ProjectionType: 'INCLUDE', NonKeyAttributes: ['shown'] },
      },
      { IndexName: 'two', KeySchema: [key('g', 'HASH'), key('h', 'HASH')], Projection: keysOnly },
    ],
    LocalSecondaryIndexes: [
      { IndexName: 'local', KeySchema: [key('pk', 'HASH'), key('l', 'RANGE')], Projection: keysOnly },
    ],
  })
  expect(made.message).toBeUndefined()
  const put = (pk: string, sk: string, more: Record<string, string>) =>
    tables.put('indexed', Object.fromEntries(Object.entries({ pk, sk, ...more }).map(([name, S]) => [name, { S }])))
  await put('a', '1', { g: 'x', h: '1', l: '9', shown: 's1', hidden: 'h1' })
  await put('a', '2', { g: 'x', h: '2', l: '8', shown: 's2', hidden: 'h2' })
  await put('a', '3', { hidden: 'h3' })
  await put('b', '1', { g: 'y', h: '1', l: '9', shown: 's4', hidden: 'h4' })
  const names = (items: Values[]) => items.map(({ pk, sk }) => `${(pk as { S: string }).S}${(sk as { S: string }).S}`)
  return {
    ...tables,
    keys: async (index: string, where: string) =>
      names(await tables.items(`SELECT pk, sk FROM "indexed"."${index}" WHERE ${where}`)),
  }
}

test('a SELECT reads an index by its key, in its order, or scans it', async () => {
  const { keys, items } = await indexed()
  expect(await keys('some', "g = 'x'")).toEqual(['a1', 'a2'])
  expect(await keys('some', "g = 'x' AND h > '1'")).toEqual(['a2'])
  expect(await keys('some', "g = 'x' AND h = '1'")).toEqual(['a1'])
  expect(await keys('some', "g = 'x' AND begins_with(h, '2')")).toEqual(['a2'])
  expect(await keys('some', "g = 'x' ORDER BY h DESC")).toEqual(['a2', 'a1'])
  expect((await keys('some', "g IN ['x', 'y'] AND h <= '1'")).sort()).toEqual(['a1', 'b1'])
  expect(await keys('some', "pk = 'a' AND shown = 's2'")).toEqual(['a2'])
  expect(await keys('local', "pk = 'a'")).toEqual(['a2', 'a1'])
  expect(await keys('local', "pk = 'a' AND l BETWEEN '9' AND '9'")).toEqual(['a1'])
  expect(await items('SELECT * FROM "indexed"."local" WHERE pk = \'b\'')).toEqual([
    { pk: { S: 'b' }, sk: { S: '1' }, l: { S: '9' } },
  ])
})

test('what an index does not hold is not asked of it', async () => {
  const { keys, items, refusal } = await indexed()
  const because = (index: string, where: string) => refusal(`SELECT pk FROM "indexed"."${index}" WHERE ${where}`)
  const filter = (index: string, names: string) =>
    `One or more parameter values were invalid: Secondary index ${index} does not project one or more filter attributes: [${names}]`
  expect(await because('some', "g = 'x' AND hidden = 'h1'")).toBe(filter('some', 'hidden'))
  expect(await because('some', "g IN ['x', 'y'] AND hidden IS MISSING")).toBe(filter('some', 'hidden'))
  expect(await because('local', "pk = 'a' AND l > '1' AND NOT hidden = 'h1'")).toBe(filter('local', 'hidden'))
  expect(await because('some', "g = 'x' AND b = '1' AND (a = '2' OR shown = '3')")).toBe(filter('some', 'a, b'))
  expect(await because('some', "g = 'x' AND (zz = '1' OR aa = '2' OR mm = '3')")).toBe(filter('some', 'zz, aa, mm'))
  // A scan finds that nothing has it.
  expect(await keys('some', "hidden = 'h1'")).toEqual([])
  expect((await keys('some', "NOT hidden = 'h1'")).sort()).toEqual(['a1', 'a2', 'b1'])
  expect(await refusal('SELECT hidden, other, pk FROM "indexed"."some" WHERE g = \'x\'')).toBe(
    'One or more parameter values were invalid: Global secondary index some does not project [hidden, other]',
  )
  // A local index has the items beside it.
  expect(await items('SELECT sk, hidden FROM "indexed"."local" WHERE pk = \'a\'')).toEqual([
    { sk: { S: '2' }, hidden: { S: 'h2' } },
    { sk: { S: '1' }, hidden: { S: 'h1' } },
  ])
})

test('indexes that cannot be read', async () => {
  const { refusal, ask } = await indexed()
  const select = (index: string, more: object = {}) => refusal(`SELECT * FROM "indexed"."${index}" WHERE g = 'x'`, more)
  expect(await select('none')).toBe('The table does not have the specified index')
  const several =
    'PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE keys.'
  expect(await select('two')).toBe(several)
  expect(await select('some', { ConsistentRead: true })).toBe(
    'Strongly consistent read is not supported on Global Secondary Indexes',
  )
  const { body } = await ask<{ Responses: { Error: { Message: string } }[] }>('BatchExecuteStatement', {
    Statements: ['two', 'some'].map((index) => ({ Statement: `SELECT * FROM "indexed"."${index}" WHERE g = 'x'` })),
  })
  expect(body.Responses.map(({ Error: { Message } }) => Message)).toEqual([
    several,
    'Select statements within BatchExecuteStatement must specify the primary key in the where clause.',
  ])
})

test('pages of an index go on where they ended', async () => {
  const { run } = await indexed()
  for (const statement of [
    'SELECT * FROM "indexed"."some"',
    'SELECT * FROM "indexed"."some" WHERE g = \'x\'',
    'SELECT * FROM "indexed"."some" WHERE g = \'x\' ORDER BY h DESC',
    'SELECT hidden FROM "indexed"."local" WHERE pk IN [\'a\', \'b\']',
  ]) {
    const whole = (await run(statement)).body.Items
    const found: Values[] = []
    let NextToken: string | undefined
    do {
      const { body } = await run(statement, { Limit: 1, ...(NextToken ? { NextToken } : {}) })
      found.push(...body.Items)
      NextToken = body.NextToken
      if (NextToken && statement.includes('"some"'))
        expect(Object.keys(body.LastEvaluatedKey ?? {}).sort()).toEqual(['g', 'h', 'pk', 'sk'])
    } while (NextToken)
    expect(found).toEqual(whole)
    expect(found.length).toBeGreaterThan(1)
  }
  const { NextToken } = (await run('SELECT * FROM "indexed"."some" WHERE g = \'x\'', { Limit: 1 })).body
  const other = await run('SELECT * FROM "indexed"."local" WHERE g = \'x\'', { NextToken })
  expect(other.message).toBe('NextToken does not match request')
})

test('capacity is shown where it was used', async () => {
  const { run } = await indexed()
  const used = async (statement: string, more: object = {}) =>
    (await run(statement, { ReturnConsumedCapacity: 'INDEXES', ...more })).body.ConsumedCapacity
  expect(await used('SELECT * FROM "indexed"."some" WHERE g = \'x\'')).toEqual({
    TableName: 'indexed',
    CapacityUnits: 0.5,
    Table: { CapacityUnits: 0 },
    GlobalSecondaryIndexes: { some: { CapacityUnits: 0.5 } },
  })
  expect(await used('SELECT hidden FROM "indexed"."local" WHERE pk = \'a\'', { ConsistentRead: true })).toEqual({
    TableName: 'indexed',
    CapacityUnits: 3,
    Table: { CapacityUnits: 2 },
    LocalSecondaryIndexes: { local: { CapacityUnits: 1 } },
  })
  expect(await used("UPDATE \"indexed\" SET shown = 'new' WHERE pk = 'a' AND sk = '1'")).toEqual({
    TableName: 'indexed',
    CapacityUnits: 2,
    Table: { CapacityUnits: 1 },
    GlobalSecondaryIndexes: { some: { CapacityUnits: 1 } },
  })
})

test('writes keep the indexes, and are held against their keys', async () => {
  const { run, keys, refusal } = await indexed()
  await run("INSERT INTO \"indexed\" VALUE {'pk': 'c', 'sk': '1', 'g': 'x', 'h': '0'}")
  await run("UPDATE \"indexed\" REMOVE h WHERE pk = 'a' AND sk = '1'")
  await run("DELETE FROM \"indexed\" WHERE pk = 'a' AND sk = '2'")
  expect(await keys('some', "g = 'x'")).toEqual(['c1'])
  expect(await refusal("INSERT INTO \"indexed\" VALUE {'pk': 'd', 'sk': '1', 'g': 1}")).toMatch(/Type mismatch.*g/)
  expect(await refusal("UPDATE \"indexed\" SET g = 1 WHERE pk = 'a' AND sk = '1'")).toMatch(/g/)
})
