import { createHash } from 'node:crypto'
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { MillraceError } from '../runtime/index.js'
import { filesBelow, makeEmptyFolder, syncPath, syncTree } from './files.js'
import { isKept, type OnProgress } from './finish.js'
import { type BackupFile, type BackupManifest, damaged, readManifest } from './manifest.js'

/** A data directory that came from a backup and was not opened since: its first opening raises the epoch. */
export const restoredName = 'RESTORED'

/** What makes a folder a data directory. It is copied last, so that nobody opens what a stop in between left. */
const stampName = 'MILLRACE'

/**
 * Copies a backup to a data directory that does not exist yet, checking the sum of every file on the way. The first
 * opening of it raises the store's epoch and lets sequence numbers jump: the original may have gone on and given the next
 * ones to other records. Throws NOT_FOUND, ALREADY_EXISTS, BACKUP_DAMAGED (naming the file) or IO_FAILED; what was copied
 * is removed then.
 */
export async function copyBackup(from: string, to: string, onProgress: OnProgress = () => {}): Promise<BackupManifest> {
  const manifest = readManifest(from)
  const source = resolve(from)
  const target = resolve(to)
  const existed = existsSync(target)
  makeEmptyFolder(target)
  try {
    const extra = filesBelow(source)
      .filter(isKept)
      .find((path) => !manifest.files.some((file) => file.path === path))
    if (extra !== undefined) throw damaged(`${extra} is not one of its files`)
    let done = 0
    const each = (bytes: number): void => {
      done += bytes
      onProgress(done)
    }
    const isStamp = ({ path }: BackupFile): boolean => path === stampName
    closeSync(openSync(join(target, restoredName), 'wx'))
    for (const file of manifest.files) if (!isStamp(file)) copyChecked(source, target, file, each)
    await syncTree(target)
    for (const file of manifest.files.filter(isStamp)) copyChecked(source, target, file, each)
    await syncPath(target)
    await syncPath(dirname(target))
    return manifest
  } catch (error) {
    for (const path of filesBelow(target)) rmSync(join(target, path), { force: true })
    if (!existed) rmSync(target, { recursive: true, force: true })
    if (error instanceof MillraceError) throw error
    throw new MillraceError('IO_FAILED', `${from} cannot be restored to ${to}: ${(error as Error).message}.`, {
      cause: error,
    })
  }
}

function copyChecked(source: string, target: string, file: BackupFile, each: (bytes: number) => void): void {
  const path = join(target, file.path)
  mkdirSync(dirname(path), { recursive: true })
  const hash = createHash('sha256')
  let input: number
  try {
    input = openSync(join(source, file.path), 'r')
  } catch (error) {
    throw damaged(`its file ${file.path} cannot be opened (${(error as NodeJS.ErrnoException).code})`)
  }
  const output = openSync(path, 'wx')
  const block = Buffer.allocUnsafe(1 << 20)
  let bytes = 0
  try {
    for (let read = 1; read > 0; ) {
      read = readSync(input, block, 0, block.length, null)
      hash.update(block.subarray(0, read))
      writeSync(output, block, 0, read)
      bytes += read
      each(read)
    }
    fsyncSync(output)
  } finally {
    closeSync(input)
    closeSync(output)
  }
  if (bytes !== file.bytes) throw damaged(`its file ${file.path} has ${bytes} bytes in place of ${file.bytes}`)
  if (hash.digest('hex') !== file.sha256) throw damaged(`its file ${file.path} does not match its checksum`)
}
