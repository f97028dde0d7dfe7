// Runs the tests and says loudly what was left out because this machine lacks a tool. In CI nothing may be left out.
//   npm test               everything that a machine can run within minutes (vitest.config.mjs names what is left to the long run)
//   npm run test:long      also test/**/*.long.test.ts, and the same checks at larger counts (MILLRACE_LONG=1)
// Further arguments go to vitest, so `npm test -- test/commit` runs one folder. The last line is `N passed, N failed`.
// What fails beside the others in a run of everything is tried once more, alone, and listed as such: see `worthAnotherTry`.
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

const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
const config = isLong ? join(root, 'scripts', 'vitest.long.config.mjs') : join(root, 'vitest.config.mjs')
const others = given.filter((argument) => argument !== '--long')
const deadline = testMsMax && performance.now() + testMsMax

/**
 * What one run of vitest said; `totals` is undefined when it ended without a report, and `isOfTests` says whether all that
 * failed is a test's.
 */
async function runTests(further) {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-tests-'))
  const [report, errors] = [join(folder, 'report.json'), join(folder, 'errors')]
  // All temporary files of the tests and of what they start: nothing of a run that was ended stays.
  const temporary = join(folder, 'tmp')
  mkdirSync(temporary)
  const run = await runWhole(
    [
      ...[vitest, 'run', '--root', root, '--config', config],
      ...['default', 'json', join(root, 'scripts', 'failure-reporter.mjs')].map((name) => `--reporter=${name}`),
      ...[`--outputFile.json=${report}`, ...further],
    ],
    {
      ...process.env,
      TMPDIR: temporary,
      MILLRACE_TEST_ERRORS_FILE: errors,
      ...(isLong ? { MILLRACE_LONG: '1' } : given.length === 0 ? { MILLRACE_TEST_SHORT: '1' } : {}),
    },
    folder,
  )
  let totals
  let isOfTests = false
  try {
    totals = JSON.parse(readFileSync(report, 'utf8'))
    isOfTests = readFileSync(errors, 'utf8') === '0'
  } catch {
    const how = run.isTimedOut ? `was ended after ${testMsMax / 60_000} minutes` : 'ended'
    console.error(`vitest ${how} without a report`)
  }
  const leftBehind = readdirSync(temporary)
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  list(run.leftRunning, 'The tests left running (all of it is ended):')
  list(leftBehind, 'The tests left behind in the folder of temporary files (all of it is removed):')
  return { status: run.status, totals, isOfTests }
}

/** Runs Node in a process group of its own, which ends as a whole: daemons and brokers of a run that is broken off, too. */
async function runWhole(args, env, folder) {
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
  const brokenOff = () => {
    end()
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
    process.exit(1)
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) process.once(signal, brokenOff)
  let isTimedOut = false
  const timer =
    deadline &&
    setTimeout(
      () => {
        isTimedOut = true
        end()
      },
      Math.max(0, deadline - performance.now()),
    )
  const status = await new Promise((resolve) => child.once('close', resolve))
  clearTimeout(timer)
  for (const signal of signals) process.removeListener(signal, brokenOff)
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

/** All tests of a run. A file that could not even be loaded has none, and stands for itself. */
function testsOf(totals) {
  return totals.testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = relative(root, name)
    if (status === 'failed' && assertionResults.every((test) => test.status !== 'failed'))
      return [{ file, title: file, status, text: message ?? '' }]
    return assertionResults.map((test) => ({
      file,
      title: `${file}: ${test.fullName}`,
      status: test.status,
      text: (test.failureMessages ?? []).join('\n'),
    }))
  })
}

const isFailed = ({ status }) => status === 'failed'

/** So many files that fail are no accident. */
const againFilesMax = 3

/**
 * A run of everything starts hundreds of daemons, brokers and browsers on few cores, where a test of them may wait for something
 * that does not come in time. What passes alone, on an idle machine, is named at the end for whoever mends it, and does not
 * fail the run. What random tests find is none of that: with another seed it would only be missed.
 */
function worthAnotherTry(failures) {
  const files = [...new Set(failures.map(({ file }) => file))]
  const isRandom = (file) => readFileSync(join(root, file), 'utf8').includes('fast-check')
  const saysSeed = ({ title, text }) => /\bseed\b/i.test(title) || /\bseed\b|Counterexample/i.test(text)
  if (isLong || given.length > 0 || files.length > againFilesMax) return false
  return !failures.some(saysSeed) && !files.some(isRandom)
}

let { status, totals, isOfTests } = await runTests(others)
if (totals === undefined) {
  console.log('0 passed, 1 failed')
  process.exit(1)
}
let tests = testsOf(totals)
let unsteady = []
const failures = tests.filter(isFailed)
if (failures.length > 0 && isOfTests && worthAnotherTry(failures)) {
  list(
    failures.map(({ title }) => title),
    'These failed beside the others, and are tried once more, alone:',
  )
  const files = new Set(failures.map(({ file }) => file))
  const again = await runTests(['--no-file-parallelism', ...files])
  const tried = again.totals === undefined ? [] : testsOf(again.totals)
  if ([...files].every((file) => tried.some((test) => test.file === file))) {
    tests = [...tests.filter(({ file }) => !files.has(file)), ...tried]
    unsteady = tried.every((test) => !isFailed(test)) ? failures : []
    status = again.status
  }
}
const titlesOf = (wanted) => wanted.map(({ title }) => title)
const failed = titlesOf(tests.filter(isFailed))
const leftOut = titlesOf(tests.filter((test) => test.status !== 'failed' && test.status !== 'passed'))
list(leftOut, 'These tests were left out:')
sayMissing()
list(
  titlesOf(unsteady),
  'These failed beside the others and passed alone (a fault of the test, or a race of what it tests: mend it):',
)
list(failed, 'These failed:')
if (isCi && leftOut.length > 0) console.error('In CI nothing may be left out.')
console.log(`${tests.filter((test) => test.status === 'passed').length} passed, ${failed.length} failed`)
if (status !== 0 || failed.length > 0 || (isCi && leftOut.length > 0)) process.exit(1)
