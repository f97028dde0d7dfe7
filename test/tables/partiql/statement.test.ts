import { expect, test } from 'vitest'
import { running } from './running.js'

test('an item of every kind of literal is inserted once', async () => {
  const { hashed, run, get } = await running()
  const insert = `INSERT INTO "${hashed}" VALUE {'pk': 'all', 's': 'it''s', 'n': -1.50e3, 'big': 12345678901234567890123456789012345678,
    't': true, 'f': FALSE, 'u': null, 'l': [1, 'a', {'x': <<2, 1>>}], 'm': {}, 'ss': <<'b', 'a'>>} -- done`
  expect((await run(insert)).body).toEqual({ Items: [] })
  expect(await get('all')).toEqual({
    pk: { S: 'all' },
    s: { S: "it's" },
    n: { N: '-1500' },
    big: { N: '12345678901234567890123456789012345678' },
    t: { BOOL: true },
    f: { BOOL: false },
    u: { NULL: true },
    l: { L: [{ N: '1' }, { S: 'a' }, { M: { x: { NS: ['1', '2'] } } }] },
    m: { M: {} },
    ss: { SS: ['a', 'b'] },
  })
  const again = await run(insert)
  expect(again.error).toBe('DuplicateItemException')
  expect(again.message).toBe('Duplicate primary key exists in table')
})

test('parameters stand for whole values, in their order', async () => {
  const { hashed, items, refusal, get } = await running()
  await items(`INSERT INTO "${hashed}" VALUE {'pk': ?, 'b': ?, 'm': ?}`, {
    Parameters: [{ S: 'given' }, { B: 'AQI=' }, { M: { x: { N: '1.0' } } }],
  })
  expect(await get('given')).toEqual({ pk: { S: 'given' }, b: { B: 'AQI=' }, m: { M: { x: { N: '1' } } } })
  expect(
    await items(`SELECT b FROM "${hashed}" WHERE pk = ? AND m.x = ?`, { Parameters: [{ S: 'given' }, { N: '1' }] }),
  ).toEqual([{ b: { B: 'AQI=' } }])
  expect(await refusal(`SELECT * FROM "${hashed}" WHERE pk = ?`)).toBe(
    "Number of parameters in request and statement don't match.",
  )
  expect(await refusal(`UPDATE "${hashed}" SET x = [?] WHERE pk = 'given'`, { Parameters: [{ S: 'x' }] })).toMatch(
    /^Unsupported data type: Parameter under key root\[0\] at 1:\d+:1$/,
  )
  // Parameters are looked at before the statement.
  expect(await refusal('UPDATE', { Parameters: [{ SS: ['a', 'a'] }] })).toBe(
    'One or more parameter values were invalid: Input collection [a, a] contains duplicates.',
  )
  expect(await refusal('UPDATE', { Parameters: [{ N: '1e2147483648' }] })).toBe(
    'The parameter cannot be converted to a numeric value: 1e2147483648',
  )
})

test('an UPDATE sets, removes, appends, adds and subtracts', async () => {
  const { hashed, items, put, get } = await running()
  await put(hashed, {
    pk: { S: 'u' },
    n: { N: '5' },
    m: { M: { a: { S: 'x' } } },
    l: { L: [{ N: '1' }] },
    ss: { SS: ['a', 'b'] },
    one: { SS: ['x'] },
    gone: { S: 'x' },
  })
  await items(`UPDATE "${hashed}" SET n = n - 1, copy = n SET m.b = {'k': [1]} WHERE pk = 'u'`)
  await items(
    `UPDATE "${hashed}" SET l = list_append(l, [2]) SET ss = SET_ADD(ss, <<'c'>>) SET one = set_delete(one, <<'x'>>) REMOVE gone REMOVE m.a WHERE pk = 'u'`,
  )
  expect(await get('u')).toEqual({
    pk: { S: 'u' },
    n: { N: '4' },
    copy: { N: '5' },
    m: { M: { b: { M: { k: { L: [{ N: '1' }] } } } } },
    l: { L: [{ N: '1' }, { N: '2' }] },
    ss: { SS: ['a', 'b', 'c'] },
  })
})

