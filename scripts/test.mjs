// Runs the tests and says loudly what was left out because this machine lacks a tool. In CI nothing may be left out.
//   npm test               everything that a machine can run within minutes (vitest.config.mjs names what is left to the long run)
//   npm run test:long      also test/**/*.long.test.ts, and the same checks at larger counts (MILLRACE_LONG=1)
// Further arguments go to vitest, so `npm test -- test/commit` runs one folder. The last line is `N passed, N failed`.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const given = process.argv.slice(2)
const isLong = given.includes('--long')
const isCi = Boolean(process.env.CI)

const runs = (command, argument) => spawnSync(command, [argument], { stdio: 'ignore' }).status === 0

/** What a test needs that Node does not bring. */
const tools = [
  {
    name: 'Java 17 or newer (java)',
    runs: () => runs('java', '-version'),
    without: 'the tests against a real Kafka broker and a real search server',
  },
  {
    name: 'Maven (mvn)',
    runs: () => runs('mvn', '-version'),
    without: 'the tests against a real Kafka broker and a real search server',
  },
  { name: 'a C compiler (cc)', runs: () => runs('cc', '--version'), without: 'the tests of power failure' },
  {
    name: 'promtool',
    runs: () => runs('promtool', '--version'),
    without: "Prometheus's own checks of /metrics, of the rules with their tests and of the dashboard's expressions",
  },
  {
    name: 'Prometheus (prometheus)',
    runs: () => runs('prometheus', '--version'),
    without: 'the test of a real Prometheus that scrapes a daemon and fires alerts',
  },
  {
    name: 'Chromium (chromium)',
    runs: () => runs('chromium', '--version') || runs('google-chrome', '--version'),
    without: 'the tests of the console in a real browser',
  },
]

/** What does not end by then hangs: better said than waited for. The long tests take what they take. */
const testMsMax = isLong ? undefined : 13 * 60_000

const missing = tools.filter((tool) => !tool.runs())

function sayMissing() {
  if (missing.length === 0) return
  const line = '*'.repeat(100)
  console.error(`\n${line}`)
  for (const tool of missing) console.error(`*** LEFT OUT, because there is no ${tool.name} here: ${tool.without}`)
  console.error(`${line}\n`)
}

function list(tests, title) {
  if (tests.length === 0) return
  console.error(`\n*** ${title}`)
  for (const test of tests) console.error(`***   ${test}`)
}

sayMissing()
if (isCi && missing.length > 0) {
  console.error('In CI nothing may be left out: install what is missing (.ci/run does).')
  console.log('0 passed, 1 failed')
  process.exit(1)
}

const folder = mkdtempSync(join(tmpdir(), 'millrace-tests-'))
const report = join(folder, 'report.json')
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
const config = isLong ? join(root, 'scripts', 'vitest.long.config.mjs') : join(root, 'vitest.config.mjs')
const run = spawnSync(
  process.execPath,
  [
    vitest,
    'run',
    '--root',
    root,
    '--config',
    config,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...given.filter((argument) => argument !== '--long'),
  ],
  {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: testMsMax,
    env: {
      ...process.env,
      ...(isLong ? { MILLRACE_LONG: '1' } : given.length === 0 ? { MILLRACE_TEST_SHORT: '1' } : {}),
    },
  },
)

let totals
try {
  totals = JSON.parse(readFileSync(report, 'utf8'))
} catch {
  const how = run.error?.code === 'ETIMEDOUT' ? `was ended after ${testMsMax / 60_000} minutes` : 'ended'
  console.error(`vitest ${how} without a report`)
}
rmSync(folder, { recursive: true, force: true })
if (totals === undefined) {
  console.log('0 passed, 1 failed')
  process.exit(1)
}

const leftOut = []
const failed = []
for (const file of totals.testResults) {
  const name = relative(root, file.name)
  // A file that could not even be loaded has no tests to count.
  if (file.status === 'failed' && file.assertionResults.every((test) => test.status !== 'failed')) failed.push(name)
  for (const test of file.assertionResults) {
    if (test.status === 'failed') failed.push(`${name}: ${test.fullName}`)
    else if (test.status !== 'passed') leftOut.push(`${name}: ${test.fullName}`)
  }
}
list(leftOut, 'These tests were left out:')
sayMissing()
list(failed, 'These failed:')
if (isCi && leftOut.length > 0) console.error('In CI nothing may be left out.')
console.log(`${totals.numPassedTests} passed, ${failed.length} failed`)
if (run.status !== 0 || failed.length > 0 || (isCi && leftOut.length > 0)) process.exit(1)
