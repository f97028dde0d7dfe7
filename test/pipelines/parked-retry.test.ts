import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'

// What is tried again where more waits than one commit may hold.
const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
let daemon: DaemonProcess

beforeAll(async () => {
  ensureBuilt()
  daemon = await DaemonProcess.start({
    data: join(folder, 'data'),
    env: {
      MILLRACE_WORKERS_THREADS: '2',
      MILLRACE_COMMIT_EFFECT_SET_BYTES_MAX: String(192 * 1024),
      MILLRACE_PIPELINES_ATTEMPTS_MAX: '2',
      MILLRACE_PIPELINES_RETRY_MS: '20',
      MILLRACE_LOG_LEVEL: 'error',
    },
  })
})

afterAll(async () => {
  expect(await daemon.stop()).toBe(0)
  rmSync(folder, { recursive: true, force: true })
})

interface View {
  readonly state: string
  readonly parked: { readonly records: number; readonly keys: number }
}

const show = (name: string) => daemon.v1<View>('GET', `pipelines/${name}`)

/** Numbers that came out, by key, in order. */
async function numbersOf(stream: string): Promise<Record<string, number[]>> {
  const { shards } = await daemon.v1<{ shards: { id: number }[] }>('GET', `streams/${stream}/shards`)
  const numbers: Record<string, number[]> = {}
  for (let from: number | undefined; ; ) {
    const page = await daemon.v1<{ records: { key: string; value: { n: number } }[]; next: number }>(
      'GET',
      `streams/${stream}/records?shard=${shards[0]!.id}${from === undefined ? '' : `&from=${from}`}`,
    )
    if (page.records.length === 0) break
    for (const { key, value } of page.records) numbers[key] = [...(numbers[key] ?? []), value.n]
    from = page.next
  }
  return numbers
}

it('goes on in as many commits as it takes, in order, up to what fails again', async () => {
  for (const name of ['in', 'out']) await daemon.v1('POST', 'streams', { name, shards: 1 })
  const mended = (n: number) => join(folder, `mended-${n}`)
  const path = join(folder, 'module.ts')
  // Results are three times as large as what they are made of: of what was parked, a commit holds two rows.
  writeFileSync(
    path,
    `import { existsSync } from 'node:fs'
    import { pipeline, stream } from 'millrace'
    const fails = (n: number) => (n === 0 && !existsSync('${mended(0)}')) || (n === 8 && !existsSync('${mended(8)}'))
    export default pipeline('p').from(stream<{ n: number; pad: string }>('in')).keyBy((record) => record.key)
      .flatMap(({ value }) => {
        if (fails(value.n)) throw new Error('no ' + value.n)
        return [value, value, value]
      })
      .to(stream('out', (value, key) => ({ key, value })))`,
  )
  await daemon.v1('POST', 'pipelines', { bundle: await bundleModule(path) })
  const pad = 'x'.repeat(30_000)
  const append = (key: string, n: number) =>
    daemon.v1('POST', 'streams/in/records', { records: [{ key, value: { n, pad } }] })
  const expected = (many: number) => Array.from({ length: many * 3 }, (_, i) => Math.floor(i / 3))
  for (let n = 0; n < 12; n++) for (const key of ['a', 'b']) await append(key, n)
  await expect.poll(async () => (await show('p')).parked).toMatchObject({ records: 24, keys: 2 })
  writeFileSync(mended(0), '')
  expect(await daemon.v1('POST', 'parked/retry', { pipeline: 'p' })).toEqual({ retried: 24 })
  // What comes meanwhile waits behind it.
  await append('a', 12)
  await expect.poll(async () => (await show('p')).parked).toMatchObject({ records: 9, keys: 2 })
  expect(await numbersOf('out')).toEqual({ a: expected(8), b: expected(8) })
  writeFileSync(mended(8), '')
  expect(await daemon.v1('POST', 'parked/retry', { pipeline: 'p' })).toEqual({ retried: 9 })
  await expect.poll(async () => (await show('p')).parked.records).toBe(0)
  expect(await numbersOf('out')).toEqual({ a: expected(13), b: expected(12) })
  await expect.poll(async () => (await show('p')).state).toBe('running')
})
