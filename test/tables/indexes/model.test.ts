/**
 * Indexes against a plain model: whatever is written, and whenever an index is put on or taken off, an index holds what its
 * table's items say, in the order of its keys, and pages of it, both ways and in segments, are that list cut up.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type AttributeValue, compareValues, type Item, typeOf } from '../../../src/tables/values/index.js'
import { type Asking, asking } from '../asking.js'

interface IndexModel {
  readonly name: string
  readonly hash: readonly string[]
  readonly range: readonly string[]
  /** Undefined: all. */
  readonly projected: readonly string[] | undefined
}

const types = { pk: 'S', sk: 'N', a: 'S', b: 'N', c: 'B' } as const
type Name = keyof typeof types

const locals: IndexModel[] = [
  { name: 'localAll', hash: ['pk'], range: ['b'], projected: undefined },
  { name: 'localSome', hash: ['pk'], range: ['a'], projected: ['x'] },
]
const globals: IndexModel[] = [
  { name: 'globalKeys', hash: ['a'], range: ['b'], projected: [] },
  { name: 'globalMany', hash: ['a', 'b'], range: ['c', 'sk'], projected: ['y', 'x'] },
  { name: 'globalOnKeys', hash: ['sk'], range: [], projected: undefined },
]
/** Put on and taken off while the rest goes on. */
const late: IndexModel = { name: 'late', hash: ['c'], range: ['pk', 'b'], projected: ['x'] }

const described = ({ name, hash, range, projected }: IndexModel) => ({
  IndexName: name,
  KeySchema: [
    ...hash.map((each) => ({ AttributeName: each, KeyType: 'HASH' })),
    ...range.map((each) => ({ AttributeName: each, KeyType: 'RANGE' })),
  ],
  Projection:
    projected === undefined
      ? { ProjectionType: 'ALL' }
      : projected.length === 0
        ? { ProjectionType: 'KEYS_ONLY' }
        : { ProjectionType: 'INCLUDE', NonKeyAttributes: projected },
})

const AttributeDefinitions = Object.entries(types).map(([AttributeName, AttributeType]) => ({
  AttributeName,
  AttributeType,
}))

let number = 0

async function createTable({ ask }: Asking): Promise<string> {
  const TableName = `model-${number++}`
  const made = await ask('CreateTable', {
    TableName,
    AttributeDefinitions,
    KeySchema: [
      { AttributeName: 'pk', KeyType: 'HASH' },
      { AttributeName: 'sk', KeyType: 'RANGE' },
    ],
    LocalSecondaryIndexes: locals.map(described),
    GlobalSecondaryIndexes: globals.map(described),
    BillingMode: 'PAY_PER_REQUEST',
  })
  expect(made.message).toBeUndefined()
  return TableName
}

const texts = fc.constantFrom('', 'a', 'b', 'é', 'a\0', 'zz').map((S) => ({ S }))
const numbers = fc.constantFrom('-10', '-1', '0', '0.5', '1', '2', '10').map((N) => ({ N }))
const binaries = fc.constantFrom('AA==', 'AQ==', 'AQA=', '/w==', '').map((B) => ({ B }))
const anything = fc.oneof(texts, numbers, binaries, fc.constant({ BOOL: true }))
const keys = fc.record({ pk: fc.constantFrom('p', 'q').map((S) => ({ S })), sk: numbers })
/** Mostly of the right type; what is not makes the write fail, and must change nothing. */
const attributes = fc.record(
  {
    a: fc.oneof({ weight: 9, arbitrary: texts }, { weight: 1, arbitrary: anything }),
    b: fc.oneof({ weight: 9, arbitrary: numbers }, { weight: 1, arbitrary: anything }),
    c: fc.oneof({ weight: 9, arbitrary: binaries }, { weight: 1, arbitrary: anything }),
    x: anything,
    y: anything,
    z: anything,
  },
  { requiredKeys: [] },
)

type Step =
  | { readonly kind: 'put' | 'batch' | 'set'; readonly key: Item; readonly item: Item }
  | { readonly kind: 'remove' | 'delete'; readonly key: Item; readonly item: Item }
  | { readonly kind: 'index' }

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({
        kind: fc.constantFrom('put', 'batch', 'set', 'remove', 'delete'),
        key: keys,
        item: attributes,
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('index') }) },
  ) as fc.Arbitrary<Step>,
  { minLength: 10, maxLength: 40 },
)

const isKey = (name: string, value: AttributeValue | undefined): boolean =>
  value !== undefined && types[name as Name] === typeOf(value) && ('N' in value || Object.values(value)[0] !== '')

