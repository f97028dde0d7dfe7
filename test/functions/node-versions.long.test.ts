import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, expect, test } from 'vitest'
import { ensureBuilt } from '../built.js'
import { nodeBinary } from '../node-versions.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const run = promisify(execFile)

beforeAll(ensureBuilt)

// What handlers see, and when their event loop is empty, is Node's own doing.
test.for([22, 24])('handlers do on Node %i what they do on this one', async (major, { skip }) => {
  const node = (await nodeBinary(major)) ?? skip(`Node ${major} cannot be had here`)
  const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url))
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_OPTIONS)/.test(name)))
  const args = [vitest, 'run', 'test/functions/calls.test.ts', '--reporter=json', '--silent']
  const { stdout } = await run(node, args, { cwd: root, env, maxBuffer: 1 << 26 }).catch((error: unknown) => {
    // Its report says more than its exit code.
    return error as { stdout: string }
  })
  const report = JSON.parse(stdout.slice(stdout.indexOf('{"numTotalTestSuites"'))) as {
    numPassedTests: number
    testResults: { assertionResults: { status: string; fullName: string; failureMessages: string[] }[] }[]
  }
  const others = report.testResults.flatMap(({ assertionResults }) =>
    assertionResults.filter(({ status }) => status !== 'passed'),
  )
  expect(others.map(({ fullName, failureMessages }) => [fullName, ...failureMessages])).toEqual([])
  expect(report.numPassedTests).toBeGreaterThan(30)
})
