import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { restoredName, stagingName } from '../backup/index.js'
import { MillraceError, makeFolder, syncFolder } from '../runtime/index.js'

/** The version of everything in a data directory. A newer daemon reads older ones; an older one refuses newer ones. */
export const dataFormat = 4

/**
 * The layout of a data directory:
 *
 *   MILLRACE   says that the directory is ours, and its format
 *   mark       the newest commit, outside of the store (commit/mark.ts)
 *   store/     RocksDB
 *   aside/     hard links to write-ahead logs of an unclean stop, until the check of the ledger has passed
 *   native/    a mended copy of the native module
 *   modules/   bundles of user modules, as workers load them
 *   files/     what file sinks write
 *   functions/ code of functions, as threads load it (made anew at each start), and their logs
 *   RESTORED   the directory came from a backup and was not opened since
 *   ballast    space for an opening on a full disk (ballast.ts)
 */
export class DataDirectory {
  readonly path: string
  /** What its stamp says. */
  #format = dataFormat

  private constructor(path: string) {
    this.path = path
  }

  /** Makes the directory, or checks that it is ours. Throws DATA_DIR_FOREIGN or DATA_DIR_NEWER. */
  static open(path: string): DataDirectory {
    const directory = new DataDirectory(resolve(path))
    try {
      directory.#prepare()
    } catch (error) {
      if (error instanceof MillraceError) throw error
      throw new MillraceError(
        'IO_FAILED',
        `The data directory ${directory.path} cannot be used: ${(error as Error).message}.`,
        { cause: error },
      )
    }
    return directory
  }

  #prepare(): void {
    const { path } = this
    const stamp = join(path, 'MILLRACE')
    makeFolder(path)
    if (existsSync(stamp)) this.#checkStamp(stamp)
    else {
      const others = readdirSync(path).filter((name) => name !== 'lost+found')
      if (others.includes(restoredName)) {
        throw new MillraceError('DATA_DIR_FOREIGN', `${path} is what a restore that was broken off left.`, {
          remedy: 'Remove it and restore again.',
        })
      }
      if (others.length > 0) {
        throw new MillraceError(
          'DATA_DIR_FOREIGN',
          `${path} is not empty and not a data directory of Millrace (it has ${others[0]}).`,
        )
      }
      writeStamp(stamp)
    }
    for (const name of ['store', 'native', 'modules', 'files', 'functions', 'aside'])
      mkdirSync(join(path, name), { recursive: true })
    syncFolder(path)
  }

  #checkStamp(stamp: string): void {
    let format: unknown
    try {
      format = (JSON.parse(readFileSync(stamp, 'utf8')) as { format?: unknown }).format
    } catch {
      // A stop between the making of the file and its content leaves it empty: then nothing else is there either.
      if (readdirSync(this.path).length === 1) {
        rmSync(stamp)
        this.#prepare()
        return
      }
    }
    if (typeof format !== 'number') throw new MillraceError('DATA_DIR_FOREIGN', `${stamp} does not say a format.`)
    if (format > dataFormat) {
      throw new MillraceError(
        'DATA_DIR_NEWER',
        `${this.path} has format ${format}; this version of Millrace knows ${dataFormat}.`,
      )
    }
    this.#format = format
  }

  /**
   * Before the first write of this version: an older one would not know what it reads then. Written beside and renamed,
   * so that a stop in between leaves one of the two.
   */
  raiseFormat(): void {
    if (this.#format === dataFormat) return
    const beside = join(this.path, 'MILLRACE.new')
    rmSync(beside, { force: true })
    writeStamp(beside)
    renameSync(beside, join(this.path, 'MILLRACE'))
    syncFolder(this.path)
    this.#format = dataFormat
  }

  get store(): string {
    return join(this.path, 'store')
  }
  get mark(): string {
    return join(this.path, 'mark')
  }
  /** Whether it came from a backup and was not opened since. */
  get isRestored(): boolean {
    return existsSync(join(this.path, restoredName))
  }
  /** The epoch has been raised durably. */
  dropRestored(): void {
    if (!this.isRestored) return
    rmSync(join(this.path, restoredName))
    syncFolder(this.path)
  }

  get ballast(): string {
    return join(this.path, 'ballast')
  }
  get native(): string {
    return join(this.path, 'native')
  }
  get modules(): string {
    return join(this.path, 'modules')
  }
  get files(): string {
    return join(this.path, 'files')
  }
  get functionCode(): string {
    return join(this.path, 'functions', 'code')
  }
  get functionLogs(): string {
    return join(this.path, 'functions', 'logs')
  }

  /**
   * Hard-links the write-ahead logs aside before RocksDB opens, replays and removes them: if the check of the ledger
   * fails, they are the evidence. Returns their folder, or undefined when there are none.
   */
  linkLogsAside(): string | undefined {
    const logs = readdirSync(this.store).filter((name) => name.endsWith('.log'))
    if (logs.length === 0) return undefined
    const folder = join(this.path, 'aside', `${Date.now()}-${process.pid}`)
    mkdirSync(folder, { recursive: true })
    for (const name of logs) keepAside(join(this.store, name), join(folder, name))
    return folder
  }

  /** The check has passed. What a backup that was broken off left goes too. */
  dropAside(): void {
    rmSync(join(this.path, stagingName), { recursive: true, force: true })
    for (const name of readdirSync(join(this.path, 'aside')))
      rmSync(join(this.path, 'aside', name), { recursive: true, force: true })
  }
}

function writeStamp(path: string): void {
  const file = openSync(path, 'wx')
  try {
    writeSync(file, `${JSON.stringify({ format: dataFormat })}\n`)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** A hard link, or a copy where the file system has none. A daemon that holds the directory may just have removed it. */
function keepAside(log: string, aside: string): void {
  try {
    linkSync(log, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    copyFileSync(log, aside)
  }
}
