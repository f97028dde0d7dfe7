import { afterEach, beforeEach, expect, test } from 'vitest'
import { Family } from '../../src/commit/index.js'
import { collect } from '../../src/replicate/collector.js'
import type { ReplicatedTable } from '../../src/tables/index.js'
import { MemoryStorage } from '../memory-storage.js'
import { temporaryFolder } from '../temporary-folder.js'
import { type Region, World } from './region-world.js'

const names = ['us-east-1', 'eu-west-1', 'ap-south-1']
let world: World
let [us, eu, ap] = [] as unknown as [Region, Region, Region]

beforeEach(async () => {
  world = await World.open(temporaryFolder(), names)
  ;[us, eu, ap] = world.regions as [Region, Region, Region]
})

afterEach(() => world.close())

const isActive = (region: Region, other: Region) => async () => (await region.replicas('todo'))[other.name] === 'ACTIVE'

async function replicate(from: Region, to: Region): Promise<void> {
  await from.update('todo', { Create: { RegionName: to.name } })
  await world.until('the replica is active', isActive(from, to))
  await world.until('the way back is, too', isActive(to, from))
}

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

test('a replica that is taken out brings what it has, and its table goes', async () => {
  await us.create('todo')
  await replicate(us, eu)
  world.cut(us, eu)
  await eu.put('todo', 'late', 'from eu')
  world.heal()
  await us.update('todo', { Delete: { RegionName: eu.name } })
  await world.until('the table of eu is gone', async () =>
    eu.run('DescribeTable', { TableName: 'todo' }).then(
      () => false,
      () => true,
    ),
  )
  await world.pass(2_000)
  expect(await us.items('todo')).toEqual({ late: 'from eu' })
  expect(await us.replicas('todo')).toEqual({})
  // It can have one again.
  await replicate(us, eu)
  expect(await eu.items('todo')).toEqual({ late: 'from eu' })
})

