import { spawnSync } from 'node:child_process'

/** Whether a program of Debian's package `prometheus` is there; says so when not. In CI nothing may be left out. */
export function hasTool(name: 'promtool' | 'prometheus', without: string): boolean {
  if (spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0) return true
  if (process.env.CI) throw new Error(`There is no ${name} here, and in CI nothing may be left out.`)
  console.error(`*** there is no ${name} here: left out is ${without}`)
  return false
}

/** Runs promtool and gives what it said when it found a fault, and nothing when it found none. */
export function promtool(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8' })
  return status === 0 ? '' : `${stdout}${stderr}`
}
