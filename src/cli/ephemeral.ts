import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const prefix = 'millrace-ephemeral-'

/**
 * A data directory that goes with this process: at its exit, however it exits, or when the next such process starts if it
 * was killed. Its name says who made it, as `<process>-<start>-<namespace>-<random>`: a process id alone means nothing
 * once it was given again, and nothing at all to another container that shares the temporary folder.
 */
export function ephemeralFolder(): string {
  const root = tmpdir()
  removeStale(root)
  const folder = mkdtempSync(join(root, `${prefix}${process.pid}-${startOf('self')}-${namespace()}-`))
  process.once('exit', () => remove(folder))
  return folder
}

function removeStale(root: string): void {
  for (const name of readdirSync(root)) {
    if (!name.startsWith(prefix)) continue
    const [pid, start, space] = name.slice(prefix.length).split('-') as [string, string, string]
    if (space !== namespace() || isAlive(Number(pid), start)) continue
    const folder = join(root, name)
    if (isOurs(folder)) remove(folder)
  }
}

function isAlive(pid: number, start: string): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
  return startOf(pid) === start
}

/** When a process began, in ticks since the machine did; the same for all where the system does not say. */
function startOf(pid: number | 'self'): string {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name of the program stands in parentheses and may hold spaces; the start is the 20th field behind it.
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] as string
  } catch {
    return '0'
  }
}

/** Which process ids these are. */
function namespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid').replace(/\D/g, '')
  } catch {
    return '0'
  }
}

/** The temporary folder belongs to everybody: a folder of another user stays. */
function isOurs(folder: string): boolean {
  try {
    return process.getuid === undefined || statSync(folder).uid === process.getuid()
  } catch {
    return false
  }
}

function remove(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  } catch {
    // What cannot be removed now is removed by the next start.
  }
}
