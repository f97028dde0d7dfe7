import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { DemoSummary } from '../../src/demo/run.js'
import { ensureBuilt } from '../built.js'
import { temporaryFolder } from '../temporary-folder.js'

ensureBuilt()
const main = fileURLToPath(new URL('../../dist/cli/main.cjs', import.meta.url))
const openShardsMax = 12
const headers = { 'content-type': 'application/json', 'x-millrace': '1' }

/** The address that the daemon says in its log, the newest of several. */
function newestUrl(log: string): string | undefined {
  if (!existsSync(log)) return undefined
  return [...readFileSync(log, 'utf8').matchAll(/^millrace ready (http:\S+)$/gm)].at(-1)?.[1]
}

async function splitOne(url: string): Promise<boolean> {
  const answer = await fetch(`${url}/v1/streams/table:flights/shards`)
  if (!answer.ok) return false
  const { shards } = (await answer.json()) as { shards: readonly { id: number; state: string }[] }
  const open = shards.filter(({ state }) => state === 'open')
  if (open.length >= openShardsMax) return false
  const { id } = open[open.length >> 1]!
  const split = await fetch(`${url}/v1/streams/table:flights/shards/${id}/split`, {
    method: 'POST',
    headers,
    body: '{}',
  })
  return split.ok
}

test('while shards split under it and the daemon is killed, it ends with zeros', async () => {
  const data = join(temporaryFolder(), 'store')
  const args = [main, 'demo', '--rows', '5000', '--data', data, '--kill', '--split-storm', '--json']
  const demo = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  demo.stdout.on('data', (bytes) => {
    stdout += bytes
  })
  demo.stderr.on('data', (bytes) => {
    stderr += bytes
  })
  let isOver = false
  const ended = new Promise<number | null>((resolve) => demo.once('close', resolve)).finally(() => {
    isOver = true
  })
  let splits = 0
  while (!isOver) {
    const url = newestUrl(`${data}.log`)
    // Between a kill and the next start nobody answers.
    if (url !== undefined && (await splitOne(url).catch(() => false))) splits++
    await sleep(100)
  }
  expect(await ended, stderr).toBe(0)
  const summary = JSON.parse(stdout) as DemoSummary
  expect(summary).toMatchObject({ lost: 0, duplicated: 0, wrong: 0 })
  // The demo's own storm, beside the splits of this test.
  expect(summary.splits).toBeGreaterThan(0)
  expect(splits).toBeGreaterThan(0)
})
