import { afterEach, describe, expect, test } from 'vitest'
import { type BridgeRequest, guarantees, type KafkaMessage } from '../../src/kafka/index.js'
import { MillraceError } from '../../src/runtime/index.js'
import { Random } from '../simulation/random.js'
import { away, tooLarge } from './fake-cluster.js'
import { until } from './memory.js'
import { StoreWorld } from './store-world.js'

/** Family of the rows of what was put aside and is not passed. */
const asideFamily = 0x1e
const invalid = () =>
  new MillraceError('KAFKA_REFUSED', 'a message is not valid', { details: { kafka: 'INVALID_RECORD' } })

let world: StoreWorld
afterEach(() => world?.close())

const letters = (stream = 'test.dead-letters') => world.bodies(stream)

const numberOf = ({ value }: Pick<KafkaMessage, 'value'>): number => Number(String(value))
/** Refuses requests in which one of these values is. */
const refuse = (values: ReadonlySet<number>, error: () => MillraceError) => (messages: readonly KafkaMessage[]) =>
  messages.some(({ value, headers }) => headers['millrace-op'] && values.has(Number(String(value))))
    ? { error: error(), stored: 0 }
    : undefined
const asideRows = () => [...world.storage.rows.keys()].filter((name) => name.charCodeAt(0) === asideFamily)
const create = (more: Partial<BridgeRequest> = {}) => world.create({ format: 'image', refused: 'dead-letter', ...more })
const passed = (guarantee: string) => (guarantee === 'exactly-once' ? world.messages() : world.cluster.log)

describe.each(guarantees)('records that the broker refuses, %s', (guarantee) => {
  test.each([
    ['too large', tooLarge],
    ['not valid', invalid],
  ])('are dead letters, all others come in their order (%s)', async (_what, error) => {
    world = await StoreWorld.open()
    await world.stream()
    await world.append(300)
    const refused = new Set([0, 17, 18, 150, 299])
    world.cluster.onSend = refuse(refused, error)
    await create({ guarantee })
    await world.caughtUp()
    const others = Array.from({ length: 300 }, (_, i) => i).filter((i) => !refused.has(i))
    const delivered = passed(guarantee).map(numberOf)
    for (let key = 0; key < 7; key++)
      expect(delivered.filter((i) => i % 7 === key)).toEqual(others.filter((i) => i % 7 === key))
    const found = await letters()
    expect(found.map(({ value }) => Number(value)).sort((a, b) => a - b)).toEqual([...refused])
    const first = found.find(({ value }) => value === '17')
    expect(first).toMatchObject({ bridge: 'test', topic: 'millrace.clicks', key: 'key-3', shard: 1 })
    expect(first?.error).toContain(`record ${first?.sequence}`)
    expect(first?.headers).toContainEqual({ name: 'millrace-op', value: 'c' })
    expect((await world.shown()).statistics).toMatchObject({ deadLetters: 5, records: 300, lagRecords: 0 })
    await until(() => asideRows().length === 0, asideRows)
  })

  test('are put aside once, however often both sides begin anew', async () => {
    world = await StoreWorld.open()
    await world.stream()
    const random = new Random(7)
    const refused = new Set(Array.from({ length: 400 }, (_, i) => i).filter(() => random.below(12) === 0))
    world.cluster.onSend = refuse(refused, tooLarge)
    await create({ guarantee })
    for (let i = 0; i < 10; i++) {
      await world.append(40)
      await new Promise((resolve) => setTimeout(resolve, random.below(40)))
      await world.kill()
    }
    await world.caughtUp()
    const found = (await letters()).map(({ value }) => Number(value))
    expect(found.sort((a, b) => a - b)).toEqual([...refused])
    const delivered = passed(guarantee).map(numberOf)
    const all = guarantee === 'exactly-once' ? delivered : [...new Set(delivered)]
    expect([...all].sort((a, b) => a - b)).toEqual(
      Array.from({ length: 400 }, (_, i) => i).filter((i) => !refused.has(i)),
    )
    await until(() => asideRows().length === 0, asideRows)
  })
})

test('a bridge stops at such a record unless it is told otherwise, and says which', async () => {
  world = await StoreWorld.open()
  await world.stream()
  await world.append(20)
  world.cluster.onSend = refuse(new Set([9]), tooLarge)
  await world.create({ format: 'image' })
  expect(await world.state('failed')).toMatchObject({
    code: 'KAFKA_REFUSED',
    message: expect.stringContaining('record'),
  })
  expect(world.log.streamNamed('test.dead-letters')).toBeUndefined()
})

describe.each(guarantees)('a bridge that has stopped at such a record, %s', (guarantee) => {
  test('puts it alone aside when it is told to, whatever other shards have not sent yet, and stops at the next again', async () => {
    world = await StoreWorld.open()
    await world.stream('clicks', 3)
    await world.append(300)
    const refused = new Set([150])
    world.cluster.onSend = refuse(refused, tooLarge)
    await world.create({ format: 'image', guarantee })
    expect(await world.state('failed')).toMatchObject({ remedy: expect.stringContaining('--refused dead-letter') })
    await world.bridges.resume('test', { refused: 'dead-letter' })
    await world.caughtUp()
    expect((await letters()).map(({ value }) => value)).toEqual(['150'])
    const expected = Array.from({ length: 301 }, (_, i) => i).filter((i) => i !== 150)
    await world.bridges.resume('test', { refused: 'stop' })
    await world.append(1)
    await world.caughtUp()
    expect([...new Set(passed(guarantee).map(numberOf))].sort((a, b) => a - b)).toEqual(expected)
    refused.add(301)
    await world.append(1)
    await world.state('failed')
    await world.restart()
    expect(await world.state('failed')).toMatchObject({ message: expect.stringContaining('record') })
    expect(await letters()).toHaveLength(1)
    expect((await world.shown()).options).toMatchObject({ refused: 'stop' })
  })
})

test('what was put aside and is not passed yet stays aside when the bridge is to stop at the next', async () => {
  world = await StoreWorld.open()
  await world.stream()
  await world.append(10)
  world.cluster.onSend = refuse(new Set([3]), tooLarge)
  // The letter is durable, and nothing behind it is committed.
  world.cluster.onCommit = () => (asideRows().length > 0 ? { error: away(), committed: false } : undefined)
  await create()
  await until(() => asideRows().length === 1, asideRows)
  await world.bridges.resume('test', { refused: 'stop' })
  world.cluster.onCommit = () => undefined
  await world.caughtUp()
  expect(passed('exactly-once').map(numberOf)).toEqual([0, 1, 2, 4, 5, 6, 7, 8, 9])
  expect((await letters()).map(({ value }) => value)).toEqual(['3'])
})

test('after a seek they come again; a bridge that is deleted leaves nothing', async () => {
  world = await StoreWorld.open()
  await world.stream()
  await world.append(10)
  world.cluster.onSend = refuse(new Set([3]), tooLarge)
  await create({ deadLetters: 'refused' })
  await world.caughtUp()
  await world.bridges.seek('test', 'oldest')
  await world.caughtUp()
  expect((await letters('refused')).map(({ value }) => value)).toEqual(['3', '3'])
  await world.bridges.delete('test')
  expect(asideRows()).toEqual([])
})

test('a stream for them is refused where it makes no sense', async () => {
  world = await StoreWorld.open()
  await world.stream()
  await expect(create({ deadLetters: 'clicks' })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  await expect(world.create({ deadLetters: 'x' })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
})