test('FROM ... WHERE ... SET is an UPDATE', async () => {
  const { hashed, items, put } = await running()
  await put(hashed, { pk: { S: 'ff' }, a: { N: '1' } })
  expect(await items(`from "${hashed}" where pk = 'ff' AND a = 1 set c = 2 remove a returning all new *`)).toEqual([
    { pk: { S: 'ff' }, c: { N: '2' } },
  ])
})

test('RETURNING shows the item, or what was modified, before or after', async () => {
  const { hashed, items, refusal, put } = await running()
  const update = (returning: string) =>
    items(`UPDATE "${hashed}" SET m.x = m.x + 1 REMOVE r WHERE pk = 'ret' RETURNING ${returning} *`)
  await put(hashed, { pk: { S: 'ret' }, m: { M: { x: { N: '1' }, y: { N: '9' } } }, r: { S: 'r' } })
  expect(await update('MODIFIED OLD')).toEqual([{ m: { M: { x: { N: '1' } } }, r: { S: 'r' } }])
  expect(await update('MODIFIED NEW')).toEqual([{ m: { M: { x: { N: '3' } } } }])
  expect(await update('ALL OLD')).toEqual([{ pk: { S: 'ret' }, m: { M: { x: { N: '3' }, y: { N: '9' } } } }])
  expect(await update('ALL NEW')).toEqual([{ pk: { S: 'ret' }, m: { M: { x: { N: '5' }, y: { N: '9' } } } }])
  expect(await items(`UPDATE "${hashed}" REMOVE zz WHERE pk = 'ret' RETURNING MODIFIED NEW *`)).toEqual([])
  const remove = `DELETE FROM "${hashed}" WHERE pk = 'ret' RETURNING ALL OLD *`
  expect(await items(remove)).toEqual([{ pk: { S: 'ret' }, m: { M: { x: { N: '5' }, y: { N: '9' } } } }])
  expect(await items(remove)).toEqual([])
  expect(await refusal(`DELETE FROM "${hashed}" WHERE pk = 'ret' RETURNING MODIFIED OLD *`)).toBe(
    'Invalid returning clause: RETURNING MODIFIED OLD *. Only RETURNING ALL OLD * is allowed in DELETE statements.',
  )
})

test('what else WHERE says is a condition on the write', async () => {
  const { hashed, run, items, put, get } = await running()
  await put(hashed, { pk: { S: 'c' }, a: { N: '1' } })
  const failed = await run(`UPDATE "${hashed}" SET b = 1 WHERE pk = 'c' AND a > 1`, {
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  })
  expect(failed.error).toBe('ConditionalCheckFailedException')
  expect((failed.body as { Item?: unknown }).Item).toEqual({ pk: { S: 'c' }, a: { N: '1' } })
  expect((await run(`DELETE FROM "${hashed}" WHERE pk = 'c' AND attribute_exists(b)`)).error).toBe(
    'ConditionalCheckFailedException',
  )
  // No UPDATE makes an item, and a DELETE of none is done.
  expect((await run(`UPDATE "${hashed}" SET b = 1 WHERE pk = 'none' AND b IS MISSING`)).error).toBe(
    'ConditionalCheckFailedException',
  )
  expect(await items(`DELETE FROM "${hashed}" WHERE pk = 'none' AND a = 1`)).toEqual([])
  expect(await get('none')).toBeUndefined()
  await items(`UPDATE "${hashed}" SET b = 1 WHERE (pk = 'c' AND (a IN [1, 2])) AND NOT b IS NOT MISSING`)
  expect(await get('c')).toEqual({ pk: { S: 'c' }, a: { N: '1' }, b: { N: '1' } })
})

