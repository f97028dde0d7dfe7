import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'
import { errorOf, millrace } from './millrace.js'

const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
let daemon: DaemonProcess

beforeAll(async () => {
  ensureBuilt()
  daemon = await DaemonProcess.start({ data: join(folder, 'data'), cwd: folder })
  await daemon.v1('POST', 'streams', { name: 's' })
})

afterAll(async () => {
  expect(await daemon.stop()).toBe(0)
  rmSync(folder, { recursive: true, force: true })
})

let number = 0
function moduleOf(steps: string, before = ''): string {
  const file = join(folder, `module-${number++}.ts`)
  writeFileSync(
    file,
    `import { file, pipeline, stream } from 'millrace'\n${before}\nexport default pipeline('p').from(stream('s'))${steps}`,
  )
  return file
}

test('check draws a pipeline without a daemon, whatever its module prints', async () => {
  const file = moduleOf(
    ".keyBy((r) => r.key).count('n', { ttl: '1h' }).to(file('out.ndjson'))",
    "console.log('loading')",
  )
  const { code, stdout } = await millrace(['pipelines', 'check', file])
  expect(code).toBe(0)
  expect(stdout.split('\n')).toEqual([
    'p',
    '0 stream s',
    '1 keyBy',
    '2 count n  (per key: one number; ttl 1h)',
    '3 to file out.ndjson  (exactly once)',
    '',
  ])
  const json = await millrace(['pipelines', 'check', file, '--json'])
  expect(JSON.parse(json.stdout)).toMatchObject({ version: 2, name: 'p', nodes: { length: 4 } })
})

test('check loads a package that asks for the modules of Node with require, as a deploy does', async () => {
  writeFileSync(join(folder, 'common.cjs'), "module.exports = { join: require('path').join }")
  const file = moduleOf(".map((r) => join('a', r.key)).to(file('f'))", "import { join } from './common.cjs'")
  expect(await millrace(['pipelines', 'check', file])).toMatchObject({ code: 0, stderr: '' })
})

test.each([
  ['without a sink', '.map((r) => r)', '', 'PIPELINE_INVALID', 'p has no sink'],
  ['that throws', ".to(file('f'))", "throw new Error('at once')", 'MODULE_INVALID', 'at once'],
  ['that ends its thread', ".to(file('f'))", 'process.exit(3)', 'MODULE_INVALID', 'did not load'],
  ['that does not compile', '.map((', '', 'MODULE_INVALID', 'module-'],
  [
    'that forgets the key',
    ".count('n').to(file('f'))",
    '',
    'PIPELINE_INVALID',
    'Step 1 of p (count) keeps state per key, but nothing says which key.',
  ],
])('check refuses a module %s with exit code 1', async (_what, steps, before, code, says) => {
  const finished = await millrace(['pipelines', 'check', moduleOf(steps, before), '--json'])
  expect(finished.code).toBe(1)
  expect(errorOf(finished)).toMatchObject({ code, message: expect.stringContaining(says) })
})

test('diff says what a deploy would change, and refuses what cannot go on', async () => {
  const deployed = moduleOf(".filter(() => true).keyByPartition().count('n').to(file('out.ndjson'))")
  const diff = (file: string, ...more: string[]) => millrace(['pipelines', 'diff', file, '--url', daemon.url, ...more])
  const first = await diff(deployed)
  expect(first.code).toBe(0)
  expect(first.stderr).toContain('p is not deployed')
  expect(first.stdout).toContain('+ 3 count n  [state new]')
  expect((await millrace(['pipelines', 'deploy', deployed, '--url', daemon.url])).code).toBe(0)
  const shown = await millrace(['pipelines', 'show', 'p', '--url', daemon.url])
  expect(shown.stdout).toContain('3 count n  (per key: one number)')

  const next = moduleOf(".keyByPartition().count('n', { version: 2, migrate: (n) => n }).to(file('out.ndjson'))")
  const { stdout, code } = await diff(next, '--json')
  expect(code).toBe(0)
  const { changes } = JSON.parse(stdout) as { changes: { change: string; label: string; state?: string }[] }
  expect(changes.filter(({ change }) => change !== 'same')).toEqual([
    expect.objectContaining({ change: 'changed', label: 'count n', state: 'migrated' }),
    expect.objectContaining({ change: 'removed', label: 'filter' }),
  ])

  const refused = await diff(moduleOf(".keyByPartition().count('n', { version: 2 }).to(file('out.ndjson'))"), '--json')
  expect(refused.code).toBe(1)
  expect(errorOf(refused)).toMatchObject({
    code: 'PIPELINE_INVALID',
    message: expect.stringContaining('without a migrate function'),
  })
})
