import { expect, test } from 'vitest'
import { collect } from '../../src/replicate/collector.js'
import type { ReplicatedTable } from '../../src/tables/index.js'
import type { Region } from './region-world.js'
import { ap, eu, isActive, replicate, us, useThreeRegions, world } from './three-regions.js'

useThreeRegions()

test('a replica gets the items that there are, then every change, and the other way round', async () => {
  await us.create('todo')
  for (let i = 0; i < 20; i++) await us.put('todo', `k${i}`, `before ${i}`)
  await us.delete('todo', 'k3')
  await replicate(us, eu)
  expect(await eu.items('todo')).toEqual(await us.items('todo'))
  await us.put('todo', 'k1', 'changed in us')
  await us.delete('todo', 'k2')
  await eu.put('todo', 'k4', 'changed in eu')
  await eu.put('todo', 'new', 'made in eu')
  await world.pass(500)
  expect(await us.items('todo')).toEqual(await eu.items('todo'))
  expect(await us.value('todo', 'k4')).toBe('changed in eu')
  expect(await eu.value('todo', 'k1')).toBe('changed in us')
  expect(await eu.value('todo', 'k2')).toBeUndefined()
})

test('of two writes that do not know each other the newer stays everywhere; the other is kept as a conflict', async () => {
  await us.create('todo')
  await replicate(us, eu)
  world.cut(us, eu)
  await us.put('todo', 'a', 'older')
  await world.pass(50)
  await eu.put('todo', 'a', 'newer')
  await eu.put('todo', 'only', 'in eu')
  world.heal()
  await world.pass(10_000)
  for (const region of [us, eu]) expect(await region.items('todo')).toEqual({ a: 'newer', only: 'in eu' })
  for (const region of [us, eu]) {
    const { conflicts, count } = await region.tables.replicas.listConflicts('todo', 10)
    expect(count).toBe(1)
    expect(conflicts[0]).toMatchObject({
      number: 1,
      key: { pk: { S: 'a' } },
      lost: { pk: { S: 'a' }, value: { S: 'older' } },
      lostVersion: { region: 'us-east-1' },
      wonVersion: { region: 'eu-west-1' },
    })
  }
})

test('a write that knew what it replaced is no conflict, however often links begin anew', async () => {
  await us.create('todo')
  await replicate(us, eu)
  for (let i = 0; i < 10; i++) {
    const region = i % 2 === 0 ? us : eu
    await region.put('todo', 'a', `value ${i}`)
    if (i % 3 === 0) await region.delete('todo', 'a')
    world.loses = () => (i % 2 === 0 ? 'answer' : undefined)
    await world.pass(200)
    world.loses = () => undefined
    await world.pass(10_000)
  }
  expect(await us.value('todo', 'a')).toBeUndefined()
  expect(await eu.value('todo', 'a')).toBeUndefined()
  for (const region of [us, eu]) expect((await region.tables.replicas.listConflicts('todo', 10)).count).toBe(0)
})

test('three regions: a replica that is added in one is one for all', async () => {
  await us.create('todo')
  await us.put('todo', 'first', 'us')
  await replicate(us, eu)
  await eu.put('todo', 'second', 'eu')
  await replicate(eu, ap)
  await world.until('us knows ap', isActive(us, ap))
  await world.until('ap knows us', isActive(ap, us))
  await us.put('todo', 'third', 'us')
  await ap.put('todo', 'fourth', 'ap')
  await world.pass(2_000)
  const all = { first: 'us', second: 'eu', third: 'us', fourth: 'ap' }
  for (const region of [us, eu, ap]) expect(await region.items('todo')).toEqual(all)
  const verified = us.replication.verify('todo')
  await world.pass(100)
  expect(await verified).toMatchObject({ regions: ['us-east-1', 'ap-south-1', 'eu-west-1'], items: 4, different: [] })
})

