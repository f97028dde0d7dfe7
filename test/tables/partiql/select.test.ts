import { expect, test } from 'vitest'
import { running } from './running.js'

/** Three hash keys of five items each: `sk` 1 to 5, `x` the parity. */
async function filled() {
  const tables = await running()
  for (const pk of ['a', 'b', 'c']) {
    for (let sk = 1; sk <= 5; sk++)
      await tables.put(tables.ranged, { pk: { S: pk }, sk: { N: `${sk}` }, x: { S: sk % 2 === 0 ? 'even' : 'odd' } })
  }
  const shown = (items: Record<string, unknown>[]) =>
    items.map(({ pk, sk }) => (pk as { S: string }).S + (sk as { N: string }).N)
  return {
    ...tables,
    /** The keys that a SELECT gives, in its order. */
    keys: async (where: string, more: object = {}) =>
      shown(await tables.items(`SELECT pk, sk FROM "${tables.ranged}" WHERE ${where}`, more)),
    because: (where: string) => tables.refusal(`SELECT * FROM "${tables.ranged}" WHERE ${where}`),
  }
}

test('a hash key is a Query, whatever else is asked a filter', async () => {
  const { keys } = await filled()
  expect(await keys("pk = 'a'")).toEqual(['a1', 'a2', 'a3', 'a4', 'a5'])
  expect(await keys("pk = 'a' AND sk > 3")).toEqual(['a4', 'a5'])
  expect(await keys("pk = 'a' AND 3 >= sk")).toEqual(['a1', 'a2', 'a3'])
  expect(await keys("sk BETWEEN 2 AND 4 AND pk = 'a' AND sk <> 3")).toEqual(['a2', 'a4'])
  expect(await keys("pk = 'a' AND sk > 1 AND sk < 4")).toEqual(['a2', 'a3'])
  expect(await keys("pk = 'a' AND sk = 2 AND sk > 3")).toEqual([])
  expect(await keys("pk = 'a' AND x = 'even'")).toEqual(['a2', 'a4'])
  expect(await keys("(pk = 'a' AND (sk = 2)) AND pk = 'a'")).toEqual(['a2'])
  expect(await keys("pk = 'a' AND sk = 2 AND x = 'odd'")).toEqual([])
  expect(await keys("pk = 'a' AND NOT sk IN [1, 2, 3]")).toEqual(['a4', 'a5'])
  expect(await keys("pk = 'not there'")).toEqual([])
})

test('without one it is a Scan', async () => {
  const { keys, items, ranged } = await filled()
  expect((await items(`SELECT * FROM "${ranged}"`)).length).toBe(15)
  expect((await keys('sk = 3')).sort()).toEqual(['a3', 'b3', 'c3'])
  expect((await keys("pk = 'a' AND sk = 1 OR x = 'even' AND sk > 3")).sort()).toEqual(['a1', 'a4', 'b4', 'c4'])
  expect(await keys('pk > 1')).toEqual([])
  // Two values for one key: no Query, and nothing that fulfils it.
  expect(await keys("pk = 'a' AND pk = 'b'")).toEqual([])
})

test('ORs and INs over the key are as many reads, and no item comes twice', async () => {
  const { keys, because } = await filled()
  expect((await keys("pk IN ['a', 'b'] AND sk = 1")).sort()).toEqual(['a1', 'b1'])
  expect(await keys("pk = 'a' AND sk IN [5, 1]")).toEqual(['a1', 'a5'])
  expect(await keys("pk = 'a' AND (sk < 2 OR sk > 4 OR sk = 3)")).toEqual(['a1', 'a3', 'a5'])
  expect((await keys("(pk = 'a' AND sk = 1) OR (pk = 'b' AND sk > 4)")).sort()).toEqual(['a1', 'b5'])
  // A negated sort key is not a key condition: the rows of both sides, each once.
  expect(await keys("pk = 'a' AND NOT sk = 1 OR pk = 'a' AND sk = 2")).toEqual(['a2', 'a3', 'a4', 'a5'])
  expect(await keys("pk = 'a' AND sk <> 1 OR pk = 'a' AND sk = 1")).toEqual(['a1', 'a2', 'a3', 'a4', 'a5'])
  const overlapping = 'Overlapping conditions with range keys are not supported in where clause'
  for (const where of [
    "pk IN ['a', 'a']",
    "pk = 'a' OR pk = 'a'",
    "pk = 'a' AND (sk > 1 OR sk < 3)",
    "pk = 'a' AND (sk = 1 OR x = 'odd')",
    "(pk = 'a' AND x = 'odd') OR (pk = 'a' AND x = 'even')",
  ])
    expect(await because(where), where).toBe(overlapping)
})

