import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'

const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
const data = join(folder, 'data')
let daemon: DaemonProcess

beforeAll(async () => {
  ensureBuilt()
  const env = {
    // Here a pipeline stops at what it cannot take; parked.test.ts has the other way.
    MILLRACE_PIPELINES_ON_ERROR: 'stop',
    // As near as may be: what waits and does not loop must be seen by the barrier, whatever the machine's speed.
    MILLRACE_PIPELINES_STEP_TIMEOUT_MS: '2990',
    MILLRACE_PIPELINES_BARRIER_TIMEOUT_MS: '3000',
    MILLRACE_PIPELINES_ATTEMPTS_MAX: '2',
    MILLRACE_PIPELINES_RETRY_MS: '20',
    MILLRACE_LOG_LEVEL: 'error',
  }
  daemon = await DaemonProcess.start({ data, env })
})

afterAll(async () => {
  expect(await daemon.stop()).toBe(0)
  rmSync(folder, { recursive: true, force: true })
})

interface View {
  readonly state: string
  readonly error?: { readonly code: string; readonly message: string }
}

async function deploy(name: string, body: string): Promise<void> {
  const path = join(folder, `${name}.ts`)
  const source = `export default pipeline('${name}').from(stream<number>('numbers')).map((record): unknown => { ${body} }).to(file('${name}.ndjson'))`
  writeFileSync(path, `import { file, pipeline, stream } from 'millrace'\n${source}`)
  await daemon.v1('POST', 'pipelines', { bundle: await bundleModule(path) })
}

it('a pipeline that never resolves is retried, then stopped before the record; the others go on', async () => {
  await daemon.v1('POST', 'streams', { name: 'numbers', shards: 1 })
  await deploy('bystander', 'return record.value')
  await deploy('victim', 'return record.value === 13 ? new Promise(() => {}) : record.value')
  const records = Array.from({ length: 20 }, (_, value) => ({ key: 'k', value }))
  await daemon.v1('POST', 'streams/numbers/records', { records })
  const show = (name: string) => daemon.v1<View>('GET', `pipelines/${name}`)
  await expect.poll(async () => (await show('victim')).state).toBe('failed')
  expect((await show('victim')).error).toMatchObject({
    code: 'STEP_TIMEOUT',
    message: expect.stringContaining('pipelines.barrierTimeoutMs'),
  })
  const linesOf = (name: string) =>
    readFileSync(join(data, 'files', `${name}.ndjson`), 'utf8')
      .trim()
      .split('\n')
  // Nothing from the record on has been delivered, and nothing before it twice.
  const delivered = records.slice(0, 13).map(({ value }) => String(value))
  const before = linesOf('victim').filter((line) => line !== '')
  expect(before).toEqual(delivered.slice(0, before.length))
  const lag = async () => (await daemon.v1<{ lag: number }>('GET', 'groups/pipeline:bystander')).lag
  await expect.poll(lag).toBe(0)
  expect((await show('bystander')).state).toBe('running')
  expect(linesOf('bystander')).toEqual(records.map(({ value }) => String(value)))
})
