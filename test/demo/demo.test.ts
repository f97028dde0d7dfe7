import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { writesOf } from '../../src/demo/expectation.js'
import type { DemoSummary } from '../../src/demo/run.js'
import { ensureBuilt } from '../built.js'
import { inProcess } from '../cli/in-process.js'
import { temporaryFolder } from '../temporary-folder.js'

ensureBuilt()
const main = fileURLToPath(new URL('../../dist/cli/main.cjs', import.meta.url))

interface Run {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

async function demo(...args: readonly string[]): Promise<Run> {
  const child: ChildProcess = spawn(process.execPath, [main, 'demo', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout!.on('data', (data) => {
    stdout += data
  })
  child.stderr!.on('data', (data) => {
    stderr += data
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, stdout, stderr }
}

test('ends with zeros, the last line says so, and the store stays where --data says', async () => {
  const data = join(temporaryFolder(), 'store')
  const rows = 2000
  const { code, stdout, stderr } = await demo('--rows', String(rows), '--data', data)
  expect(code, stderr).toBe(0)
  const last = stdout.trimEnd().split('\n').at(-1)
  const writes = writesOf(rows)
  expect(last).toMatch(
    new RegExp(`^demo: ${writes} writes, ${writes} changes, \\d+ results, 0 lost, 0 duplicated, 0 wrong$`),
  )
  expect(existsSync(join(data, 'MILLRACE'))).toBe(true)
})

test('with kills it ends with zeros too, and at least one of five met a commit in flight', async () => {
  // Enough for five kills, each in the midst of something.
  const rows = 5000
  const { code, stdout, stderr } = await demo('--rows', String(rows), '--kill', '--json')
  expect(code, stderr).toBe(0)
  const summary = JSON.parse(stdout) as DemoSummary
  expect(summary).toMatchObject({ writes: writesOf(rows), changes: writesOf(rows), lost: 0, duplicated: 0, wrong: 0 })
  expect(summary.topTen).toHaveLength(10)
  expect(summary.kills!.kills).toBeGreaterThanOrEqual(5)
  expect(summary.kills!.commitsMet).toBeGreaterThanOrEqual(1)
})

test('with --keep the daemon goes on and holds what the summary says', async () => {
  const data = join(temporaryFolder(), 'store')
  const { code, stdout, stderr } = await demo('--rows', '1000', '--data', data, '--keep', '--json')
  expect(code, stderr).toBe(0)
  const { daemon, flights } = JSON.parse(stdout) as DemoSummary
  try {
    expect(flights).toBe(1000 - 1000 / 50)
    const answer = await fetch(`${daemon!.url}/v1/status`)
    expect(await answer.json()).toMatchObject({ state: 'ready', tables: 2, pipelines: 2 })
  } finally {
    process.kill(daemon!.pid!, 'SIGKILL')
  }
})

test('refuses what it cannot do, in words, with the exit code of wrong usage', async () => {
  const used = temporaryFolder()
  mkdirSync(join(used, 'full'))
  writeFileSync(join(used, 'full', 'something'), '')
  for (const args of [
    ['--rows', 'many'],
    ['--rows', '0'],
    ['--rows', '4000000'],
    ['--kafka', 'nowhere'],
    ['--data', join(used, 'full')],
  ]) {
    const { code, stdout, stderr } = await inProcess(['demo', ...args])
    expect(code, args.join(' ')).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toContain('(USAGE)')
  }
})

test('a broker that is not there is said before anything is begun', async () => {
  const { code, stderr } = await demo('--rows', '1000', '--kafka', '127.0.0.1:1')
  expect(code).toBe(1)
  expect(stderr).toContain('(KAFKA_UNAVAILABLE)')
})
