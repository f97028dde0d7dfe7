// The commit path and the log in this process, for benchmarks without a daemon.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Counters, Mark, openCommit } from '../dist/commit/index.js'
import { configSchema } from '../dist/config/index.js'
import { DurableGroups } from '../dist/groups/index.js'
import { ShardedLog } from '../dist/log/index.js'
import { systemClock } from '../dist/runtime/index.js'
import { openStorage } from '../dist/storage/index.js'

/** Everything on its defaults. */
export async function openLogAt(path) {
  mkdirSync(path, { recursive: true })
  const config = configSchema.parse({})
  const storage = await openStorage({
    path: join(path, 'store'),
    createIfMissing: true,
    writeBufferBytes: config.store.writeBufferBytes,
    blockCacheBytes: config.store.blockCacheBytes,
    nativeCachePath: path,
  })
  const mark = new Mark(join(path, 'mark'))
  const commit = await openCommit({
    storage,
    mark,
    synced: true,
    clock: systemClock,
    limits: config.commit,
    onPoisoned: console.error,
    warn: console.error,
  })
  const counters = await Counters.open(storage)
  const log = await ShardedLog.open({ storage, commit, counters, limits: config.log })
  const groups = await DurableGroups.open({ storage, commit, counters, log, groupsMax: config.groups.groupsMax })
  const close = async () => {
    await commit.close()
    await storage.close()
    mark.close()
  }
  return { storage, commit, log, groups, close }
}
