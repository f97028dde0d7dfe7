import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ErrorOptions, MillraceError } from '../runtime/index.js'

/** What was asked of RocksDB; an error of a write leaves open whether it was applied. */
export type Action = 'open' | 'read' | 'write'

const storedFile = /(\d+\.(?:sst|log|ldb)|MANIFEST-\d+|OPTIONS-\d+|CURRENT|IDENTITY|LOCK)\b/
const missing = /No such file or directory|file size mismatch/i

/** RocksDB's status text as a MillraceError; `details.file` is the file that it names. */
export function storageError(action: Action, path: string, error: Error): MillraceError {
  const text = error.message
  const name = storedFile.exec(text)?.[1]
  // RocksDB looks for a table that it cannot open under its name of LevelDB too, which no file of ours has, and names that.
  const named = name?.replace('.ldb', '.sst')
  const options = (file = named): ErrorOptions => ({
    cause: error,
    outcome: action === 'write' ? 'unknown' : 'notApplied',
    details: { path, ...(file ? { file: join(path, file) } : {}) },
  })
  if (name === 'LOCK') {
    return new MillraceError('DATA_DIR_LOCKED', `The store in ${path} is in use: ${text}`, options())
  }
  if (/^Corruption|checksum mismatch/i.test(text) || (name && missing.test(text))) {
    const file = named ?? (action === 'open' ? currentManifest(path) : undefined)
    const where = file && file !== name ? ` (reading ${join(path, file)})` : ''
    return new MillraceError('STORE_CORRUPT', `The store in ${path} is damaged: ${text}${where}`, options(file))
  }
  if (/No space left|NoSpace/i.test(text)) {
    return new MillraceError('STORAGE_FULL', `The disk of ${path} is full: ${text}`, options())
  }
  return new MillraceError('IO_FAILED', `The store in ${path} failed to ${action}: ${text}`, options())
}

/** RocksDB does not name the manifest when it cannot read it; no other file can fail an opening without a name. */
function currentManifest(path: string): string {
  try {
    const name = readFileSync(join(path, 'CURRENT'), 'latin1').trim()
    return /^MANIFEST-\d+$/.test(name) ? name : 'CURRENT'
  } catch {
    return 'CURRENT'
  }
}
