import { expect, test } from 'vitest'
import { MemoryStorage } from '../memory-storage.js'
import { ap, eu, openRegions, replicate, replicateAll, unlogged, us, useThreeRegions, world } from './three-regions.js'

useThreeRegions()

test('a region that has an older copy of its data gets what it lost, and loses what is long deleted', async () => {
  await world.close()
  await openRegions({ tombstoneRetentionMs: 1_000 })
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

test('one older copy that is opened twice is two lives: nothing of the second is taken for what the first one has brought', async () => {
  await us.create('todo')
  await replicate(us, eu)
  await world.pass(310_000, 5_000)
  await eu.stop()
  const older = eu.storage.afterPowerLoss()
  for (const life of ['first', 'second']) {
    eu.restore(older.afterPowerLoss())
    await eu.start()
    world.cut(us, eu)
    for (let i = 0; i < (life === 'first' ? 10 : 3); i++) await eu.put('todo', `${life} ${i}`, life)
    world.heal()
    await world.until('us has them', async () => (await us.value('todo', `${life} 2`)) === life)
    await world.pass(70_000, 1_000)
    if (life === 'first') await eu.stop()
  }
  expect(await us.keys('todo')).toHaveLength(13)
  expect(await eu.keys('todo')).toEqual(await us.keys('todo'))
})