test('a statement comes to at most 50 reads', async () => {
  const { keys, because } = await filled()
  const values = (count: number) => Array.from({ length: count }, (_, i) => `'v${i}'`).join(', ')
  const tooMany = 'Too many decomposed read operations for a given query.'
  expect(await because(`pk IN [${values(51)}]`)).toBe(tooMany)
  expect(await because(`pk IN [${values(26)}] AND sk IN [1, 2]`)).toBe(tooMany)
  const doubled = Array.from({ length: 30 }, () => '(sk = 1 OR sk = 2)').join(' AND ')
  expect(await because(`pk = 'a' AND ${doubled}`)).toBe(tooMany)
  expect(await keys(`pk IN [${values(50)}] AND x IN [${values(100)}]`)).toEqual([])
  expect((await keys(`pk IN [${values(51)}] OR sk = 3`)).length).toBe(3)
})

test('key attributes have the types of the table', async () => {
  const { because } = await filled()
  const wrong = (name: string) => `Key attribute's data type should match its data type in table's schema: Key ${name}`
  expect(await because("pk = 1 OR pk = 'a'")).toBe(wrong('pk'))
  expect(await because("pk = 'a' AND sk IN [1, '2']")).toBe(wrong('sk'))
  expect(await because("pk = 'a' AND begins_with(sk, '2')")).toBe(wrong('sk'))
  expect(await because("pk = ''")).toMatch(/cannot contain an empty string value. Key: pk$/)
})

test('ORDER BY goes by the key', async () => {
  const { keys, refusal, ranged } = await filled()
  expect(await keys("pk = 'a' ORDER BY sk DESC")).toEqual(['a5', 'a4', 'a3', 'a2', 'a1'])
  expect(await keys("pk = 'a' ORDER BY sk")).toEqual(['a1', 'a2', 'a3', 'a4', 'a5'])
  expect(await keys("pk = 'a' AND sk IN [1, 3] ORDER BY sk DESC")).toEqual(['a3', 'a1'])
  // As on AWS: the sort key goes down when it is not named.
  expect(await keys("pk = 'a' AND sk > 3 ORDER BY pk ASC")).toEqual(['a5', 'a4'])
  expect(await keys("pk IN ['a', 'b'] AND sk < 3 ORDER BY pk DESC, sk ASC")).toEqual(['b1', 'b2', 'a1', 'a2'])
  const because = (rest: string) => refusal(`SELECT * FROM "${ranged}" ${rest}`)
  expect(await because('ORDER BY sk')).toBe('Must have WHERE clause in the statement when using ORDER BY clause.')
  expect(await because("WHERE pk = 'a' ORDER BY x")).toBe(
    'Attribute x in ORDER BY clause must be part of the primary key',
  )
  expect(await because("WHERE pk > 'a' ORDER BY sk")).toBe(
    'Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause.',
  )
  expect(await because("WHERE pk IN ['a', 'b'] ORDER BY sk DESC")).toBe(
    'Must have hash key in ORDER BY clause when more than one hash key condition specified in WHERE clause.',
  )
})

