/** Triggers of the configuration: mappings that follow the file, their tables, and the streams of these. */
import { afterEach, describe, expect, it } from 'vitest'
import { triggerSchema } from '../../../src/config/triggers.js'
import { ConfiguredTriggers } from '../../../src/functions/index.js'
import type { Logger } from '../../../src/runtime/index.js'
import { World } from './world.js'

let world: World
afterEach(() => world.close())

const warned: string[] = []
const logger = { warn: (_about: object, text: string) => warned.push(text) } as unknown as Logger

async function open(): Promise<void> {
  warned.length = 0
  world = await World.open()
  world.invoker.handlers.set('count', () => null)
}

function triggers(...given: object[]): ConfiguredTriggers {
  const { mappings, tables, clock } = world
  const configured = { count: given.map((each) => triggerSchema.parse(each)) }
  return new ConfiguredTriggers({ configured, mappings, tables, clock, logger })
}

const shown = () => world.mappings.all().map(({ row, state }) => [row.source.tableName, row.settings.batchSize, state])

describe('triggers of the configuration', () => {
  it('are made when their table has a stream, changed, and removed, as the file says', async () => {
    await open()
    const first = triggers({
      table: 'todo',
      onFailure: 'file:failed',
      filterCriteria: { filters: [{ pattern: '{"a":[1]}' }] },
    })
    await first.look()
    await first.look()
    expect(shown()).toEqual([])
    expect(warned).toEqual(['The table todo has no stream that is on: its trigger waits for it.'])
    await world.table()
    await first.look()
    expect(shown()).toEqual([['todo', 100, 'Enabled']])
    const [made] = world.mappings.all()
    expect(made?.row).toMatchObject({
      isConfigured: true,
      settings: { onFailure: 'file:failed', filters: ['{"a":[1]}'] },
    })
    const modified = made?.row.lastModified
    await world.pass(1000)
    await first.look()
    expect(made?.row.lastModified).toBe(modified)
    await world.kill()
    await triggers({ table: 'todo', batchSize: 7 }).look()
    await world.settle()
    expect(shown()).toEqual([['todo', 7, 'Enabled']])
    expect(world.mappings.all()[0]?.row.settings).toMatchObject({ onFailure: undefined, filters: undefined })
    await triggers({ table: 'todo', batchSize: 7, enabled: false }).look()
    await world.settle()
    expect(shown()).toEqual([['todo', 7, 'Disabled']])
    await triggers().look()
    await world.settle()
    expect(shown()).toEqual([])
  })

  it('say at once what is refused, though their table is not there', async () => {
    await open()
    const refused = triggers({ table: 'todo', filterCriteria: { filters: [{ pattern: '{"a":[]}' }] } })
    await refused.look()
    await world.table()
    await refused.look()
    expect(warned).toEqual(['Invalid filter pattern definition.'])
    expect(shown()).toEqual([])
  })

  it('follow a table that is made again', async () => {
    await open()
    const kept = triggers({ table: 'todo' })
    await world.table()
    kept.start()
    await world.settle()
    await world.put('before')
    await world.settle()
    await world.run('DeleteTable', { TableName: 'todo' })
    await world.pass(3000, 500)
    await world.table()
    await world.put('after')
    await world.pass(3000, 500)
    expect(world.calls).toEqual([['before'], ['after']])
    expect(shown()).toEqual([['todo', 100, 'Enabled']])
    await kept.close()
  })

  it('go on where they stand when the region is called otherwise since', async () => {
    await open()
    await world.table()
    await triggers({ table: 'todo' }).look()
    await world.put('before')
    await world.pass(1000, 50)
    world.region = 'there-1'
    await world.kill()
    await triggers({ table: 'todo' }).look()
    await world.put('after')
    await world.pass(1000, 50)
    expect(world.calls).toEqual([['before'], ['after']])
    expect(shown()).toEqual([['todo', 100, 'Enabled']])
    const [made] = world.mappings.all()
    const arn = world.tables.latestStream('todo')?.arn
    expect([made?.row.source.arn, world.invoker.events[1]?.Records[0]?.eventSourceARN]).toEqual([arn, arn])
    expect(arn).toContain(':there-1:')
  })

  it('may be changed and deleted in the configuration alone', async () => {
    await open()
    await world.table()
    const kept = triggers({ table: 'todo' })
    await kept.look()
    const { id } = world.mappings.all()[0]!
    const refused = { type: 'ResourceInUseException', message: expect.stringMatching(/follows from the configuration/) }
    await expect(world.mappings.update(id, { BatchSize: 7 })).rejects.toMatchObject(refused)
    await expect(world.mappings.delete(id)).rejects.toMatchObject(refused)
    expect(shown()).toEqual([['todo', 100, 'Enabled']])
  })

  it('leave the mappings of users alone, and say what keeps them from being made', async () => {
    await open()
    const arn = await world.table()
    await world.mapping(arn, () => null, { BatchSize: 3 })
    await world.table('other')
    const both = triggers({ table: 'todo' }, { table: 'other', filterCriteria: { filters: [{ pattern: 'none' }] } })
    await both.look()
    await both.look()
    expect(shown()).toEqual([['todo', 3, 'Enabled']])
    expect(warned).toEqual([
      expect.stringMatching(/provided mapping already exists/),
      'Invalid filter pattern definition.',
    ])
  })
})
