import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'
import { HttpServer } from './http-server.js'

// Files that are rolled, and an outbox, in a daemon that dies at each step of it.
const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
const data = join(folder, 'data')
const base = { MILLRACE_PIPELINES_RETRY_MS: '20', MILLRACE_PIPELINES_BARRIER_MS: '1', MILLRACE_LOG_LEVEL: 'error' }
let daemon: DaemonProcess
let server: HttpServer

const start = async (killAt?: string) => {
  daemon = await DaemonProcess.start({ data, env: { ...base, ...(killAt ? { MILLRACE_TEST_KILL_AT: killAt } : {}) } })
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

async function deploy(source: string): Promise<void> {
  const path = join(folder, 'module.ts')
  writeFileSync(path, `import { file, http, pipeline, stream } from 'millrace'\n${source}`)
  await daemon.v1('POST', 'pipelines', { bundle: await bundleModule(path) })
}
const append = (name: string, records: readonly object[]) => daemon.v1('POST', `streams/${name}/records`, { records })

const filesOf = (name: string) => {
  const inside = join(data, 'files', name)
  return readdirSync(inside)
    .sort()
    .map((file) => ({ file, text: readFileSync(join(inside, file), 'utf8') }))
}

it('has each line once and in order in the files together, each with its header, and each result outside, wherever the daemon dies', async () => {
  await daemon.v1('POST', 'streams', { name: 'clicks', shards: 1 })
  await deploy(`
    export default pipeline('clicks').from(stream<{ n: number }>('clicks'))
      .to(file('csv/out.csv', ({ key, value }) => ({ key, n: value.n }), { format: 'csv', columns: ['n', 'key'], roll: { bytesMax: 400 } }))
      .to(file('lines/out.ndjson', ({ value }) => value.n, { roll: { bytesMax: 150 } }))
      .to(http('${server.url}', { body: ({ value }) => value.n, batchMax: 50, retry: { first: '5ms', longest: '20ms' } }), 'hook')
  `)
  let n = 0
  const some = () =>
    append(
      'clicks',
      Array.from({ length: 25 }, () => ({ key: `a "key", ${n % 7}`, value: { n: n++ } })),
    )
  await some()
  const points = ['sink:written', 'sink:renamed', 'sink:begun', 'outbox:delivered']
  await daemon.kill()
  for (const point of points) {
    await start(`${point}:${1 + (points.indexOf(point) % 2)}`)
    while (daemon.child.exitCode === null && daemon.child.signalCode === null) {
      await some().catch(() => {})
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    await daemon.exited
  }
  await start()
  await some()
  const { shards } = await daemon.v1<{ shards: { id: number }[] }>('GET', 'streams/clicks/shards')
  const { records } = await daemon.v1<{ records: { key: string; value: { n: number } }[] }>(
    'GET',
    `streams/clicks/records?shard=${shards[0]!.id}&limit=100000`,
  )
  await expect
    .poll(async () => (await daemon.v1<{ lag: number }>('GET', 'groups/pipeline:clicks')).lag, { timeout: 60_000 })
    .toBe(0)
  await expect
    .poll(async () => (await daemon.v1<{ lag: number }>('GET', 'groups/outbox:clicks:hook')).lag, { timeout: 60_000 })
    .toBe(0)
  const csv = filesOf('csv')
  expect(csv.length).toBeGreaterThan(1)
  const header = 'n,key\n'
  for (const { file, text } of csv) expect(text === '' || text.startsWith(header), file).toBe(true)
  expect(csv.map(({ text }) => text.slice(header.length)).join('')).toBe(
    records.map(({ key, value }) => `${value.n},"${key.replaceAll('"', '""')}"\n`).join(''),
  )
  expect(
    filesOf('lines')
      .map(({ text }) => text)
      .join(''),
  ).toBe(records.map(({ value }) => `${value.n}\n`).join(''))
  const bodies = new Map<string, string>()
  for (const { key, body } of server.all) {
    expect(bodies.get(key) ?? body).toBe(body)
    bodies.set(key, body)
  }
  expect([...bodies.values()].flatMap((body) => JSON.parse(body) as number[])).toEqual(
    records.map(({ value }) => value.n),
  )
}, 300_000)

it('rolls a file when its time is over, though nothing more comes', async () => {
  await daemon.v1('POST', 'streams', { name: 'rare', shards: 1 })
  await deploy(`
    export default pipeline('rare').from(stream<number>('rare'))
      .to(file('rare/out.ndjson', ({ value }) => value, { roll: { every: '300ms' } }))
  `)
  await append('rare', [{ key: 'a', value: 1 }])
  const first = join(data, 'files', 'rare', 'out.000001.ndjson')
  await expect.poll(() => existsSync(first), { timeout: 30_000 }).toBe(true)
  expect(readFileSync(first, 'utf8')).toBe('1\n')
  await expect.poll(() => existsSync(join(data, 'files', 'rare', 'out.ndjson')), { timeout: 30_000 }).toBe(true)
  expect(readFileSync(join(data, 'files', 'rare', 'out.ndjson'), 'utf8')).toBe('')
})
