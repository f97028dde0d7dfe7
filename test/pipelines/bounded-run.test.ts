import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { millrace } from '../cli/millrace.js'
import { DaemonProcess } from '../daemon-process.js'

// Pipelines over a part of their sources, to the end.
const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
const data = join(folder, 'data')
const env = {
  MILLRACE_WORKERS_THREADS: '2',
  MILLRACE_PIPELINES_RETRY_MS: '20',
  MILLRACE_PIPELINES_ON_ERROR: 'stop',
  MILLRACE_PIPELINES_ATTEMPTS_MAX: '2',
  // Many barriers, so that a kill comes between two.
  MILLRACE_PIPELINES_HANDOVER_BYTES: '4096',
  MILLRACE_PIPELINES_EPOCH_BYTES_MAX: '262144',
  MILLRACE_LOG_LEVEL: 'error',
}
let daemon: DaemonProcess

const start = async () => {
  daemon = await DaemonProcess.start({ data, env })
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
  readonly state: string
  readonly bounded: { readonly from: number; readonly until: number; readonly passed: number; readonly all: number }
  readonly watermark?: number | null
  readonly error?: { readonly message: string }
}

let number = 0
function moduleOf(source: string): string {
  const path = join(folder, `module-${number++}.ts`)
  writeFileSync(path, `import { file, pipeline, stream, table } from 'millrace'\n${source}`)
  return path
}
const deploy = async (source: string) =>
  daemon.v1<View>('POST', 'pipelines', { bundle: await bundleModule(moduleOf(source)) })
const run = async (source: string, bounds: object = {}) =>
  daemon.v1<View>('POST', 'pipeline-runs', { bundle: await bundleModule(moduleOf(source)), ...bounds })
const show = (name: string) => daemon.v1<View>('GET', `pipelines/${name}`)
const remove = (name: string) => daemon.v1('DELETE', `pipelines/${name}`)
const append = (name: string, records: readonly object[]) => daemon.v1('POST', `streams/${name}/records`, { records })
const finished = (name: string) => expect.poll(async () => (await show(name)).state).toBe('finished')
const table = (TableName: string) =>
  daemon.aws('CreateTable', {
    TableName,
    AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
  })
const itemsOf = async (TableName: string) => {
  const { Items } = await daemon.aws<{ Items: Record<string, Record<string, string>>[] }>('Scan', { TableName })
  return Object.fromEntries(Items.map(({ id, ...item }) => [id!.S, item]))
}
const cli = (...args: string[]) => millrace([...args, '--url', daemon.url])

async function changed(name: string, how: 'split' | 'merge'): Promise<void> {
  const { shards } = await daemon.v1<{ shards: { id: number; state: string; low: string }[] }>(
    'GET',
    `streams/${name}/shards`,
  )
  const open = shards.filter(({ state }) => state === 'open').sort((a, b) => (a.low < b.low ? -1 : 1))
  if (how === 'split') await daemon.v1('POST', `streams/${name}/shards/${open[0]!.id}/split`, {})
  else await daemon.v1('POST', `streams/${name}/shards/merge`, { left: open[0]!.id, right: open[1]!.id })
}

/** Sequence numbers and values of a stream of one shard. */
async function recordsOf(name: string): Promise<{ sequence: number; value: unknown; commitTime: number }[]> {
  const { shards } = await daemon.v1<{ shards: { id: number }[] }>('GET', `streams/${name}/shards`)
  const path = `streams/${name}/records?shard=${shards[0]!.id}&limit=10000`
  return (await daemon.v1<{ records: { sequence: number; value: unknown; commitTime: number }[] }>('GET', path)).records
}

