import type { Config } from '../config/index.js'
import { type Logger, systemClock } from '../runtime/index.js'
import { DataDirectory } from './data-directory.js'
import { type OpenStore, openStore } from './open-store.js'

/**
 * Works on the store of a data directory that no daemon has open, with nothing else running on it. Throws what an opening
 * throws (DATA_DIR_LOCKED when a daemon has it).
 */
export async function withStore<T>(
  config: Config,
  logger: Logger,
  work: (store: OpenStore, directory: string) => Promise<T>,
): Promise<T> {
  const directory = DataDirectory.open(config.dataDir)
  const store = await openStore({
    directory,
    synced: true,
    writeBufferBytes: config.store.writeBufferBytes,
    blockCacheBytes: config.store.blockCacheBytes,
    compression: config.store.compression,
    limits: config.commit,
    clock: systemClock,
    logger,
    onPoisoned: (error) => logger.error(error.message),
  })
  try {
    return await work(store, directory.path)
  } finally {
    await store.commit.close()
    await store.close()
  }
}
