import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import type { Commit } from '../commit/index.js'
import { type Clock, killPoint, MillraceError, makeFolder, sleep } from '../runtime/index.js'
import { copyPrefix, filesBelow, linkOrCopy, makeEmptyFolder, syncTree } from './files.js'

/** Where hard links stand while their contents are copied; a start empties it. */
export const stagingName = 'backup-staging'
/** A backup that is not verified yet has this behind its name. */
export const partialSuffix = '.partial'

/** How often the store is looked at again when RocksDB changed its files meanwhile, and how long is waited between. */
const looksMax = 100
const lookAgainMs = 50

export interface StageOptions {
  /** The data directory. */
  readonly directory: string
  /** Where the backup shall lie in the end: absolute, and nothing there yet. */
  readonly target: string
  readonly commit: Pick<Commit, 'pause'>
  readonly clock: Clock
}

export interface Staged {
  /** The folder that `finishBackup` makes a backup of. */
  readonly folder: string
  /** How long no commit began, milliseconds. */
  readonly pausedMs: number
}

/**
 * Copies a data directory while its daemon runs. Commits pause only while files are hard-linked: table files never
 * change, and of those that grow (write-ahead log, manifest, outputs of file sinks) the length of that moment is noted and
 * copied afterwards. Throws ALREADY_EXISTS, BAD_REQUEST, TOO_BUSY, IO_FAILED or STORE_FAILED; nothing is left then.
 */
export async function stageBackup(options: StageOptions): Promise<Staged> {
  const { directory, commit, clock } = options
  if (!isAbsolute(options.target) || options.target.includes('\0'))
    throw new MillraceError('BAD_REQUEST', `The target of a backup is an absolute path, not ${options.target}.`)
  // Without `..` and a slash at its end: what is compared and gets a suffix is the folder itself.
  const target = resolve(options.target)
  if (`${target}/`.startsWith(`${directory}/`))
    throw new MillraceError('BAD_REQUEST', `${target} lies in the data directory itself.`)
  checkTarget(target)
  const folder = target + partialSuffix
  const staging = join(directory, stagingName)
  claim(staging)
  try {
    makePartial(folder)
  } catch (error) {
    rmSync(staging, { recursive: true, force: true })
    throw error
  }
  try {
    const { growing, pausedMs } = await linkWhilePaused(directory, staging, commit, clock)
    for (const path of filesBelow(staging)) {
      const bytes = growing.get(path)
      if (bytes === undefined) await linkOrCopy(join(staging, path), join(folder, path))
      else await copyPrefix(join(staging, path), join(folder, path), bytes)
    }
    await syncTree(folder)
    return { folder, pausedMs }
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    if (error instanceof MillraceError) throw error
    throw new MillraceError('IO_FAILED', `The backup to ${target} failed: ${(error as Error).message}.`, {
      cause: error,
    })
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
}

/** Throws ALREADY_EXISTS when something is there that is not an empty folder. */
function checkTarget(target: string): void {
  if (existsSync(target)) makeEmptyFolder(target)
}

/** Only one's own: what is there may be a copy that is being verified at this moment. */
function makePartial(folder: string): void {
  try {
    makeFolder(dirname(folder))
    mkdirSync(folder)
  } catch (error) {
    const isThere = existsSync(folder) && (error as NodeJS.ErrnoException).code === 'EEXIST'
    if (!isThere)
      throw new MillraceError('IO_FAILED', `${folder} cannot be made: ${(error as Error).message}.`, { cause: error })
    throw new MillraceError('ALREADY_EXISTS', `${folder} exists: a backup is being made there, or was broken off.`, {
      cause: error,
      remedy: 'Remove it when no backup is running, or name another folder.',
    })
  }
}

function claim(staging: string): void {
  try {
    mkdirSync(staging)
  } catch (error) {
    throw new MillraceError('TOO_BUSY', 'Another backup is being made.', { cause: error })
  }
}

async function linkWhilePaused(
  directory: string,
  staging: string,
  commit: Pick<Commit, 'pause'>,
  clock: Clock,
): Promise<{ growing: Map<string, number>; pausedMs: number }> {
  for (let look = 0; look < looksMax; look++) {
    const resume = await commit.pause()
    const began = clock.monotonic()
    try {
      const before = stateOf(directory)
      const growing = linkAll(directory, staging)
      killPoint('backup:linked')
      // RocksDB flushes and compacts by itself: what was linked is of one moment only when nothing changed meanwhile.
      if (growing && before === stateOf(directory)) return { growing, pausedMs: clock.monotonic() - began }
    } finally {
      resume()
    }
    rmSync(staging, { recursive: true, force: true })
    mkdirSync(staging)
    await sleep(clock, lookAgainMs)
  }
  throw new MillraceError('TOO_BUSY', 'RocksDB rewrote its files at each of the looks of a backup.')
}

/** What must not change while links are made: which files there are, and what RocksDB says of them. */
function stateOf(directory: string): string {
  const store = join(directory, 'store')
  const names = readdirSync(store).sort()
  const current = readFileSync(join(store, 'CURRENT'), 'utf8').trim()
  return `${names.join()} ${current} ${statSync(join(store, current)).size}`
}

/** Links everything that a backup holds; the lengths of what grows, or undefined when a file went away meanwhile. */
function linkAll(directory: string, staging: string): Map<string, number> | undefined {
  const growing = new Map<string, number>()
  const paths = [
    'MILLRACE',
    'mark',
    ...filesBelow(join(directory, 'store')).map((name) => `store/${name}`),
    ...filesBelow(join(directory, 'files')).map((name) => `files/${name}`),
  ]
  for (const path of paths) {
    if (path === 'store/LOCK' || path.startsWith('store/LOG')) continue
    const from = join(directory, path)
    const to = join(staging, path)
    try {
      mkdirSync(dirname(to), { recursive: true })
      // The mark is written in place.
      if (path === 'mark') copyFileSync(from, to)
      else linkSync(from, to)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
    if (!path.endsWith('.sst') && path !== 'mark') growing.set(path, statSync(from).size)
  }
  return growing
}

/** A backup that was verified gets its name. */
export function nameBackup(folder: string): string {
  const target = folder.slice(0, -partialSuffix.length)
  if (existsSync(target)) {
    makeEmptyFolder(target)
    rmSync(target, { recursive: true })
  }
  renameSync(folder, target)
  return target
}
