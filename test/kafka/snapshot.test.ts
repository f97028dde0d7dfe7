import { afterEach, describe, expect, test } from 'vitest'
import { Random } from '../simulation/random.js'
import { StoreWorld } from './store-world.js'

const topic = 'millrace.todo'

const seeds = Array.from({ length: process.env.MILLRACE_LONG ? 40 : 3 }, (_, i) => i + 1)

let world: StoreWorld
afterEach(async () => {
  await world.close()
})

interface Envelope {
  readonly op: 'c' | 'u' | 'd' | 'r'
  readonly after: { readonly id: { readonly S: string }; readonly n: { readonly N: string } } | null
  readonly source: { readonly snapshot?: true; readonly table: string }
}

/** The table as somebody knows it who reads the topic, and how often each key was read by the snapshot. */
function replica() {
  const items = new Map<string, string>()
  const reads = new Map<string, number>()
  for (const { key, value, headers } of world.messages(topic)) {
    const id = (JSON.parse(String(key)) as { id: { S: string } }).id.S
    if (value === null) {
      expect(items.has(id), 'a tombstone comes behind its delete').toBe(false)
      continue
    }
    const { op, after, source } = JSON.parse(String(value)) as Envelope
    expect(headers['millrace-op']).toBe(op)
    expect(source.table).toBe('todo')
    if (op === 'r') {
      expect(source.snapshot).toBe(true)
      reads.set(id, (reads.get(id) ?? 0) + 1)
    }
    if (op === 'c') expect(items.has(id), `${id} is created once`).toBe(false)
    if (op === 'u') expect(items.has(id), `${id} is there before it is updated`).toBe(true)
    if (after === null) items.delete(id)
    else items.set(id, after.n.N)
  }
  return { items, reads }
}

async function untilDone(): Promise<void> {
  for (const end = Date.now() + 60_000; (await world.shown()).snapshot !== 'done'; ) {
    if (Date.now() > end) throw new Error(`no end of the snapshot: ${JSON.stringify(await world.shown())}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

describe.each(['exactly-once', 'at-least-once'] as const)('a snapshot (%s)', (guarantee) => {
  test('brings the items as they are, then each change once', async () => {
    world = await StoreWorld.open()
    await world.table()
    for (let i = 0; i < 30; i++) await world.put(`item-${i}`, i)
    await world.put('item-3', 300)
    await world.create({ source: 'table:todo', snapshot: true, guarantee })
    await untilDone()
    await world.put('item-4', 400)
    await world.remove('item-5')
    await world.put('new', 1)
    await world.caughtUp()
    const ops = world
      .messages(topic)
      .map(({ headers, value }) => (value === null ? 'tombstone' : headers['millrace-op']))
    expect(ops).toEqual([...Array(30).fill('r'), 'u', 'd', 'tombstone', 'c'])
    const { items } = replica()
    expect(items.size).toBe(30)
    expect(items.get('item-3')).toBe('300')
    expect(items.get('item-4')).toBe('400')
    // Nothing of it is left but the bridge's own group.
    expect(world.groups.list().map(({ name }) => name)).toEqual(['bridge:test'])
    expect(world.log.streams().filter(({ name, closedAt }) => name.startsWith('snapshot:') && !closedAt)).toEqual([])
    await world.restart()
    await world.put('item-6', 600)
    await world.caughtUp()
    expect(world.messages(topic)).toHaveLength(ops.length + 1)
  })
})

test.each(seeds)(
  'is consistent with what is written meanwhile, over stops, kills and an away broker (seed %i)',
  async (seed) => {
    const random = new Random(seed)
    world = await StoreWorld.open()
    await world.table()
    const expected = new Map<string, string>()
    const write = async () => {
      const id = `item-${random.below(300)}`
      if (random.chance(0.25)) {
        await world.remove(id)
        expected.delete(id)
      } else {
        const n = random.below(1_000_000)
        await world.put(id, n)
        expected.set(id, String(n))
      }
    }
    for (let i = 0; i < 400; i++) await write()
    await world.create({ source: 'table:todo', snapshot: true })
    for (let step = 0; step < 30; step++) {
      for (let i = random.below(8); i > 0; i--) await write()
      if (random.chance(0.15)) world.cluster.up = !world.cluster.up
      if (random.chance(0.1)) await world.restart()
      if (random.chance(0.15)) await world.kill()
      if (random.chance(0.1)) {
        const open = world.log.shards(world.log.streamNamed('table:todo')!.id).find(({ state }) => state === 'open')!
        await world.log.split(open.id)
      }
      await new Promise((resolve) => setTimeout(resolve, random.below(10)))
    }
    world.cluster.up = true
    await untilDone()
    await write()
    await world.caughtUp()
    const { items, reads } = replica()
    expect(items).toEqual(expected)
    for (const [id, count] of reads) expect(count, id).toBe(1)
  },
)

describe('a bridge in its snapshot', () => {
  const away = async () => {
    world = await StoreWorld.open()
    await world.table()
    await world.put('a', 1)
    world.cluster.up = false
    await world.create({ source: 'table:todo', snapshot: true })
  }

  test('refuses a seek with a reason, and can be paused and resumed over a restart', async () => {
    await away()
    await expect(world.bridges.seek('test', 'newest')).rejects.toMatchObject({ code: 'CONFLICT' })
    await world.bridges.pause('test')
    await world.restart()
    expect(await world.shown()).toMatchObject({ state: { kind: 'paused' }, snapshot: 'running' })
    world.cluster.up = true
    await world.bridges.resume('test')
    await untilDone()
    await world.caughtUp()
    expect(replica().items).toEqual(new Map([['a', '1']]))
  })

  test('is deleted with everything of it', async () => {
    await away()
    await world.bridges.delete('test')
    expect(world.groups.list()).toEqual([])
    await world.restart()
    expect(world.bridges.list()).toEqual([])
    expect(world.log.streams().find(({ name }) => name.startsWith('snapshot:'))?.closedAt).toBeDefined()
  })

  test('is of a table alone', async () => {
    world = await StoreWorld.open()
    await world.stream()
    await expect(world.create({ snapshot: true })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  })
})
