import { expect, test } from 'vitest'
import { Family } from '../../src/commit/index.js'
import type { Region } from './region-world.js'
import { ap, eu, isGone, replicate, replicateAll, us, useThreeRegions, world } from './three-regions.js'

useThreeRegions()

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

test('DeleteTable of a table with replicas ends the replica of its region, once the others have what was written there', async () => {
  await replicateAll()
  world.cut(us, ap)
  await us.put('todo', 'late', 'us')
  expect(await us.run('DeleteTable', { TableName: 'todo' })).toMatchObject({
    TableDescription: {
      TableStatus: 'DELETING',
      Replicas: [{ RegionName: 'ap-south-1' }, { RegionName: 'eu-west-1' }],
    },
  })
  await world.pass(100_000, 1_000)
  expect(await us.run('DescribeTable', { TableName: 'todo' })).toMatchObject({ Table: { TableStatus: 'DELETING' } })
  await expect(us.put('todo', 'too late', 'us')).rejects.toThrow('not found')
  await expect(us.run('DeleteTable', { TableName: 'todo' })).rejects.toThrow('Table is being deleted: todo')
  await expect(us.update('todo', { Create: { RegionName: eu.name } })).rejects.toThrow('Table is being deleted: todo')
  world.heal()
  await world.until('the table of us is gone', isGone(us))
  await world.pass(5_000, 500)
  for (const region of [eu, ap]) expect(await region.items('todo')).toEqual({ late: 'us' })
  expect(await eu.replicas('todo')).toEqual({ 'ap-south-1': 'ACTIVE' })
})

test('a table that is being deleted waits for no region that is taken out meanwhile', async () => {
  await us.create('todo', { DeletionProtectionEnabled: true })
  await replicate(us, eu)
  await expect(us.run('DeleteTable', { TableName: 'todo' })).rejects.toThrow('protected against deletion')
  await us.run('UpdateTable', { TableName: 'todo', DeletionProtectionEnabled: false })
  world.cut(us, eu)
  await us.put('todo', 'late', 'us')
  await us.run('DeleteTable', { TableName: 'todo' })
  await world.pass(100_000, 1_000)
  expect(await isGone(us)()).toBe(false)
  for (let i = 0; i < 2; i++) await us.update('todo', { Delete: { RegionName: eu.name } })
  await world.until('the table of us is gone', isGone(us))
})

test('a region that comes back when the table was deleted everywhere else learns that it is out, and makes it nowhere again', async () => {
  await replicateAll()
  await us.put('todo', 'a', 'us')
  await world.pass(2_000)
  for (const other of [us, ap]) world.cut(eu, other)
  await eu.put('todo', 'alone', 'eu')
  for (let i = 0; i < 2; i++) await us.update('todo', { Delete: { RegionName: eu.name } })
  await us.update('todo', { Delete: { RegionName: ap.name } })
  await world.until('the table of ap is gone', isGone(ap))
  await us.run('DeleteTable', { TableName: 'todo' })
  await us.stop()
  await us.start()
  const made: string[] = []
  for (const region of [us, ap]) {
    const { replication } = region
    const answer = replication.answer
    const watched: typeof answer = async (from, name, ask, body) => {
      const answered = await answer(from, name, ask, body)
      if (name === 'join') made.push(`${region.name} let ${from} in`)
      return answered
    }
    Object.assign(replication, { answer: watched })
  }
  world.heal()
  await world.until('the table of eu is gone', isGone(eu))
  await world.pass(10_000, 500)
  for (const region of [us, eu, ap]) expect(await isGone(region)()).toBe(true)
  expect(made).toEqual([])
  // And the name is free for another one.
  await us.create('todo')
  await replicate(us, eu)
  await eu.put('todo', 'new', 'eu')
  await world.until('us has it', async () => (await us.value('todo', 'new')) === 'eu')
  expect(await us.items('todo')).toEqual({ new: 'eu' })
})

test('a region that comes back is not let into another table of the name of the one that it had', async () => {
  await us.create('todo')
  await us.put('todo', 'a', 'us')
  await replicate(us, eu)
  world.cut(us, eu)
  for (let i = 0; i < 2; i++) await us.update('todo', { Delete: { RegionName: eu.name } })
  await us.run('DeleteTable', { TableName: 'todo' })
  await us.create('todo')
  await us.put('todo', 'b', 'of the new table')
  world.heal()
  await world.until('the table of eu is gone', isGone(eu))
  expect(await us.items('todo')).toEqual({ b: 'of the new table' })
  expect(await us.replicas('todo')).toEqual({})
  await replicate(us, eu)
  expect(await eu.items('todo')).toEqual({ b: 'of the new table' })
})

test('a replica that has nothing to bring goes within seconds', async () => {
  await us.create('todo')
  for (const end of [
    () => eu.run('DeleteTable', { TableName: 'todo' }),
    () => us.update('todo', { Delete: { RegionName: eu.name } }),
  ]) {
    await replicate(us, eu)
    await world.pass(25_000, 500)
    await end()
    await world.until('the table of eu is gone', isGone(eu), 4_000)
    await world.until('us knows', async () => Object.keys(await us.replicas('todo')).length === 0, 2_000)
  }
})