test('a write is on one item by its whole key', async () => {
  const { ranged, refusal } = await running()
  const mandatory = 'Where clause does not contain a mandatory equality on all key attributes'
  for (const where of [
    '',
    ' WHERE a = 1',
    " WHERE pk = 'x'",
    " WHERE pk = 'x' AND sk > 1",
    " WHERE pk IN ['x'] AND sk = 1",
  ])
    expect(await refusal(`UPDATE "${ranged}" SET a = 1${where}`)).toBe(mandatory)
  expect(await refusal(`DELETE FROM "${ranged}" WHERE pk = 'x' OR sk = 1`)).toBe(mandatory)
  expect(await refusal(`DELETE FROM "${ranged}" WHERE pk = 'x' AND sk = 1 AND pk = 'y'`)).toBe(
    'Multiple conditions on same key pk. Only single item Update/Insert/Delete are supported',
  )
  expect(await refusal(`DELETE FROM "${ranged}" WHERE pk = 'x' AND sk = '1'`)).toBe(
    "Key attribute's data type should match its data type in table's schema: Key sk",
  )
  expect(await refusal(`UPDATE "${ranged}" SET sk = 2 WHERE pk = 'x' AND sk = 1`)).toBe(
    'One or more parameter values were invalid: Cannot update attribute sk. This attribute is part of the key',
  )
  expect(await refusal(`INSERT INTO "${ranged}" VALUE {'pk': 'x'}`)).toBe(
    'Key attribute should be present in the item: Key sk',
  )
})

test('a document path is answered with under its last name', async () => {
  const { hashed, items, refusal, put } = await running()
  await put(hashed, { pk: { S: 'p' }, m: { M: { 'a b': { L: [{ S: 'x' }, { S: 'y' }] } } }, t: { L: [{ N: '1' }] } })
  expect(await items(`SELECT m."a b"[1], t[0], none FROM "${hashed}" WHERE pk = 'p'`)).toEqual([
    { 'a b[1]': { S: 'y' }, 't[0]': { N: '1' } },
  ])
  expect(await refusal(`SELECT t, m.t FROM "${hashed}"`)).toBe('Duplicate identifiers in select clause: t')
  expect(await refusal(`SELECT t[-1] FROM "${hashed}"`)).toBe(
    'List index is not within the allowable range; index: [-1] at 1:11:1',
  )
  expect(await refusal(`SELECT COUNT(*) FROM "${hashed}"`)).toBe('Unexpected path component at 1:8:5')
})

