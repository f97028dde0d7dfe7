import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { feedPoints } from '../../src/runtime/kill-point.js'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'

// A table's items first, then its changes: each write counts once, whatever is written, split and killed meanwhile.
const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
const data = join(folder, 'data')
let daemon: DaemonProcess

const start = async (killAt?: string) => {
  daemon = await DaemonProcess.start({
    data,
    env: {
      MILLRACE_WORKERS_THREADS: '2',
      MILLRACE_PIPELINES_RETRY_MS: '20',
      MILLRACE_PIPELINES_HANDOVER_BYTES: '4096',
      MILLRACE_LOG_LEVEL: 'error',
      ...(killAt ? { MILLRACE_TEST_KILL_AT: killAt } : {}),
    },
  })
}

beforeAll(async () => {
  ensureBuilt()
  await start()
})

afterAll(async () => {
  expect(await daemon.stop()).toBe(0)
  rmSync(folder, { recursive: true, force: true })
})

const table = (TableName: string, sort = false) =>
  daemon.aws('CreateTable', {
    TableName,
    AttributeDefinitions: [
      { AttributeName: 'id', AttributeType: 'S' },
      ...(sort ? [{ AttributeName: 'line', AttributeType: 'N' }] : []),
    ],
    KeySchema: [
      { AttributeName: 'id', KeyType: 'HASH' },
      ...(sort ? [{ AttributeName: 'line', KeyType: 'RANGE' }] : []),
    ],
    BillingMode: 'PAY_PER_REQUEST',
  })

type Attributes = Readonly<Record<string, Record<string, string>>>

async function itemsOf(TableName: string): Promise<Attributes[]> {
  const items: Attributes[] = []
  for (let ExclusiveStartKey: unknown; ; ) {
    const page = await daemon.aws<{ Items: Attributes[]; LastEvaluatedKey?: unknown }>('Scan', {
      TableName,
      ...(ExclusiveStartKey ? { ExclusiveStartKey } : {}),
    })
    items.push(...page.Items)
    ExclusiveStartKey = page.LastEvaluatedKey
    if (!ExclusiveStartKey) return items
  }
}

/** The sums of amounts by `id`, without those that are 0. */
async function sumsOf(TableName: string, attribute: string): Promise<Record<string, number>> {
  const sums = new Map<string, number>()
  for (const item of await itemsOf(TableName))
    sums.set(item.id!.S!, (sums.get(item.id!.S!) ?? 0) + Number(item[attribute]!.N))
  return Object.fromEntries([...sums].filter(([, sum]) => sum !== 0).sort())
}

let number = 0
async function deploy(source: string): Promise<unknown> {
  const path = join(folder, `module-${number++}.ts`)
  writeFileSync(path, `import { file, pipeline, stream, table, tumbling } from 'millrace'\n${source}`)
  return daemon.v1('POST', 'pipelines', { bundle: await bundleModule(path) })
}
const lagOf = async (group: string) => (await daemon.v1<{ lag: number }>('GET', `groups/${group}`)).lag
const settled = async (name: string, groups: readonly string[]) => {
  await expect
    .poll(async () => (await daemon.v1<{ tasks: number }>('GET', `pipelines/${name}`)).tasks)
    .toBeGreaterThan(0)
  for (const group of groups) await expect.poll(() => lagOf(group)).toBe(0)
}

/** A generator of numbers that can be repeated. */
function dice(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return (state >>> 8) % below
  }
}

const orders = 100
const lines = 25

async function fill(TableName: string): Promise<void> {
  const all = Array.from({ length: orders * lines }, (_, i) => ({
    id: { S: `order-${Math.floor(i / lines)}` },
    line: { N: String(i % lines) },
    amount: { N: String(1 + (i % 7)) },
    text: { S: 'x'.repeat(600) },
  }))
  for (let i = 0; i < all.length; i += 25)
    await daemon.aws('BatchWriteItem', {
      RequestItems: { [TableName]: all.slice(i, i + 25).map((Item) => ({ PutRequest: { Item } })) },
    })
}