class Model {
  readonly items = new Map<string, Item>()
  hasLate = false

  indexes(): IndexModel[] {
    return [...locals, ...globals, ...(this.hasLate ? [late] : [])]
  }

  /** Whether a write of these attributes is one that the table's indexes allow. */
  allows(item: Item): boolean {
    const names = new Set(this.indexes().flatMap(({ hash, range }) => [...hash, ...range]))
    return [...names].every((name) => item[name] === undefined || isKey(name, item[name]))
  }

  entries(index: IndexModel): Item[] {
    const { hash, range, projected } = index
    const names = new Set(['pk', 'sk', ...hash, ...range, ...(projected ?? [])])
    return [...this.items.values()]
      .filter((item) => [...hash, ...range].every((name) => isKey(name, item[name])))
      .map((item) =>
        projected === undefined ? item : Object.fromEntries(Object.entries(item).filter(([name]) => names.has(name))),
      )
      .sort((a, b) => order(index, a, b))
  }
}

function order({ range }: IndexModel, a: Item, b: Item): number {
  for (const name of range) {
    const by = compareValues(a[name] as AttributeValue, b[name] as AttributeValue) as number
    if (by !== 0) return by
  }
  return 0
}

const nameOf = (key: Item): string => JSON.stringify([key.pk, key.sk])
const sorted = (item: Item): string => JSON.stringify(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))

