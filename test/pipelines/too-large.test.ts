import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'

// What one record makes is too large for a commit: it waits, and nothing else does.
const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
let daemon: DaemonProcess
const start = async (effectSetBytesMax: number, env: Readonly<Record<string, string>> = {}) => {
  daemon = await DaemonProcess.start({
    data: join(folder, 'data'),
    env: {
      MILLRACE_WORKERS_THREADS: '2',
      MILLRACE_COMMIT_EFFECT_SET_BYTES_MAX: String(effectSetBytesMax),
      MILLRACE_PIPELINES_EPOCH_BYTES_MAX: '262144',
      MILLRACE_PIPELINES_RETRY_MS: '5',
      MILLRACE_LOG_LEVEL: 'error',
      ...env,
    },
  })
}

beforeAll(async () => {
  ensureBuilt()
  await start(192 * 1024)
})

afterAll(async () => {
  expect(await daemon.stop()).toBe(0)
  rmSync(folder, { recursive: true, force: true })
})

interface View {
  readonly state: string
  readonly attempts: number
  readonly parked: { readonly records: number; readonly keys: number }
}
interface Parked {
  readonly key: string
  readonly step: string
  readonly sequence?: number
  readonly attempts: number
  readonly error?: { readonly code: string; readonly message: string }
  readonly behind: number
}

const show = (name: string) => daemon.v1<View>('GET', `pipelines/${name}`)
const parked = async (name: string) => (await daemon.v1<{ parked: Parked[] }>('GET', `parked?pipeline=${name}`)).parked
const retry = (pipeline: string) => daemon.v1('POST', 'parked/retry', { pipeline })

/** How often each number came out, by key. */
async function countsOf(stream: string): Promise<Record<string, Record<number, number>>> {
  const { shards } = await daemon.v1<{ shards: { id: number }[] }>('GET', `streams/${stream}/shards`)
  const counts: Record<string, Record<number, number>> = {}
  for (const { id } of shards)
    for (let from: number | undefined; ; ) {
      const page = await daemon.v1<{ records: { key: string; value: { n: number } }[]; next: number }>(
        'GET',
        `streams/${stream}/records?shard=${id}${from === undefined ? '' : `&from=${from}`}`,
      )
      if (page.records.length === 0) break
      for (const { key, value } of page.records) {
        const ofKey = counts[key] ?? {}
        ofKey[value.n] = (ofKey[value.n] ?? 0) + 1
        counts[key] = ofKey
      }
      from = page.next
    }
  return counts
}

it('is parked with the bound that it meets, over a keyBy too, and is done once that is raised', async () => {
  for (const name of ['in', 'out', 'keyed-out']) await daemon.v1('POST', 'streams', { name, shards: 2 })
  const module = (name: string, body: string) =>
    `import { pipeline, stream } from 'millrace'
    const pad = 'x'.repeat(10_000)
    export default pipeline('${name}').from(stream<{ n: number; times: number }>('in'))
      .flatMap((record) => Array.from({ length: record.value.times }, (_, i) => ({ key: record.key, n: record.value.n, i, pad })))
      ${body}`
  const deploy = async (source: string) => {
    const path = join(folder, `module-${Math.random()}.ts`)
    writeFileSync(path, source)
    await daemon.v1('POST', 'pipelines', { bundle: await bundleModule(path) })
  }
  await deploy(module('plain', `.to(stream('out', ({ key, n, pad }) => ({ key, value: { n, pad } })))`))
  // Its effects come together only behind a keyBy, one of each key: many small ones.
  await deploy(
    module(
      'spread',
      `.keyBy(({ i }) => i).aggregate('last', () => ({ pad: '' }), (last, { pad }) => ({ pad }))
      .filter((_, i) => i === 0)
      .to(stream('keyed-out', (_, key) => ({ key: String(key), value: { n: 0 } })))`,
    ),
  )
  const append = (records: readonly [string, number, number][]) =>
    daemon.v1('POST', 'streams/in/records', {
      records: records.map(([key, n, times]) => ({ key, value: { n, times } })),
    })
  // The large one lies in the midst of a chunk, which is read whole.
  await append([
    ...Array.from({ length: 20 }, (_, n): [string, number, number] => ['a', n, 1]),
    ['bad', 1, 40],
    ['bad', 2, 1],
    ...Array.from({ length: 20 }, (_, n): [string, number, number] => ['b', n, 1]),
  ])
  const once = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [n, 1]))
  for (const name of ['plain', 'spread']) {
    await expect.poll(() => show(name)).toMatchObject({ parked: { records: 2, keys: 1 } })
    await expect.poll(() => show(name)).toMatchObject({ state: 'running', attempts: 0 })
    const [record] = await parked(name)
    expect(record).toMatchObject({ key: 'bad', behind: 1, error: { code: 'EFFECT_TOO_LARGE' } })
    expect(record?.error?.message).toMatch(/commit\.effectSetBytesMax \(196608\)/)
    expect(record?.sequence).toBeGreaterThan(0)
  }
  await expect.poll(() => countsOf('out')).toEqual({ a: once, b: once })

  // Tried again under the same bound it is parked again, and what comes meanwhile is not held up.
  const { attempts } = (await parked('plain'))[0] as Parked
  await retry('plain')
  await append([['a', 20, 1]])
  await expect.poll(async () => (await parked('plain'))[0]?.attempts).toBeGreaterThan(attempts)
  await expect.poll(async () => (await countsOf('out')).a).toEqual({ ...once, 20: 1 })
  await expect.poll(() => show('plain')).toMatchObject({ state: 'running', parked: { records: 2, keys: 1 } })

  await daemon.kill()
  await start(4 * 1024 * 1024)
  for (const name of ['plain', 'spread']) {
    await expect.poll(async () => (await show(name)).state).toBe('running')
    await retry(name)
    await expect.poll(async () => (await show(name)).parked.records).toBe(0)
  }
  await expect.poll(() => countsOf('out')).toEqual({ a: { ...once, 20: 1 }, b: once, bad: { 1: 40, 2: 1 } })
})