describe('a bounded run', () => {
  it('gives what the streaming run gives, over splits, merges and a kill', async () => {
    await daemon.v1('POST', 'streams', { name: 'in', shards: 2 })
    for (const name of ['streamed', 'ran']) await table(name)
    const source = (name: string) => `
      export default pipeline('${name}').from(stream<number>('in'))
        .filter((record) => record.value % 5 !== 0)
        .keyBy((record) => record.value % 97)
        .aggregate('perItem', () => ({ count: 0, sum: 0 }), (state, { value }) => ({ count: state.count + 1, sum: state.sum + value }))
        .to(table('${name}', (state, item) => ({ id: String(item), ...state })))
        .keyBy(({ count }) => count % 3)
        .count('updates')
        .to(table('${name}', (count, rest) => ({ id: 'rest' + rest, count })))`
    await deploy(source('streamed'))
    let n = 0
    for (let round = 0; round < 8; round++) {
      await append(
        'in',
        Array.from({ length: 2000 }, () => ({ key: `k${(n * 7) % 41}`, value: n++ })),
      )
      if (round % 4 === 1) await changed('in', 'split')
      if (round % 4 === 3) await changed('in', 'merge')
    }
    await expect.poll(async () => (await daemon.v1<{ lag: number }>('GET', 'groups/pipeline:streamed')).lag).toBe(0)
    const begun = await run(source('ran'))
    expect(begun.bounded.all).toBeGreaterThanOrEqual(n)
    await daemon.kill()
    await start()
    // What comes after its beginning is none of it.
    await append('in', [{ key: 'k1', value: 1 }])
    await finished('ran.run')
    const { bounded } = await show('ran.run')
    expect(bounded.passed).toBe(bounded.all)
    const streamed = await itemsOf('streamed')
    await remove('streamed')
    const ran = await itemsOf('ran')
    expect(ran['1']!.count!.N).toBe(String(Number(streamed['1']!.count!.N) - 1))
    for (const each of [streamed, ran]) {
      delete each['1']
      for (const rest of ['rest0', 'rest1', 'rest2']) delete each[rest]
    }
    expect(ran).toEqual(streamed)
    // It stays as it is over a restart, until it is deleted.
    await daemon.kill()
    await start()
    expect((await show('ran.run')).state).toBe('finished')
    await expect(daemon.v1('POST', 'pipelines/ran.run/pause')).rejects.toThrow('CONFLICT')
    await remove('ran.run')
  })

  it('takes exactly the records of its range, by sequence numbers and by time, in the midst of a batch too', async () => {
    await daemon.v1('POST', 'streams', { name: 'range', shards: 1 })
    for (let i = 0; i < 3; i++)
      await append(
        'range',
        Array.from({ length: 50 }, (_, j) => ({ key: 'k', value: 50 * i + j })),
      )
    const records = await recordsOf('range')
    const source = (path: string) =>
      `export default pipeline('range').from(stream<number>('range')).to(file('${path}', (record) => record.value))`
    const linesOf = (path: string) =>
      readFileSync(join(data, 'files', path), 'utf8')
        .split('\n')
        .slice(0, -1)
        .map(Number)
    const cut = async (path: string, bounds: object) => {
      await run(source(path), bounds)
      await finished('range.run')
      await remove('range.run')
      return linesOf(path)
    }
    const values = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)
    expect(await cut('a', { from: records[20]!.sequence, until: records[120]!.sequence })).toEqual(values(20, 120))
    expect(await cut('b', { until: records[1]!.sequence })).toEqual([0])
    expect(await cut('c', { from: records[149]!.sequence })).toEqual([149])
    expect(await cut('d', { from: records[7]!.sequence, until: records[7]!.sequence })).toEqual([])
    const [early, late] = [records[50]!.commitTime, records[149]!.commitTime]
    const within = records.filter(({ commitTime }) => commitTime >= early && commitTime < late)
    expect(await cut('e', { fromTime: early, untilTime: late })).toEqual(within.map(({ value }) => value))
    expect(await cut('f', { fromTime: late + 86_400_000 })).toEqual([])
  })

  it('ends event time: every timer that is left fires', async () => {
    await daemon.v1('POST', 'streams', { name: 'times', shards: 3 })
    await table('closed')
    await append(
      'times',
      Array.from({ length: 300 }, (_, i) => ({ key: `k${i % 30}`, value: 1_000_000 + ((i * 7919) % 300) * 1000 })),
    )
    await changed('times', 'split')
    await append(
      'times',
      Array.from({ length: 30 }, (_, i) => ({ key: `k${i}`, value: 5_000_000 })),
    )
    await run(`
      export default pipeline('times').from(stream<number>('times'))
        .eventTime((record) => record.value, { outOfOrder: '10m' })
        .keyBy((record) => record.key)
        .process('closing', {
          emits: undefined as any,
          onRow: ({ value }: any, context: any) => context.setTimer(value + 3_600_000),
          onTimer: (timer: any, context: any) => context.emit(timer.time),
        } as any)
        .count('fired')
        .to(table('closed', (n, id) => ({ id: String(id), n })))`)
    await finished('times.run')
    expect(await itemsOf('closed')).toEqual(
      Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`k${i}`, { n: { N: '11' } }])),
    )
    await remove('times.run')
  })

  it('as a command: ends with what it did, with its code, and may be repeated', async () => {
    await daemon.v1('POST', 'streams', { name: 'commanded', shards: 1 })
    await table('sums')
    await append(
      'commanded',
      [1, 2, 3, 4].map((value) => ({ key: 'k', value })),
    )
    const source = (map: string) => `export default pipeline('sums').from(stream<number>('commanded'))
      .map((record) => { ${map}; return record.value }).keyBy(() => 'all').sum('sum', (n) => n).to(table('sums', (sum, id) => ({ id, sum })))`
    const path = moduleOf(source(''))
    for (let i = 0; i < 2; i++) {
      const { code, stdout } = await cli('pipelines', 'run', path, '--json')
      expect(code).toBe(0)
      expect(JSON.parse(stdout)).toMatchObject({ name: 'sums.run', state: 'finished' })
      expect(await itemsOf('sums')).toEqual({ all: { sum: { N: '10' } } })
    }
    const { sequence } = (await recordsOf('commanded'))[2]!
    await daemon.v1('POST', 'pipelines', { bundle: await bundleModule(path) })
    const cut = await cli('pipelines', 'run', 'sums', '--to', String(sequence))
    expect(cut).toMatchObject({ code: 0, stdout: expect.stringContaining('all of it is committed') })
    expect(await itemsOf('sums')).toEqual({ all: { sum: { N: '3' } } })
    // Its state is its own: the pipeline itself has all of it, and goes on.
    await append('commanded', [{ key: 'k', value: 5 }])
    await expect.poll(async () => itemsOf('sums')).toEqual({ all: { sum: { N: '15' } } })
    expect((await daemon.v1<{ pipelines: { name: string }[] }>('GET', 'pipelines')).pipelines).toContainEqual(
      expect.objectContaining({ name: 'sums' }),
    )
    await remove('sums')
    const failing = moduleOf(source(`if (record.value === 3) throw new Error('three')`))
    const failed = await cli('pipelines', 'run', failing)
    expect(failed).toMatchObject({ code: 1, stderr: expect.stringContaining('three') })
    expect(await show('sums.run')).toMatchObject({ state: 'failed' })
    await remove('sums.run')
    expect((await cli('pipelines', 'run', path, '--from', 'yesterdays')).code).toBe(2)
  })

  it.each([
    ['a range behind what is there', 'in', '', { until: 2 ** 52 }, 'above it'],
    ['a range that ends before it begins', 'in', '', { from: 5, until: 4 }, 'nothing is in it'],
    ['a stream in between', 'in', `.through('in', (r) => ({ key: 'k', value: 1 }))`, {}, 'through'],
    ['a stream that is not there', 'nowhere', '', {}, 'NOT_FOUND'],
    ['two ways to say where it begins', 'in', '', { from: 1, fromTime: 1 }, 'either'],
  ])('is refused with %s', async (_what, from, steps, bounds, says) => {
    await expect(
      run(`export default pipeline('no').from(stream('${from}'))${steps}.to(stream('in', () => null as any))`, bounds),
    ).rejects.toThrow(says)
    await expect(show('no.run')).rejects.toThrow('NOT_FOUND')
  })

  it('has a name that no other pipeline may have', async () => {
    await expect(deploy(`export default pipeline('x.run').from(stream('in')).to(file('x'))`)).rejects.toThrow(
      'name of a bounded run',
    )
    await expect(run(`export default pipeline('${'x'.repeat(126)}').from(stream('in')).to(file('x'))`)).rejects.toThrow(
      'too long',
    )
  })
})
