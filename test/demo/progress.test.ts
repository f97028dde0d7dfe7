import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { ensureBuilt } from '../built.js'

const progress = new URL('../../dist/demo/progress.js', import.meta.url).href

/** What a process that uses the demo's phases writes to its standard error, a pipe. */
function stderrOf(code: string, env: Readonly<Record<string, string>> = {}): string {
  ensureBuilt()
  const args = ['--input-type=module', '--eval', code]
  const { NO_COLOR: _, ...inherited } = process.env
  const { stderr, error } = spawnSync(process.execPath, args, { encoding: 'utf8', env: { ...inherited, ...env } })
  expect(error).toBeUndefined()
  return stderr
}

const escapeCharacter = String.fromCharCode(27)

test('an end in the middle of a phase gives the terminal its cursor back', () => {
  const stderr = stderrOf(`
    process.stderr.isTTY = true
    const { Phase } = await import('${progress}')
    new Phase('writing', 10, 'writes').update(5)
    process.exit(130)`)
  expect(stderr).toContain(`${escapeCharacter}[?25l`)
  expect(stderr.lastIndexOf(`${escapeCharacter}[?25h`)).toBeGreaterThan(stderr.lastIndexOf(`${escapeCharacter}[?25l`))
})

test('there is no colour where standard error is no terminal, also in CI', () => {
  const code = `const { Phase } = await import('${progress}'); new Phase('writing', 1, 'writes').end()`
  const stderr = stderrOf(code, { CI: '1' })
  expect(stderr).toContain('✓ writing')
  expect(stderr).not.toContain(escapeCharacter)
})
