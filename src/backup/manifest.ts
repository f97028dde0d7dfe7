import { createHash } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { MillraceError } from '../runtime/index.js'

/** The file of a backup that says what it holds; it is written last, so a backup without it is not whole. */
export const manifestName = 'BACKUP'

export interface BackupFile {
  /** Below the backup's folder, with slashes. */
  readonly path: string
  readonly bytes: number
  /** SHA-256, hexadecimal. */
  readonly sha256: string
}

export interface BackupManifest {
  readonly format: 1
  /** Of Millrace, that made it. */
  readonly version: string
  readonly createdAt: number
  readonly storeId: string
  readonly epoch: number
  /** The newest commit in it, and the newest sequence number. */
  readonly commit: number
  readonly sequence: number
  /** Rows of the store by family. */
  readonly rows: Readonly<Record<string, number>>
  readonly files: readonly BackupFile[]
}

/** Throws NOT_FOUND or BACKUP_DAMAGED. */
export function readManifest(folder: string): BackupManifest {
  const path = join(folder, manifestName)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new MillraceError('NOT_FOUND', `${folder} is no backup: it has no file ${manifestName}.`, {
      cause: error,
      remedy: 'Name a folder that `millrace backup` made; one that was broken off is not whole and has none.',
    })
  }
  const [json = '', checksum] = text.trimEnd().split('\n')
  if (checksum !== sha256(json)) throw damaged(`${path} does not match its checksum`)
  const manifest = JSON.parse(json) as BackupManifest
  if (manifest.format !== 1) {
    throw new MillraceError(
      'DATA_DIR_NEWER',
      `${path} has format ${manifest.format}; this version of Millrace knows 1.`,
    )
  }
  return manifest
}

/** One line of JSON, one with its SHA-256. */
export function writeManifest(folder: string, manifest: BackupManifest): void {
  const json = JSON.stringify(manifest)
  const file = openSync(join(folder, manifestName), 'wx')
  try {
    writeSync(file, `${json}\n${sha256(json)}\n`)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

const blockBytes = 1 << 20

/** The SHA-256 of a file, and its length; `each` hears of every block, for progress. */
export function checksumOf(path: string, each: (bytes: number) => void): { bytes: number; sha256: string } {
  const hash = createHash('sha256')
  const block = Buffer.allocUnsafe(blockBytes)
  const file = openSync(path, 'r')
  let bytes = 0
  try {
    for (;;) {
      const read = readSync(file, block, 0, blockBytes, null)
      if (read === 0) return { bytes, sha256: hash.digest('hex') }
      hash.update(block.subarray(0, read))
      bytes += read
      each(read)
    }
  } finally {
    closeSync(file)
  }
}

export const damaged = (why: string): MillraceError =>
  new MillraceError('BACKUP_DAMAGED', `The backup is damaged: ${why}.`)
