import { constants, existsSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { crc32, killPoint, MillraceError, makeFolder, syncFolder } from '../runtime/index.js'
import {
  type CommittedFile,
  checkedBytesMax,
  cutTo,
  doRename,
  openChecked,
  type PendingRename,
} from './committed-file.js'
import { asSinkError, impossiblePath } from './sink-file-errors.js'
import { rolledName } from './sink-path.js'

/** What a file is to be like. */
export interface FileShape {
  /** The first line of each file, without its line end. */
  readonly header?: string | undefined
  /** When a file is complete and another one is begun: past so many bytes, or so long, ms, after its first. */
  readonly roll?: { readonly bytesMax?: number; readonly everyMs?: number } | undefined
}

/**
 * A file that gets each result exactly once: bytes are written and synced first, then their length commits with the
 * barrier; whoever begins again truncates to the committed length before anything is written.
 *
 * Rolled files: that a file is complete, and the name that it gets, commit with the barrier that brought its last bytes.
 * Then it is renamed, and another one is begun. Whoever begins again does a rename that was committed and not done.
 */
export class FileSink {
  readonly #path: string
  readonly #shape: FileShape
  /** How many bytes the opening cut off: written before the stop, and taken in by no commit. */
  readonly cutBytes: number
  #file: FileHandle
  #committed: CommittedFile
  /** The last bytes before the length. */
  #tail: Buffer
  /** The rename that was committed last, while it is done. */
  #renaming: Promise<void> | undefined
  /** Whether the store still says that a rename is to be done which is done. */
  #isBehind: boolean

  private constructor(
    shape: FileShape,
    committed: CommittedFile,
    file: FileHandle,
    tail: Buffer,
    cutBytes: number,
    isBehind: boolean,
  ) {
    this.#path = committed.path
    this.#shape = shape
    this.#committed = committed
    this.#file = file
    this.#tail = tail
    this.cutBytes = cutBytes
    this.#isBehind = isBehind
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
      throw impossiblePath(path, error) ?? asSinkError(path, error)
    }
    return { path, length: 0, checksum: 0 }
  }

  /** Truncates to what was committed. Throws SINK_FILE_CHANGED when the file is shorter or another one. */
  static async open(committed: CommittedFile, shape: FileShape = {}): Promise<FileSink> {
    const { path, rename } = committed
    try {
      if (rename) {
        await doRename(committed, rename)
        const next = followerOf(committed)
        const { file, excess } = await openChecked(path, next)
        await cutTo(file, 0)
        return new FileSink(shape, next, file, Buffer.alloc(0), excess, true)
      }
      const { file, tail, excess } = await openChecked(path, committed)
      if (excess > 0) await cutTo(file, committed.length)
      return new FileSink(shape, committed, file, tail, excess, false)
    } catch (error) {
      throw asSinkError(path, error)
    }
  }

  /** When there is something to commit of it without any result, milliseconds since 1970; undefined for never. */
  get dueAt(): number | undefined {
    if (this.#isBehind) return 0
    const { since, length, rename } = this.#committed
    const everyMs = this.#shape.roll?.everyMs
    if (rename || length === 0 || everyMs === undefined || since === undefined) return undefined
    return since + everyMs
  }

  /** Writes and syncs; what is returned must commit before the next append. `now`: milliseconds since 1970. */
  async append(lines: Buffer, now: number): Promise<CommittedFile> {
    try {
      await this.#renaming
      const { header } = this.#shape
      const { length, since = now } = this.#committed
      const isFirst = length === 0 && lines.length > 0
      const bytes = isFirst && header !== undefined ? Buffer.concat([Buffer.from(`${header}\n`), lines]) : lines
      await this.#write(bytes, length)
      this.#tail = Buffer.concat([this.#tail, bytes]).subarray(-checkedBytesMax)
      const { path, rolled } = this.#committed
      const written: CommittedFile = {
        path,
        length: length + bytes.length,
        checksum: crc32(this.#tail),
        ...(rolled === undefined ? {} : { rolled }),
        ...(this.#shape.roll?.everyMs === undefined ? {} : { since: isFirst ? now : since }),
      }
      this.#committed = this.#isComplete(written, now) ? await this.#complete(written) : written
      return this.#committed
    } catch (error) {
      throw asSinkError(this.#path, error)
    }
  }

  async #write(bytes: Buffer, at: number): Promise<void> {
    if (bytes.length === 0) return
    let written = 0
    while (written < bytes.length)
      written += (await this.#file.write(bytes, written, bytes.length - written, at + written)).bytesWritten
    killPoint('sink:written')
    await this.#file.datasync()
    killPoint('sink:synced')
  }

  #isComplete({ length, since }: CommittedFile, now: number): boolean {
    const { bytesMax, everyMs } = this.#shape.roll ?? {}
    if (length === 0) return false
    if (bytesMax !== undefined && length >= bytesMax) return true
    return everyMs !== undefined && since !== undefined && now >= since + everyMs
  }

  async #complete(written: CommittedFile): Promise<CommittedFile> {
    let rolled = (written.rolled ?? 0) + 1
    // Somebody else's file is not overwritten.
    while (existsSync(join(dirname(this.#path), rolledName(this.#path, rolled)))) rolled++
    const { ino: inode } = await this.#file.stat()
    const rename: PendingRename = { to: rolledName(this.#path, rolled), inode }
    return { ...written, rolled, rename }
  }

  /** The commit of the last append has returned: a file that is complete gets its name, and another one is begun. */
  committed(): void {
    const { rename } = this.#committed
    this.#isBehind = false
    if (!rename) return
    this.#renaming = this.#roll(this.#committed, rename)
    // Met by the next append, or by the close.
    this.#renaming.catch(() => {})
  }

  async #roll(committed: CommittedFile, rename: PendingRename): Promise<void> {
    await this.#file.close()
    await doRename(committed, rename)
    const next = followerOf(committed)
    const { file } = await openChecked(this.#path, next)
    killPoint('sink:begun')
    this.#file = file
    this.#tail = Buffer.alloc(0)
    this.#committed = next
    this.#isBehind = true
  }

  /** Resolves when no rename is under way. */
  async settled(): Promise<void> {
    await this.#renaming?.catch(() => {})
  }

  async close(): Promise<void> {
    await this.settled()
    await this.#file.close()
  }
}

/** The empty file that follows one that is complete. */
const followerOf = ({ path, rolled }: CommittedFile): CommittedFile => ({
  path,
  length: 0,
  checksum: 0,
  ...(rolled === undefined ? {} : { rolled }),
})
