import { expect, test } from 'vitest'
import { Family } from '../../../src/commit/index.js'
import { ChunkCursor } from '../../../src/log/index.js'
import { changeOf } from '../../../src/operators/records.js'
import { expiredSecondsMax } from '../../../src/tables/expiry/sweeper.js'
import { n, openExpiry } from './open-expiry.js'

const service = { PrincipalId: 'dynamodb.amazonaws.com', Type: 'Service' }

test('an item goes when its time is over, and not a millisecond before; what is no time never does', async () => {
  const { clock, tables, create, ttl, put, keys } = await openExpiry()
  await create('lived')
  await ttl('lived', 'until')
  const now = Math.floor(clock.wall / 1000)
  await put('lived', 'soon', { until: n(now + 10) })
  await put('lived', 'fraction', { until: n(`${now + 10}.75`) })
  await put('lived', 'exponent', { until: n(`${(now + 10) / 10}e1`) })
  await put('lived', 'past', { until: n(now - 60) })
  await put('lived', 'barely', { until: n(now - expiredSecondsMax + 20) })
  await put('lived', 'ancient', { until: n(now - expiredSecondsMax - 20) })
  await put('lived', 'text', { until: { S: String(now - 60) } })
  await put('lived', 'milliseconds', { until: n(clock.wall - 60_000) })
  await put('lived', 'none')
  await put('lived', 'nested', { map: { M: { until: n(now - 60) } } })
  const lasting = ['ancient', 'milliseconds', 'nested', 'none', 'text']
  await tables.sweeper.run()
  expect(await keys('lived')).toEqual([...lasting, 'exponent', 'fraction', 'soon'].sort())
  clock.advance(10_000)
  await tables.sweeper.run()
  expect(await keys('lived')).toEqual([...lasting, 'exponent', 'fraction', 'soon'].sort())
  clock.advance(1)
  await tables.sweeper.run()
  expect(await keys('lived')).toEqual(lasting)
})

test('exactly one REMOVE with the identity of the service, and none of it for what a user removes', async () => {
  const { clock, log, tables, create, ttl, put, run, records } = await openExpiry()
  await create('told', { view: 'NEW_AND_OLD_IMAGES' })
  await ttl('told', 'until')
  const until = n(Math.floor(clock.wall / 1000) + 5)
  await put('told', 'a', { until })
  await put('told', 'b', { until })
  await run('DeleteItem', { TableName: 'told', Key: { pk: { S: 'b' } } })
  clock.advance(6000)
  await Promise.all([tables.sweeper.run(), tables.sweeper.run()])
  await tables.sweeper.run()
  const all = await records('told')
  expect(all.map(({ eventName, dynamodb }) => `${eventName} ${dynamodb.Keys.pk.S}`)).toEqual([
    'INSERT a',
    'INSERT b',
    'REMOVE b',
    'REMOVE a',
  ])
  expect(all.map(({ userIdentity }) => userIdentity)).toEqual([undefined, undefined, undefined, service])
  expect(all[3]!.dynamodb).toMatchObject({ OldImage: { pk: { S: 'a' }, until } })
  // A pipeline sees it too.
  const stream = log.streamNamed('table:told')!
  const [shard] = log.shards(stream.id)
  const { chunks } = await log.read(shard!.id, shard!.firstSequence, { bytesMax: 1 << 20 })
  const seen: unknown[] = []
  for (const chunk of chunks) {
    const cursor = new ChunkCursor(chunk)
    while (cursor.next()) seen.push((changeOf(cursor) as { service: boolean }).service)
  }
  expect(seen).toEqual([false, false, false, true])
})

test('an item that is written again while it is swept survives, whichever comes first', async () => {
  const { clock, storage, tables, create, ttl, put, keys, records, expiryTimes } = await openExpiry()
  await create('again', { view: 'NEW_AND_OLD_IMAGES' })
  await ttl('again', 'until')
  const now = Math.floor(clock.wall / 1000)
  const names = Array.from({ length: 40 }, (_, i) => `i${String(i).padStart(2, '0')}`)
  for (const name of names) await put('again', name, { until: n(now + 1) })
  clock.advance(5000)
  // Reads take turns, so that decisions of both kinds come between those of the other.
  let reads = 0
  storage.beforeGet = async () => {
    for (let turns = reads++ % 5; turns > 0; turns--) await Promise.resolve()
  }
  const writes = names.map((name, i) => put('again', name, i % 4 === 3 ? {} : { until: n(now + 1000) }))
  await Promise.all([tables.sweeper.run(), ...writes])
  await tables.sweeper.run()
  expect(await keys('again')).toEqual(names)
  expect(expiryTimes()).toEqual(names.filter((_, i) => i % 4 !== 3).map(() => now + 1000))
  // Each item was either changed, or removed and made again.
  const told = new Map<string, string>()
  for (const { eventName, dynamodb } of await records('again'))
    told.set(dynamodb.Keys.pk.S, `${told.get(dynamodb.Keys.pk.S) ?? ''} ${eventName}`)
  for (const story of told.values()) expect([' INSERT MODIFY', ' INSERT REMOVE INSERT']).toContain(story)
})

