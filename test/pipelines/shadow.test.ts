import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'
import { HttpServer } from './http-server.js'

// A shadow beside its pipeline: nothing of it is seen in the real targets before the swap, and everything after it.
const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
const data = join(folder, 'data')
const env = {
  MILLRACE_WORKERS_THREADS: '2',
  MILLRACE_PIPELINES_RETRY_MS: '20',
  MILLRACE_PIPELINES_SWAP_BEHIND_MAX: '1000',
  MILLRACE_LOG_LEVEL: 'error',
}
let daemon: DaemonProcess
let server: HttpServer

const start = async () => {
  daemon = await DaemonProcess.start({ data, env })
}
const killed = async () => {
  await daemon.kill()
  await start()
}

beforeAll(async () => {
  ensureBuilt()
  server = await HttpServer.start()
  await start()
})

afterAll(async () => {
  expect(await daemon.stop()).toBe(0)
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

interface View {
  readonly name: string
  readonly state: string
  readonly revision: number
  readonly error?: { readonly message: string }
  readonly shadow?: {
    readonly of: string
    readonly isWhole: boolean
    readonly held: readonly { readonly sink: string; readonly records: number }[]
    readonly behind?: { readonly records: number; readonly seconds: number }
  }
  readonly takeOver?: { readonly tables: readonly { readonly into: string; readonly items: string }[] }
  readonly outboxes?: readonly { readonly records: number; readonly delivered: number }[]
}

let number = 0
async function deploy(source: string, more: object = {}): Promise<View> {
  const path = join(folder, `module-${number++}.ts`)
  writeFileSync(
    path,
    `import { existsSync } from 'node:fs'\nimport { file, http, pipeline, sink, stream, table, tumbling } from 'millrace'\n${source}`,
  )
  return daemon.v1<View>('POST', 'pipelines', { bundle: await bundleModule(path), ...more })
}
const shadow = (source: string, more: object = {}) => deploy(source, { shadow: true, ...more })
const show = (name: string) => daemon.v1<View>('GET', `pipelines/${name}`)
const swap = (name: string, body: object = {}) => daemon.v1<View>('POST', `pipelines/${name}/swap`, body)
const remove = (name: string) => daemon.v1('DELETE', `pipelines/${name}`)
const stream = (name: string, shards = 2) => daemon.v1('POST', 'streams', { name, shards })
const append = (name: string, records: readonly object[]) => daemon.v1('POST', `streams/${name}/records`, { records })
const lagOf = async (group: string) => (await daemon.v1<{ lag: number }>('GET', `groups/${group}`)).lag
const caughtUp = (name: string) => expect.poll(() => lagOf(`pipeline:${name}`)).toBe(0)
const table = (TableName: string) =>
  daemon.aws('CreateTable', {
    TableName,
    AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
  })
const put = (TableName: string, id: string, n: number) =>
  daemon.aws('PutItem', { TableName, Item: { id: { S: id }, n: { N: String(n) } } })
const tablesThere = async () => (await daemon.aws<{ TableNames: string[] }>('ListTables', {})).TableNames
const streamsThere = async () =>
  (await daemon.v1<{ streams: { name: string; closedAt?: number }[] }>('GET', 'streams')).streams
    .filter(({ closedAt }) => closedAt === undefined)
    .map(({ name }) => name)
const groupsThere = async () =>
  (await daemon.v1<{ groups: { name: string }[] }>('GET', 'groups')).groups.map(({ name }) => name)
/** Until what a swap left to be done is done. */
const settled = (name: string) =>
  expect.poll(async () => [(await show(name)).takeOver, (await show(name)).state]).toEqual([undefined, 'running'])

/** The numbers of a table by the ids of its items. */
async function numbersOf(TableName: string): Promise<Record<string, number>> {
  const { Items } = await daemon.aws<{ Items: Record<string, Record<string, string>>[] }>('Scan', { TableName })
  return Object.fromEntries(Items.map((item) => [item.id!.S, Number(item.n!.N)]))
}

async function valuesOf(name: string): Promise<unknown[]> {
  const { shards } = await daemon.v1<{ shards: { id: number }[] }>('GET', `streams/${name}/shards`)
  const pages = shards.map(({ id }) =>
    daemon.v1<{ records: { value: unknown }[] }>('GET', `streams/${name}/records?shard=${id}&limit=100000`),
  )
  return (await Promise.all(pages)).flatMap(({ records }) => records.map(({ value }) => value))
}

const linesOf = (name: string) =>
  readFileSync(join(data, 'files', name), 'utf8')
    .trim()
    .split('\n')

/** Appends the next numbers under one key of seven each. */
class Load {
  total = 0
  readonly #stream: string

  constructor(name: string) {
    this.#stream = name
  }

  async more(many: number): Promise<void> {
    await append(
      this.#stream,
      Array.from({ length: many }, () => ({ key: `k${this.total % 7}`, value: this.total++ })),
    )
  }

  /** What each key sums up to, its numbers taken so often. */
  sums(times = 1): Record<string, number> {
    const sums: Record<string, number> = {}
    for (let i = 0; i < this.total; i++) sums[`k${i % 7}`] = (sums[`k${i % 7}`] ?? 0) + times * i
    return sums
  }

  get numbers(): number[] {
    return Array.from({ length: this.total }, (_, i) => i)
  }
}
const sorted = (values: unknown[]) => (values as number[]).sort((a, b) => a - b)

describe('a shadow', () => {
  it('writes to targets of its own; the swap gives its results to the real ones, each record once, over kills', async () => {
    await stream('s-in', 3)
    await stream('s-out', 2)
    await table('s-sums')
    const source = (times: number, keys: string) => `
      const start = pipeline('s').from(stream<number>('s-in'))
      export default [
        start.to(stream('s-out', ({ key, value }) => ({ key, value }))),
        start.to(file('s.ndjson', ({ value }) => value)),
        start.to(http('${server.url}/s', { body: ({ value }) => value })),
        start.keyBy((record) => ${keys}).sum('sums', (record) => record.value * ${times})
          .to(table('s-sums', (n, id) => ({ id, n }))),
      ]`
    const wrong = source(2, `(record.value === 5 ? 'stray' : record.key)`)
    const load = new Load('s-in')
    await deploy(wrong)
    await load.more(700)
    await caughtUp('s')
    const before = await numbersOf('s-sums')
    expect(before.stray).toBe(10)
    const view = await shadow(source(1, 'record.key'))
    expect(view).toMatchObject({ name: 's.shadow', shadow: { of: 's', isWhole: true } })
    await caughtUp('s.shadow')
    await killed()
    await load.more(70)
    await caughtUp('s.shadow')
    await caughtUp('s')
    expect(await numbersOf('s-sums.shadow')).toEqual(load.sums())
    expect((await numbersOf('s-sums')).stray).toBe(10)
    for (const name of ['s-out', 's-out.shadow']) expect(sorted(await valuesOf(name))).toEqual(load.numbers)
    expect(linesOf('s.shadow.ndjson')).toHaveLength(load.total)
    const shown = await show('s.shadow')
    expect(shown.shadow?.behind).toEqual({ records: 0, seconds: 0 })
    // Since the start of the daemon.
    expect(shown.shadow?.held).toEqual([{ sink: expect.stringContaining('/s'), records: 70 }])
    expect(shown.outboxes).toBeUndefined()
    expect(await streamsThere()).toEqual(expect.arrayContaining(['s-out', 's-out.shadow']))
    const split = async () => {
      const { shards } = await daemon.v1<{ shards: { id: number; state: string }[] }>('GET', 'streams/s-in/shards')
      const open = shards.find(({ state }) => state === 'open')!
      await daemon.v1('POST', `streams/s-in/shards/${open.id}/split`, {})
    }
    await split()
    await load.more(70)
    // Shards split while the two come to the same record.
    const [swapped] = await Promise.all([
      swap('s'),
      load
        .more(700)
        .then(split)
        .then(() => load.more(70)),
    ])
    expect(swapped).toMatchObject({ name: 's', revision: 2 })
    await settled('s')
    await load.more(70)
    await killed()
    await caughtUp('s')
    expect(await numbersOf('s-sums')).toEqual(load.sums())
    // Streams, files and what goes outside: what the older one gave up to the swap, and the newer one from there on.
    expect(sorted(await valuesOf('s-out'))).toEqual(load.numbers)
    expect(sorted(linesOf('s.ndjson').map(Number))).toEqual(load.numbers)
    await expect.poll(async () => (await show('s')).outboxes?.[0]?.records).toBe(0)
    // A batch that was sent again after a kill has its key again.
    const sent = new Map(server.accepted.map(({ key, body }) => [key, JSON.parse(body) as number[]]))
    expect(sorted([...sent.values()].flat())).toEqual(load.numbers)
    expect(await tablesThere()).not.toContain('s-sums.shadow')
    expect(await streamsThere()).not.toContain('s-out.shadow')
    expect(existsSync(join(data, 'files', 's.shadow.ndjson'))).toBe(false)
    expect((await groupsThere()).filter((name) => name.startsWith('pipeline:s'))).toEqual(['pipeline:s'])
    expect(await daemon.v1('GET', 'pipelines')).toMatchObject({ pipelines: [{ name: 's' }] })
    await remove('s')
  })

  it('that is deleted takes its targets with it, rolled files among them; its pipeline knows nothing of it', async () => {
    await stream('d-in', 1)
    await stream('d-out', 3)
    await table('d-sums')
    const source = `
      const start = pipeline('d').from(stream<number>('d-in'))
      export default [
        start.to(stream('d-out', ({ key, value }) => ({ key, value }))),
        start.to(file('d/lines.csv', ({ value }) => ({ value }), { format: 'csv', columns: ['value'], roll: { bytesMax: 100 } })),
        start.to(sink({ name: 'own', write: () => {} })),
        start.keyByPartition().sum('sums', (record) => record.value).to(table('d-sums', (n, { key }) => ({ id: key, n }))),
      ]`
    const load = new Load('d-in')
    await deploy(source)
    await load.more(70)
    await caughtUp('d')
    const files = () => readdirSync(join(data, 'files', 'd')).sort()
    const before = files()
    await shadow(`${source} // beside`)
    await caughtUp('d.shadow')
    // One commit may have brought all of it into one file, which another one closes.
    await load.more(10)
    await caughtUp('d.shadow')
    expect(await numbersOf('d-sums.shadow')).toEqual(load.sums())
    const { shards } = await daemon.v1<{ shards: object[] }>('GET', 'streams/d-out.shadow/shards')
    expect(shards).toHaveLength(3)
    expect(files().filter((name) => name.startsWith('lines.shadow.0')).length).toBeGreaterThan(0)
    expect((await show('d.shadow')).shadow?.held).toEqual([{ sink: 'user:own', records: 80 }])
    await remove('d.shadow')
    // Its pipeline may have closed a file of its own meanwhile.
    expect(files()).toEqual(expect.arrayContaining(before))
    expect(files().filter((name) => name.includes('shadow'))).toEqual([])
    expect(await tablesThere()).not.toContain('d-sums.shadow')
    expect(await streamsThere()).not.toContain('d-out.shadow')
    expect((await groupsThere()).filter((name) => name.startsWith('pipeline:d'))).toEqual(['pipeline:d'])
    await load.more(70)
    await caughtUp('d')
    expect(await numbersOf('d-sums')).toEqual(load.sums())
    expect(await show('d')).toMatchObject({ revision: 1, state: 'running' })
    await remove('d')
  })

  it('that began later, or whose table others write to, leaves items alone that it does not have, unless it is told', async () => {
    await stream('f-in', 1)
    await table('f-sums')
    const source = (name: string) => `export default pipeline('${name}').from(stream<number>('f-in'))
      .keyByPartition().sum('sums', (record) => record.value).to(table('f-sums', (n, { key }) => ({ id: key, n })))`
    await deploy(source('f'))
    await append('f-in', [{ key: 'a', value: 1 }])
    await caughtUp('f')
    const [position] = (await daemon.v1<{ positions: { next: number }[] }>('GET', 'groups/pipeline:f')).positions
    await append('f-in', [{ key: 'b', value: 2 }])
    await caughtUp('f')
    await put('f-sums', 'own', 3)
    expect((await shadow(`${source('f')} // later`, { from: position!.next })).shadow).toMatchObject({ isWhole: false })
    await caughtUp('f.shadow')
    expect(await numbersOf('f-sums.shadow')).toEqual({ b: 2 })
    expect((await swap('f')).takeOver?.tables).toEqual([{ from: 'f-sums.shadow', into: 'f-sums', items: 'merge' }])
    await settled('f')
    expect(await numbersOf('f-sums')).toEqual({ a: 1, b: 2, own: 3 })
    // Another pipeline writes to the table, too.
    await deploy(source('f2'))
    await shadow(source('f'))
    await caughtUp('f.shadow')
    expect((await swap('f')).takeOver?.tables).toMatchObject([{ items: 'merge' }])
    await settled('f')
    await remove('f2')
    await shadow(`${source('f')} // again`)
    await caughtUp('f.shadow')
    expect((await swap('f')).takeOver?.tables).toMatchObject([{ items: 'replace' }])
    await settled('f')
    expect(await numbersOf('f-sums')).toEqual({ a: 1, b: 2 })
    await put('f-sums', 'own', 3)
    await shadow(source('f'))
    await caughtUp('f.shadow')
    await swap('f', { items: 'merge' })
    await settled('f')
    expect(await numbersOf('f-sums')).toEqual({ a: 1, b: 2, own: 3 })
    expect(await show('f')).toMatchObject({ revision: 5 })
    await remove('f')
  })

  it('is swapped while it is near its pipeline and both run, or where they stand with force', async () => {
    await stream('b-in', 1)
    await table('b-sums')
    const source = (times: number) => `export default pipeline('b').from(stream<number>('b-in'))
      .keyByPartition().sum('sums', (record) => record.value * ${times}).to(table('b-sums', (n, { key }) => ({ id: key, n })))`
    const load = new Load('b-in')
    await deploy(source(2))
    await load.more(1400)
    await caughtUp('b')
    await daemon.v1('POST', 'pipelines/b/pause')
    await shadow(source(1))
    await caughtUp('b.shadow')
    await expect(swap('b')).rejects.toThrow(/409.*b is paused/)
    await daemon.v1('POST', 'pipelines/b/resume')
    await remove('b.shadow')
    // It reads on only when the file is there.
    const gate = join(folder, 'gate')
    await shadow(
      source(1).replace(
        '.keyByPartition()',
        `.peek(async () => { while (!existsSync(${JSON.stringify(gate)})) await new Promise((go) => setTimeout(go, 10)) })$&`,
      ),
    )
    const { behind } = (await show('b.shadow')).shadow!
    expect(behind!.records).toBeGreaterThanOrEqual(1400)
    expect(behind!.seconds).toBeGreaterThan(0)
    await expect(swap('b')).rejects.toThrow(/409.*behind it, more than 1000 .*b.shadow/)
    writeFileSync(gate, '')
    await caughtUp('b.shadow')
    expect((await show('b.shadow')).shadow!.behind).toEqual({ records: 0, seconds: 0 })
    await daemon.v1('POST', 'pipelines/b.shadow/pause')
    await expect(swap('b')).rejects.toThrow(/409.*b.shadow is paused/)
    await daemon.v1('POST', 'pipelines/b/pause')
    expect(await swap('b', { force: true })).toMatchObject({ state: 'paused', revision: 2 })
    await daemon.v1('POST', 'pipelines/b/resume')
    await settled('b')
    await caughtUp('b')
    expect(await numbersOf('b-sums')).toEqual(load.sums())
    await remove('b')
  })

  it('is refused with a sentence where it cannot be', async () => {
    await stream('x-in', 1)
    await stream('x-out', 1)
    const source = (name: string, more = '') => `export default pipeline('${name}').from(stream('x-in'))${more}
      .to(stream('x-out', ({ key, value }) => ({ key, value })))`
    await expect(shadow(source('x'))).rejects.toThrow(/404.*no pipeline named x to be the shadow of/)
    await expect(deploy(source('x.shadow'))).rejects.toThrow(/PIPELINE_INVALID.*name of a shadow/)
    await expect(swap('x')).rejects.toThrow(/404.*no pipeline named x/)
    await deploy(source('x'))
    await expect(swap('x')).rejects.toThrow(/404.*x has no shadow/)
    await expect(deploy(source('x', '.peek(() => {})'), { from: 1 })).rejects.toThrow(/400.*Only a shadow/)
    await expect(
      shadow(source('x', `.through('x-out', (record: any) => ({ key: record.key, value: record.value }))`)),
    ).rejects.toThrow(/PIPELINE_INVALID.*stream in between has no shadow/)
    await stream('x-out.shadow', 1)
    await expect(shadow(source('x'))).rejects.toThrow(/409.*stream x-out.shadow, which is there/)
    await daemon.v1('DELETE', 'streams/x-out.shadow')
    await shadow(source('x'))
    // The module of the pipeline itself is another one than that of its shadow.
    await expect(shadow(source('x', '.peek(() => {})'))).rejects.toThrow(/409.*x.shadow is there with another module/)
    await remove('x')
    await expect(swap('x')).rejects.toThrow(/404.*no pipeline named x/)
    await remove('x.shadow')
  })
})
