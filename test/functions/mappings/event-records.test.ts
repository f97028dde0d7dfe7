/** The memory of records on their way to a function: it is let go with the last of them, and counted until then. */
import { expect, it } from 'vitest'
import { EventPage, EventRecord, eventOf } from '../../../src/functions/mappings/event-records.js'
import { World } from './world.js'

it('the memory of a page is kept, and counted, until the last of its records is done', () => {
  let held = 0
  const page = new EventPage((bytes) => {
    held += bytes
  })
  const [one, two] = [new EventRecord(1, 0, 0, page, 0, 1), new EventRecord(2, 0, 0, page, 2, 3)]
  const memory = Buffer.from(new ArrayBuffer(100_000))
  memory.write('1,2')
  page.wrote(memory.subarray(0, 3))
  // What was made far too large is not kept for what was written in it.
  expect(held).toBe(3)
  expect(eventOf([one, two]).toString()).toBe('{"Records":[1,2]}')
  one.done()
  one.done()
  expect([one.isDone, two.isDone, held]).toEqual([true, false, 3])
  two.done()
  expect([held, page.memory.length]).toEqual([0, 0])
})

it('what lies done behind a record that is stuck holds no memory', async () => {
  const world = await World.open()
  try {
    let isOpen = false
    const arn = await world.table()
    const { UUID } = await world.mapping(
      arn,
      ({ Records }) => {
        if (!isOpen && Records.some(({ dynamodb }) => dynamodb.Keys.pk?.S === 'stuck')) throw new Error('no')
      },
      { ParallelizationFactor: 10, BatchSize: 1 },
    )
    await world.put('stuck')
    await world.settle()
    const held = () => world.mappings.heldBytes
    const text = { S: 'x'.repeat(100_000) }
    for (let n = 0; n < 10; n++) {
      await world.put(`other-${n}`, 'a', { text })
      await world.settle()
    }
    expect(world.mappings.get(UUID).counts.records).toBeGreaterThan(5)
    // Those that share the lane of the one that is stuck wait behind it.
    const waiting = 10 - world.mappings.get(UUID).counts.records
    expect(held()).toBeLessThan((waiting + 1) * 260_000)
    expect(held()).toBeGreaterThan(0)
    isOpen = true
    await world.pass(60_000, 5000)
    expect(held()).toBe(0)
  } finally {
    await world.close()
  }
})
