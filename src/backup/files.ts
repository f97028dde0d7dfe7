import { createReadStream, createWriteStream, existsSync, readdirSync, statSync } from 'node:fs'
import { copyFile, link, mkdir, open, readdir } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { finished } from 'node:stream/promises'
import { MillraceError, makeFolder } from '../runtime/index.js'

/** All files below a folder, as paths with slashes, in order. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort()
}

/** Makes the contents of all files and the names in all folders durable. */
export async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    await (entry.isDirectory() ? syncTree(path) : syncPath(path))
  }
  await syncPath(folder)
}

export async function syncPath(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

/** A hard link where both lie on one file system, a copy elsewhere. */
export async function linkOrCopy(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true })
  try {
    await link(from, to)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'EXDEV' && code !== 'EPERM' && code !== 'ENOTSUP') throw error
    await copyFile(from, to)
  }
}

/** The first bytes of a file that may still grow, as a file of its own. */
export async function copyPrefix(from: string, to: string, bytes: number): Promise<void> {
  await mkdir(dirname(to), { recursive: true })
  const target = createWriteStream(to, { flags: 'wx' })
  if (bytes === 0) target.end()
  else
    createReadStream(from, { end: bytes - 1 })
      .on('error', (error) => target.destroy(error))
      .pipe(target)
  await finished(target)
  if (target.bytesWritten !== bytes) throw new MillraceError('IO_FAILED', `${from} became shorter while it was copied.`)
}

/** Makes a folder that must not hold anything yet. Throws ALREADY_EXISTS or IO_FAILED. */
export function makeEmptyFolder(path: string): void {
  const taken = (what: string): MillraceError =>
    new MillraceError('ALREADY_EXISTS', `${path} is ${what}.`, { remedy: 'Name a folder that does not exist yet.' })
  let names: string[]
  try {
    if (existsSync(path) && !statSync(path).isDirectory()) throw taken('a file')
    makeFolder(path)
    names = readdirSync(path)
  } catch (error) {
    if (error instanceof MillraceError) throw error
    throw new MillraceError('IO_FAILED', `${path} cannot be made: ${(error as Error).message}.`, { cause: error })
  }
  if (names.length > 0) throw taken('not empty')
}
