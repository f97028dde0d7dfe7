// Runs the tests and says loudly what was left out because this machine lacks a tool. In CI nothing may be left out.
//   npm test               everything that a machine can run within minutes (vitest.config.mjs names what is left to the long run)
//   npm run test:long      also test/**/*.long.test.ts, and the same checks at larger counts (MILLRACE_LONG=1)
// Further arguments go to vitest, so `npm test -- test/commit` runs one folder. The last line is `N passed, N failed`.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
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
// All temporary files of the tests and of what they start: nothing of a run that was ended stays.
const temporary = join(folder, 'tmp')
mkdirSync(temporary)
const config = isLong ? join(root, 'scripts', 'vitest.long.config.mjs') : join(root, 'vitest.config.mjs')
const [reporters, others] = [['default', 'json'], given.filter((argument) => argument !== '--long')]
const run = await runWhole(
  [
    ...[vitest, 'run', '--root', root, '--config', config],
    ...reporters.map((name) => `--reporter=${name}`),
    ...[`--outputFile.json=${report}`, ...others],
  ],
  {
    ...process.env,
    TMPDIR: temporary,
    ...(isLong ? { MILLRACE_LONG: '1' } : given.length === 0 ? { MILLRACE_TEST_SHORT: '1' } : {}),
  },
)

/** Runs Node in a process group of its own, which ends as a whole: daemons and brokers of a run that is broken off, too. */
async function runWhole(args, env) {
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env,
    detached: true,
  })
  const end = () => {
    try {
      process.kill(-child.pid, 'SIGKILL')
    } catch {
      // Nothing of it is left.
    }
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.once(signal, () => {
      end()
      rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
      process.exit(1)
    })
  let isTimedOut = false
  const timer =
    testMsMax &&
    setTimeout(() => {
      isTimedOut = true
      end()
    }, testMsMax)
  const status = await new Promise((resolve) => child.once('close', resolve))
  clearTimeout(timer)
  // What it has told to end may take a moment.
  let leftRunning = commandsOf(child.pid)
  for (let i = 0; i < 50 && leftRunning.length > 0; i++) {
    await sleep(100)
    leftRunning = commandsOf(child.pid)
  }
  end()
  return { status, isTimedOut, leftRunning }
}

/** The command lines of a process group, where there is a /proc. */
function commandsOf(group) {
  if (!existsSync('/proc')) return []
  return readdirSync('/proc').flatMap((pid) => {
    try {
      // Behind the name, which may hold anything: state, parent, group.
      const [, , of] = readFileSync(join('/proc', pid, 'stat'), 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ')
      const command = readFileSync(join('/proc', pid, 'cmdline'), 'utf8').replaceAll('\0', ' ')
      return Number(of) === group && command !== '' ? [command] : []
    } catch {
      return []
    }
  })
}

let totals
try {
  totals = JSON.parse(readFileSync(report, 'utf8'))
} catch {
  const how = run.isTimedOut ? `was ended after ${testMsMax / 60_000} minutes` : 'ended'
  console.error(`vitest ${how} without a report`)
}
const leftBehind = readdirSync(temporary)
rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
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
list(run.leftRunning, 'The tests left running (all of it is ended):')
list(leftBehind, 'The tests left behind in the folder of temporary files (all of it is removed):')
list(leftOut, 'These tests were left out:')
sayMissing()
list(failed, 'These failed:')
if (isCi && leftOut.length > 0) console.error('In CI nothing may be left out.')
console.log(`${totals.numPassedTests} passed, ${failed.length} failed`)
if (run.status !== 0 || failed.length > 0 || (isCi && leftOut.length > 0)) process.exit(1)
