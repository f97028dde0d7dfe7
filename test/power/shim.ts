import { execFileSync, spawnSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'

/** Compiles the shim for the tests of a file; undefined, said loudly, where there is no C compiler (in CI that is an error). */
export function compileShim(): string | undefined {
  const isThere = process.platform === 'linux' && spawnSync('cc', ['--version'], { stdio: 'ignore' }).status === 0
  if (!isThere) {
    if (process.env.CI) throw new Error('There is no C compiler, and in CI nothing may be left out.')
    console.error('*** LEFT OUT: the tests of power failure (there is no C compiler here)')
    return undefined
  }
  const folder = mkdtempSync(join(tmpdir(), 'millrace-shim-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const library = join(folder, 'shim.so')
  const source = fileURLToPath(new URL('./shim.c', import.meta.url))
  execFileSync('cc', ['-O1', '-shared', '-fPIC', '-Wall', '-Wextra', '-o', library, source, '-ldl', '-lpthread'])
  return library
}

/** What a process needs to run under the shim. */
export function shimEnvironment(library: string, root: string, journal: string): Record<string, string> {
  return { LD_PRELOAD: library, POWER_SHIM_ROOT: root, POWER_SHIM_JOURNAL: journal, UV_USE_IO_URING: '0' }
}

/** The clock of a process under the shim, which the test sets. */
export class ShimClock {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
    this.offBy(0)
  }

  get environment(): Record<string, string> {
    return { POWER_SHIM_CLOCK: this.#path }
  }

  /** The process has the file mapped: it is written in place. */
  offBy(ms: number): void {
    const seconds = Buffer.alloc(8)
    seconds.writeBigInt64LE(BigInt(Math.round(ms / 1000)))
    const file = openSync(this.#path, constants.O_RDWR | constants.O_CREAT)
    writeSync(file, seconds, 0, 8, 0)
    closeSync(file)
  }
}
