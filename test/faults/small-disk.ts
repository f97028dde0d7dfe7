import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'

const mount = (...args: string[]) => spawnSync('mount', args, { stdio: 'ignore' }).status === 0

/** Whether small disks can be mounted here, which only root may do; says on standard error what is left out where not. */
export function mayMountDisks(leftOut: string): boolean {
  const probe = join('/tmp', `millrace-mount-${process.pid}`)
  mkdirSync(probe, { recursive: true })
  const may = process.platform === 'linux' && mount('-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', probe)
  if (may) spawnSync('umount', [probe])
  rmSync(probe, { recursive: true, force: true })
  if (!may) console.error(`*** LEFT OUT: ${leftOut} (it mounts a small one, which only root may do)`)
  return may
}

/** A disk of so many MiB on a folder, until the test is over. */
export function mountDisk(folder: string, megabytes: number): void {
  expect(mount('-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder)).toBe(true)
  onTestFinished(() => void spawnSync('umount', ['-l', folder]))
}
