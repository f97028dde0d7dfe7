/** What meets in the life of a mapping: its end, its changes, kills and what was answered before them. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { Family } from '../../../src/commit/index.js'
import { decodeMapping, mappingGroupName } from '../../../src/functions/mappings/mapping-row.js'
import { ShardDelivery } from '../../../src/functions/mappings/shard-delivery.js'
import { Retention } from '../../../src/retention/index.js'
import { silentLogger } from '../../../src/runtime/index.js'
import { World } from './world.js'

let world: World
afterEach(() => world.close())

const nothing = () => null

async function storedRows() {
  const rows = []
  const range = { gte: Buffer.from([Family.mapping]), lt: Buffer.from([Family.mapping + 1]), bytesMax: 1 << 20 }
  for await (const page of world.storage.scan(range)) rows.push(...page.values.map(decodeMapping))
  return rows
}

describe('the end of a stream', () => {
  it('is written before anybody may change or delete the mapping', async () => {
    world = await World.open()
    const { UUID } = await world.mapping(await world.table(), nothing)
    await world.put('a')
    let go = (): void => {}
    const remove = world.groups.delete.bind(world.groups)
    world.groups.delete = async (...given) => {
      await new Promise<void>((resolve) => {
        go = resolve
      })
      await remove(...given)
    }
    await world.run('DeleteTable', { TableName: 'todo' })
    await world.pass(5000, 500)
    expect(world.description(UUID).State).toBe('Disabling')
    await expect(world.mappings.update(UUID, { BatchSize: 7 })).rejects.toThrow('in use')
    await expect(world.mappings.delete(UUID)).rejects.toThrow('in use')
    go()
    await world.settle()
    expect(world.description(UUID).State).toBe('Disabled')
    await world.kill()
    expect(world.mappings.get(UUID).row).toMatchObject({ isOver: true, enabled: false })
  })

  it('that cannot be written is tried again', async () => {
    world = await World.open()
    const { UUID } = await world.mapping(await world.table(), nothing)
    const remove = world.groups.delete.bind(world.groups)
    let left = 1
    world.groups.delete = async (...given) => {
      if (left-- > 0) throw new Error('not now')
      await remove(...given)
    }
    await world.run('DeleteTable', { TableName: 'todo' })
    await world.pass(5000, 500)
    expect(world.description(UUID)).toMatchObject({
      State: 'Enabled',
      LastProcessingResult: 'PROBLEM: The end of the stream cannot be written',
    })
    await world.pass(60_000)
    expect(world.description(UUID).State).toBe('Disabled')
  })

  it('is not learned by a mapping that is being deleted: its row stays away', async () => {
    world = await World.open()
    const { UUID } = await world.mapping(await world.table(), nothing)
    await world.tables.changeLog('todo')
    await world.mappings.update(UUID, { Enabled: false })
    await world.settle()
    const deleting = world.mappings.delete(UUID)
    const mapping = world.mappings.get(UUID)
    await world.run('UpdateTable', { TableName: 'todo', StreamSpecification: { StreamEnabled: false } })
    mapping.look()
    await deleting
    await world.settle()
    expect(await storedRows()).toEqual([])
  })

  it('is what a mapping has come to that is stored without its group', async () => {
    world = await World.open()
    const { UUID } = await world.mapping(await world.table(), nothing)
    await world.groups.delete(mappingGroupName(UUID))
    await world.kill()
    expect(world.description(UUID).State).toBe('Disabled')
    expect(world.mappings.get(UUID).row.isOver).toBe(true)
  })
})

describe('what was answered holds over a kill, although a call is still under way:', () => {
  async function busy(): Promise<string> {
    world = await World.open()
    const { UUID } = await world.mapping(await world.table(), () => new Promise(() => {}))
    await world.put('a')
    await world.settle()
    return UUID
  }

  async function answered(asked: Promise<unknown>): Promise<void> {
    await world.pass(200)
    await asked
    await world.kill()
    await world.settle()
  }

  it('that it is disabled, and what else was changed', async () => {
    const UUID = await busy()
    await answered(world.mappings.update(UUID, { Enabled: false, BatchSize: 7 }))
    expect(world.description(UUID)).toMatchObject({ State: 'Disabled', BatchSize: 7 })
    expect(world.calls).toEqual([['a']])
  })

  it('that it is deleted', async () => {
    const UUID = await busy()
    await answered(world.mappings.delete(UUID))
    expect(world.mappings.all()).toEqual([])
    expect(world.groups.list()).toEqual([])
    expect(await storedRows()).toEqual([])
    expect(world.calls).toEqual([['a']])
  })

  it('and what could not be stored is not answered, and changes nothing', async () => {
    const UUID = await busy()
    const submit = world.commit.submit.bind(world.commit)
    world.commit.submit = () => Promise.reject(new Error('full'))
    await expect(world.mappings.update(UUID, { Enabled: false })).rejects.toThrow('full')
    world.commit.submit = submit
    expect(world.description(UUID)).toMatchObject({ State: 'Enabled' })
    await world.kill()
    expect(world.description(UUID).State).toBe('Enabled')
  })
})

describe('shards that are gone before they were read', () => {
  async function trimmed(isLast: boolean): Promise<string> {
    world = await World.open()
    const arn = await world.table()
    const { UUID } = await world.mapping(arn, nothing)
    await world.settle()
    await world.mappings.update(UUID, { Enabled: false })
    await world.settle()
    const { stream } = world.tables.awsStream(arn)!
    const splitAll = async () => {
      for (const { shard } of [...world.log.openShards(stream)]) await world.log.split(shard.id)
    }
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) await world.put(key)
    await splitAll()
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) await world.put(key, 'a', { n: { N: '1' } })
    await splitAll()
    const { log, groups, commit, clock, storage } = world
    const retention = new Retention({
      log,
      groups,
      commit,
      storage,
      clock,
      logger: silentLogger,
      defaults: { ms: 1000, bytes: 0, deletedMs: 1000, changeLogMs: 1000, windowMs: 1000 },
      heldBytesMax: 0,
      everyMs: 1000,
      rowsPerCommitMax: 1000,
      hasWindow: () => false,
      expireWindows: async () => {},
    })
    await world.pass(10_000)
    for (const key of ['g', 'h', 'i', 'j']) await world.put(key)
    for (let i = 0; i < 3; i++) await retention.run()
    await retention.close()
    // The shard that it stands in, and the four that are open.
    expect(log.shards(stream)).toHaveLength(5)
    if (isLast) {
      await world.tables.changeLog('todo')
      await world.run('UpdateTable', { TableName: 'todo', StreamSpecification: { StreamEnabled: false } })
    }
    await world.mappings.update(UUID, { Enabled: true })
    await world.pass(5000, 500)
    expect(world.calls.flat().sort()).toEqual(['g', 'h', 'i', 'j'])
    expect(world.mappings.get(UUID).counts.lost).toBeGreaterThan(1)
    return UUID
  }

  it('are passed over and counted, and what follows them is delivered', async () => {
    const UUID = await trimmed(false)
    await world.put('k')
    await world.pass(1000, 500)
    expect(world.calls.flat()).toContain('k')
    expect(world.mappings.get(UUID).lagRecords).toBe(0)
  })

  it('do not end a mapping whose stream has more', async () => {
    const UUID = await trimmed(true)
    expect(world.mappings.get(UUID).row.isOver).toBe(true)
  })
})

it('shards that are done to their ends are let go', async () => {
  world = await World.open()
  const arn = await world.table()
  await world.mapping(arn, nothing)
  const { stream } = world.tables.awsStream(arn)!
  for (let n = 0; n < 6; n++) {
    await world.log.split(world.log.openShards(stream)[0]!.shard.id)
    await world.pass(200, 50)
  }
  const noticed = vi.spyOn(ShardDelivery.prototype, 'noticed')
  try {
    await world.put('a')
    await world.settle()
    expect(new Set(noticed.mock.contexts).size).toBe(7)
  } finally {
    noticed.mockRestore()
  }
  expect(world.calls).toEqual([['a']])
})
