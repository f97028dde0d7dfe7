import type { Stream } from '../../src/log/index.js'
import type { MemoryStorage } from '../memory-storage.js'
import { Random } from '../simulation/random.js'
import { type Region, World } from './region-world.js'

export interface HistoryOptions {
  readonly folder: string
  readonly seed: number
  readonly steps: number
  /** Whether regions are opened from older copies of their data. */
  readonly restores?: boolean
}

/** Open shards of the change log of one region. */
const shardsMax = 8

/** What a history did; it must not be nothing. */
export interface HistoryCounts {
  writes: number
  kills: number
  cuts: number
  splits: number
  restores: number
  conflicts: number
}

/**
 * A random history over three regions whose clocks are a minute apart: writes, deletions, times to live, partitions, lost calls and
 * answers, kills, the end of it all, and then peace. All of it follows from the seed. Throws when the regions are not equal in
 * the end, or hold what nobody has written.
 */
export async function runHistory({ folder, seed, steps, restores = false }: HistoryOptions): Promise<HistoryCounts> {
  const random = new Random(seed)
  const world = await World.open(folder, ['us-east-1', 'eu-west-1', 'ap-south-1'], {
    tombstoneRetentionMs: 1_000,
    // So small that a backlog of a few writes is many batches.
    batchBytesMax: random.pick([300, 64 * 1024]),
  })
  // Few are written by all at once; of many, most are new to the others.
  const keys = random.pick([12, 500])
  const [us, eu, ap] = world.regions as [Region, Region, Region]
  const counts: HistoryCounts = { writes: 0, kills: 0, cuts: 0, splits: 0, restores: 0, conflicts: 0 }
  const copies = new Map<Region, MemoryStorage>()
  const written = new Map<string, Set<string | undefined>>()
  eu.clock.wall += 60_000
  ap.clock.wall -= 60_000
  await us.create('todo')
  await us.run('UpdateTimeToLive', {
    TableName: 'todo',
    TimeToLiveSpecification: { AttributeName: 'until', Enabled: true },
  })
  for (let i = 0; i < 5; i++) await write(us, `k${i}`, 'before the replicas')
  for (const other of [eu, ap]) await us.update('todo', { Create: { RegionName: other.name } })

  async function write(region: Region, pk: string, value: string | undefined): Promise<void> {
    const known = written.get(pk) ?? new Set([undefined])
    known.add(value)
    written.set(pk, known)
    const expires = value !== undefined && random.chance(0.2)
    const until = { N: String(Math.floor(region.clock.now() / 1000) + random.below(20)) }
    const item = { pk: { S: pk }, value: { S: value ?? '' }, ...(expires ? { until } : {}) }
    const input = value === undefined ? { Key: { pk: item.pk } } : { Item: item }
    const operation = value === undefined ? 'DeleteItem' : 'PutItem'
    const kind = random.below(3)
    if (kind === 0)
      await region.run('TransactWriteItems', {
        TransactItems: [{ [value === undefined ? 'Delete' : 'Put']: { TableName: 'todo', ...input } }],
      })
    else if (kind === 1)
      await region.run('BatchWriteItem', {
        RequestItems: { todo: [{ [value === undefined ? 'DeleteRequest' : 'PutRequest']: input }] },
      })
    else await region.run(operation, { TableName: 'todo', ...input })
    counts.writes++
  }

  /** Puts an item as it is. */
  async function again(region: Region, pk: string): Promise<void> {
    const key = { TableName: 'todo', Key: { pk: { S: pk } } }
    const { Item } = await region.run<{ Item?: object }>('GetItem', key)
    if (Item) await region.run('PutItem', { TableName: 'todo', Item })
  }

  /** Of the change log of a table, any shard. */
  async function split({ opened }: Region): Promise<void> {
    const { log } = opened as NonNullable<Region['opened']>
    const { id } = log.streamNamed('table:todo') as Stream
    const open = log.shards(id).filter(({ state }) => state === 'open')
    if (open.length >= shardsMax) return
    await log.split(random.pick(open).id)
    counts.splits++
  }

  world.loses = () => (random.chance(0.1) ? (random.chance(0.5) ? 'call' : 'answer') : undefined)
  for (let step = 0; step < steps; step++) {
    const region = random.pick(world.regions)
    const what = random.below(20)
    if (what === 0) {
      world.cut(region, random.pick(world.regions))
      counts.cuts++
    } else if (what === 1) world.heal()
    else if (what === 2 && region.opened) {
      region.kill()
      counts.kills++
    } else if (what === 3) for (const down of world.regions) if (!down.opened) await down.start()
    if (restores && what === 5 && region.opened && has(region)) copies.set(region, region.storage.afterPowerLoss())
    const copy = copies.get(region)
    if (restores && what === 6 && copy) {
      if (region.opened) region.kill()
      region.restore(copy.afterPowerLoss())
      counts.restores++
    }
    if (what === 4 && region.opened && has(region)) await Promise.race([split(region), world.pass(500)])
    if (region.opened && has(region)) {
      const pk = `k${random.below(keys)}`
      const value = random.chance(0.3) ? undefined : `${region.name} ${step}`
      // A kill takes what was not answered: it may be there, or not.
      const done = (random.chance(0.2) ? again(region, pk) : write(region, pk, value)).catch(() => {})
      if (random.chance(0.7)) await Promise.race([done, world.pass(500)])
    }
    // Some outages are longer than what a mark leaves out.
    if (random.below(25) === 0) await world.pass(90_000, 500)
    else await world.pass(random.pick([0, 50, 200, 1_500]))
  }
  world.loses = () => undefined
  world.heal()
  for (const region of world.regions) if (!region.opened) await region.start()
  await world.until(
    'all replicas are active',
    async () => {
      for (const region of world.regions) {
        if (!has(region)) return false
        const states = Object.values(await region.replicas('todo'))
        if (states.length !== 2 || states.some((state) => state !== 'ACTIVE')) return false
      }
      return true
    },
    300_000,
  )
  // Until every time to live is over, and no link waits for another attempt.
  await world.pass(40_000, 250)
  const verified = us.replication.verify('todo')
  await world.pass(3_000)
  const { different } = await verified
  const items = await Promise.all(world.regions.map((region) => region.items('todo')))
  const problem = JSON.stringify({ seed, different, items })
  if (different.length > 0) throw new Error(`The regions differ: ${problem}`)
  for (const each of items) {
    if (JSON.stringify(sorted(each)) !== JSON.stringify(sorted(items[0] as object)))
      throw new Error(`The items differ: ${problem}`)
    for (const [pk, value] of Object.entries(each))
      if (!written.get(pk)?.has(value)) throw new Error(`Nobody wrote ${pk} = ${value}: ${problem}`)
  }
  for (const region of world.regions) counts.conflicts += (await region.tables.replicas.listConflicts('todo', 1)).count
  await world.close()
  return counts
}

const has = (region: Region): boolean => region.tables.list().some(({ name }) => name === 'todo')

const sorted = (value: object): unknown => Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