it('fires windows that end together over several commits, exactly once over a kill, and to the end of a bounded run', async () => {
  await daemon.stop()
  await start(192 * 1024)
  for (const name of ['ticks', 'windows', 'bounded-windows']) await daemon.v1('POST', 'streams', { name, shards: 1 })
  const bundleOf = async (name: string, out: string, { from = 'ticks', padBytes = 0 } = {}) => {
    const path = join(folder, `${name}.ts`)
    writeFileSync(
      path,
      `import { pipeline, stream, tumbling } from 'millrace'
      export default pipeline('${name}').from(stream<number>('${from}')).eventTime(({ time }) => time, { idleAfter: '1h' }).keyBy((record) => record.key)
        .window(tumbling('10s')).count('m').keyBy((_, key) => key)
        .window(tumbling('10s')).sum('n', ({ value }) => value)
        .to(stream('${out}', ({ start, value }, key) => ({ key, value: { n: start / 1000, count: value, pad: 'x'.repeat(${padBytes}) } })))`,
    )
    return bundleModule(path)
  }
  const keys = 1500
  for (const time of [1000, 25_000])
    for (let from = 0; from < keys; from += 250)
      await daemon.v1('POST', 'streams/ticks/records', {
        records: Array.from({ length: 250 }, (_, i) => ({ key: `k${from + i}`, value: 1, time })),
      })
  await daemon.v1('POST', 'pipelines', { bundle: await bundleOf('ending', 'windows') })
  const ended = async () => Object.keys(await countsOf('windows')).length
  await expect.poll(ended).toBeGreaterThan(0)
  await daemon.kill()
  // Killed at each commit: also where all that is left fits into one, which nothing that is read asks for.
  for (let isThrough = false; !isThrough; ) {
    await start(192 * 1024, { MILLRACE_TEST_KILL_AT: 'pipeline:committed' })
    const all = async (): Promise<boolean> => {
      while ((await ended()) < keys) await new Promise((resolve) => setTimeout(resolve, 20))
      return true
    }
    isThrough = await Promise.race([
      daemon.exited.then(() => false),
      all().catch(() => daemon.exited.then(() => false)),
    ])
  }
  await daemon.kill()
  await start(192 * 1024)
  expect(Object.values(await countsOf('windows')).every((counts) => JSON.stringify(counts) === '{"0":1}')).toBe(true)
  await expect.poll(() => show('ending')).toMatchObject({ state: 'running', attempts: 0, parked: { records: 0 } })

  // Whoever waits until nothing is left to be done sees all that the last record ends.
  for (const name of ['last-ends-all', 'awaited']) await daemon.v1('POST', 'streams', { name, shards: 1 })
  for (let from = 0; from < keys; from += 250)
    await daemon.v1('POST', 'streams/last-ends-all/records', {
      records: Array.from({ length: 250 }, (_, i) => ({ key: `k${from + i}`, value: 1, time: 1000 })),
    })
  await daemon.v1('POST', 'streams/last-ends-all/records', { records: [{ key: 'last', value: 1, time: 25_000 }] })
  await daemon.v1('POST', 'pipelines', {
    bundle: await bundleOf('awaited', 'awaited', { from: 'last-ends-all', padBytes: 2000 }),
  })
  await expect
    .poll(async () => (await daemon.v1<{ lag: number }>('GET', 'groups/pipeline:awaited')).lag, { interval: 0 })
    .toBe(0)
  const newest = async () =>
    (await daemon.v1<{ shards: { newestSequence: number }[] }>('GET', 'streams/awaited/shards')).shards[0]
      ?.newestSequence
  const last = await newest()
  expect(Object.keys(await countsOf('awaited'))).toHaveLength(keys)
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(await newest()).toBe(last)

  await daemon.v1('POST', 'pipeline-runs', { bundle: await bundleOf('bounded', 'bounded-windows') })
  await expect.poll(async () => (await show('bounded.run')).state).toBe('finished')
  const counts = Object.values(await countsOf('bounded-windows'))
  expect(counts).toHaveLength(keys)
  expect(counts.every((ofKey) => JSON.stringify(ofKey) === '{"0":1,"20":1}')).toBe(true)
})
