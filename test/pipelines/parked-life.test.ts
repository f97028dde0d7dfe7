import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { millrace } from '../cli/millrace.js'
import { DaemonProcess } from '../daemon-process.js'
import { HttpServer } from './http-server.js'

// What is parked, in pipelines that are paused, redeployed and run over a part of their sources, and with all kinds of sinks.
const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
const data = join(folder, 'data')
const env = {
  MILLRACE_WORKERS_THREADS: '2',
  MILLRACE_PIPELINES_RETRY_MS: '20',
  MILLRACE_PIPELINES_ATTEMPTS_MAX: '2',
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
  readonly state: string
  readonly revision: number
  readonly parked: { readonly records: number; readonly keys: number; readonly isFull: boolean }
}

let number = 0
async function bundleOf(source: string): Promise<string> {
  const path = join(folder, `module-${number++}.ts`)
  writeFileSync(
    path,
    `import { existsSync } from 'node:fs'\nimport { http, pipeline, stream } from 'millrace'\n${source}`,
  )
  return bundleModule(path)
}
const deploy = async (source: string) => daemon.v1<View>('POST', 'pipelines', { bundle: await bundleOf(source) })
const show = (name: string) => daemon.v1<View>('GET', `pipelines/${name}`)
const act = (name: string, what: 'pause' | 'resume') => daemon.v1<View>('POST', `pipelines/${name}/${what}`)
const retry = (pipeline: string) => daemon.v1('POST', 'parked/retry', { pipeline })
const stream = (name: string) => daemon.v1('POST', 'streams', { name, shards: 1 })
const append = (name: string, values: readonly unknown[]) =>
  daemon.v1('POST', `streams/${name}/records`, { records: values.map((value) => ({ key: 'k', value })) })
const waiting = (name: string, records: number) =>
  expect.poll(async () => (await show(name)).parked.records).toBe(records)
async function valuesOf(name: string): Promise<unknown[]> {
  const { shards } = await daemon.v1<{ shards: { id: number }[] }>('GET', `streams/${name}/shards`)
  const path = `streams/${name}/records?shard=${shards[0]!.id}&limit=10000`
  return (await daemon.v1<{ records: { value: unknown }[] }>('GET', path)).records.map(({ value }) => value)
}