test('rows of any number go in bounded batches, each in a commit of its own, and others write in between', async () => {
  const { clock, storage, tables, create, ttl, put, run, keys } = await openExpiry({ ttl: { rowsAtOnceMax: 10 } })
  await create('many')
  await create('other')
  await ttl('many', 'until')
  const until = n(Math.floor(clock.wall / 1000) + 1)
  await Promise.all(Array.from({ length: 95 }, (_, i) => put('many', `i${i}`, { until })))
  clock.advance(5000)
  const before = storage.history.length
  let written = false
  const writing = (async () => {
    for (let i = 0; i < 5; i++) await put('other', `o${i}`)
    written = true
  })()
  let deleted = 0
  tables.sweeper.observe((items) => {
    deleted += items
    if (deleted <= 80) return
    // Ten commits of the sweep passed; five of a writer that waits for each of its own did, too.
    expect(written).toBe(true)
  })
  await tables.sweeper.run()
  await writing
  expect(deleted).toBe(95)
  const perCommit = storage.history
    .slice(before)
    .map(({ deletes }) => deletes.filter((key) => key[0] === Family.item).length)
  expect(perCommit.reduce((sum, count) => sum + count, 0)).toBe(95)
  expect(Math.max(...perCommit)).toBeLessThanOrEqual(10)
  expect(await keys('many')).toEqual([])
  expect(await run('Scan', { TableName: 'other', Select: 'COUNT' })).toMatchObject({ Count: 5 })
})

test('what was due before a stop goes after it, and rows agree with items all the while', async () => {
  const first = await openExpiry()
  await first.create('kept', { view: 'KEYS_ONLY' })
  await first.ttl('kept', 'until')
  const now = Math.floor(first.clock.wall / 1000)
  await first.put('kept', 'a', { until: n(now + 1) })
  await first.put('kept', 'b', { until: n(now + 100) })
  await first.close()
  first.clock.advance(5000)
  const { storage, folder, clock } = first
  const second = await openExpiry({ storage, folder, clock })
  await second.tables.sweeper.run()
  expect(await second.keys('kept')).toEqual(['b'])
  expect(second.expiryTimes()).toEqual([now + 100])
  await second.run('DeleteTable', { TableName: 'kept' })
  for (let i = 0; i < 100 && second.expiryTimes().length > 0; i++) await second.commit.settled()
  expect(second.expiryTimes()).toEqual([])
  await second.close()
})

test('nothing is deleted while the clock is not believed', async () => {
  const { storage, folder, clock, commit, tables, create, ttl, put, keys, close } = await openExpiry()
  await create('jumped')
  await ttl('jumped', 'until')
  await put('jumped', 'a', { until: n(Math.floor(clock.wall / 1000) + 3600) })
  clock.wall += 2 * 3_600_000
  await tables.sweeper.run()
  expect(await keys('jumped')).toEqual(['a'])
  commit.time.confirm()
  await tables.sweeper.run()
  expect(await keys('jumped')).toEqual([])

  // A start by a clock that is days ahead of the last commit: it may be right, and is looked at for ten minutes.
  const now = Math.floor(clock.wall / 1000)
  await put('jumped', 'b', { until: n(now + 3600) })
  await close()
  clock.advance(3 * 24 * 3_600_000)
  const second = await openExpiry({ storage, folder, clock })
  await second.tables.sweeper.run()
  expect(await second.keys('jumped')).toEqual(['b'])
  clock.advance(600_000)
  await second.tables.sweeper.run()
  expect(await second.keys('jumped')).toEqual([])
})

