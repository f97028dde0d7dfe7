import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { millrace } from '../cli/millrace.js'
import { DaemonProcess } from '../daemon-process.js'
import { temporaryFolder } from '../temporary-folder.js'

interface Told {
  readonly state: string
  readonly oldest?: number
  readonly error?: { readonly code: string; readonly message: string }
}

it('a pipeline that lost records to retention fails with TRIMMED, is shown so, and passes over nothing', async () => {
  ensureBuilt()
  const folder = temporaryFolder()
  const env = {
    MILLRACE_RETENTION_EVERY_MS: '20',
    MILLRACE_RETENTION_HELD_BYTES_MAX: '0',
    MILLRACE_PIPELINES_ATTEMPTS_MAX: '1000',
    MILLRACE_PIPELINES_RETRY_MS: '20',
    MILLRACE_PIPELINES_ON_ERROR: 'stop',
    MILLRACE_LOG_LEVEL: 'silent',
  }
  const daemon = await DaemonProcess.start({ data: join(folder, 'data'), env })
  const until = async <T>(path: string, isThere: (found: T) => boolean): Promise<T> => {
    for (;;) {
      const found = await daemon.v1<T>('GET', path)
      if (isThere(found)) return found
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  const file = join(folder, 'module.ts')
  writeFileSync(
    file,
    `import { pipeline, stream, file } from 'millrace'
export default pipeline('slow').from(stream('s')).filter(() => { throw new Error('never') }).to(file('out.ndjson', (record) => record.key))`,
  )
  await daemon.v1('POST', 'streams', { name: 's' })
  await daemon.v1('POST', 'pipelines', { bundle: await bundleModule(file), start: 'oldest' })
  const append = (n: number) => daemon.v1('POST', 'streams/s/records', { records: [{ key: 'k', value: n }] })
  await append(0)
  await until<Told>('pipelines/slow', ({ state }) => state === 'retrying')
  for (let n = 1; n < 300; n++) await append(n)
  expect(await daemon.v1<Told>('GET', 'groups/pipeline:slow')).toMatchObject({ state: 'active' })
  const set = await millrace(['streams', 'set', 's', 'retention.bytes=1', '--url', daemon.url, '--json'])
  expect(set).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(set.stdout)).toMatchObject({ stream: { name: 's', retention: { bytes: 1 } } })
  const group = await until<Told>('groups/pipeline:slow', ({ state }) => state === 'trimmed')
  // Its next attempt begins at its position, which is no longer there.
  const failed = await until<Told>('pipelines/slow', ({ error }) => error?.code === 'TRIMMED')
  expect(failed).toMatchObject({ state: 'failed' })
  expect(failed.error).toMatchObject({ message: expect.stringContaining(String(group.oldest)) })
  const metrics = await (await fetch(`${daemon.url}/metrics`)).text()
  expect(metrics).toContain('millrace_group_trimmed{group="pipeline:slow"} 1')
  expect(metrics).toContain('millrace_groups_trimmed_total 1')
  expect(metrics).toMatch(/millrace_trimmed_bytes_total [1-9]/)
  expect(metrics).toMatch(/millrace_log_bytes\{stream="s"\} [1-9]/)
  const back = await millrace(['streams', 'set', 's', 'retention=default', '--url', daemon.url, '--json'])
  expect(JSON.parse(back.stdout).stream).not.toHaveProperty('retention')
  const both = await millrace([
    'streams',
    'set',
    's',
    'retention=forever',
    'enabled=false',
    '--url',
    daemon.url,
    '--json',
  ])
  expect(JSON.parse(both.stdout).stream).toMatchObject({ retention: 'forever', policy: { enabled: false } })
  for (const wrong of ['retention=never', 'retention.days=7', 'retention.ms=soon']) {
    const refused = await millrace(['streams', 'set', 's', wrong, '--url', daemon.url])
    expect(refused, wrong).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('(USAGE)') })
  }
  expect(await daemon.stop()).toBe(0)
})
