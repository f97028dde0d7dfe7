import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Compiles the shim; undefined, said loudly, where there is no C compiler (in CI that is an error). */
export function compileShim(): string | undefined {
  const isThere = process.platform === 'linux' && spawnSync('cc', ['--version'], { stdio: 'ignore' }).status === 0
  if (!isThere) {
    if (process.env.CI) throw new Error('There is no C compiler, and in CI nothing may be left out.')
    console.error('*** LEFT OUT: the tests of power failure (there is no C compiler here)')
    return undefined
  }
  const folder = join(tmpdir(), `millrace-shim-${process.pid}`)
  mkdirSync(folder, { recursive: true })
  const library = join(folder, 'shim.so')
  if (!existsSync(library)) {
    const source = fileURLToPath(new URL('./shim.c', import.meta.url))
    execFileSync('cc', ['-O1', '-shared', '-fPIC', '-Wall', '-Wextra', '-o', library, source, '-ldl', '-lpthread'])
  }
  return library
}

/** What a process needs to run under the shim. */
export function shimEnvironment(library: string, root: string, journal: string): Record<string, string> {
  return { LD_PRELOAD: library, POWER_SHIM_ROOT: root, POWER_SHIM_JOURNAL: journal, UV_USE_IO_URING: '0' }
}
