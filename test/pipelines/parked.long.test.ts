import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { millrace } from '../cli/millrace.js'
import { DaemonProcess } from '../daemon-process.js'

// User code that does what it must not holds up its key alone, and what waited is delivered once and in order in the end.
const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
const data = join(folder, 'data')
const env = {
  MILLRACE_WORKERS_THREADS: '2',
  MILLRACE_WORKERS_HEAP_BYTES_MAX: String(48 * 1024 * 1024),
  MILLRACE_PIPELINES_STEP_TIMEOUT_MS: '2000',
  MILLRACE_PIPELINES_ATTEMPTS_MAX: '2',
  MILLRACE_PIPELINES_BARRIER_TIMEOUT_MS: '8000',
  MILLRACE_PIPELINES_RETRY_MS: '20',
  MILLRACE_PIPELINES_PARKED_MAX: '50',
  MILLRACE_LOG_LEVEL: 'info',
}
let daemon: DaemonProcess

async function start(): Promise<void> {
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
  readonly attempts: number
  readonly parked: { readonly records: number; readonly keys: number; readonly isFull: boolean }
  readonly error?: { readonly message: string }
}

interface Parked {
  readonly pipeline: string
  readonly step: string
  readonly key: string
  readonly attempts: number
  readonly behind: number
  readonly sequence: number
  readonly value: unknown
  readonly error?: { readonly code: string; readonly message: string; readonly stack?: string }
}

let number = 0
async function deploy(source: string): Promise<View> {
  const path = join(folder, `module-${number++}.ts`)
  writeFileSync(
    path,
    `import { existsSync } from 'node:fs'\nimport { file, pipeline, stream, table } from 'millrace'\n${source}`,
  )
  return daemon.v1<View>('POST', 'pipelines', { bundle: await bundleModule(path) })
}
const show = (name: string) => daemon.v1<View>('GET', `pipelines/${name}`)
const remove = (name: string) => daemon.v1('DELETE', `pipelines/${name}`)
const append = (name: string, records: readonly object[]) => daemon.v1('POST', `streams/${name}/records`, { records })
const listed = async (pipeline: string, more = '') =>
  (await daemon.v1<{ parked: Parked[] }>('GET', `parked?pipeline=${pipeline}${more}`)).parked
/** Forty records of ten keys: k3 has 3, 13, 23 and 33. */
const records = Array.from({ length: 40 }, (_, value) => ({ key: `k${value % 10}`, value }))

async function caughtUp(name: string): Promise<void> {
  await expect.poll(async () => (await daemon.v1<{ lag: number }>('GET', `groups/pipeline:${name}`)).lag).toBe(0)
}

/** What came out, by key, in order. */
async function delivered(name: string): Promise<Record<string, unknown[]>> {
  const { shards } = await daemon.v1<{ shards: { id: number }[] }>('GET', `streams/${name}/shards`)
  const byKey: Record<string, unknown[]> = {}
  for (const { id } of shards) {
    const page = await daemon.v1<{ records: { key: string; value: unknown }[] }>(
      'GET',
      `streams/${name}/records?shard=${id}&limit=10000`,
    )
    for (const { key, value } of page.records) byKey[key] = [...(byKey[key] ?? []), value]
  }
  return byKey
}

const expected = (make: (value: number, place: number) => unknown, k3: number): Record<string, unknown[]> =>
  Object.fromEntries(
    Array.from({ length: 10 }, (_, key) => [
      `k${key}`,
      [0, 1, 2, 3].map((i) => make(key + 10 * i, i)).slice(0, key === 3 ? k3 : 4),
    ]),
  )

const kinds: readonly (readonly [string, string, RegExp])[] = [
  ['throws', 'throw new Error("no")', /^no$/],
  ['rejects', 'return Promise.reject(new Error("later"))', /^later$/],
  ['loops', 'for (;;) {}', /stepTimeoutMs/],
  ['loops over microtasks', 'return (async () => { for (;;) await null })()', /stepTimeoutMs/],
  [
    'takes all memory',
    'const all: unknown[] = []; for (;;) all.push(new Array(100_000).fill({}))',
    /heapBytesMax|stepTimeoutMs/,
  ],
  ['exits', 'process.exit(3)', /process\.exit\(3\)/],
  ['throws in a timer', 'setTimeout(() => { throw new Error("tick") }); return new Promise(() => {})', /tick/],
  ['never ends', 'return new Promise(() => {})', /no result after/],
  ['gives what cannot be stored', 'return () => 1', /function/],
]

