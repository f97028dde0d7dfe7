import { tmpdir } from 'node:os'
import { run } from '../../src/cli/program.js'
import type { Finished, RunOptions } from './millrace.js'

/**
 * Runs a command in the process of the test: what it prints and its exit code, in a tenth of the time of a process of its own.
 * What only that shows (that it ends, standard input, what Node itself says) is for `millrace`. One at a time.
 */
export async function inProcess(args: readonly string[], options: Omit<RunOptions, 'input'> = {}): Promise<Finished> {
  const printed = { stdout: '', stderr: '' }
  const listeners = process.stdout.listeners('error')
  const [folder, environment] = [process.cwd(), process.env]
  const original = { stdout: process.stdout.write, stderr: process.stderr.write }
  for (const name of ['stdout', 'stderr'] as const)
    process[name].write = (text: string | Uint8Array) => {
      printed[name] += Buffer.from(text as string).toString()
      return true
    }
  try {
    process.chdir(options.cwd ?? tmpdir())
    process.env = { ...environment, ...options.env }
    process.exitCode = undefined
    await run([process.execPath, 'millrace', ...args])
    return { code: Number(process.exitCode ?? 0), ...printed }
  } finally {
    for (const name of ['stdout', 'stderr'] as const) process[name].write = original[name]
    for (const listener of process.stdout.listeners('error'))
      if (!listeners.includes(listener)) process.stdout.removeListener('error', listener as () => void)
    process.exitCode = undefined
    process.env = environment
    process.chdir(folder)
  }
}
