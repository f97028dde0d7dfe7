import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { millrace } from '../cli/millrace.js'
import { DaemonProcess } from '../daemon-process.js'

// Pipelines that do what they must not, each beside a healthy one on the same single thread.
const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
const data = join(folder, 'data')
const env = {
  MILLRACE_WORKERS_THREADS: '1',
  MILLRACE_WORKERS_HEAP_BYTES_MAX: String(32 * 1024 * 1024),
  MILLRACE_PIPELINES_STEP_TIMEOUT_MS: '2000',
  MILLRACE_PIPELINES_ATTEMPTS_MAX: '2',
  MILLRACE_PIPELINES_BARRIER_TIMEOUT_MS: '60000',
  // Here a pipeline stops at what it cannot take; parked.test.ts has the other way.
  MILLRACE_PIPELINES_ON_ERROR: 'stop',
  MILLRACE_PIPELINES_RETRY_MS: '20',
  // Smaller than one handover: every epoch is full at once.
  MILLRACE_PIPELINES_EPOCH_BYTES_MAX: '262144',
  MILLRACE_LOG_LEVEL: 'info',
}
let daemon: DaemonProcess
let stdout = ''

async function start(): Promise<void> {
  daemon = await DaemonProcess.start({ data, env })
  daemon.child.stdout?.on('data', (text: Buffer) => {
    stdout += text.toString()
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

interface View {
  readonly name: string
  readonly state: string
  readonly attempts: number
  readonly error?: { code: string; message: string; stack?: string; step?: number; sequence?: number }
}

let number = 0
const head = "import { file, pipeline, stream, table } from 'millrace'\n"
async function bundle(source: string): Promise<string> {
  const path = join(folder, `module-${number++}.ts`)
  writeFileSync(path, head + source)
  return bundleModule(path)
}
const deploy = async (source: string) => daemon.v1<View>('POST', 'pipelines', { bundle: await bundle(source) })
const show = (name: string) => daemon.v1<View>('GET', `pipelines/${name}`)
const remove = (name: string) => daemon.v1('DELETE', `pipelines/${name}`)
const append = (name: string, records: readonly object[]) => daemon.v1('POST', `streams/${name}/records`, { records })
const numbers = (count: number) => Array.from({ length: count }, (_, i) => ({ key: `k${i}`, value: i }))

/** Waits for what must come; the test's own time-out ends a wait for what never does. */
async function until<T>(look: () => Promise<T | undefined | false>): Promise<T> {
  for (;;) {
    const found = await look()
    if (found) return found
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
const reaches = (name: string, state: string) =>
  until(async () => {
    const view = await show(name)
    return view.state === state && view
  })
const caughtUp = (name: string) =>
  until(async () => (await daemon.v1<{ lag: number }>('GET', `groups/pipeline:${name}`)).lag === 0)
const table = (TableName: string, hash = 'id', type = 'S') =>
  daemon.aws('CreateTable', {
    TableName,
    AttributeDefinitions: [{ AttributeName: hash, AttributeType: type }],
    KeySchema: [{ AttributeName: hash, KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
  })
const rows = async (TableName: string) =>
  (await daemon.aws<{ Items: Record<string, Record<string, string>>[] }>('Scan', { TableName })).Items

describe('beside a healthy pipeline', () => {
  it.each<[string, string, string, string]>([
    ['loops over microtasks', 'return (async () => { for (;;) await null })()', 'STEP_TIMEOUT', 'stepTimeoutMs'],
    [
      'blocks its thread',
      'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)',
      'STEP_TIMEOUT',
      'stepTimeoutMs',
    ],
    [
      'takes all memory',
      'const all: unknown[] = []; for (;;) all.push(new Array(100_000).fill({}))',
      'PIPELINE_FAILED|STEP_TIMEOUT',
      'heapBytesMax|stepTimeoutMs',
    ],
    ['exits', 'process.exit(3)', 'PIPELINE_FAILED', 'process.exit(3)'],
    [
      'throws in a timer',
      'setTimeout(() => { throw new Error("tick") }); return new Promise(() => {})',
      'PIPELINE_FAILED',
      'tick',
    ],
    [
      'rejects a promise that nobody awaits',
      'void Promise.reject(new Error("nobody")); return new Promise(() => {})',
      'PIPELINE_FAILED',
      'nobody',
    ],
    [
      'exits in a timer',
      'setTimeout(() => process.exit(4)); return new Promise(() => {})',
      'PIPELINE_FAILED',
      'process.exit(4)',
    ],
    ['throws a text of 10 MB', 'throw new Error("x".repeat(10_000_000))', 'PIPELINE_FAILED', 'xxx'],
    [
      'throws an error with a code of ours',
      'throw Object.assign(new Error("mine"), { code: "STORE_FAILED" })',
      'PIPELINE_FAILED',
      'mine',
    ],
  ])('one that %s fails alone', async (how, body, code, says) => {
    const name = how.replace(/\W/g, '-')
    const source = `in-${name}`
    await daemon.v1('POST', 'streams', { name: source, shards: 3 })
    await table(`counts-${name}`)
    await deploy(
      `export default pipeline('healthy').from(stream('${source}')).keyByPartition().count('n').to(table('counts-${name}', (n, key) => ({ id: key.key, n })))`,
    )
    await deploy(
      `export default pipeline('${name}').from(stream<number>('${source}')).map((record): unknown => { if (record.value === 13) { ${body} } return 1 }).to(file('${name}'))`,
    )
    await append(source, numbers(40))
    const { error } = await reaches(name, 'failed')
    // Memory may be taken so slowly that the time is over first.
    expect(code.split('|')).toContain(error!.code)
    expect(says.split('|').filter((text) => error!.message.includes(text))).not.toEqual([])
    expect(error!.message.length).toBeLessThan(5000)
    if (!/timer|nobody/.test(how)) expect(error).toMatchObject({ step: 0, sequence: expect.any(Number) })
    await reaches('healthy', 'running')
    await caughtUp('healthy')
    expect((await show('healthy')).attempts).toBe(0)
    expect((await rows(`counts-${name}`)).map((row) => row.n!.N)).toEqual(Array.from({ length: 40 }, () => '1'))
    await remove('healthy')
    await remove(name)
  })

  it('values without end of one record are ended too', async () => {
    await daemon.v1('POST', 'streams', { name: 'endless', shards: 1 })
    await deploy(
      `export default pipeline('endless').from(stream('endless')).flatMap(function* () { for (;;) yield 1 }).filter(() => false).to(file('endless'))`,
    )
    await append('endless', numbers(1))
    expect((await reaches('endless', 'failed')).error).toMatchObject({
      code: 'STEP_TIMEOUT',
      sequence: expect.any(Number),
    })
    await remove('endless')
  })
})

describe('twenty pipelines on one table, five of which fail', () => {
  it('count every change once, over kills and splits', async () => {
    await table('crowd', 'user')
    await table('crowded', 'id')
    const faults = [
      'throw new Error("no")',
      'for (;;) {}',
      'process.exit(1)',
      'return null!.x',
      'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)',
    ]
    for (let i = 0; i < 20; i++)
      await deploy(
        i % 4 === 3
          ? `export default pipeline('crowd-${i}').from(table('crowd')).map((change): unknown => { if (change.keys.user === 'u9') { ${faults[(i - 3) / 4]} } return 1 }).to(file('crowd-${i}'))`
          : `export default pipeline('crowd-${i}').from(table<{ n: number }>('crowd')).keyByPartition().sum('n', (change) => change.new?.n ?? 0).to(table('crowded', (n, key) => ({ id: '${i} ' + key.user, n })))`,
      )
    const expected = new Map<string, number>()
    for (let round = 0; round < 6; round++) {
      for (let i = 0; i < 20; i++) {
        const n = round * 20 + i + 1
        expected.set(`u${i}`, (expected.get(`u${i}`) ?? 0) + n)
        await daemon.aws('PutItem', { TableName: 'crowd', Item: { user: { S: `u${i}` }, n: { N: String(n) } } })
      }
      if (round % 2 === 0) {
        const { shards } = await daemon.v1<{ shards: { id: number; state: string }[] }>(
          'GET',
          'streams/table:crowd/shards',
        )
        await daemon.v1(
          'POST',
          `streams/table:crowd/shards/${shards.find((shard) => shard.state === 'open')!.id}/split`,
          {},
        )
      }
      if (round % 3 === 1) {
        await daemon.kill()
        await start()
      }
    }
    for (let i = 0; i < 20; i++) {
      if (i % 4 === 3) expect((await reaches(`crowd-${i}`, 'failed')).error!.sequence).toBeGreaterThan(0)
      else await caughtUp(`crowd-${i}`)
    }
    const found = new Map((await rows('crowded')).map((row) => [row.id!.S!, Number(row.n!.N)]))
    for (let i = 0; i < 20; i++)
      if (i % 4 !== 3)
        for (const [user, n] of expected) expect([i, user, found.get(`${i} ${user}`)]).toEqual([i, user, n])
    const { stdout: shown } = await millrace(['pipelines', 'show', 'crowd-3', '--url', daemon.url])
    expect(shown).toMatch(/^error +no \(PIPELINE_FAILED\)$/m)
    expect(shown).toMatch(/^step +1 map$/m)
    expect(shown).toMatch(/^sequence +\d+$/m)
    expect(shown).toMatch(/^stack +Error: no\n +at .*modules/m)
    for (let i = 0; i < 20; i++) await remove(`crowd-${i}`)
  })
})

describe('what a pipeline prints', () => {
  it('goes to the log, never to the standard output of the daemon', async () => {
    await daemon.v1('POST', 'streams', { name: 'prints', shards: 1 })
    await deploy(
      `export default pipeline('prints').from(stream('prints')).map((record) => { console.log('by log'); console.dir({ by: 'dir' }); console.table([1]); process.stdout.write('by write\\n'); for (let i = 0; i < 5000; i++) console.error('flood'); return record.value }).to(file('prints'))`,
    )
    await append('prints', numbers(1))
    await caughtUp('prints')
    await until(async () => daemon.log.includes('by write') && daemon.log.includes("{ by: 'dir' }"))
    expect(daemon.log).toContain('by log')
    expect(daemon.log.split('flood').length).toBeLessThan(1000)
    expect(stdout).toBe('')
    await remove('prints')
  })
})

describe('sinks', () => {
  it('whose table is gone, or made anew with another key, say so; nothing is written with the wrong key', async () => {
    await daemon.v1('POST', 'streams', { name: 'to-table', shards: 1 })
    await table('target')
    await deploy(
      `export default pipeline('to-table').from(stream('to-table')).to(table('target', (record) => ({ id: record.key })))`,
    )
    await append('to-table', numbers(1))
    await caughtUp('to-table')
    await daemon.aws('DeleteTable', { TableName: 'target' })
    await append('to-table', numbers(1))
    expect((await reaches('to-table', 'failed')).error).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('target'),
    })
    await remove('to-table')
    await table('target')
    await deploy(
      `export default pipeline('to-table').from(stream('to-table')).to(table('target', (record) => ({ id: record.key })))`,
    )
    await caughtUp('to-table')
    await daemon.aws('DeleteTable', { TableName: 'target' })
    await table('target', 'id', 'N')
    await append('to-table', numbers(1))
    expect((await reaches('to-table', 'failed')).error!.message).toMatch(/another key|Type mismatch/)
    expect(await rows('target')).toEqual([])
    await remove('to-table')
  })

  it('that two deploys at once would share belong to one of them', async () => {
    await daemon.v1('POST', 'streams', { name: 'shared', shards: 1 })
    const deploys = await Promise.allSettled(
      Array.from({ length: 6 }, (_, i) =>
        deploy(`export default pipeline('shared-${i}').from(stream('shared')).to(file('shared-file'))`),
      ),
    )
    expect(deploys.filter((each) => each.status === 'fulfilled')).toHaveLength(1)
    const { pipelines } = await daemon.v1<{ pipelines: View[] }>('GET', 'pipelines')
    for (const { name } of pipelines) if (name.startsWith('shared-')) await remove(name)
  })
})

describe('a source', () => {
  it('whose records are larger than an epoch is read to its end', async () => {
    await daemon.v1('POST', 'streams', { name: 'large', shards: 1 })
    await deploy(
      `export default pipeline('large').from(stream<string>('large')).map((record) => record.value.length).to(file('large'))`,
    )
    for (let i = 0; i < 3; i++) {
      await append('large', [
        { key: 'a', value: 'x'.repeat(300_000) },
        { key: 'b', value: 'y' },
      ])
      await caughtUp('large')
    }
    await remove('large')
  })

  it('that was deleted is delivered to the end under its own key, over a restart', async () => {
    await table('gone', 'ListId', 'N')
    await table('kept', 'ListId', 'N')
    await deploy(
      `export default pipeline('gone').from(table('gone')).map(async (change) => { while (!process.env.MILLRACE_TEST_GO) await new Promise((resolve) => setTimeout(resolve, 20)); return change }).keyByPartition().count('n').to(table('kept', (n, key) => ({ ListId: key.ListId, n })))`,
    )
    for (let i = 0; i < 6; i++)
      await daemon.aws('PutItem', { TableName: 'gone', Item: { ListId: { N: String(i % 3) }, i: { N: String(i) } } })
    await daemon.aws('DeleteTable', { TableName: 'gone' })
    await daemon.kill()
    Object.assign(env, { MILLRACE_TEST_GO: '1' })
    await start()
    await reaches('gone', 'sourceDeleted')
    expect((await rows('kept')).map((row) => `${row.ListId!.N}=${row.n!.N}`).sort()).toEqual(['0=2', '1=2', '2=2'])
    await remove('gone')
    await daemon.v1('POST', 'streams', { name: 'short', shards: 2 })
    await deploy(
      `export default pipeline('short').from(stream('short')).map((record) => record.value).to(file('short'))`,
    )
    await append('short', numbers(5))
    await caughtUp('short')
    // A plain stream cannot be taken from what reads it.
    await expect(daemon.v1('DELETE', 'streams/short')).rejects.toThrow('pipeline:short')
    await remove('short')
  })
})

describe('deploy and delete', () => {
  it('in every order leave a store that opens, and no module behind', async () => {
    await daemon.v1('POST', 'streams', { name: 'churn', shards: 2 })
    await append('churn', numbers(10))
    const failing = await bundle(
      `export default pipeline('churn').from(stream('churn')).map(() => { throw new Error('always') }).to(file('churn'))`,
    )
    for (let i = 0; i < 25; i++) {
      await daemon.v1('POST', 'pipelines', { bundle: failing })
      // Deleted at any moment of its attempts, and at its end.
      await new Promise((resolve) => setTimeout(resolve, i * 6))
      await Promise.allSettled([remove('churn'), remove('churn')])
    }
    await expect(deploy('export const nothing = 1')).rejects.toThrow('exports no pipeline')
    await daemon.kill()
    await start()
    expect((await daemon.v1<{ pipelines: View[] }>('GET', 'pipelines')).pipelines).toEqual([])
    expect(readdirSync(join(data, 'modules'))).toEqual([])
  })

  it('a module that waits for ever when it is loaded is refused', async () => {
    await expect(deploy('await new Promise(() => {})\nexport default 1')).rejects.toThrow('did not load')
  })

  it('a package that asks for the modules of Node is loaded', async () => {
    writeFileSync(join(folder, 'common.cjs'), "module.exports = { join: require('path').join }")
    await daemon.v1('POST', 'streams', { name: 'common', shards: 1 })
    await deploy(
      `import { join } from './common.cjs'\nexport default pipeline('common').from(stream('common')).map((record) => join('a', record.key)).to(file('common'))`,
    )
    await append('common', numbers(1))
    await caughtUp('common')
    expect((await show('common')).state).toBe('running')
    await remove('common')
  })
})
