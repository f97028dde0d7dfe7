import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'

// Memory that user code takes, in the heap of its thread and outside of it, costs its record or its thread, never the daemon.
const MiB = 1024 * 1024
const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
const env = {
  MILLRACE_WORKERS_THREADS: '1',
  MILLRACE_WORKERS_HEAP_BYTES_MAX: String(64 * MiB),
  MILLRACE_WORKERS_EXTERNAL_BYTES_MAX: String(96 * MiB),
  MILLRACE_WORKERS_RSS_BYTES_MAX: String(768 * MiB),
  // No thread is ended for the time that it takes.
  MILLRACE_PIPELINES_STEP_TIMEOUT_MS: '120000',
  MILLRACE_PIPELINES_BARRIER_TIMEOUT_MS: '600000',
  MILLRACE_PIPELINES_ATTEMPTS_MAX: '2',
  MILLRACE_PIPELINES_RETRY_MS: '20',
  MILLRACE_LOG_LEVEL: 'info',
}
let daemon: DaemonProcess

beforeAll(async () => {
  ensureBuilt()
  daemon = await DaemonProcess.start({ data: join(folder, 'data'), env })
})

afterAll(async () => {
  expect(await daemon.stop()).toBe(0)
  rmSync(folder, { recursive: true, force: true })
})

interface View {
  readonly state: string
  readonly attempts: number
  readonly parked: { readonly records: number; readonly keys: number; readonly isFull: boolean }
}

interface Parked {
  readonly key: string
  readonly attempts: number
  readonly value: { readonly value: number }
  readonly error: { readonly message: string }
}

let number = 0
async function deploy(source: string): Promise<View> {
  const path = join(folder, `module-${number++}.ts`)
  writeFileSync(path, `import { pipeline, stream } from 'millrace'\n${source}`)
  return daemon.v1<View>('POST', 'pipelines', { bundle: await bundleModule(path) })
}
const show = (name: string) => daemon.v1<View>('GET', `pipelines/${name}`)
const until = { timeout: 240_000, interval: 50 }

async function caughtUp(name: string): Promise<void> {
  await expect.poll(async () => (await daemon.v1<{ lag: number }>('GET', `groups/pipeline:${name}`)).lag, until).toBe(0)
}