describe('one record of a key', () => {
  it.each(kinds)('that %s waits with what comes behind it; all else goes on', async (how, body, says) => {
    const name = how.replace(/\W/g, '-')
    const mended = join(folder, `mended-${name}`)
    await daemon.v1('POST', 'streams', { name: `in-${name}`, shards: 2 })
    await daemon.v1('POST', 'streams', { name: `out-${name}`, shards: 1 })
    await daemon.v1('POST', 'streams', { name: `other-${name}`, shards: 1 })
    await deploy(`
      export default pipeline('healthy-${name}').from(stream<number>('in-${name}')).keyByPartition().count('n')
        .to(stream('other-${name}', (n, key) => ({ key: key.key, value: n })))`)
    await deploy(`
      export default pipeline('${name}').from(stream<number>('in-${name}')).keyBy((record) => record.key)
        .aggregate('list', () => [] as unknown[], (list, record): unknown => {
          if (record.value === 13 && !existsSync('${mended}')) { list.push('half done'); ${body} }
          list.push(record.value)
          return list
        })
        .to(stream('out-${name}', (list, key) => ({ key, value: list })))`)
    await append(`in-${name}`, records)
    await expect.poll(async () => (await show(name)).parked).toEqual({ records: 3, keys: 1, isFull: false })
    await caughtUp(name)
    await caughtUp(`healthy-${name}`)
    const lists = (value: number, place: number) => Array.from({ length: place + 1 }, (_, i) => (value % 10) + 10 * i)
    expect(await delivered(`out-${name}`)).toEqual(expected(lists, 1))
    expect(await delivered(`other-${name}`)).toEqual(expected((_, place) => place + 1, 4))
    expect((await show(`healthy-${name}`)).attempts).toBe(0)
    const [first, ...rest] = await listed(name)
    expect(rest).toEqual([])
    expect(first).toMatchObject({ pipeline: name, step: 'list', key: 'k3', behind: 2, attempts: 2 })
    expect(first!.value).toMatchObject({ key: 'k3', value: 13 })
    expect(first!.error!.message).toMatch(says)

    await daemon.kill()
    await start()
    expect(await listed(name)).toEqual([first])
    expect(
      (await listed(name, '&rows=10')).map(({ attempts, value }) => [attempts, (value as { value: number }).value]),
    ).toEqual([
      [2, 13],
      [0, 23],
      [0, 33],
    ])
    // Later rows of the key join the queue, in another run too.
    await append(`in-${name}`, [
      { key: 'k3', value: 43 },
      { key: 'k4', value: 44 },
    ])
    await expect.poll(async () => (await show(name)).parked.records).toBe(4)
    writeFileSync(mended, '')
    expect(await daemon.v1('POST', 'parked/retry', { pipeline: name })).toEqual({ retried: 4 })
    await expect.poll(async () => (await show(name)).parked.records).toBe(0)
    const all = expected(lists, 4)
    all.k3!.push([3, 13, 23, 33, 43])
    all.k4!.push([4, 14, 24, 34, 44])
    expect(await delivered(`out-${name}`)).toEqual(all)
    await remove(name)
    await remove(`healthy-${name}`)
  })
})

describe('at any step', () => {
  it.each([
    ['before a keyBy', '.map((record) => fault(record.value)).keyBy((n) => n % 10).map((n) => n)', '1-map'],
    ['keyBy itself', '.keyBy((record) => fault(record.value) % 10).map((record) => record.value)', '0-keyBy'],
    ['a sink', '.map((record) => record.value).keyBy((n) => n % 10)', 'sink'],
    ['flatMap', '.flatMap((record) => [fault(record.value)]).keyBy((n) => n % 10)', '0-flatMap'],
    [
      'filter behind keyByPartition',
      '.keyByPartition().filter((record) => fault(record.value) >= 0).map((record) => record.value)',
      '1-filter',
    ],
  ])('%s', async (how, steps) => {
    const name = `at-${how.replace(/\W/g, '-')}`
    const mended = join(folder, `mended-${name}`)
    await daemon.v1('POST', 'streams', { name: `in-${name}`, shards: 1 })
    await daemon.v1('POST', 'streams', { name: `out-${name}`, shards: 1 })
    await deploy(`
      function fault(value: number): number {
        if (value === 13 && !existsSync('${mended}')) throw new Error('thirteen')
        return value
      }
      export default pipeline('${name}').from(stream<number>('in-${name}'))${steps}
        .to(stream('out-${name}', (value) => ({ key: 'k' + (value % 10), value: ${how === 'a sink' ? 'fault(value)' : 'value'} })))`)
    await append(`in-${name}`, records)
    await expect.poll(async () => (await show(name)).parked).toEqual({ records: 3, keys: 1, isFull: false })
    await caughtUp(name)
    await expect.poll(() => delivered(`out-${name}`)).toEqual(expected((value) => value, 1))
    writeFileSync(mended, '')
    await daemon.v1('POST', 'parked/retry', { pipeline: name })
    await expect.poll(() => delivered(`out-${name}`)).toEqual(expected((value) => value, 4))
    expect((await show(name)).parked.records).toBe(0)
    await remove(name)
  })
})