test('every function, IS and comparison of a condition', async () => {
  const { hashed, items, refusal, put } = await running()
  await put(hashed, {
    pk: { S: 'f' },
    s: { S: 'str' },
    ss: { SS: ['a', 'b'] },
    nul: { NULL: true },
    flag: { BOOL: true },
    n: { N: '1' },
    m: { M: { sub: { S: 'x' } } },
  })
  const holds = async (condition: string) =>
    (await items(`SELECT pk FROM "${hashed}" WHERE pk = 'f' AND ${condition}`)).length === 1
  for (const condition of [
    'attribute_exists(m.sub)',
    'ATTRIBUTE_NOT_EXISTS(m.none)',
    'NOT attribute_exists(none)',
    'size(s) = 3',
    "attribute_type(ss, 'SS')",
    "begins_with(s, 'st')",
    "contains(ss, 'a')",
    "contains(s, 'tr')",
    'nul IS NULL',
    's IS NOT NULL',
    'none IS NOT NULL',
    'none IS MISSING',
    'flag IS BOOL',
    's IS STRING AND n IS NUMERIC AND m IS STRUCT',
    'attribute_exists(s) = true',
    '(n BETWEEN 0 AND 5) = flag',
    'attribute_exists(none) IN [false]',
    'n != 2 AND n <> 3',
    'n NOT IN [2, 3] AND n NOT BETWEEN 4 AND 5',
    'n = - - 1',
    'n IN (1, 2)',
    "ss = <<'b', 'a'>>",
    "m = {'sub': 'x'}",
    "(s = 'no' OR (n < 2 AND n >= 1))",
    "NOT s = 'no'",
    'none <> 1',
  ])
    expect(await holds(condition), condition).toBe(true)
  for (const condition of [
    'attribute_exists(none)',
    'none IS NULL',
    's IS BOOL',
    'NOT attribute_exists(s) = true',
    '(attribute_exists(s) = true) = false',
    'attribute_exists(n) = 1',
  ])
    expect(await holds(condition), condition).toBe(false)
  const because = (condition: string) => refusal(`SELECT * FROM "${hashed}" WHERE pk = 'f' AND ${condition}`)
  expect(await because('n < true')).toBe(
    'Incorrect operand type for operator or function; operator or function: <, operand type: BOOL',
  )
  expect(await because('attribute_exists(s) > false')).toBe(
    'Incorrect operand type for operator or function; operator or function: >, operand type: BOOL',
  )
  expect(await because("attribute_exists('s')")).toBe(
    'Operator or function requires a document path; operator or function: attribute_exists',
  )
  expect(await because("attribute_type(s, 'X')")).toBe(
    'Invalid attribute type name found; type: X, valid types: {N,BS,L,B,NULL,M,S,SS,NS,BOOL}',
  )
  expect(await because('n = MISSING')).toBe('MISSING must be compared using IS operator')
  expect(await because("s LIKE 'x'")).toBe('Unsupported operator in Condition Expression. Operator: LIKE')
  expect(await because('upper(s) = 1')).toMatch(/^Unrecognized function: upper at 1:\d+:5$/)
  expect(await because(`n IN [${Array.from({ length: 101 }, (_, i) => i)}]`)).toBe(
    'The IN operator is provided with too many operands; number of operands: 101',
  )
  expect(await because('x IS INT4')).toMatch(/^Unsupported data type for IS operator: INT4\. /)
})

test('set_add and set_delete are of the set that they are assigned to', async () => {
  const { hashed, refusal, put } = await running()
  const prefix = `UPDATE "${hashed}"\nSET ss = `
  const because = (value: string) => refusal(`${prefix}${value} WHERE pk = 'x'`)
  expect(await because("set_add(other, <<'x'>>)")).toBe(
    'The first argument to SET_ADD must equal the assignment value at 2:10:7',
  )
  expect(await because("set_delete(ss, ['x'])")).toBe(
    'The second argument to SET_DELETE must be a value with type SET at 2:21:2',
  )
  expect(await because('set_add(ss)')).toBe('SET_ADD must have exactly two arguments at 2:10:7')
  expect(await because('set_add(ss, <<>>)')).toBe('Empty bags are not supported')
  expect(await because("set_add(ss, <<1, 'a'>>)")).toBe(
    'Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags',
  )
  expect(await because('set_add(ss, <<2, 2.0>>)')).toBe(
    'One or more parameter values were invalid: Input collection [2, 2.0] contains duplicates! under root',
  )
  await put(hashed, { pk: { S: 'x' }, ss: { SS: ['a'] } })
  expect(await because('set_add(ss, <<1>>)')).toBe('An operand in the update expression has an incorrect data type')
  expect(await because("'a' + 1")).toBe(
    'Incorrect operand type for operator or function; operator or function: +, operand type: S',
  )
})

test('numbers are held against the range where they stand', async () => {
  const { hashed, refusal } = await running()
  const insert = (value: string) => refusal(`INSERT INTO "${hashed}" VALUE {'pk': 'n', 'v': ${value}}`)
  const overflow = 'Number overflow. Attempting to store a number with magnitude larger than supported range under root'
  expect(await insert('1e126')).toBe(overflow)
  expect(await insert("{'x': [0, 1e126]}")).toBe(`${overflow}.x[1]`)
  expect(await insert('1e-131')).toMatch(/^Number underflow.* under root$/)
  expect(await insert('1'.repeat(39))).toMatch(/^Attempting to store more than 38 significant digits.* under root$/)
  expect(await insert(`${'['.repeat(32)}1${']'.repeat(32)}`)).toBe(
    `Nesting Levels have exceeded supported limits under root${'[0]'.repeat(32)}`,
  )
})

