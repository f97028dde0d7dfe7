import { expect, test } from 'vitest'
import { eu, replicate, unlogged, us, useThreeRegions, world } from './three-regions.js'

useThreeRegions()

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