describe('when shards split', () => {
  it('what waits goes with its key', async () => {
    const mended = join(folder, 'mended-split')
    await daemon.v1('POST', 'streams', { name: 'in-split', shards: 1 })
    await daemon.v1('POST', 'streams', { name: 'out-split', shards: 1 })
    await deploy(`
      export default pipeline('split').from(stream<number>('in-split')).keyByPartition()
        .map((record) => { if (record.value < 20 && !existsSync('${mended}')) throw new Error('early'); return record.value })
        .to(stream('out-split', (value, key) => ({ key: key.key, value })))`)
    await append('in-split', records.slice(0, 20))
    await expect.poll(async () => (await show('split')).parked).toEqual({ records: 20, keys: 10, isFull: false })
    const { shards } = await daemon.v1<{ shards: { id: number }[] }>('GET', 'streams/in-split/shards')
    await daemon.v1('POST', `streams/in-split/shards/${shards[0]!.id}/split`, {})
    await append('in-split', records.slice(20))
    await expect.poll(async () => (await show('split')).parked).toEqual({ records: 40, keys: 10, isFull: false })
    expect(await delivered('out-split')).toEqual({})
    writeFileSync(mended, '')
    await daemon.v1('POST', 'parked/retry', { pipeline: 'split' })
    await expect.poll(() => delivered('out-split')).toEqual(expected((value) => value, 4))
    expect((await show('split')).parked.records).toBe(0)
    await remove('split')
  })
})

describe('many records', () => {
  it('stop the sources when there are too many; dropped ones are gone, and what waited behind them goes on', async () => {
    await daemon.v1('POST', 'streams', { name: 'many', shards: 1 })
    await daemon.v1('POST', 'streams', { name: 'few', shards: 1 })
    await deploy(`
      export default pipeline('many').from(stream<number>('many')).keyByPartition()
        .map((record) => { if (record.value < 60) throw new Error('below'); return record.value })
        .to(stream('few', (value, key) => ({ key: key.key, value })))`)
    const value = (i: number) => ({ key: `k${i % 60}`, value: i })
    await append(
      'many',
      Array.from({ length: 60 }, (_, i) => value(i)),
    )
    await expect.poll(async () => (await show('many')).parked).toEqual({ records: 60, keys: 60, isFull: true })
    await append(
      'many',
      Array.from({ length: 60 }, (_, i) => value(60 + i)),
    )
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(await delivered('few')).toEqual({})
    const { stdout } = await millrace(['parked', 'list', '--pipeline', 'many', '--key', 'k7', '--url', daemon.url])
    expect(stdout).toMatch(/many +0-keyByPartition|many +1-map +k7 +0 +2 +\d+ +below/)
    expect(await daemon.v1('POST', 'parked/drop', { pipeline: 'many' })).toEqual({ dropped: 60 })
    await expect.poll(async () => Object.keys(await delivered('few')).length).toBe(60)
    expect((await show('many')).parked).toEqual({ records: 0, keys: 0, isFull: false })
    expect(await delivered('few')).toEqual(
      Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`k${i}`, [60 + i]])),
    )
    await remove('many')
  })

  it('are counted in the metrics, by their step', async () => {
    await daemon.v1('POST', 'streams', { name: 'counted', shards: 1 })
    await deploy(
      `export default pipeline('counted').from(stream('counted')).map((): number => { throw new Error('x') }).to(file('counted'))`,
    )
    await append('counted', records.slice(0, 5))
    await expect.poll(async () => (await show('counted')).parked.records).toBe(5)
    const metrics = await (await fetch(`${daemon.url}/metrics`)).text()
    expect(metrics).toContain('millrace_parked_records{pipeline="counted",step="0-map"} 5')
    await expect(daemon.v1('POST', 'parked/retry', { pipeline: 'counted', step: 'nope' })).rejects.toThrow('0-map')
    await expect(daemon.v1('POST', 'parked/retry', { pipeline: 'nobody' })).rejects.toThrow('nobody')
    await remove('counted')
  })
})

describe('a pipeline with onError of its own', () => {
  it('stops before what it cannot take, beside others whose records are parked; a module that says otherwise goes on', async () => {
    await daemon.v1('POST', 'streams', { name: 'stops', shards: 1 })
    await daemon.v1('POST', 'streams', { name: 'stopped', shards: 1 })
    const source = (onError: string) => `
      export default pipeline('stops')${onError}.from(stream<number>('stops'))
        .map((record) => { if (record.value === 13) throw new Error('no'); return record })
        .to(stream('stopped', (record) => ({ key: record.key, value: record.value })))`
    expect(await deploy(source(".onError('stop')"))).toMatchObject({ onError: 'stop', plan: { onError: 'stop' } })
    await append('stops', records)
    await expect.poll(async () => (await show('stops')).state).toBe('failed')
    expect((await show('stops')).parked.records).toBe(0)
    await deploy(source(''))
    await caughtUp('stops')
    expect(await show('stops')).toMatchObject({ onError: 'park', parked: { records: 3, keys: 1 } })
    const { stdout } = await millrace(['pipelines', 'show', 'stops', '--url', daemon.url])
    expect(stdout).toMatch(/^onError +park$/m)
    await remove('stops')
  })
})