describe('what is parked', () => {
  it('waits while its pipeline is paused, is tried by a corrected module, and finds its step and state, over kills', async () => {
    for (const name of ['in', 'out']) await stream(name)
    const module = (body: string, step = 'sum') => `
      export default pipeline('mended').from(stream<number>('in')).keyBy((record) => record.key)
        .aggregate('${step}', () => 0, (sum, { value }) => { ${body}; return sum + value })
        .to(stream('out', (sum, key) => ({ key, value: sum })))`
    const faulty = 'if (value === 2) throw new Error("no two")'
    await deploy(module(faulty))
    await append('in', [1, 2, 3])
    await waiting('mended', 2)
    expect(await act('mended', 'pause')).toMatchObject({ state: 'paused' })
    await killed()
    await append('in', [4])
    expect(await show('mended')).toMatchObject({ state: 'paused', parked: { records: 2, keys: 1 } })
    // Nobody would try it again.
    await expect(deploy(module('', 'total'))).rejects.toThrow(/2 records are parked at sum/)
    expect(await show('mended')).toMatchObject({ state: 'paused', revision: 1, parked: { records: 2 } })
    expect(await deploy(module('void 0'))).toMatchObject({
      state: 'paused',
      revision: 2,
      parked: { records: 2, keys: 1 },
    })
    await killed()
    await act('mended', 'resume')
    await waiting('mended', 3)
    expect(await valuesOf('out')).toEqual([1])
    await retry('mended')
    await waiting('mended', 0)
    await expect.poll(() => valuesOf('out')).toEqual([1, 3, 6, 10])
  })

  it('keeps the fields of records that are stored as rows, and the key of what goes outside', async () => {
    for (const name of ['raw', 'rows']) await stream(name)
    await deploy(`
      export default pipeline('shaper').from(stream<number>('raw')).keyBy((record) => record.key)
        .map((record) => ({ n: record.value, text: 'n' + record.value, flag: record.value % 2 === 0 }))
        .to(stream('rows', (value, key) => ({ key, value })))`)
    const mended = join(folder, 'mended')
    server.answer = () => ({ status: 200 })
    await deploy(`
      const check = (n: number, at: number) => { if (n === at && !existsSync('${mended}')) throw new Error('not ' + n) }
      export default pipeline('reader').from(stream<{ n: number; text: string; flag: boolean }>('rows'))
        .peek(({ value }) => check(value.n, 2))
        .keyBy((record) => record.value.text)
        .to(http('${server.url}', { body: ({ value }, user) => { check(value.n, 4); return { user, n: value.n, text: value.text, flag: value.flag } } }))`)
    await append('raw', [0])
    await expect.poll(() => server.accepted.length).toBe(1)
    await append('raw', [4, 5, 2, 3])
    // Behind the keyBy each value has a key of its own, before it they have that of the stream.
    await waiting('reader', 3)
    writeFileSync(mended, '')
    expect(existsSync(mended)).toBe(true)
    await retry('reader')
    await waiting('reader', 0)
    const sent = () => server.accepted.flatMap(({ body }) => JSON.parse(body) as { n: number }[])
    const expected = [0, 2, 3, 4, 5].map((n) => ({ user: `n${n}`, n, text: `n${n}`, flag: n % 2 === 0 }))
    await expect.poll(() => sent().sort((a, b) => a.n - b.n)).toEqual(expected)
  })

  it('is a record whose step left a promise or a timer behind that failed outside of any step', async () => {
    for (const name of ['forgetful', 'remembered']) await stream(name)
    await deploy(`
      const later = async (n: number) => { await null; throw new Error('nobody awaited ' + n) }
      export default pipeline('forgetful').from(stream<number>('forgetful'))
        .map(({ value }) => {
          if (value === 2) void Promise.reject(new Error('nobody awaited 2'))
          return value
        })
        .keyBy((value) => value)
        .peek((value) => { if (value === 5) void later(value) })
        .to(stream('remembered', (value) => ({ key: 'k', value })))`)
    await daemon.v1('POST', 'streams/forgetful/records', {
      records: [1, 2, 3, 4, 5, 6, 7].map((value) => ({ key: `k${value}`, value })),
    })
    await waiting('forgetful', 2)
    const { parked } = await daemon.v1<{ parked: { step: string; key: string; error: { message: string } }[] }>(
      'GET',
      'parked?pipeline=forgetful',
    )
    expect(parked.map(({ key, error }) => [key, error.message]).sort()).toEqual([
      ['5', expect.stringContaining('nobody awaited 5')],
      ['k2', expect.stringContaining('nobody awaited 2')],
    ])
    await expect.poll(async () => (await show('forgetful')).state).toBe('running')
    await expect.poll(async () => (await valuesOf('remembered')).sort()).toEqual([1, 3, 4, 6, 7])
  })

  it('is left by a bounded run, which ends without it and is not run again before somebody has looked', async () => {
    for (const name of ['bounded', 'bounded-out']) await stream(name)
    await append('bounded', [1, 2, 3])
    const bundle = await bundleOf(`
      export default pipeline('part').from(stream<number>('bounded'))
        .map((record) => { if (record.value === 2) throw new Error('no two'); return record.value })
        .keyBy((value) => value).count('n').to(stream('bounded-out', (n, key) => ({ key: String(key), value: [key, n] })))`)
    const run = () => daemon.v1<View>('POST', 'pipeline-runs', { bundle })
    await run()
    await expect.poll(async () => (await show('part.run')).state).toBe('finished')
    // What comes behind it in its partition waits with it.
    expect(await show('part.run')).toMatchObject({ parked: { records: 2 } })
    expect(await valuesOf('bounded-out')).toEqual([[1, 1]])
    await expect(run()).rejects.toThrow(/2 records of the part.run before are parked/)
    await daemon.v1('DELETE', 'pipelines/part.run')
    const path = join(folder, 'part.ts')
    writeFileSync(
      path,
      `import { pipeline, stream } from 'millrace'
      export default pipeline('part').from(stream<number>('bounded'))
        .peek((record) => { if (record.value === 2) throw new Error('no two') })
        .to(stream('bounded-out', ({ value }) => ({ key: 'k', value })))`,
    )
    const ran = await millrace(['pipelines', 'run', path, '--url', daemon.url])
    expect(ran).toMatchObject({ code: 1, stderr: expect.stringContaining('2 records are parked') })
    expect(await show('part.run')).toMatchObject({ state: 'finished', parked: { records: 2 } })
  })
})
