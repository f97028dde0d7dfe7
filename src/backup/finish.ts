import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { Ledger, Mark, readIdentity } from '../commit/index.js'
import { MillraceError, version } from '../runtime/index.js'
import { openStorage } from '../storage/index.js'
import { countRows } from './count-rows.js'
import { filesBelow, syncPath, syncTree } from './files.js'
import { type BackupManifest, checksumOf, damaged, manifestName, writeManifest } from './manifest.js'
import { nameBackup } from './stage.js'

const writeBufferBytes = 64 << 20
const blockCacheBytes = 8 << 20

/** Hears how many bytes are done. */
export type OnProgress = (bytes: number) => void

/**
 * Verifies what `stageBackup` left and makes it a backup: opens its store (which replays the write-ahead log into table
 * files), checks the ledger against itself and the mark, counts the rows, and sums every file. Throws LOG_DAMAGED,
 * STORE_CORRUPT or BACKUP_DAMAGED; the folder is removed then.
 */
export async function finishBackup(
  folder: string,
  onProgress: OnProgress = () => {},
): Promise<{ path: string; manifest: BackupManifest }> {
  try {
    const contents = await contentsOf(folder)
    let done = 0
    const each = (more: number): void => {
      done += more
      onProgress(done)
    }
    const paths = filesBelow(folder).filter(isKept)
    const files = paths.map((path) => ({
      path,
      ...checksumOf(join(folder, path), each),
    }))
    const manifest: BackupManifest = { format: 1, version, createdAt: Date.now(), ...contents, files }
    writeManifest(folder, manifest)
    await syncTree(folder)
    const path = nameBackup(folder)
    await syncPath(join(path, '..'))
    return { path, manifest }
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
}

/** RocksDB's own lock and its log for people are no part of a backup. */
export const isKept = (path: string): boolean =>
  path !== manifestName && path !== 'store/LOCK' && !path.startsWith('store/LOG')

/** Opens the store of a folder and says what is in it. Writes nothing but what RocksDB does at an opening. */
export async function contentsOf(
  folder: string,
): Promise<Pick<BackupManifest, 'storeId' | 'epoch' | 'commit' | 'sequence' | 'rows'>> {
  const native = join(folder, 'native')
  const storage = await openStorage({
    path: join(folder, 'store'),
    createIfMissing: false,
    writeBufferBytes,
    blockCacheBytes,
    nativeCachePath: native,
  })
  const mark = new Mark(join(folder, 'mark'))
  try {
    const identity = await readIdentity(storage)
    const ledger = await Ledger.open(storage)
    if (!identity) throw damaged('its store has no identity row')
    const marked = mark.read()
    if (!marked) throw damaged('its mark file is torn')
    if (marked.storeId !== identity.storeId) throw damaged('its mark file belongs to another store')
    ledger.checkAgainst(marked.commit)
    const rows = await countRows(storage)
    const { commit = 0, last = 0 } = ledger.newest ?? {}
    return { storeId: identity.storeId, epoch: identity.epoch, commit, sequence: last, rows }
  } catch (error) {
    if (error instanceof MillraceError) throw error
    throw new MillraceError('IO_FAILED', `The copy in ${folder} cannot be read: ${(error as Error).message}.`, {
      cause: error,
    })
  } finally {
    mark.close()
    await storage.close()
    rmSync(native, { recursive: true, force: true })
  }
}
