/** The commit path and the log on a real RocksDB in this process. */
import { copyFileSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Commit, Counters, Mark, openCommit } from '../../src/commit/index.js'
import { ShardedLog } from '../../src/log/index.js'
import { systemClock } from '../../src/runtime/index.js'
import { openStorage, type Storage } from '../../src/storage/index.js'
import { limits } from '../commit/open-memory.js'
import { logLimits } from '../log/open-log.js'

export interface Opened {
  readonly storage: Storage
  readonly log: ShardedLog
  readonly commit: Commit
  close(): Promise<void>
}

export async function openStore(folder: string, nativeCachePath: string): Promise<Opened> {
  mkdirSync(join(folder, 'store'), { recursive: true })
  const storage = await openStorage({
    path: join(folder, 'store'),
    createIfMissing: true,
    writeBufferBytes: 1 << 20,
    compression: true,
    blockCacheBytes: 1 << 20,
    nativeCachePath,
  })
  const mark = new Mark(join(folder, 'mark'))
  const close = async () => {
    await storage.close()
    mark.close()
  }
  try {
    const commit = await openCommit({
      storage,
      mark,
      synced: true,
      clock: systemClock,
      limits,
      onPoisoned: () => {},
      warn: () => {},
    })
    const counters = await Counters.open(storage)
    const log = await ShardedLog.open({ storage, commit, counters, limits: { ...logLimits, tailCacheBytesMax: 0 } })
    return { storage, commit, log, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** The files of a store as a kill would leave them; the store must be still. */
export function copyStore(from: string, to: string): void {
  mkdirSync(join(to, 'store'), { recursive: true })
  copyFileSync(join(from, 'mark'), join(to, 'mark'))
  for (const name of readdirSync(join(from, 'store')))
    if (name !== 'LOCK') copyFileSync(join(from, 'store', name), join(to, 'store', name))
}