test('on a full disk deletions that a log would record wait, and say how long; others give space back', async () => {
  const { clock, commit, tables, create, ttl, put, keys, records } = await openExpiry()
  await create('recorded', { view: 'NEW_AND_OLD_IMAGES' })
  await create('plain')
  const until = n(Math.floor(clock.wall / 1000) + 1)
  for (const name of ['recorded', 'plain']) {
    await ttl(name, 'until')
    await put(name, 'a', { until })
  }
  clock.advance(61_000)
  commit.storageFull = true
  await tables.sweeper.run()
  await tables.sweeper.run()
  expect(await keys('recorded')).toEqual(['a'])
  expect(tables.ttlLagSeconds()).toBe(60)
  commit.storageFull = false
  await tables.sweeper.run()
  expect(await keys('recorded')).toEqual([])
  expect(await keys('plain')).toEqual([])
  expect(tables.ttlLagSeconds()).toBe(0)
  expect((await records('recorded')).map(({ eventName }) => eventName)).toEqual(['INSERT', 'REMOVE'])
})

test('looks come by themselves, every sweepMs', async () => {
  const { clock, commit, tables, create, ttl, put, keys } = await openExpiry({ ttl: { sweepMs: 500 } })
  await create('timed')
  await ttl('timed', 'until')
  await put('timed', 'a', { until: n(Math.floor(clock.wall / 1000)) })
  tables.start()
  clock.advance(499)
  await commit.settled()
  expect(await keys('timed')).toEqual(['a'])
  clock.advance(1)
  await tables.sweeper.run()
  expect(await keys('timed')).toEqual([])
  await tables.close()
})

test('a table of which nothing is due costs no look, and every write that changes this is seen', async () => {
  const { clock, storage, tables, create, ttl, put, keys, run } = await openExpiry()
  for (const name of ['idle', 'next', 'none']) {
    await create(name)
    await ttl(name, 'until')
  }
  const now = Math.floor(clock.wall / 1000)
  await put('idle', 'far', { until: n(now + 1000) })
  await put('next', 'a', { until: n(now + 2) })
  await tables.sweeper.run()
  let pages = 0
  const page = storage.page.bind(storage)
  storage.page = (range) => {
    pages++
    return page(range)
  }
  clock.advance(1000)
  await tables.sweeper.run()
  expect(pages).toBe(0)
  // Sooner than what was known, due at once, and where there was nothing.
  await put('idle', 'sooner', { until: n(now + 2) })
  await put('next', 'past', { until: n(now - 5) })
  await put('none', 'first', { until: n(now + 3) })
  await tables.sweeper.run()
  expect([await keys('next'), pages > 0]).toEqual([['a'], true])
  clock.advance(1500)
  await tables.sweeper.run()
  expect(await keys('idle')).toEqual(['far'])
  expect(await keys('next')).toEqual([])
  await run('UpdateItem', {
    TableName: 'idle',
    Key: { pk: { S: 'far' } },
    UpdateExpression: 'SET #u = :n',
    ExpressionAttributeNames: { '#u': 'until' },
    ExpressionAttributeValues: { ':n': n(now + 3) },
  })
  clock.advance(1000)
  await tables.sweeper.run()
  expect(await keys('idle')).toEqual([])
  expect(await keys('none')).toEqual([])
})

test('an item that expires leaves its indexes too, and one that stays moves in them', async () => {
  const { clock, tables, run, ttl, put } = await openExpiry()
  const TableName = 'indexed'
  await run('CreateTable', {
    TableName,
    AttributeDefinitions: ['pk', 'by'].map((AttributeName) => ({ AttributeName, AttributeType: 'S' })),
    KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
    GlobalSecondaryIndexes: [
      {
        IndexName: 'others',
        KeySchema: [{ AttributeName: 'by', KeyType: 'HASH' }],
        Projection: { ProjectionType: 'ALL' },
      },
    ],
  })
  await ttl(TableName, 'until')
  const now = Math.floor(clock.wall / 1000)
  const by = { S: 'all' }
  await put(TableName, 'goes', { by, until: n(now + 1) })
  await put(TableName, 'stays', { by, until: n(now + 1) })
  await put(TableName, 'stays', { by, until: n(now + 1000) })
  clock.advance(5000)
  await tables.sweeper.run()
  const { Items } = await run<{ Items: object[] }>('Scan', { TableName, IndexName: 'others' })
  expect(Items).toEqual([{ pk: { S: 'stays' }, by, until: n(now + 1000) }])
})
