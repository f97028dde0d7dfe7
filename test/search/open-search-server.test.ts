import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SearchWorld } from './search-world.js'
import { searchServerAvailable } from './server.mjs'

// The sink against a real server: what only the server itself can say. Faults: open-search.test.ts; kills: the long tests.
describe.runIf(searchServerAvailable())('an index of a real OpenSearch', () => {
  let world: SearchWorld
  beforeAll(async () => {
    world = await SearchWorld.start()
  })
  afterAll(() => world.close())

  const n = async () =>
    Object.fromEntries([...(await world.documents())].map(([id, { _source }]) => [id, _source.n]).sort())
  const becomes = (expected: object) => expect.poll(n, { interval: 100 }).toEqual(expected)

  it('has what the table has: from its items, then its changes, with versions that grow', async () => {
    for (const id of ['a', 'b', 'c']) await world.put(id, 1)
    await world.deploy()
    await becomes({ a: 1, b: 1, c: 1 })
    const before = await world.documents()
    await world.put('a', 2)
    await world.put('a', 3)
    await world.remove('b')
    await world.put('d', 4)
    await becomes({ a: 3, c: 1, d: 4 })
    const after = await world.documents()
    expect(after.get('a')!._version).toBeGreaterThan(before.get('a')!._version)
    expect(after.get('c')!._version).toBe(before.get('c')!._version)
  })

  it('was made by the template, which remembers deletes for longer than an attempt lasts', async () => {
    const settings = await world.ask('GET', 'notes/_settings/index.gc_deletes?flat_settings=true')
    expect(settings).toEqual({ notes: { settings: { 'index.gc_deletes': '300000ms' } } })
    const mapping = await world.ask('GET', 'notes/_mapping')
    expect(mapping).toMatchObject({ notes: { mappings: { properties: { n: { type: 'long' } } } } })
    expect(world.daemon.log).not.toContain('gc_deletes')
  })

  it('refuses a document for its mapping, which is a dead letter with the reason, and takes the others of the request', async () => {
    await Promise.all([world.put('e', 5), world.put('bad', 'no number'), world.put('f', 6)])
    await becomes({ a: 3, c: 1, d: 4, e: 5, f: 6 })
    await expect.poll(async () => (await world.outbox()).deadLetters).toBe(1)
    const name = 'dead:notes:openSearch-notes'
    const { shards } = await world.daemon.v1<{ shards: { id: number }[] }>('GET', `streams/${name}/shards`)
    const { records } = await world.daemon.v1<{ records: { value: object }[] }>(
      'GET',
      `streams/${name}/records?shard=${shards[0]!.id}`,
    )
    expect(records.map(({ value }) => value)).toMatchObject([
      {
        why: expect.stringMatching(/^400 mapper_parsing_exception: failed to parse field \[n\].*no number/),
        value: { id: 'bad', document: { id: 'bad', n: 'no number' } },
      },
    ])
  })

  it('waits while the index is blocked as one of a full disk is, says so, and loses nothing', async () => {
    await world.ask('PUT', 'notes/_settings', { 'index.blocks.read_only_allow_delete': true })
    await world.put('g', 7)
    await expect.poll(async () => (await world.outbox()).error).toContain('flood-stage')
    expect(await world.outbox()).toMatchObject({ records: 1, deadLetters: 1 })
    await world.ask('PUT', 'notes/_settings', { 'index.blocks.read_only_allow_delete': null })
    await becomes({ a: 3, c: 1, d: 4, e: 5, f: 6, g: 7 })
  })

  const settings = (transient: object) => world.ask('PUT', '_cluster/settings', { transient })
  const before = { a: 3, c: 1, d: 4, e: 5, f: 6, g: 7 }

  it('waits while the server finds its own disk too full, and goes on by itself when there is room again', async () => {
    const marks = ['low', 'high', 'flood_stage'].map((mark) => `cluster.routing.allocation.disk.watermark.${mark}`)
    const all = (value: string | null) => Object.fromEntries(marks.map((mark) => [mark, value]))
    const watch = (threshold: boolean | null, interval: string | null) => ({
      'cluster.routing.allocation.disk.threshold_enabled': threshold,
      'cluster.info.update.interval': interval,
    })
    await settings({ ...all('1000tb'), ...watch(true, '10s') })
    const blocks = () => world.ask<object>('GET', 'notes/_settings/index.blocks.read_only_allow_delete')
    await expect.poll(blocks).toHaveProperty('notes')
    await world.put('full', 1)
    await expect.poll(async () => (await world.outbox()).error).toContain('flood-stage')
    expect(await n()).toEqual(before)
    await settings(all('1b'))
    await becomes({ ...before, full: 1 })
    await settings({ ...all(null), ...watch(null, null) })
  })

  it('waits while the server refuses requests with 429', async () => {
    await settings({ 'network.breaker.inflight_requests.limit': '2kb' })
    const Item = { id: { S: 'full' }, n: { N: '2' }, pad: { S: 'x'.repeat(4096) } }
    await world.daemon.aws('PutItem', { TableName: 'notes', Item })
    await expect.poll(async () => (await world.outbox()).error).toMatch(/^429 .*circuit_breaking_exception/)
    expect(await world.outbox()).toMatchObject({ records: 1, deadLetters: 1 })
    await settings({ 'network.breaker.inflight_requests.limit': null })
    await becomes({ ...before, full: 2 })
  })

  it('waits while the server is away', async () => {
    await world.server.kill()
    await world.remove('full')
    await expect.poll(async () => (await world.outbox()).error).toContain('ECONNREFUSED')
    await world.server.start()
    await becomes(before)
    expect((await world.outbox()).error).toBeUndefined()
  })

  it('takes what a pipeline that begins anew makes of the same items', async () => {
    await world.put('bad', 0)
    await becomes({ a: 3, bad: 0, c: 1, d: 4, e: 5, f: 6, g: 7 })
    await world.daemon.v1('DELETE', 'pipelines/notes')
    await world.deploy('{ n: Number(change.new.n) + 100 }')
    await becomes({ a: 103, bad: 100, c: 101, d: 104, e: 105, f: 106, g: 107 })
  })

  it('holds back over a version that the daemon never gave, until the document is gone', async () => {
    await world.ask('PUT', `notes/_doc/h?version=${2 ** 52}&version_type=external`, { n: -1 })
    await world.put('h', 8)
    await expect.poll(async () => (await world.outbox()).error).toContain('This daemon never gave that version')
    await world.ask('POST', 'notes/_close')
    await expect.poll(async () => (await world.outbox()).error).toContain('index_closed_exception')
    await world.ask('DELETE', 'notes')
    await becomes({ h: 108 })
  })
})
