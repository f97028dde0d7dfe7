import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { bundleModule } from '../../src/workers/bundle.js'

const folder = fileURLToPath(new URL('../../examples/', import.meta.url))

/** Each compares all of its results with a recount of its own, and fails where one differs. What is here is how many there are. */
const examples = {
  sessions: { clicks: 1046, visits: 148, bought: 14, longestMinutes: 59 },
  payments: { orders: 301, settled: 242, reminders: 59 },
  fraud: { charges: 2873, alerts: 10, cards: 10 },
}

describe.each(Object.entries(examples))('the example %s', (name, summary) => {
  test('gives what a recount in plain code gives', async () => {
    const run = promisify(execFile)(process.execPath, [join(folder, name, 'run.mjs'), '--json'], { timeout: 240_000 })
    expect(JSON.parse((await run).stdout)).toEqual(summary)
  })

  test('has a README that names files and commands that are there', async () => {
    const text = readFileSync(join(folder, name, 'README.md'), 'utf8')
    expect(text).toContain(`node examples/${name}/run.mjs`)
    for (const [, path] of text.matchAll(/examples\/([\w/]+\.(?:mjs|ts))/g)) readFileSync(join(folder, path!))
    for (const [, path] of text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) readFileSync(join(folder, name, path!))
    await bundleModule(join(folder, name, 'pipeline.ts'))
  })
})
