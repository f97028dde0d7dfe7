import { rmSync } from 'node:fs'
import { type Commit, type CommitLimits, Mark, openCommit } from '../commit/index.js'
import type { Clock, Logger, MillraceError } from '../runtime/index.js'
import { killPoint } from '../runtime/index.js'
import { openStorage, type Storage } from '../storage/index.js'
import type { DataDirectory } from './data-directory.js'

export interface StoreOptions {
  readonly directory: DataDirectory
  readonly synced: boolean
  readonly writeBufferBytes: number
  readonly blockCacheBytes: number
  readonly compression: boolean
  readonly limits: CommitLimits
  readonly clock: Clock
  readonly logger: Logger
  readonly onPoisoned: (error: MillraceError) => void
}

export interface OpenStore {
  readonly storage: Storage
  readonly commit: Commit
  close(): Promise<void>
}

/**
 * Opens the store of a data directory. RocksDB's own lock keeps a second daemon out (DATA_DIR_LOCKED); it goes with the
 * process, so nothing stale is left by a kill.
 */
export async function openStore(options: StoreOptions): Promise<OpenStore> {
  const { directory, synced, clock, limits, logger, onPoisoned } = options
  const aside = directory.linkLogsAside()
  killPoint('open:aside')
  let storage: Storage | undefined
  let mark: Mark | undefined
  try {
    storage = await openStorage({
      path: directory.store,
      createIfMissing: true,
      writeBufferBytes: options.writeBufferBytes,
      blockCacheBytes: options.blockCacheBytes,
      compression: options.compression,
      nativeCachePath: directory.native,
    })
    directory.raiseFormat()
    killPoint('open:replayed')
    mark = new Mark(directory.mark)
    const commit = await openCommit({
      storage,
      mark,
      synced,
      clock,
      limits,
      onPoisoned,
      warn: (message) => logger.warn(message),
      restored: directory.isRestored,
    })
    killPoint('open:checked')
    directory.dropAside()
    directory.dropRestored()
    return { storage, commit, close: closer(storage, mark) }
  } catch (error) {
    mark?.close()
    await storage?.close()
    const code = (error as { code?: string }).code
    // Evidence of damage stays; a directory that another daemon holds is not ours to leave links in.
    if (aside && code !== 'LOG_DAMAGED' && code !== 'STORE_CORRUPT') rmSync(aside, { recursive: true, force: true })
    else if (aside) logger.error(`The write-ahead logs as they were found are kept in ${aside}.`)
    throw error
  }
}

function closer(storage: Storage, mark: Mark): () => Promise<void> {
  let closing: Promise<void> | undefined
  return () => {
    closing ??= storage.close().finally(() => mark.close())
    return closing
  }
}
