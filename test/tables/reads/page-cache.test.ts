import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Family } from '../../../src/commit/index.js'
import { PageCache, rangeName } from '../../../src/tables/reads/page-cache.js'
import { ManualClock } from '../../manual-clock.js'
import { MemoryStorage } from '../../memory-storage.js'
import { temporaryFolder } from '../../temporary-folder.js'
import { openTables } from '../open-tables.js'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** Random waits of the store, so that ranges are read before, between and after writes; what is read is of the beginning. */
class SlowStorage extends MemoryStorage {
  readonly #wait: () => Promise<void>
  reads = 0

  constructor(waits: readonly number[]) {
    super()
    let at = 0
    this.#wait = async () => {
      for (let i = waits[at++ % waits.length] as number; i > 0; i--) await turn()
    }
    this.beforeWrite = this.#wait
    this.afterWrite = this.#wait
  }

  override async *texts(range: Parameters<MemoryStorage['texts']>[0]) {
    this.reads++
    const pages: (readonly string[])[] = []
    for await (const page of super.texts(range)) pages.push(page)
    await this.#wait()
    yield* pages
  }
}

const definition = {
  TableName: 'lists',
  AttributeDefinitions: ['pk', 'sk', 'group'].map((AttributeName) => ({ AttributeName, AttributeType: 'S' })),
  KeySchema: [
    { AttributeName: 'pk', KeyType: 'HASH' },
    { AttributeName: 'sk', KeyType: 'RANGE' },
  ],
  GlobalSecondaryIndexes: [
    {
      IndexName: 'by-group',
      KeySchema: [{ AttributeName: 'group', KeyType: 'HASH' }],
      Projection: { ProjectionType: 'ALL' },
    },
  ],
  BillingMode: 'PAY_PER_REQUEST',
}

async function openLists(storage: SlowStorage) {
  const opened = await openTables({ clock: new ManualClock(), folder: temporaryFolder(), storage })
  await opened.run('CreateTable', definition)
  return opened
}

const keys = ['a', 'b', 'c']
const step = fc.record({
  kind: fc.constantFrom('put', 'put', 'delete', 'query', 'query', 'index', 'page', 'back'),
  partition: fc.integer({ min: 0, max: 1 }),
  key: fc.integer({ min: 0, max: 2 }),
  turns: fc.integer({ min: 0, max: 4 }),
})

type Items = { readonly sk: { S: string }; readonly version: { N: string } }[]

it('no Query gives less than what was acknowledged when it began, of a table, of an index, or of a page', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 20, maxLength: 60 }),
      fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 12 }),
      async (steps, waits) => {
        const { run, close } = await openLists(new SlowStorage(waits))
        /** What was asked for, of each item in order: the version that it should have, 0 for none. */
        const asked = new Map<string, number[]>()
        const acknowledged = new Map<string, number>()
        let version = 0
        const write = async (partition: number, key: number, isDelete: boolean) => {
          const name = `${partition}${keys[key]}`
          const versions = asked.get(name) ?? [0]
          asked.set(name, versions)
          const Key = { pk: { S: `p${partition}` }, sk: { S: keys[key] } }
          const place = versions.push(isDelete ? 0 : ++version) - 1
          if (isDelete) await run('DeleteItem', { TableName: 'lists', Key })
          else {
            const Item = { ...Key, group: { S: `g${partition}` }, version: { N: String(version) } }
            await run('PutItem', { TableName: 'lists', Item })
          }
          acknowledged.set(name, Math.max(acknowledged.get(name) ?? 0, place))
        }
        const query = async (partition: number, seen: readonly string[], input: object) => {
          const least = new Map(acknowledged)
          const { Items } = await run<{ Items: Items }>('Query', { TableName: 'lists', ...input })
          for (const key of seen) {
            const name = `${partition}${key}`
            const found = Number(Items.find(({ sk }) => sk.S === key)?.version.N ?? 0)
            expect((asked.get(name) ?? [0]).slice(least.get(name) ?? 0)).toContain(found)
          }
          return Items.map(({ sk }) => sk.S)
        }
        const ofPartition = (partition: number) => ({
          KeyConditionExpression: 'pk = :pk',
          ExpressionAttributeValues: { ':pk': { S: `p${partition}` } },
        })
        const ofGroup = (partition: number) => ({
          IndexName: 'by-group',
          KeyConditionExpression: '#group = :group',
          ExpressionAttributeNames: { '#group': 'group' },
          ExpressionAttributeValues: { ':group': { S: `g${partition}` } },
        })
        const running: Promise<unknown>[] = []
        for (const { kind, partition, key, turns } of steps) {
          if (kind === 'put' || kind === 'delete') running.push(write(partition, key, kind === 'delete'))
          else if (kind === 'query') running.push(query(partition, keys, ofPartition(partition)))
          else if (kind === 'index') running.push(query(partition, keys, ofGroup(partition)))
          else if (kind === 'page') running.push(query(partition, [], { ...ofPartition(partition), Limit: 1 }))
          else running.push(query(partition, keys, { ...ofPartition(partition), ScanIndexForward: false }))
          for (let i = 0; i < turns; i++) await turn()
        }
        await Promise.all(running)
        for (const partition of [0, 1]) {
          const there = keys.filter((key) => (asked.get(`${partition}${key}`)?.at(-1) ?? 0) > 0)
          for (const _ of ['read', 'kept']) {
            expect(await query(partition, keys, ofPartition(partition))).toEqual(there)
            expect((await query(partition, keys, ofGroup(partition))).sort()).toEqual(there)
            const back = { ...ofPartition(partition), ScanIndexForward: false }
            expect(await query(partition, keys, back)).toEqual(there.toReversed())
          }
        }
        await close()
      },
    ),
    { numRuns: 40 },
  )
})