test('a clock that is far ahead holds the link, loses nothing, and is let through when it is right again', async () => {
  await us.create('todo')
  await replicate(us, eu)
  us.clock.wall += 9 * 60_000
  await us.put('todo', 'a', 'from the future')
  await eu.put('todo', 'b', 'now')
  await world.pass(3_000)
  expect(await eu.value('todo', 'a')).toBeUndefined()
  expect(await us.value('todo', 'b')).toBe('now')
  expect(us.replication.views('todo')).toMatchObject([{ region: 'eu-west-1', phase: 'held' }])
  expect(eu.replication.sources()).toMatchObject([{ region: 'us-east-1' }])
  expect(eu.replication.sources()[0]?.aheadMs).toBeGreaterThan(300_000)
  eu.clock.wall += 9 * 60_000
  await world.until('eu has it', async () => (await eu.value('todo', 'a')) === 'from the future')
  expect(us.replication.views('todo')).toMatchObject([{ phase: 'following', status: 'ACTIVE' }])
})

test('the end of a time to live never beats a write that came after the version that it ends', async () => {
  await us.create('todo')
  await us.run('UpdateTimeToLive', {
    TableName: 'todo',
    TimeToLiveSpecification: { AttributeName: 'until', Enabled: true },
  })
  await replicate(us, eu)
  const until = { N: String(Math.floor(us.clock.now() / 1000) + 5) }
  for (const pk of ['ends', 'goes on'])
    await us.run('PutItem', { TableName: 'todo', Item: { pk: { S: pk }, value: { S: 'short' }, until } })
  await world.pass(1_000)
  world.cut(us, eu)
  // Eu changes its mind while us does not know it, and ends the item later.
  await eu.put('todo', 'goes on', 'for ever')
  us.tables.sweeper.start()
  await world.pass(10_000)
  expect(await us.items('todo')).toEqual({})
  expect(await eu.items('todo')).toEqual({ ends: 'short', 'goes on': 'for ever' })
  world.heal()
  await world.pass(10_000)
  for (const region of [us, eu]) expect(await region.items('todo')).toEqual({ 'goes on': 'for ever' })
  const removed = async (region: Region) =>
    (await region.records('todo')).filter(({ eventName }) => eventName === 'REMOVE')
  expect(await removed(us)).toMatchObject([
    { userIdentity: { Type: 'Service' } },
    { userIdentity: { Type: 'Service' } },
  ])
  // Elsewhere it is a removal like any other.
  expect(await removed(eu)).toHaveLength(1)
  expect((await removed(eu))[0]).not.toHaveProperty('userIdentity')
})

test('what AWS refuses is refused', async () => {
  const refusal = (work: Promise<unknown>) =>
    work.then(
      () => 'taken',
      (error: Error) => error.message,
    )
  await us.create('todo', { StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_IMAGE' } })
  await us.create('other')
  await eu.create('other', {
    AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'N' }],
    KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
  })
  const create = (RegionName: string) => ({ Create: { RegionName } })
  expect(await refusal(us.update('todo', create(eu.name)))).toContain('StreamViewType NEW_AND_OLD_IMAGES')
  expect(await refusal(us.update('other', create(eu.name)))).toContain('its key is id (N), not pk (S)')
  expect(await us.replicas('other')).toEqual({})
  expect(await refusal(us.update('other', create('sa-east-1')))).toContain('Region sa-east-1 is not known')
  expect(await refusal(us.update('other', create(us.name)))).toContain('Cannot add, delete, or update the local region')
  expect(await refusal(us.update('other', { Delete: { RegionName: ap.name } }))).toContain(
    'Please retry the request without these replicas: [ap-south-1].',
  )
  expect(await refusal(us.update('other', { Update: { RegionName: ap.name } }))).toContain('not supported')
  expect(await refusal(us.update('other', { ...create(ap.name), Delete: { RegionName: ap.name } }))).toContain(
    'Exactly one',
  )
  expect(await refusal(us.update('other', create(ap.name), create(ap.name)))).toContain('Only one')
  expect(await us.update('other', create(ap.name))).toMatchObject({
    TableDescription: { Replicas: [{ RegionName: 'ap-south-1', ReplicaStatus: 'CREATING' }] },
  })
  expect(await refusal(us.update('other', create(ap.name)))).toContain('one or more replicas already existed as tables')
  const off = { TableName: 'other', StreamSpecification: { StreamEnabled: false } }
  expect(await refusal(us.run('UpdateTable', off))).toContain('cannot be disabled while it has replicas')
})

