import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'
import { nodeBinary } from '../node-versions.js'
import { temporaryFolder } from '../temporary-folder.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const installMsMax = 5 * 60_000
const run = promisify(execFile)
let folder: string
/** A project of a stranger: nothing in it but the package. */
let project: string

beforeAll(async () => {
  ensureBuilt()
  folder = mkdtempSync(join(tmpdir(), 'millrace-package-'))
  project = join(folder, 'project')
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: root })
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }]
  await run('mkdir', [project])
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'stranger', private: true, type: 'module' }))
  const install = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', join(folder, filename)]
  await run('npm', install, { cwd: project, timeout: installMsMax })
}, installMsMax + 60_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

test.for([20, 22, 24])('the installed package serves on Node %i', async (major, { skip }) => {
  const node = (await nodeBinary(major)) ?? skip(`Node ${major} cannot be had here`)
  const { stdout } = await run(node, ['--version'])
  expect(stdout).toMatch(new RegExp(`^v${major}\\.`))
  const main = join(project, 'node_modules', 'millrace', 'dist', 'cli', 'main.cjs')
  const data = temporaryFolder()
  const daemon = await DaemonProcess.start({ data, node, main, cwd: project })
  try {
    await daemon.aws('CreateTable', {
      TableName: 'things',
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
    })
    const item = { id: { S: 'one' }, count: { N: '1' } }
    await daemon.aws('PutItem', { TableName: 'things', Item: item })
    await daemon.kill()
    const again = await DaemonProcess.start({ data, node, main, cwd: project })
    expect(await again.aws('GetItem', { TableName: 'things', Key: { id: { S: 'one' } } })).toMatchObject({ Item: item })
    expect(await again.stop()).toBe(0)
  } finally {
    await daemon.kill()
  }
})

test('the command is there, and says its version', async () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  const { stdout } = await run(join(project, 'node_modules', '.bin', 'millrace'), ['--version'])
  expect(stdout.trim()).toBe(version)
})

test('a pipeline and a client of a user type-check against the types of the package', async () => {
  writeFileSync(
    join(project, 'count.ts'),
    `import { pipeline, table } from 'millrace'

export default pipeline('count')
  .from(table('things'))
  .filter((change) => change.type !== 'modify')
  .keyByPartition()
  .sum('things', (change) => (change.type === 'insert' ? 1 : -1))
  .to(table('counts', (things, key) => ({ id: key.id, things: things + 1 })))
`,
  )
  writeFileSync(
    join(project, 'follow.ts'),
    `import { connect } from 'millrace'

const client = connect({ url: 'http://127.0.0.1:8000', producer: { lingerMs: 5 } })
await client.append('clicks', [{ key: 'user', value: { page: '/' } }])
const decode = (value: unknown) => String(value)
client.subscribe({ stream: 'clicks', group: 'mine', decode }, ({ value }, { append }) => append('other', { key: value.trim(), value }))
for await (const change of client.subscribe({ stream: 'table:things', group: 'mine' })) {
  if (change.type === 'insert') change.new.id
}
await client.close()
`,
  )
  writeFileSync(
    join(project, 'count.test.ts'),
    `import { table } from 'millrace'
import { testPipeline } from 'millrace/testing'
import count from './count.js'

const test = await testPipeline(count, { tables: { things: { hash: 'id' }, counts: { hash: 'id' } } })
const things = table<{ id: string }>('things')
await test.push(things, { type: 'insert', new: { id: 'a' } })
// @ts-expect-error: an item of another type
await test.push(things, { type: 'insert', new: { id: 1 } })
await test.advance('1m')
const items: { things: number }[] = test.items('counts')
test.expectSameAs(() => items)
`,
  )
  symlinkSync(join(root, 'node_modules', 'typescript'), join(project, 'node_modules', 'typescript'))
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const options = ['--strict', '--noEmit', '--module', 'NodeNext', '--target', 'ES2022', '--types', '']
  await run(process.execPath, [tsc, ...options, 'count.ts', 'follow.ts', 'count.test.ts'], { cwd: project })
})

test('what only the development of Millrace needs is not in it', async () => {
  const { stdout } = await run('npm', ['ls', '--all', '--parseable'], { cwd: project })
  expect(stdout).not.toMatch(/aws-sdk|vega-datasets|vitest|typescript\/node_modules/)
})

test('without the packages of the demo, the demo says what to install', async () => {
  const main = join(project, 'node_modules', 'millrace', 'dist', 'cli', 'main.cjs')
  const failed = run(process.execPath, [main, 'demo', '--rows', '1000'], { cwd: project })
  await expect(failed).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining('npm install') })
})