test('pages of every plan hold each item once, in order', async () => {
  const { run, ranged } = await filled()
  for (const [rest, count] of [
    ['', 15],
    [" WHERE pk = 'a'", 5],
    [" WHERE pk = 'a' ORDER BY sk DESC", 5],
    [" WHERE pk IN ['a', 'c', 'b', 'none']", 15],
    [" WHERE pk IN ['a', 'b'] ORDER BY pk DESC, sk DESC", 10],
    [" WHERE x = 'even'", 6],
    [" WHERE pk = 'b' AND x = 'even'", 2],
  ] as const) {
    const statement = `SELECT * FROM "${ranged}"${rest}`
    const whole = (await run(statement)).body
    expect(whole.Items.length).toBe(count)
    expect(whole.NextToken).toBeUndefined()
    for (const Limit of [1, 2, 3]) {
      const found: unknown[] = []
      let NextToken: string | undefined
      let pages = 0
      do {
        const { body } = await run(statement, { Limit, ...(NextToken ? { NextToken } : {}) })
        expect(body.Items.length).toBeLessThanOrEqual(Limit)
        expect(body.LastEvaluatedKey !== undefined).toBe(body.NextToken !== undefined)
        found.push(...body.Items)
        NextToken = body.NextToken
        expect(++pages).toBeLessThan(30)
      } while (NextToken !== undefined)
      expect(found).toEqual(whole.Items)
    }
  }
})

test('a page ends with 1 MB, and reads at most ten values of an IN', async () => {
  const { run, put, hashed, ranged } = await running()
  for (let sk = 0; sk < 5; sk++)
    await put(ranged, { pk: { S: 'big' }, sk: { N: `${sk}` }, x: { S: 'x'.repeat(300_000) } })
  const first = (await run(`SELECT sk FROM "${ranged}" WHERE pk = 'big'`)).body
  expect(first.Items).toEqual([{ sk: { N: '0' } }, { sk: { N: '1' } }, { sk: { N: '2' } }, { sk: { N: '3' } }])
  const second = await run(`SELECT sk FROM "${ranged}" WHERE pk = 'big'`, { NextToken: first.NextToken })
  expect(second.body.Items).toEqual([{ sk: { N: '4' } }])
  expect(second.body.NextToken).toBeUndefined()
  const names = Array.from({ length: 12 }, (_, i) => `k${i}`)
  for (const pk of names) await put(hashed, { pk: { S: pk } })
  const select = `SELECT * FROM "${hashed}" WHERE pk IN [${names.map((name) => `'${name}'`)}]`
  const ten = (await run(select)).body
  expect(ten.Items.length).toBe(10)
  const two = (await run(select, { NextToken: ten.NextToken })).body
  expect(two.Items.length).toBe(2)
  expect(two.NextToken).toBeUndefined()
  expect(new Set([...ten.Items, ...two.Items].map((item) => JSON.stringify(item))).size).toBe(12)
})

test('a token is of its statement, its parameters and its table', async () => {
  const { run, refusal, ranged, hashed } = await filled()
  const statement = `SELECT * FROM "${ranged}" WHERE pk = ?`
  const of = (value: string) => ({ Parameters: [{ S: value }] })
  const { NextToken } = (await run(statement, { ...of('a'), Limit: 2 })).body
  // Another Limit and another consistency are no other request.
  expect((await run(statement, { ...of('a'), Limit: 1, ConsistentRead: true, NextToken })).body.Items.length).toBe(1)
  const mismatch = 'NextToken does not match request'
  expect(await refusal(statement, { ...of('b'), NextToken })).toBe(mismatch)
  expect(await refusal(`${statement} ORDER BY sk`, { ...of('a'), NextToken })).toBe(mismatch)
  expect(await refusal(`SELECT * FROM "${hashed}"`, { NextToken })).toBe(mismatch)
  for (const wrong of ['garbage', '', 'AAAA', `!${NextToken}`])
    expect(await refusal(statement, { ...of('a'), NextToken: wrong }), wrong).toMatch(/^Invalid NextToken$|'nextToken'/)
  // A row outside of what the statement reads, in a token that is otherwise right.
  const bytes = Buffer.from(NextToken!, 'base64')
  bytes[19] = 0
  expect(await refusal(statement, { ...of('a'), NextToken: bytes.toString('base64') })).toBe('Invalid NextToken')
})
