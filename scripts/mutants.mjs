// Takes the guards of the commit path out of the source, one at a time, and runs the test that must notice.
// Prints a line a mutant and `caught N of N`; exit 1 when one was not caught.   npm run mutants
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

/** name of the guard (and of its test), file, the text that is the guard, what stands there without it */
const mutants = [
  ['latch', 'src/commit/commit.ts', 'return this.#latches.take(keys.map(rowName))', 'return () => void keys'],
  ['waiting answer', 'src/commit/commit.ts', 'seen: pending.commit }', 'seen: undefined }'],
  ['ledger', 'src/commit/ledger.ts', 'if (row.commit !== before.commit + 1) {', 'if (row.commit < 0) {'],
  ['mark', 'src/commit/ledger.ts', 'if (newest < markedCommit) {', 'if (newest < 0) {'],
  ['poisoning', 'src/commit/commit.ts', '    this.#failed = error\n', ''],
  ['clock', 'src/commit/commit-time.ts', 'if (Math.abs(wall - expected) > clockJumpMs) {', 'if (wall < 0) {'],
  ['sync', 'src/commit/commit.ts', '}, this.#options.synced)', '}, false)'],
]

const copy = mkdtempSync(join(tmpdir(), 'millrace-mutants-'))
let caught = 0
try {
  for (const name of ['src', 'test', 'package.json', 'tsconfig.json', 'vitest.config.mjs']) {
    cpSync(join(root, name), join(copy, name), { recursive: true })
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  const run = (name) => {
    const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
    const args = [
      vitest,
      'run',
      'test/commit/guards.test.ts',
      '-t',
      `guards ${name}:`,
      '--testTimeout=5000',
      '--reporter=json',
    ]
    const { status, stdout } = spawnSync(process.execPath, args, { cwd: copy, encoding: 'utf8' })
    const report = JSON.parse(stdout.slice(stdout.indexOf('{')))
    return { passed: status === 0, ran: report.numPassedTests + report.numFailedTests }
  }
  for (const [name, file, guard, without] of mutants) {
    const path = join(copy, file)
    const source = readFileSync(path, 'utf8')
    if (source.split(guard).length !== 2)
      throw new Error(`${file} does not hold the guard of '${name}' exactly once: ${guard}`)
    const before = run(name)
    if (!before.passed || before.ran !== 1)
      throw new Error(`the test of '${name}' does not pass with the guard in place`)
    writeFileSync(path, source.replace(guard, without))
    const after = run(name)
    writeFileSync(path, source)
    const isCaught = !after.passed && after.ran === 1
    if (isCaught) caught++
    console.log(`${isCaught ? 'caught' : 'MISSED'}  ${name}`)
  }
} finally {
  rmSync(copy, { recursive: true, force: true })
}
console.log(`caught ${caught} of ${mutants.length}`)
if (caught !== mutants.length) process.exit(1)