/** Writes at random until told to stop; what a kill answers with an error may have happened or not. */
async function write(TableName: string, seed: number, isOver: () => boolean): Promise<void> {
  const roll = dice(seed)
  while (!isOver()) {
    const Key = { id: { S: `order-${roll(orders + 10)}` }, line: { N: String(roll(lines + 5)) } }
    const kind = roll(3)
    try {
      if (kind === 0) await daemon.aws('DeleteItem', { TableName, Key })
      else await daemon.aws('PutItem', { TableName, Item: { ...Key, amount: { N: String(roll(100)) } } })
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

const sumsModule = (name: string) => `
  interface Line { id: string; line: number; amount: number }
  const amount = (line: Line | undefined) => line?.amount ?? 0
  const changes = pipeline('${name}').from(table<Line>('${name}', { snapshot: true }))
  export default [
    changes.keyByPartition()
      .sum('inPlace', (change) => amount(change.new) - amount(change.old))
      .to(table('${name}-inPlace', (sum, key) => ({ id: key.id, sum }))),
    changes.keyBy((change) => String(change.keys.id))
      .sum('moved', (change) => amount(change.new) - amount(change.old))
      .to(table('${name}-moved', (sum, id) => ({ id, sum }))),
    changes.keyBy((change) => change.keys.id + ' ' + change.keys.line)
      .sum('present', (change) => (change.type === 'insert' ? 1 : change.type === 'remove' ? -1 : 0))
      .to(table('${name}-present', (sum, id) => ({ id, sum }))),
  ]`

async function expectSums(name: string): Promise<void> {
  const expected = await sumsOf(name, 'amount')
  await expect.poll(() => sumsOf(`${name}-moved`, 'sum')).toEqual(expected)
  await expect.poll(() => sumsOf(`${name}-inPlace`, 'sum')).toEqual(expected)
  const present = (await itemsOf(name)).map(({ id, line }) => [`${id!.S} ${line!.N}`, 1])
  expect(await sumsOf(`${name}-present`, 'sum')).toEqual(Object.fromEntries(present.sort()))
}

async function tables(name: string): Promise<void> {
  await table(name, true)
  for (const sink of ['inPlace', 'moved', 'present']) await table(`${name}-${sink}`)
}

const split = async (name: string) => {
  const { shards } = await daemon.v1<{ shards: { id: number; state: string }[] }>('GET', `streams/table:${name}/shards`)
  const open = shards.filter(({ state }) => state === 'open')
  await daemon.v1('POST', `streams/table:${name}/shards/${open[Math.floor(open.length / 2)]!.id}/split`, {})
}

/** One count of each in CI, all in the long tests. */
function countsOf(point: string): number[] {
  if (point === 'feed:closed') return [1]
  return process.env.MILLRACE_LONG ? [1, 2, 3] : [2]
}

/** Each place, and how often it is passed before: the stream is closed once, the items come in three parts at least. */
const kills = feedPoints.flatMap((point) => countsOf(point).map((count): [string, number] => [point, count]))

const groupsOf = (name: string) => [`pipeline:${name}:snapshot:table:${name}`, `pipeline:${name}`]

describe('a table with its snapshot as a source', () => {
  it('gives the items that are there as inserts, in a table whose items were never a change', async () => {
    await table('quiet')
    await table('quiet-sums')
    await daemon.aws('PutItem', { TableName: 'quiet', Item: { id: { S: 'a' }, amount: { N: '3' } } })
    await daemon.aws('PutItem', { TableName: 'quiet', Item: { id: { S: 'b' }, amount: { N: '4' } } })
    await deploy(`
      export default pipeline('quiet')
        .from(table<{ id: string; amount: number }>('quiet', { snapshot: true }))
        .filter((change) => change.type === 'insert' && change.old === undefined)
        .keyBy((change) => change.new?.id ?? '')
        .sum('amount', (change) => change.new?.amount ?? 0)
        .to(table('quiet-sums', (sum, id) => ({ id, sum })))`)
    await expect.poll(() => sumsOf('quiet-sums', 'sum')).toEqual({ a: 3, b: 4 })
    await daemon.aws('PutItem', { TableName: 'quiet', Item: { id: { S: 'c' }, amount: { N: '5' } } })
    await expect.poll(() => sumsOf('quiet-sums', 'sum')).toEqual({ a: 3, b: 4, c: 5 })
    // The stream that brought the items is the daemon's own, and closed.
    const { streams } = await daemon.v1<{ streams: { name: string }[] }>('GET', 'streams')
    expect(streams.map(({ name }) => name)).not.toContain('feed:quiet:table-quiet')
  })

  it('loses no item to event time: it stands still until the items are read, whatever their order', async () => {
    await table('timed')
    const hours = 40
    for (let i = 0; i < hours; i++)
      await daemon.aws('PutItem', {
        TableName: 'timed',
        Item: { id: { S: `item-${i}` }, at: { N: String(i * 3_600_000) } },
      })
    await deploy(`
      export default pipeline('timed')
        .from(table<{ id: string; at: number }>('timed', { snapshot: true }))
        .eventTime((change) => change.new?.at ?? 0)
        .keyBy(() => 'all')
        .window(tumbling('1h'))
        .count('perHour')
        .to(file('timed.ndjson', ({ start, value }) => ({ start, value })))`)
    await settled('timed', [groupsOf('timed')[0]!])
    // The first change behind them lets time go on.
    await daemon.aws('PutItem', {
      TableName: 'timed',
      Item: { id: { S: 'now' }, at: { N: String(hours * 3_600_000) } },
    })
    const windows = () =>
      readFileSync(join(data, 'files', 'timed.ndjson'), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as { start: number; value: number })
    const expected = Array.from({ length: hours }, (_, i) => ({ start: i * 3_600_000, value: 1 }))
    await expect.poll(() => windows().sort((a, b) => a.start - b.start)).toEqual(expected)
  })

  it('a bounded run reads the items as they are, to an end', async () => {
    await table('ended')
    await table('ended-sums')
    for (const [id, amount] of [
      ['a', 1],
      ['b', 2],
      ['a', 3],
    ] as const)
      await daemon.aws('PutItem', { TableName: 'ended', Item: { id: { S: id }, amount: { N: String(amount) } } })
    const path = join(folder, 'ended.ts')
    writeFileSync(
      path,
      `import { pipeline, table, tumbling } from 'millrace'
      export default pipeline('ended')
        .from(table<{ id: string; amount: number }>('ended', { snapshot: true }))
        .eventTime((change) => change.new?.amount ?? 0)
        .keyByPartition().window(tumbling('1s')).sum('amount', (change) => change.new?.amount ?? 0)
        .to(table('ended-sums', ({ value }, key) => ({ id: key.id, sum: value })))`,
    )
    const bundle = await bundleModule(path)
    await expect(daemon.v1('POST', 'pipeline-runs', { bundle, from: 1 })).rejects.toThrow(/no range/)
    await daemon.v1('POST', 'pipeline-runs', { bundle })
    await expect
      .poll(async () => (await daemon.v1<{ state: string }>('GET', 'pipelines/ended.run')).state)
      .toBe('finished')
    expect(await sumsOf('ended-sums', 'sum')).toEqual({ a: 3, b: 2 })
  })

  it('goes on over a redeploy in its midst, a source that is added brings its items, and one that is left out leaves nothing', async () => {
    for (const name of ['first', 'second']) {
      await table(name, true)
      await fill(name)
    }
    await table('both')
    const module = (sources: readonly string[], step = 'amounts') => `
      interface Line { id: string; amount: number }
      const both = pipeline('both')
      const flows = [${sources.map((name) => `both.from(table<Line>('${name}', { snapshot: true }))`).join(', ')}]
      const flow = flows.length > 1 ? flows[0].merge(...flows.slice(1)) : flows[0]
      export default flow.keyBy((change) => String(change.keys.id))
        .sum('${step}', (change) => (change.new?.amount ?? 0) - (change.old?.amount ?? 0))
        .to(table('both', (sum, id) => ({ id, sum })))`
    await deploy(module(['first']))
    await deploy(module(['first', 'second']))
    await deploy(module(['second', 'first']))
    const groups = async () =>
      (await daemon.v1<{ groups: { name: string; lag: number }[] }>('GET', 'groups')).groups.filter(({ name }) =>
        name.startsWith('pipeline:both'),
      )
    await expect.poll(async () => (await groups()).map(({ lag }) => lag)).toEqual([0, 0, 0, 0])
    const [first, second] = [await sumsOf('first', 'amount'), await sumsOf('second', 'amount')]
    const sums = Object.fromEntries(Object.entries(first).map(([id, sum]) => [id, sum + second[id]!]))
    await expect.poll(() => sumsOf('both', 'sum')).toEqual(sums)
    await deploy(module(['second'], 'ofSecond'))
    await expect.poll(async () => (await groups()).length).toBe(2)
    await daemon.aws('PutItem', {
      TableName: 'second',
      Item: { id: { S: 'new' }, line: { N: '1' }, amount: { N: '5' } },
    })
    await expect.poll(() => sumsOf('both', 'sum')).toEqual({ ...sums, new: 5 })
    await daemon.v1('DELETE', 'pipelines/both')
    expect(await groups()).toEqual([])
    const { streams } = await daemon.v1<{ streams: { name: string; closedAt?: unknown }[] }>(
      'GET',
      'streams?internal=true',
    )
    expect(streams.filter(({ name, closedAt }) => name.startsWith('feed:both') && closedAt === undefined)).toEqual([])
  })

  it.each([
    ['throws', "throw new Error('cannot')"],
    ['ends its thread', 'process.exit(3)'],
  ])('parks an item at which a step %s, and the changes of its key behind it', async (what, fault) => {
    const name = `poison-${what.slice(0, 4)}`
    await table(name)
    await table(`${name}-sums`)
    for (const id of ['a', 'bad', 'c'])
      await daemon.aws('PutItem', { TableName: name, Item: { id: { S: id }, amount: { N: '1' } } })
    await deploy(`
      export default pipeline('${name}')
        .from(table<{ id: string; amount: number }>('${name}', { snapshot: true }))
        .keyBy((change) => String(change.keys.id))
        .sum('amount', (change, id) => {
          if (id === 'bad') ${fault}
          return (change.new?.amount ?? 0) - (change.old?.amount ?? 0)
        })
        .to(table('${name}-sums', (sum, id) => ({ id, sum })))`)
    const parked = async () =>
      (await daemon.v1<{ parked: { records: number } }>('GET', `pipelines/${name}`)).parked.records
    await expect.poll(parked).toBe(1)
    await daemon.aws('PutItem', { TableName: name, Item: { id: { S: 'bad' }, amount: { N: '2' } } })
    await daemon.aws('PutItem', { TableName: name, Item: { id: { S: 'a' }, amount: { N: '4' } } })
    await expect.poll(() => sumsOf(`${name}-sums`, 'sum')).toEqual({ a: 4, c: 1 })
    await expect.poll(parked).toBe(2)
  })

  it('counts every write once beside random writes and splits', async () => {
    await tables('busy')
    await fill('busy')
    let isOver = false
    const writers = [1, 2, 3].map((seed) => write('busy', seed, () => isOver))
    await deploy(sumsModule('busy'))
    await split('busy')
    await split('busy')
    await expect.poll(() => lagOf(groupsOf('busy')[0]!)).toBe(0)
    await split('busy')
    isOver = true
    await Promise.all(writers)
    await settled('busy', groupsOf('busy'))
    await expectSums('busy')
  })

  it.each(kills)('loses and repeats nothing when the daemon is killed at %s, time %i', async (point, count) => {
    const name = `killed-${point.replace(':', '-')}-${count}`
    await tables(name)
    await fill(name)
    await daemon.stop()
    await start(`${point}:${count}`)
    let isOver = false
    const writer = write(name, 5, () => isOver)
    await deploy(sumsModule(name)).catch(() => {})
    await split(name).catch(() => {})
    await daemon.exited
    await start()
    const { pipelines } = await daemon.v1<{ pipelines: { name: string }[] }>('GET', 'pipelines')
    if (!pipelines.some((each) => each.name === name)) await deploy(sumsModule(name))
    await split(name)
    isOver = true
    await writer
    await settled(name, groupsOf(name))
    await expectSums(name)
    await daemon.v1('DELETE', `pipelines/${name}`)
  })
})
