// Takes the guards of the log out of the source, one at a time, and runs what must notice: the test of that guard, or the
// simulation (test/simulation). Prints a line a mutant, `caught N of N` for the guards of the commit path, and
// `mutants caught N of N` for all; exit 1 when one was not caught.   npm run mutants [NAME ...], or -- --guards for the first alone
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { guards, others } from './mutants/list.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const atOnce = Math.min(2, availableParallelism())
const wanted = process.argv.slice(2)
const named = ({ name }) => wanted.length === 0 || wanted.includes(name)
const mutants = wanted[0] === '--guards' ? guards : [...guards, ...others].filter(named)
if (mutants.length === 0) throw new Error(`there is no mutant called ${wanted.join(' or ')}`)

/** A copy of the source that may be broken. */
function copyOfSource() {
  const copy = mkdtempSync(join(tmpdir(), 'millrace-mutants-'))
  for (const name of ['src', 'test', 'package.json', 'tsconfig.json', 'vitest.config.mjs'])
    cpSync(join(root, name), join(copy, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  return copy
}

/** Runs the tests whose titles match; `ran` is how many there are. */
function run(copy, { file, title }) {
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
  const args = [vitest, 'run', file, '-t', title, '--reporter=json', '--testTimeout=60000']
  // One seed for all: what is caught today is caught tomorrow.
  const env = {
    ...process.env,
    MILLRACE_TEST_ONE_SEED: '4',
    MILLRACE_TEST_SIMULATION_SEED: '4',
    MILLRACE_TEST_SIMULATION_SHRINK: 'no',
  }
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: copy, env, stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.on('data', (data) => (text += data))
    child.on('error', reject)
    child.on('close', (status) => {
      const start = text.indexOf('{"')
      if (start < 0) return reject(new Error(`vitest gave no report: ${text}`))
      const report = JSON.parse(text.slice(start, text.lastIndexOf('}') + 1))
      resolve({ passed: status === 0, ran: report.numPassedTests + report.numFailedTests })
    })
  })
}

/** Does it for all of a list, as many at once as there are copies. */
async function inEachCopy(list, act) {
  const left = [...list]
  await Promise.all(
    copies.map(async (copy) => {
      for (let next = left.shift(); next; next = left.shift()) await act(copy, next)
    }),
  )
}

/** Each test passes while the guards are there. */
async function checkBefore(list) {
  const byFile = new Map()
  for (const { by } of list) byFile.set(by.file, new Set([...(byFile.get(by.file) ?? []), by.title]))
  await inEachCopy(byFile, async (copy, [file, titles]) => {
    const { passed, ran } = await run(copy, { file, title: `(${[...titles].join('|')})` })
    if (!passed || ran !== titles.size)
      throw new Error(`${ran} tests of ${file} ran with all guards in place, ${titles.size} were to pass`)
  })
}

async function isCaught(copy, { name, file, guard, without, by }) {
  const path = join(copy, file)
  const source = readFileSync(path, 'utf8')
  if (source.split(guard).length !== 2)
    throw new Error(`${file} does not hold the guard of '${name}' exactly once: ${guard}`)
  writeFileSync(
    path,
    source.replace(guard, () => without),
  )
  try {
    const after = await run(copy, by)
    return !after.passed && after.ran === 1
  } finally {
    writeFileSync(path, source)
  }
}

const copies = []
const caught = new Set()
try {
  for (let i = 0; i < atOnce; i++) copies.push(copyOfSource())
  await checkBefore(mutants)
  await inEachCopy(mutants, async (copy, mutant) => {
    const began = performance.now()
    if (await isCaught(copy, mutant)) caught.add(mutant)
    const seconds = ((performance.now() - began) / 1000).toFixed(1)
    console.log(`${caught.has(mutant) ? 'caught' : 'MISSED'}  ${mutant.name} (${seconds} s, ${mutant.by.file})`)
  })
} finally {
  for (const copy of copies) rmSync(copy, { recursive: true, force: true })
}
const count = (list) => `caught ${list.filter((each) => caught.has(each)).length} of ${list.length}`
if (wanted.length === 0) console.log(count(guards))
console.log(`mutants ${count(mutants)}`)
if (caught.size !== mutants.length) process.exit(1)