/** What came out, by key, in order. */
async function delivered(name: string): Promise<Record<string, unknown[]>> {
  const byKey: Record<string, unknown[]> = {}
  const { records } = await daemon.v1<{ records: { key: string; value: unknown }[] }>(
    'GET',
    `streams/${name}/records?shard=${await shardOf(name)}&limit=10000`,
  )
  for (const { key, value } of records) byKey[key] = [...(byKey[key] ?? []), value]
  return byKey
}
const shardOf = async (name: string) =>
  (await daemon.v1<{ shards: { id: number }[] }>('GET', `streams/${name}/shards`)).shards[0]!.id

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${daemon.url}/metrics`)).text()
  return Number(new RegExp(`^millrace_${name} (.*)$`, 'm').exec(text)?.[1])
}

/** Values that go up within each key; what comes out is a running count. */
async function streams(name: string): Promise<void> {
  for (const of of ['in', 'out', 'other']) await daemon.v1('POST', 'streams', { name: `${of}-${name}`, shards: 1 })
  await deploy(`
    export default pipeline('healthy-${name}').from(stream<number>('in-${name}')).keyByPartition().count('n')
      .to(stream('other-${name}', (n, key) => ({ key: key.key, value: n })))`)
}
const append = (name: string, count: number) =>
  daemon.v1('POST', `streams/in-${name}/records`, {
    records: Array.from({ length: count }, (_, value) => ({ key: `k${value % 10}`, value })),
  })
const counts = (count: number, k3 = count) =>
  Object.fromEntries(
    Array.from({ length: 10 }, (_, key) => [
      `k${key}`,
      Array.from({ length: key === 3 ? k3 : count }, (_, i) => i + 1),
    ]),
  )
async function remove(name: string): Promise<void> {
  await daemon.v1('DELETE', `pipelines/${name}`)
  await daemon.v1('DELETE', `pipelines/healthy-${name}`)
}

describe('one record that takes memory without end', () => {
  // Slowly enough for the watch, however slow the machine is.
  const pause = 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)'
  it.each<[string, string, RegExp]>([
    ['in its heap', 'const all: unknown[] = []; for (;;) all.push(new Array(1e6))', /heapBytesMax/],
    [
      'outside of its heap',
      `const all: Buffer[] = []; for (;;) { all.push(Buffer.alloc(${4 * MiB}, 1)); ${pause} }`,
      /rssBytesMax/,
    ],
    [
      'outside of its heap while it waits',
      `return (async () => { const all: Buffer[] = []; for (;;) { all.push(Buffer.alloc(${MiB}, 1)); await new Promise((resolve) => setTimeout(resolve, 5)) } })()`,
      /externalBytesMax/,
    ],
  ])('%s is parked; all else goes on', async (how, body, says) => {
    const name = how.replace(/\W/g, '-')
    await streams(name)
    await deploy(`
      export default pipeline('${name}').from(stream<number>('in-${name}')).keyByPartition()
        .map((record): unknown => { if (record.value === 153) { ${body} } return record.value }).count('n')
        .to(stream('out-${name}', (n, key) => ({ key: key.key, value: n })))`)
    await append(name, 400)
    await expect.poll(async () => (await show(name)).parked, until).toEqual({ records: 25, keys: 1, isFull: false })
    await caughtUp(name)
    await caughtUp(`healthy-${name}`)
    expect(await delivered(`out-${name}`)).toEqual(counts(40, 15))
    expect(await delivered(`other-${name}`)).toEqual(counts(40))
    expect((await show(`healthy-${name}`)).attempts).toBe(0)
    const { parked } = await daemon.v1<{ parked: Parked[] }>('GET', `parked?pipeline=${name}`)
    expect(parked.map(({ key, attempts, value }) => [key, attempts, value.value])).toEqual([['k3', 2, 153]])
    expect(parked[0]!.error.message).toMatch(says)
    expect(await metric('worker_memory_restarts_total')).toBeGreaterThan(0)
    await expect.poll(() => metric(`pipeline_quarantined\\{pipeline="${name}"\\}`), until).toBe(0)
    await remove(name)
  })
})

describe('a module that keeps a little of each record', () => {
  it.each([
    ['in its heap', 'new Array(32 * 1024).fill(1)', 8, 100],
    ['outside of its heap', `Buffer.alloc(${256 * 1024}, 1)`, 8, 100],
    ['in its heap', 'new Array(32 * 1024).fill(1)', 1, 600],
  ])('%s (%s; %i times %i records) has its thread replaced, and parks nothing', async (how, kept, batches, records) => {
    const name = `leak-${how.replace(/\W/g, '-')}-${batches}`
    await streams(name)
    await deploy(`
      const all: unknown[] = []
      export default pipeline('${name}').from(stream<number>('in-${name}')).keyByPartition()
        .map((record) => { all.push(${kept}); return record.value }).count('n')
        .to(stream('out-${name}', (n, key) => ({ key: key.key, value: n })))`)
    const before = await metric('worker_memory_restarts_total')
    // More than the bound in all, in batches of much less.
    for (let i = 0; i < batches; i++) {
      await append(name, records)
      await caughtUp(name)
    }
    await caughtUp(`healthy-${name}`)
    expect(await metric('worker_memory_restarts_total')).toBeGreaterThan(before)
    expect(await delivered(`out-${name}`)).toEqual(counts((batches * records) / 10))
    expect(await delivered(`other-${name}`)).toEqual(counts((batches * records) / 10))
    await expect.poll(async () => (await show(name)).state, until).toBe('running')
    expect((await show(name)).parked.records).toBe(0)
    await remove(name)
  })
})
