import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path'
import { crc32 } from 'node:zlib'
import { killPoint, MillraceError, makeFolder, syncFolder } from '../runtime/index.js'

/** What the last barrier committed of a sink's file. */
export interface CommittedFile {
  readonly path: string
  readonly length: number
  /** CRC-32 of the last bytes before `length`, up to `checkedBytesMax`: another file in its place is recognised. */
  readonly checksum: number
}

const checkedBytesMax = 64 * 1024
const impossiblePaths = new Set(['ENAMETOOLONG', 'EISDIR', 'ENOTDIR', 'ERR_INVALID_ARG_VALUE'])

/** The path of a file sink. Relative ones lie in `folder`; others are refused unless `isOutsideAllowed`. */
export function sinkPath(path: string, folder: string, isOutsideAllowed: boolean): string {
  const whole = isAbsolute(path) ? resolve(path) : resolve(folder, path)
  const inside = relative(folder, whole)
  if (!isOutsideAllowed && (inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside))) {
    throw new MillraceError('PIPELINE_INVALID', `The file sink ${path} lies outside of ${folder}.`, {
      remedy: 'Give a relative path, or allow it with pipelines.filesOutside: true.',
    })
  }
  return whole
}

/**
 * A file that gets each result exactly once: bytes are written and synced first, then their length commits with the
 * barrier; whoever begins again truncates to the committed length before anything is written.
 */
export class FileSink {
  readonly #path: string
  readonly #file: FileHandle
  /** How many bytes the opening cut off: written before the stop, and taken in by no commit. */
  readonly cutBytes: number
  #length: number
  /** The last bytes before `length`. */
  #tail: Buffer

  private constructor(path: string, file: FileHandle, cutBytes: number, length: number, tail: Buffer) {
    this.#path = path
    this.#file = file
    this.cutBytes = cutBytes
    this.#length = length
    this.#tail = tail
  }

  /** Before the first barrier: an empty file of its own. Throws ALREADY_EXISTS when something is in it. */
  static async create(path: string): Promise<CommittedFile> {
    try {
      makeFolder(dirname(path))
      const file = await open(path, constants.O_RDWR | constants.O_CREAT)
      try {
        const { size } = await file.stat()
        if (size > 0)
          throw new MillraceError('ALREADY_EXISTS', `The file ${path} is not empty.`, {
            remedy: 'Move it away, or give the pipeline another path.',
          })
        await file.sync()
      } finally {
        await file.close()
      }
      syncFolder(dirname(path))
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? ''
      if (impossiblePaths.has(code))
        throw new MillraceError('PIPELINE_INVALID', `No file can be written at ${path.slice(0, 500)} (${code}).`, {
          remedy: 'Give the file sink another path.',
          cause: error,
        })
      throw asSinkError(path, error)
    }
    return { path, length: 0, checksum: 0 }
  }

  /** Truncates to what was committed. Throws SINK_FILE_CHANGED when the file is shorter or another one. */
  static async open(committed: CommittedFile): Promise<FileSink> {
    const { path, length, checksum } = committed
    let file: FileHandle
    try {
      // A file whose creation was never committed with a byte may be gone after a power failure.
      file = await open(path, length === 0 ? constants.O_RDWR | constants.O_CREAT : constants.O_RDWR)
      if (length === 0) syncFolder(dirname(path))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw changed(path, 'is gone')
      throw asSinkError(path, error)
    }
    try {
      const { size } = await file.stat()
      if (size < length) throw changed(path, `has ${size} bytes, fewer than the ${length} that were committed`)
      const tail = Buffer.alloc(Math.min(length, checkedBytesMax))
      await file.read(tail, 0, tail.length, length - tail.length)
      if (crc32(tail) !== checksum) throw changed(path, 'does not hold what was committed')
      if (size > length) {
        await file.truncate(length)
        await file.sync()
      }
      return new FileSink(path, file, size - length, length, tail)
    } catch (error) {
      await file.close()
      throw asSinkError(path, error)
    }
  }

  /** Writes and syncs; what is returned must commit before the next append. */
  async append(bytes: Buffer): Promise<CommittedFile> {
    try {
      let written = 0
      while (written < bytes.length) {
        written += (await this.#file.write(bytes, written, bytes.length - written, this.#length + written)).bytesWritten
      }
      killPoint('sink:written')
      await this.#file.datasync()
    } catch (error) {
      throw asSinkError(this.#path, error)
    }
    killPoint('sink:synced')
    this.#length += bytes.length
    this.#tail = Buffer.concat([this.#tail, bytes]).subarray(-checkedBytesMax)
    return { path: this.#path, length: this.#length, checksum: crc32(this.#tail) }
  }

  async close(): Promise<void> {
    await this.#file.close()
  }
}

const changed = (path: string, how: string): MillraceError =>
  new MillraceError('SINK_FILE_CHANGED', `The file ${path} of a sink ${how}.`)

function asSinkError(path: string, error: unknown): MillraceError {
  if (error instanceof MillraceError) return error
  const { code, message } = error as NodeJS.ErrnoException
  return new MillraceError(
    code === 'ENOSPC' ? 'STORAGE_FULL' : 'IO_FAILED',
    `The file ${path} of a sink cannot be written: ${message}.`,
    { cause: error },
  )
}
