import { constants } from 'node:fs'
import { type FileHandle, open, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { crc32, killPoint, syncFolder } from '../runtime/index.js'
import { fileChanged, isMissing } from './sink-file-errors.js'

/** What the last barrier committed of a sink's file. */
export interface CommittedFile {
  readonly path: string
  readonly length: number
  /** CRC-32 of the last bytes before `length`, up to `checkedBytesMax`: another file in its place is recognised. */
  readonly checksum: number
  /** When the first byte of it was written, milliseconds since 1970; only of files that are rolled by time. */
  readonly since?: number
  /** How many files were given their names; absent for none. */
  readonly rolled?: number
  /** The file is complete: it is to be renamed, and another one begun under `path`. */
  readonly rename?: PendingRename
}

export interface PendingRename {
  /** Its name from then on, in the same folder. */
  readonly to: string
  /** Its inode: once it is renamed somebody may take it away, and the file that follows must not be taken for it. */
  readonly inode: number
}

export const checkedBytesMax = 64 * 1024

/** An open file that was found as it was committed. */
export interface CheckedFile {
  readonly file: FileHandle
  /** The last bytes that were committed. */
  readonly tail: Buffer
  /** Bytes that no commit has taken in. */
  readonly excess: number
}

/** Opens a file and compares it with what was committed. Throws SINK_FILE_CHANGED. */
export async function openChecked(path: string, { length, checksum }: CommittedFile): Promise<CheckedFile> {
  let file: FileHandle
  try {
    // A file whose creation was never committed with a byte may be gone after a power failure.
    file = await open(path, length === 0 ? constants.O_RDWR | constants.O_CREAT : constants.O_RDWR)
  } catch (error) {
    throw isMissing(error) ? fileChanged(path, 'is gone') : error
  }
  try {
    if (length === 0) syncFolder(dirname(path))
    const { size } = await file.stat()
    if (size < length) throw fileChanged(path, `has ${size} bytes, fewer than the ${length} that were committed`)
    const tail = Buffer.alloc(Math.min(length, checkedBytesMax))
    await file.read(tail, 0, tail.length, length - tail.length)
    if (crc32(tail) !== checksum) throw fileChanged(path, 'does not hold what was committed')
    return { file, tail, excess: size - length }
  } catch (error) {
    await file.close()
    throw error
  }
}

export async function cutTo(file: FileHandle, length: number): Promise<void> {
  await file.truncate(length)
  await file.sync()
}

/** Does a rename that was committed, unless it was done before. */
export async function doRename(committed: CommittedFile, { to, inode }: PendingRename): Promise<void> {
  const { path, length } = committed
  const target = join(dirname(path), to)
  if (await isDone(committed, target, inode)) return
  const { file, excess } = await openChecked(path, committed)
  try {
    if (excess > 0) await cutTo(file, length)
  } finally {
    await file.close()
  }
  await rename(path, target)
  killPoint('sink:renamed')
  syncFolder(dirname(path))
}

async function isDone({ path, length, checksum }: CommittedFile, target: string, inode: number): Promise<boolean> {
  const renamed = await openIfThere(target)
  if (renamed) {
    await renamed.close()
    const { file, excess } = await openChecked(target, { path: target, length, checksum })
    await file.close()
    if (excess > 0) throw fileChanged(target, `has ${excess} bytes more than were committed`)
    return true
  }
  const next = await openIfThere(path)
  // Renamed and taken away, and nothing was begun after it.
  if (!next) return true
  try {
    return (await next.stat()).ino !== inode && !(await holds(next, length, checksum))
  } finally {
    await next.close()
  }
}

/** Whether a file holds what was committed: one that was copied with its folder has another inode. */
async function holds(file: FileHandle, length: number, checksum: number): Promise<boolean> {
  if ((await file.stat()).size < length) return false
  const tail = Buffer.alloc(Math.min(length, checkedBytesMax))
  await file.read(tail, 0, tail.length, length - tail.length)
  return crc32(tail) === checksum
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDONLY)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}