it('what was read once is not read again until its partition is written to, whatever is written beside it', async () => {
  const storage = new SlowStorage([0])
  const { run, close, tables } = await openLists(storage)
  const put = (pk: string, sk: string) =>
    run('PutItem', { TableName: 'lists', Item: { pk: { S: pk }, sk: { S: sk }, group: { S: 'g' } } })
  const query = (more: object = {}) =>
    run('Query', {
      TableName: 'lists',
      KeyConditionExpression: 'pk = :pk',
      ExpressionAttributeValues: { ':pk': { S: 'p' } },
      ...more,
    })
  await put('p', 'a')
  const first = await query()
  const { reads } = storage
  expect(await query()).toEqual(first)
  expect(await query({ ReturnConsumedCapacity: 'TOTAL' })).toEqual({
    ...first,
    ConsumedCapacity: { TableName: 'lists', CapacityUnits: 0.5 },
  })
  expect(await query({ ConsistentRead: true })).toEqual(first)
  await put('other', 'a')
  expect(await query()).toEqual(first)
  expect(storage.reads).toBe(reads)
  await put('p', 'b')
  expect(await query()).toMatchObject({ Count: 2 })
  expect(await query({ Limit: 1 })).toMatchObject({ Count: 1, LastEvaluatedKey: { pk: { S: 'p' }, sk: { S: 'a' } } })
  expect(await query({ Limit: 2 })).toMatchObject({ Count: 2, LastEvaluatedKey: { pk: { S: 'p' }, sk: { S: 'b' } } })
  expect(storage.reads).toBe(reads + 3)
  expect(tables.queryCache.reads).toEqual({ cache: 4, store: 4 })
  expect(tables.queryCache.bytes).toBeGreaterThan(0)
  await close()
})

describe('the bound', () => {
  const rowOf = (partition: number) => Buffer.from([Family.item, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, partition, 83])
  const page = (bytes: number) => ({ answer: Buffer.alloc(bytes), bytes })
  const read = (cache: PageCache, partition: number, bytes: number) =>
    cache.read(rowOf(partition), `page ${partition}`, async () => page(bytes))

  it('the page that was not asked for longest goes first, and one that is large beside the cache is not kept', async () => {
    const cache = new PageCache(100_000)
    for (let partition = 0; partition < 9; partition++) await read(cache, partition, 10_000)
    expect(cache.get('page 0')).toBeDefined()
    await read(cache, 9, 10_000)
    expect([cache.get('page 0'), cache.get('page 1')].map((found) => found?.bytes)).toEqual([10_000, undefined])
    await read(cache, 10, 13_000)
    expect(cache.get('page 10')).toBeUndefined()
    // Nothing is left behind of what went.
    cache.returned([{ key: rowOf(1), value: undefined }])
    cache.returned([{ key: rowOf(0), value: undefined }])
    expect(cache.get('page 0')).toBeUndefined()
    expect(cache.get('page 9')).toBeDefined()
  })

  it('a cache of no bytes keeps nothing', async () => {
    const cache = new PageCache(0)
    expect((await read(cache, 1, 0)).bytes).toBe(0)
    expect(cache.get('page 1')).toBeUndefined()
  })
})

it('ranges that differ in a bound, in their direction or in their limit have other names', () => {
  const [a, b] = [Buffer.from('a'), Buffer.from('a,1 b')]
  const bounds = [
    { gte: a, lt: b },
    { gt: a, lt: b },
    { gte: a, lte: b },
    { gte: b, lt: a },
    { gte: b },
    { gt: b },
    { lt: b },
  ]
  const names = bounds.flatMap((each) =>
    [false, true].flatMap((reverse) => [undefined, 1, 11].map((limit) => rangeName(each, reverse, limit))),
  )
  expect(new Set(names).size).toBe(names.length)
})
