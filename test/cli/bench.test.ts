import { expect, test } from 'vitest'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'
import { temporaryFolder } from '../temporary-folder.js'
import { millrace } from './millrace.js'

ensureBuilt()
const small = ['--seconds', '1', '--batch', '100', '--in-flight', '2', '--keys', '50']

test.each([
  ['shard', ['append', 'filter', 'sum per key into a table']],
  ['stream', ['append', 'replay']],
  ['pipeline', ['filter', 'sum per key into a table']],
])('bench %s measures in process and says it in JSON', async (name, whats) => {
  const { code, stdout, stderr } = await millrace(['bench', name, ...small, '--json'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const result = JSON.parse(stdout)
  expect(result.rows.map(({ what }: { what: string }) => what)).toEqual(whats)
  for (const row of result.rows) {
    // Everything that was appended was read or worked through.
    expect(row.records).toBe(result.rows[0].records)
    expect(row.recordsPerSecond).toBeGreaterThan(0)
    if (row.what === 'append') expect(row.ms.p50).toBeLessThanOrEqual(row.ms.p99)
  }
  expect(result.plainSyncMs.p50).toBeGreaterThan(0)
  expect(result.target !== undefined).toBe(name === 'shard')
})

test('bench against a daemon prints a table, and leaves nothing behind', async () => {
  const folder = temporaryFolder()
  const daemon = await DaemonProcess.start({ data: folder, cwd: folder })
  try {
    for (const name of ['shard', 'stream']) {
      const { code, stdout, stderr } = await millrace(['bench', name, ...small, '--url', daemon.url])
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toMatch(/append +\d+ .*\d/)
    }
    expect(await daemon.v1('GET', 'pipelines')).toEqual({ pipelines: [] })
    expect(await daemon.v1('GET', 'tables')).toEqual({ tables: [] })
    const { streams } = await daemon.v1<{ streams: { closedAt?: number }[] }>('GET', 'streams')
    expect(streams.filter(({ closedAt }) => closedAt === undefined)).toEqual([])
  } finally {
    await daemon.stop()
  }
})