test('replicas are added and taken out in any region, whatever its clock says', async () => {
  const isGone = (region: Region) => async () =>
    region.run('DescribeTable', { TableName: 'todo' }).then(
      () => false,
      () => true,
    )
  eu.clock.wall -= 240_000
  await us.create('todo')
  await replicate(us, eu)
  // What eu says of itself is newer than what us has asked for.
  await us.update('todo', { Delete: { RegionName: eu.name } })
  await world.until('eu is out', isGone(eu))
  await world.pass(10_000)
  expect(await us.replicas('todo')).toEqual({})
  expect(await isGone(eu)()).toBe(true)
  await replicate(us, eu)
  // And so is what is asked for in eu.
  await eu.update('todo', { Delete: { RegionName: us.name } })
  await world.until('us is out', isGone(us))
  await world.pass(10_000)
  expect(await eu.replicas('todo')).toEqual({})
  await replicate(eu, us)
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
  expect(await refusal(us.update('other', create(us.name)))).toContain('is the table itself')
  expect(await refusal(us.update('other', { Delete: { RegionName: ap.name } }))).toContain('Replica not found')
  expect(await refusal(us.update('other', { Update: { RegionName: ap.name } }))).toContain('not supported')
  expect(await refusal(us.update('other', { ...create(ap.name), Delete: { RegionName: ap.name } }))).toContain(
    'Exactly one',
  )
  expect(await refusal(us.update('other', create(ap.name), create(ap.name)))).toContain('Only one')
  expect(await us.update('other', create(ap.name))).toMatchObject({
    TableDescription: { Replicas: [{ RegionName: 'ap-south-1', ReplicaStatus: 'CREATING' }] },
  })
  expect(await refusal(us.update('other', create(ap.name)))).toContain('Replica already exists')
  const off = { TableName: 'other', StreamSpecification: { StreamEnabled: false } }
  expect(await refusal(us.run('UpdateTable', off))).toContain('cannot be disabled while it has replicas')
  expect(await refusal(us.run('DeleteTable', { TableName: 'other' }))).toContain('has replicas in other regions')
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

test('a region that has an older copy of its data gets what it lost, and loses what is long deleted', async () => {
  await world.close()
  world = await World.open(temporaryFolder(), names, { tombstoneRetentionMs: 1_000 })
  ;[us, eu, ap] = world.regions as [Region, Region, Region]
  await us.create('todo')
  await replicate(us, eu)
  // What has stamps from before the table, as far as clocks can be told, may belong to one of before.
  await world.pass(310_000, 5_000)
  for (const pk of ['kept', 'deleted']) await us.put('todo', pk, 'first')
  await eu.put('todo', 'from eu', 'eu')
  await world.pass(90_000, 500)
  await eu.stop()
  const older = eu.storage.afterPowerLoss()
  await eu.start()
  await us.delete('todo', 'deleted')
  await us.put('todo', 'kept', 'second')
  await world.pass(20_000, 500)
  for (const region of [us, eu]) expect(region.tombstones()).toBe(1)
  // Both know that both have it; then nobody remembers the deletion.
  await world.until('the tombstones are gone', () => us.tombstones() + eu.tombstones() === 0, 1_200_000, 5_000)
  await eu.stop()
  eu.restore(older)
  await eu.start()
  expect(await eu.items('todo')).toEqual({ kept: 'first', deleted: 'first', 'from eu': 'eu' })
  await world.pass(20_000, 500)
  for (const region of [us, eu]) expect(await region.items('todo')).toEqual({ kept: 'second', 'from eu': 'eu' })
})

test('a region that was away for longer than the log keeps is filled anew; one that lost everything, too', async () => {
  await us.create('todo')
  await replicate(us, eu)
  await us.put('todo', 'a', 'first')
  await us.put('todo', 'b', 'first')
  await eu.put('todo', 'from eu', 'eu')
  await world.pass(5_000)
  world.cut(us, eu)
  await us.delete('todo', 'b')
  await us.put('todo', 'c', 'while it was away')
  await world.pass(1_000)
  await us.trim('todo')
  world.heal()
  await world.pass(10_000)
  const all = { a: 'first', c: 'while it was away', 'from eu': 'eu' }
  for (const region of [us, eu]) expect(await region.items('todo')).toEqual(all)
  await eu.stop()
  eu.restore(new MemoryStorage())
  await eu.start()
  await world.until('the replica is there again', async () =>
    eu.items('todo').then(
      (items) => Object.keys(items).length === 3,
      () => false,
    ),
  )
  expect(await eu.items('todo')).toEqual(all)
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

test('what was written long before it is brought is no less new: an outage of minutes, several batches, a split', async () => {
  await us.create('todo')
  await replicate(us, eu)
  await world.pass(70_000, 500)
  world.cut(us, eu)
  const put = async (prefix: string) => {
    for (let i = 0; i < 40; i++) await us.put('todo', `${prefix} ${i}`, 'x'.repeat(20_000))
  }
  await put('before the split')
  await us.split('todo')
  await put('after the split')
  await world.pass(300_000, 1_000)
  world.heal()
  await world.until('both have all', async () => us.replication.views('todo')[0]?.lagRecords === 0)
  await world.pass(20_000, 500)
  expect(await us.keys('todo')).toHaveLength(80)
  expect(await eu.keys('todo')).toEqual(await us.keys('todo'))
})

test('what a restored region wrote after its copy was made stays where it is, and comes back', async () => {
  await us.create('todo')
  await replicate(us, eu)
  await world.pass(310_000, 5_000)
  await eu.stop()
  const older = eu.storage.afterPowerLoss()
  await eu.start()
  await eu.put('todo', 'after the copy', 'eu')
  await world.until('us has it', async () => (await us.value('todo', 'after the copy')) === 'eu')
  await world.pass(90_000, 1_000)
  await eu.stop()
  eu.restore(older)
  await eu.start()
  await world.pass(20_000, 500)
  for (const region of [us, eu]) expect(await region.items('todo')).toEqual({ 'after the copy': 'eu' })
})

const isGone = (region: Region) => () =>
  region.run('DescribeTable', { TableName: 'todo' }).then(
    () => false,
    () => true,
  )

async function replicateAll(): Promise<void> {
  await us.create('todo')
  await replicate(us, eu)
  await replicate(us, ap)
  await world.until('eu and ap know each other', async () => (await isActive(eu, ap)()) && (await isActive(ap, eu)()))
}

test('a region that is taken out takes no writes, and stays until every other one has what was written there', async () => {
  await replicateAll()
  world.cut(eu, ap)
  await eu.put('todo', 'late', 'eu')
  await us.update('todo', { Delete: { RegionName: eu.name } })
  await world.pass(2_000)
  await expect(eu.put('todo', 'too late', 'eu')).rejects.toThrow('not found')
  await world.pass(120_000, 1_000)
  expect(await isGone(eu)()).toBe(false)
  world.heal()
  await world.until('the table of eu is gone', isGone(eu))
  for (const region of [us, ap]) expect(await region.items('todo')).toEqual({ late: 'eu' })
})

test('a region that was taken out while it was away ends its replica, and what it wrote goes nowhere', async () => {
  await replicateAll()
  for (const others of [[us, ap], [us]]) {
    for (const other of others) world.cut(eu, other)
    await eu.put('todo', 'alone', 'eu')
    for (let i = 0; i < 2; i++) await us.update('todo', { Delete: { RegionName: eu.name } })
    await world.pass(5_000, 500)
    world.heal()
    await world.until('the table of eu is gone', isGone(eu))
    await world.pass(2_000)
    for (const other of others) expect(await other.items('todo')).toEqual({})
    if (others.length === 1) break
    // The same with two regions, where nobody has a link to it any more.
    await us.update('todo', { Delete: { RegionName: ap.name } })
    await world.until('the table of ap is gone', isGone(ap))
    await replicate(us, eu)
  }
})

test.each(['"state":"out"', '"isEnded":true'])(
  'a kill behind the commit of %s leaves no table behind',
  async (mark) => {
    await us.create('todo')
    await replicate(us, eu)
    await us.update('todo', { Delete: { RegionName: eu.name } })
    const { storage } = eu
    let isThere = false
    storage.afterWrite = () => {
      if (isThere || ![...storage.rows.values()].some((value) => value.includes(mark))) return
      isThere = true
      storage.beforeWrite = () => new Promise(() => {})
    }
    await world.until('the commit is there', () => isThere, 60_000, 10)
    eu.kill()
    await eu.start()
    await world.until('the table of eu is gone', isGone(eu))
    expect(await us.replicas('todo')).toEqual({})
  },
)

test('a kill before a link was forgotten leaves no group, and none is taken for that of another table', async () => {
  await us.create('todo')
  await replicate(us, eu)
  const { storage } = us
  const groups = () => (us.opened?.groups.list() ?? []).filter(({ kind }) => kind === 'replica')
  expect(groups()).toHaveLength(1)
  // Behind the commit that takes eu out, before the link goes.
  for (let i = 0; i < 2; i++) {
    if (i === 1)
      storage.afterWrite = () => {
        storage.beforeWrite = () => new Promise(() => {})
      }
    world.cut(us, eu)
    await us.update('todo', { Delete: { RegionName: eu.name } })
  }
  us.kill()
  const links = () =>
    [...us.storage.rows.keys()].filter((key) => key.charCodeAt(0) === Family.replication && key.charCodeAt(4) > 0)
  expect(links().length).toBeGreaterThan(0)
  await us.start()
  await us.replication.settled()
  expect(groups()).toEqual([])
  expect(links()).toEqual([])
})

test('when a region is forced out, the others give each other what they alone had from it', async () => {
  await replicateAll()
  await us.put('todo', 'deleted', 'us')
  await world.pass(2_000)
  world.cut(eu, ap)
  await eu.put('todo', 'only in us', 'eu')
  await eu.delete('todo', 'deleted')
  await world.until('us has it', async () => Object.keys(await us.items('todo')).join() === 'only in us')
  expect(await ap.items('todo')).toEqual({ deleted: 'us' })
  await eu.stop()
  for (let i = 0; i < 2; i++) await us.update('todo', { Delete: { RegionName: eu.name } })
  await world.pass(10_000, 100)
  for (const region of [us, ap]) expect(await region.items('todo')).toEqual({ 'only in us': 'eu' })
  for (const region of [us, ap]) expect(region.replication.views('todo')).toMatchObject([{ phase: 'following' }])
})

const unlogged = (region: Region) =>
  [...region.storage.rows.keys()].filter((key) => key.charCodeAt(0) === Family.replication && key.charCodeAt(5) === 4)

test('a put or update that leaves an item as it is is a write: it wins against an older deletion, and no stream shows it', async () => {
  await us.create('todo')
  for (const pk of ['put', 'updated', 'deleted later']) await us.put('todo', pk, 'first')
  await replicate(us, eu)
  await world.pass(2_000)
  world.cut(us, eu)
  for (const pk of ['put', 'updated']) await eu.delete('todo', pk)
  await world.pass(50)
  await us.put('todo', 'put', 'first')
  await us.run('UpdateItem', {
    TableName: 'todo',
    Key: { pk: { S: 'updated' } },
    UpdateExpression: 'SET #v = :v',
    ExpressionAttributeNames: { '#v': 'value' },
    ExpressionAttributeValues: { ':v': { S: 'first' } },
  })
  await us.run('TransactWriteItems', {
    TransactItems: [
      { Put: { TableName: 'todo', Item: { pk: { S: 'deleted later' }, value: { S: 'first' } } } },
      { Put: { TableName: 'todo', Item: { pk: { S: 'new' }, value: { S: 'us' } } } },
    ],
  })
  await world.pass(50)
  await eu.delete('todo', 'deleted later')
  expect(unlogged(us)).toHaveLength(3)
  world.heal()
  await world.pass(10_000)
  for (const region of [us, eu])
    expect(await region.items('todo')).toEqual({ put: 'first', updated: 'first', new: 'us' })
  expect((await us.records('todo')).map(({ eventName }) => eventName)).toEqual([
    ...['INSERT', 'INSERT', 'INSERT', 'INSERT', 'REMOVE'],
  ])
  // Two deletions lost, and one write did: that one is told where it was written.
  expect((await us.tables.replicas.listConflicts('todo', 10)).count).toBe(3)
  expect((await eu.tables.replicas.listConflicts('todo', 10)).count).toBe(2)
  expect(unlogged(us)).toEqual([])
  const verified = us.replication.verify('todo')
  await world.pass(100)
  expect((await verified).different).toEqual([])
})

test('a write that leaves an item as it is comes behind what it has replaced, and is no conflict, whatever is lost or killed', async () => {
  await us.create('todo')
  await replicate(us, eu)
  for (let i = 0; i < 6; i++) {
    world.cut(us, eu)
    for (let n = 0; n < 3; n++) await us.put('todo', 'a', `value ${i}`)
    if (i === 3) {
      us.kill()
      await us.start()
    }
    world.heal()
    world.loses = () => (i % 2 === 0 ? 'answer' : undefined)
    await world.pass(300)
    world.loses = () => undefined
    await world.until(
      'eu has it',
      async () => unlogged(us).length === 0 && (await eu.value('todo', 'a')) === `value ${i}`,
    )
    await eu.put('todo', 'a', `of eu ${i}`)
    await world.until('us has it', async () => (await us.value('todo', 'a')) === `of eu ${i}`)
  }
  for (const region of [us, eu]) expect((await region.tables.replicas.listConflicts('todo', 10)).count).toBe(0)
})

test('what a region that is away has not got is forgotten with it', async () => {
  await us.create('todo')
  await us.put('todo', 'a', 'first')
  await replicate(us, eu)
  world.cut(us, eu)
  await us.put('todo', 'a', 'first')
  expect(unlogged(us)).toHaveLength(1)
  for (let i = 0; i < 2; i++) await us.update('todo', { Delete: { RegionName: eu.name } })
  await world.pass(2_000)
  expect(unlogged(us)).toEqual([])
  expect(us.replication.sources()).toEqual([])
})

test('what a restored region gets back of its own writes goes on to a third one', async () => {
  await replicateAll()
  await world.pass(310_000, 5_000)
  await us.put('todo', 'deleted', 'us')
  await world.pass(1_000)
  await us.stop()
  const older = us.storage.afterPowerLoss()
  await us.start()
  world.cut(us, ap)
  await us.put('todo', 'lost', 'us')
  await us.delete('todo', 'deleted')
  await world.until('eu has it', async () => Object.keys(await eu.items('todo')).join() === 'lost')
  await us.stop()
  us.restore(older)
  await us.start()
  // It brings the third region what it has, and gets back only then what it had lost.
  world.heal()
  world.cut(us, eu)
  await world.pass(20_000, 500)
  expect(await us.items('todo')).toEqual({ deleted: 'us' })
  world.heal()
  await world.pass(20_000, 500)
  for (const region of [us, eu, ap]) expect(await region.items('todo')).toEqual({ lost: 'us' })
  expect(unlogged(us)).toEqual([])
})

test('when the last replica of a table goes, its deletions are not remembered any longer', async () => {
  await us.create('todo')
  await replicate(us, eu)
  for (let i = 0; i < 3; i++) await us.put('todo', `k${i}`, 'us')
  for (let i = 0; i < 3; i++) await us.delete('todo', `k${i}`)
  await world.pass(1_000)
  expect(us.tombstones()).toBe(3)
  await us.update('todo', { Delete: { RegionName: eu.name } })
  await world.until('eu is gone', isGone(eu))
  await world.until('the tombstones are gone', () => us.tombstones() === 0, 1_200_000, 1_000)
  expect(await us.replicas('todo')).toEqual({})
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
