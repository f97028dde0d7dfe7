import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { ensureBuilt } from '../built.js'
import { type Serving, serve } from '../server/serving.js'
import { temporaryFolder } from '../temporary-folder.js'

beforeAll(ensureBuilt)

async function aws(serving: Serving, operation: string, input: object): Promise<void> {
  const response = await fetch(serving.url, {
    method: 'POST',
    headers: { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': `DynamoDB_20120810.${operation}` },
    body: JSON.stringify(input),
  })
  expect(await response.text()).not.toContain('__type')
}

const createTable = (serving: Serving): Promise<void> =>
  aws(serving, 'CreateTable', {
    TableName: 'todo',
    AttributeDefinitions: [
      { AttributeName: 'list', AttributeType: 'N' },
      { AttributeName: 'task', AttributeType: 'S' },
    ],
    KeySchema: [
      { AttributeName: 'list', KeyType: 'HASH' },
      { AttributeName: 'task', KeyType: 'RANGE' },
    ],
    BillingMode: 'PAY_PER_REQUEST',
  })

const put = (serving: Serving, task: string, title: string, more: object = {}): Promise<void> =>
  aws(serving, 'PutItem', {
    TableName: 'todo',
    Item: { list: { N: '1' }, task: { S: task }, title: { S: title }, ...more },
  })

/** Asks until the index can be searched. */
async function search(serving: Serving, index: string, query: string): ReturnType<Serving['v1']> {
  for (;;) {
    const answer = await serving.v1('GET', `search/${index}?wait=now&${query}`)
    if (answer.code !== 'SEARCH_NOT_READY') return answer
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

const tasksOf = ({ json }: Awaited<ReturnType<Serving['v1']>>): string[] =>
  (json as unknown as { hits: { key: { task: { S: string } } }[] }).hits.map(({ key }) => key.task.S).sort()

test('an index lives in a thread: it is made, follows its table, expires with it, and is built again at a start', async () => {
  const dataDir = join(temporaryFolder(), 'data')
  const first = await serve({ dataDir, ttl: { sweepMs: 10 } })
  await createTable(first)
  await aws(first, 'UpdateTimeToLive', {
    TableName: 'todo',
    TimeToLiveSpecification: { AttributeName: 'ends', Enabled: true },
  })
  await put(first, 'a', 'Buy milk')
  const created = await first.v1('POST', 'search', { name: 'todo', table: 'todo', fields: ['title^2', 'note'] })
  expect(created.status).toBe(201)
  expect(tasksOf(await search(first, 'todo', 'q=milk'))).toEqual(['a'])
  await put(first, 'b', 'Milk the cow', { note: { S: 'early' } })
  const both = await search(first, 'todo', 'q=MILK')
  expect(tasksOf(both)).toEqual(['a', 'b'])
  expect(both.json).toMatchObject({
    index: 'todo',
    total: 2,
    hits: expect.arrayContaining([
      expect.objectContaining({
        key: { list: { N: '1' }, task: { S: 'b' } },
        fields: { title: 'Milk the cow', note: 'early' },
      }),
    ]),
  })
  await put(first, 'b', 'Milk the cow', { ends: { N: String(Math.floor(Date.now() / 1000) - 10) } })
  await expect.poll(async () => tasksOf(await search(first, 'todo', 'q=milk'))).toEqual(['a'])
  expect((await first.v1('GET', 'search')).json).toMatchObject({
    indexes: [{ name: 'todo', table: 'todo', fields: ['title^2', 'note'], state: 'ready', documents: 1 }],
  })
  const metrics = await (await fetch(`${first.url}/metrics`)).text()
  expect(metrics).toContain('millrace_search_documents{index="todo"} 1')
  expect(metrics).toContain('millrace_search_ready{index="todo"} 1')
  await first.close()

  const second = await serve({ dataDir })
  await put(second, 'c', 'more milk')
  expect(tasksOf(await search(second, 'todo', 'q=milk'))).toEqual(['a', 'c'])
  expect((await second.v1('POST', 'search/todo/rebuild')).status).toBe(200)
  expect(tasksOf(await search(second, 'todo', 'q=milk'))).toEqual(['a', 'c'])
  expect((await second.v1('DELETE', 'search/todo')).json).toEqual({ deleted: 'todo' })
  expect((await second.v1('GET', 'search/todo?q=milk')).code).toBe('NOT_FOUND')
  await second.close()

  const third = await serve({ dataDir })
  expect((await third.v1('GET', 'search')).json).toEqual({ indexes: [] })
})

test('an index of the configuration waits for its table, and no command deletes it', async () => {
  const serving = await serve({ search: { indexes: { words: { table: 'todo', fields: ['title'] } } } })
  expect((await serving.v1('GET', 'search/words')).json).toMatchObject({ state: 'waiting', isConfigured: true })
  expect((await serving.v1('DELETE', 'search/words')).code).toBe('CONFLICT')
  await createTable(serving)
  await put(serving, 'a', 'milk')
  expect(tasksOf(await search(serving, 'words', 'q=milk'))).toEqual(['a'])
})

test('an index whose heap is full fails alone', async () => {
  const serving = await serve({ search: { heapBytesMax: 32 * 1024 * 1024 } })
  await createTable(serving)
  const words = (n: number) => Array.from({ length: 1500 }, (_, i) => `w${(n * 7919 + i * 104_729) % 9_999_991}`)
  const many = Array.from({ length: 400 }, (_, n) => put(serving, `task-${n}`, words(n).join(' ')))
  await Promise.all(many)
  await serving.v1('POST', 'search', { name: 'large', table: 'todo', fields: ['title'] })
  const answer = await search(serving, 'large', 'q=milk')
  expect(answer.code).toBe('SEARCH_FULL')
  expect(answer.text).toContain('search.heapBytesMax')
  await put(serving, 'a', 'milk')
  expect((await serving.v1('GET', 'tables')).status).toBe(200)
})