test('sources that are no table', async () => {
  const { hashed, ranged, run, items, refusal } = await running()
  const select = (from: string) => refusal(`SELECT * FROM ${from} WHERE pk = 'x'`)
  expect(await select('""')).toBe('Path component cannot be an empty string')
  expect(await select(`"${hashed}"."a"."b"`)).toBe('A path may contain at most 2 components in the FROM clause')
  expect(await select(`"${hashed}" t`)).toBe('Aliasing is not supported')
  expect(await select(`"${hashed}", "${ranged}"`)).toBe('Only select from a single table or index is supported.')
  expect(await refusal(`INSERT INTO "${hashed}"."i" VALUE {'pk': 'x'}`)).toBe(
    'FROM clause may only contain a single table name in data manipulation statements',
  )
  expect(await refusal(`UPDATE "${hashed}"."i" SET a = 1 WHERE pk = 'x'`)).toBe(
    'This operation is not supported on an index',
  )
  expect(await refusal(`EXISTS(SELECT * FROM "${hashed}" WHERE pk = 'x' AND a = 1)`)).toBe(
    'EXISTS can only be used in ExecuteTransaction write requests.',
  )
  const missing = await run(`SELECT * FROM "not-there"`)
  expect([missing.error, missing.message]).toEqual(['ResourceNotFoundException', 'Requested resource not found'])
  const arn = `arn:aws:dynamodb:us-east-1:123456789012:table/${hashed}`
  expect(await items(`SELECT * FROM "${arn}" WHERE pk = 'not there'`)).toEqual([])
})

test('the request is held against its limits', async () => {
  const { ask } = await running()
  const because = async (input: object) => (await ask('ExecuteStatement', input)).message
  expect(await because({})).toBe(
    "1 validation error detected: Value null at 'statement' failed to satisfy constraint: Member must not be null",
  )
  expect(await because({ Statement: 'x'.repeat(8193) })).toMatch(/'statement'.*less than or equal to 8192$/)
  expect(await because({ Statement: 'x', Parameters: [], Limit: 0 })).toMatch(/^2 validation errors detected/)
  expect((await ask('ExecuteStatement', { Statement: 5 })).error).toBe('SerializationException')
  expect((await ask('ExecuteStatement', { Statement: 'x', Parameters: ['y'] })).error).toBe('SerializationException')
})

test('what a statement consumed is shown when it is asked for', async () => {
  const { hashed, run } = await running()
  const used = async (statement: string, more: object = {}) =>
    (await run(statement, { ReturnConsumedCapacity: 'TOTAL', ...more })).body.ConsumedCapacity
  expect(await used(`INSERT INTO "${hashed}" VALUE {'pk': 'cap', 'x': '${'x'.repeat(1500)}'}`)).toEqual({
    TableName: hashed,
    CapacityUnits: 2,
  })
  expect(await used(`SELECT pk FROM "${hashed}" WHERE pk = 'cap'`)).toEqual({ TableName: hashed, CapacityUnits: 0.5 })
  expect(await used(`SELECT pk FROM "${hashed}" WHERE pk = 'cap'`, { ConsistentRead: true })).toEqual({
    TableName: hashed,
    CapacityUnits: 1,
  })
})

test('an UPDATE that would make the item too deep is refused', async () => {
  const { put, refusal, get, hashed } = await running()
  await put(hashed, { pk: { S: 'deep' }, m: { M: {} } })
  let value: object = { S: 'x' }
  for (let i = 0; i < 31; i++) value = { M: { a: value } }
  expect(await refusal(`UPDATE "${hashed}" SET m.deep = ? WHERE pk = 'deep'`, { Parameters: [value] })).toBe(
    'Nesting Levels have exceeded supported limits',
  )
  expect(await get('deep')).toEqual({ pk: { S: 'deep' }, m: { M: {} } })
})