async function run({ ask }: Asking, TableName: string, model: Model, step: Step): Promise<void> {
  if (step.kind === 'index') {
    const update = model.hasLate
      ? { GlobalSecondaryIndexUpdates: [{ Delete: { IndexName: late.name } }] }
      : { AttributeDefinitions, GlobalSecondaryIndexUpdates: [{ Create: described(late) }] }
    expect((await ask('UpdateTable', { TableName, ...update })).message).toBeUndefined()
    model.hasLate = !model.hasLate
    return
  }
  const { key, item } = step
  const old = model.items.get(nameOf(key))
  const names = Object.keys(item)
  if (step.kind === 'put' || step.kind === 'batch') {
    const put = { ...item, ...key }
    const answer =
      step.kind === 'put'
        ? await ask('PutItem', { TableName, Item: put })
        : await ask('BatchWriteItem', { RequestItems: { [TableName]: [{ PutRequest: { Item: put } }] } })
    expect([put, answer.message ?? 'written']).toEqual([put, model.allows(put) ? 'written' : answer.message])
    expect(answer.status === 200).toBe(model.allows(put))
    if (answer.status === 200) model.items.set(nameOf(key), put)
  } else if (step.kind === 'delete') {
    expect((await ask('DeleteItem', { TableName, Key: key })).status).toBe(200)
    model.items.delete(nameOf(key))
  } else {
    const expression = {
      ExpressionAttributeNames: Object.fromEntries(names.map((name) => [`#${name}`, name])),
      ...(step.kind === 'set'
        ? {
            UpdateExpression: `SET ${names.map((name) => `#${name} = :${name}`).join(', ')}`,
            ExpressionAttributeValues: Object.fromEntries(names.map((name) => [`:${name}`, item[name]])),
          }
        : { UpdateExpression: `REMOVE ${names.map((name) => `#${name}`).join(', ')}` }),
    }
    const answer = await ask('UpdateItem', { TableName, Key: key, ...(names.length > 0 ? expression : {}) })
    const next: Item = { ...old, ...key }
    for (const name of names) {
      if (step.kind === 'set') next[name] = item[name] as AttributeValue
      else delete next[name]
    }
    expect(answer.status === 200).toBe(step.kind === 'remove' || model.allows(item))
    // An update that only takes away makes no item.
    const makesNothing = step.kind === 'remove' && names.length > 0 && old === undefined
    if (answer.status === 200 && !makesNothing) model.items.set(nameOf(key), next)
  }
}

type Page = { Items: Item[]; Count: number; ScannedCount: number; LastEvaluatedKey?: Item }

async function pages({ ask }: Asking, operation: string, input: object): Promise<Item[]> {
  const found: Item[] = []
  let ExclusiveStartKey: object | undefined
  do {
    const answer = await ask<Page>(operation, { ...input, ExclusiveStartKey })
    expect(answer.message).toBeUndefined()
    found.push(...answer.body.Items)
    ExclusiveStartKey = answer.body.LastEvaluatedKey
  } while (ExclusiveStartKey)
  return found
}

async function whenFilled({ ask }: Asking, TableName: string): Promise<void> {
  for (;;) {
    const { body } = await ask<{ Table: { GlobalSecondaryIndexes: { IndexStatus: string }[] } }>('DescribeTable', {
      TableName,
    })
    if (body.Table.GlobalSecondaryIndexes.every(({ IndexStatus }) => IndexStatus === 'ACTIVE')) return
    await new Promise((resolve) => setImmediate(resolve))
  }
}

async function check(asking: Asking, TableName: string, model: Model, limit: number): Promise<void> {
  await whenFilled(asking, TableName)
  for (const index of model.indexes()) {
    const wanted = model.entries(index)
    const scan = { TableName, IndexName: index.name, Limit: limit }
    const whole = await pages(asking, 'Scan', scan)
    expect([index.name, whole.map(sorted).sort()]).toEqual([index.name, wanted.map(sorted).sort()])
    const segments = [0, 1, 2].map((Segment) => pages(asking, 'Scan', { ...scan, Segment, TotalSegments: 3 }))
    expect((await Promise.all(segments)).flat().map(sorted).sort()).toEqual(whole.map(sorted).sort())

    const byHash = new Map<string, Item[]>()
    for (const entry of wanted) {
      const hash = JSON.stringify(index.hash.map((name) => entry[name]))
      byHash.set(hash, [...(byHash.get(hash) ?? []), entry])
    }
    for (const entries of byHash.values()) await checkPartition(asking, TableName, index, entries, limit)
  }
}

async function checkPartition(
  asking: Asking,
  TableName: string,
  index: IndexModel,
  entries: readonly Item[],
  limit: number,
): Promise<void> {
  const [first] = entries as [Item]
  const query = (names: readonly string[], last = '') => ({
    TableName,
    IndexName: index.name,
    KeyConditionExpression: [...names.map((name) => `#${name} = :${name}`), ...(last ? [last] : [])].join(' AND '),
    ExpressionAttributeNames: Object.fromEntries(
      [...names, ...(last ? [index.range[0] as string] : [])].map((name) => [`#${name}`, name]),
    ),
    ExpressionAttributeValues: Object.fromEntries(names.map((name) => [`:${name}`, first[name]])),
  })
  const all = query(index.hash)
  const found = await pages(asking, 'Query', { ...all, Limit: limit })
  expect(found.map(sorted).sort()).toEqual(entries.map(sorted).sort())
  for (let i = 1; i < found.length; i++)
    expect(order(index, found[i - 1] as Item, found[i] as Item)).toBeLessThanOrEqual(0)
  const back = await pages(asking, 'Query', { ...all, Limit: limit, ScanIndexForward: false })
  expect(back.map(sorted)).toEqual(found.map(sorted).reverse())

  // Conditions on the range attributes, from the left on.
  for (let count = 1; count <= index.range.length; count++) {
    const names = index.range.slice(0, count)
    const equal = entries.filter((entry) =>
      names.every((name) => sorted({ v: entry[name]! }) === sorted({ v: first[name]! })),
    )
    const narrowed = await pages(asking, 'Query', { ...query([...index.hash, ...names]), Limit: limit })
    expect(narrowed.map(sorted).sort()).toEqual(equal.map(sorted).sort())
  }
  const [range] = index.range
  if (range === undefined) return
  const pivot = entries[entries.length >> 1]![range]!
  for (const operator of ['<', '<=', '>', '>='] as const) {
    const input = query(index.hash, `#${range} ${operator} :pivot`)
    input.ExpressionAttributeValues[':pivot'] = pivot
    const wanted = entries.filter((entry) => {
      const by = compareValues(entry[range]!, pivot) as number
      return operator === '<' ? by < 0 : operator === '<=' ? by <= 0 : operator === '>' ? by > 0 : by >= 0
    })
    const narrowed = await pages(asking, 'Query', { ...input, Limit: limit })
    expect([operator, narrowed.map(sorted).sort()]).toEqual([operator, wanted.map(sorted).sort()])
  }
}

it('an index is what the items of its table say, in the order of its keys', async () => {
  const server = await asking()
  await fc.assert(
    fc.asyncProperty(steps, fc.integer({ min: 1, max: 4 }), async (todo, limit) => {
      const TableName = await createTable(server)
      const model = new Model()
      for (const step of todo) {
        // The next index waits for the one before, as on AWS.
        if (step.kind === 'index') await whenFilled(server, TableName)
        await run(server, TableName, model, step)
      }
      await check(server, TableName, model, limit)
      await server.ask('DeleteTable', { TableName })
    }),
    { numRuns: process.env.MILLRACE_LONG ? 300 : 12 },
  )
})