test('whoever is not known, or is late, changes nothing', async () => {
  await us.create('todo')
  await replicate(us, eu)
  await world.pass(2_000)
  const { replication } = us.tables.replicas.find('todo') as ReplicatedTable
  const late = { table: 'todo', session: 0, members: replication.members, repeats: false, regions: [], positions: [] }
  const apply = (from: string) => eu.replication.answer(from, 'apply', late, Buffer.alloc(0))
  await expect(apply('sa-east-1')).rejects.toMatchObject({ code: 'REPLICA_REFUSED' })
  // A call of the session before the one that there is now.
  await expect(apply('us-east-1')).rejects.toMatchObject({ code: 'CONFLICT' })
  await us.put('todo', 'a', 'goes on')
  await world.until('eu has it', async () => (await eu.value('todo', 'a')) === 'goes on')
})

test('a batch is looked for in a bounded part of the log, however little of it is for the other region', async () => {
  await us.create('todo')
  await replicate(us, eu)
  for (let i = 0; i < 40; i++) await eu.put('todo', `k${i}`, 'x'.repeat(20_000))
  await world.until('us has all', async () => eu.replication.views('todo')[0]?.lagRecords === 0)
  await us.put('todo', 'own', 'of us')
  const table = us.tables.replicas.find('todo') as ReplicatedTable
  const { log } = us.opened as NonNullable<typeof us.opened>
  const held = new Set<number>()
  let read = 0
  const watched: Pick<typeof log, 'read'> = {
    read: async (shard, from, options) => {
      const page = await log.read(shard, from, options)
      const id = read++
      held.add(id)
      return { ...page, release: () => void held.delete(id) }
    },
  }
  let reading = new Map(log.shards(table.log).map((shard) => [shard.id, shard.lowWatermark]))
  let [changes, batches, isWhole] = [0, 0, false]
  for (; !isWhole; batches++) {
    const readBefore = read
    const found = await collect(watched, reading, table.replication, 1 << 20, 1)
    expect(read - readBefore).toBeLessThanOrEqual(1)
    expect(held.size).toBe(0)
    changes += found.changes
    isWhole = found.isWhole
    reading = new Map([...reading].map(([shard, next]) => [shard, found.moved.get(shard)?.next ?? next]))
  }
  expect(batches).toBeGreaterThan(2)
  expect(changes).toBe(1)
})

test('a fill over a stretch where the other region has much, and this one nothing, takes several calls', async () => {
  await us.create('todo')
  await eu.create('todo')
  for (let i = 0; i < 24; i++) await eu.put('todo', `k${i}`, 'x'.repeat(300_000))
  const { replication } = eu
  const answer = replication.answer
  const ends: unknown[] = []
  const watched: typeof answer = async (from, name, ask, body) => {
    const answered = await answer(from, name, ask, body)
    if (name === 'apply' && 'stretch' in ask) ends.push('upTo' in answered)
    return answered
  }
  Object.assign(replication, { answer: watched })
  await replicate(us, eu)
  expect(ends.length).toBeGreaterThan(1)
  expect(ends).toEqual(ends.map((_, i) => i < ends.length - 1))
  expect(await us.keys('todo')).toHaveLength(24)
  expect(await eu.keys('todo')).toHaveLength(24)
})

test('what came from the other regions is no lag', async () => {
  await us.create('todo')
  await replicate(us, eu)
  await world.pass(20_000, 500)
  for (let i = 0; i < 50; i++) await eu.put('todo', `k${i}`, 'eu')
  await world.until('us has all', async () => Object.keys(await us.items('todo')).length === 50)
  await world.pass(100)
  expect(us.replication.views('todo')).toMatchObject([{ lagRecords: 0 }])
  world.cut(us, eu)
  await us.put('todo', 'own', 'us')
  await world.pass(1_000)
  expect(us.replication.views('todo')[0]?.lagRecords).toBeGreaterThan(0)
})
