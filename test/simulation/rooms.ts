import { type Commit, Counters, Mark, openCommit } from '../../src/commit/index.js'
import { DurableGroups, Memberships } from '../../src/groups/index.js'
import { ShardedLog } from '../../src/log/index.js'
import { Producers } from '../../src/producers/index.js'
import { Retention } from '../../src/retention/index.js'
import type { Clock, Logger, MillraceError } from '../../src/runtime/index.js'
import type { Disk } from './disk.js'

/** The rooms of the daemon that stand on a store, on the disk of a simulation. */
export interface Rooms {
  readonly commit: Commit
  readonly log: ShardedLog
  readonly groups: DurableGroups
  readonly memberships: Memberships
  readonly producers: Producers
  readonly retention: Retention
}

/** Small, so that a few records meet every bound. */
export interface Sizes {
  readonly chunkBytesMax: number
  readonly tailCacheBytesMax: number
  readonly commitBytesMax: number
  /** What a stream keeps: by age and by size; 0 is for ever. */
  readonly keptMs: number
  readonly keptBytes: number
}

const silent = { warn: () => {}, error: () => {}, info: () => {} } as unknown as Logger

export async function openRooms(options: {
  disk: Disk
  clock: Clock
  synced: boolean
  sizes: Sizes
  onPoisoned: (error: MillraceError) => void
}): Promise<Rooms> {
  const { disk, clock, synced, sizes, onPoisoned } = options
  const storage = disk.open()
  const commit = await openCommit({
    storage,
    mark: new Mark(disk.markFile()),
    synced,
    clock,
    onPoisoned,
    warn: () => {},
    limits: {
      effectSetBytesMax: 1 << 20,
      commitBytesMax: sizes.commitBytesMax,
      queueBytesMax: 64 * 1024,
      rowWaitersMax: 100,
      rowCacheBytesMax: 2000,
    },
  })
  const counters = await Counters.open(storage)
  const log = await ShardedLog.open({
    storage,
    commit,
    counters,
    limits: {
      chunkBytesMax: sizes.chunkBytesMax,
      tailCacheBytesMax: sizes.tailCacheBytesMax,
      shardsMax: 60,
      shardsKeptMax: 400,
      streamsMax: 20,
    },
  })
  const groups = await DurableGroups.open({ storage, commit, counters, log, groupsMax: 20 })
  let member = 0
  const memberships = new Memberships({
    groups,
    log,
    commit,
    clock,
    limits: { membersMax: 8, sessionMs: 10_000, releaseMs: 5000, pollBytesMax: 1 << 20, pollsBytesMax: 8 << 20 },
    makeId: () => `m${member++}`,
  })
  const producers = await Producers.open({
    storage,
    commit,
    counters,
    log,
    clock,
    limits: { producersMax: 50, producerIdleMs: 90 * 24 * 3_600_000 },
    onError: () => {},
  })
  const retention = new Retention({
    log,
    groups,
    commit,
    storage,
    clock,
    logger: silent,
    defaults: {
      ms: sizes.keptMs,
      bytes: sizes.keptBytes,
      changeLogMs: 0,
      deletedMs: 0,
      windowMs: 0,
    },
    heldBytesMax: Number.MAX_SAFE_INTEGER,
    everyMs: 1000,
    rowsPerCommitMax: 3,
    hasWindow: () => false,
    expireWindows: async () => {},
  })
  return { commit, log, groups, memberships, producers, retention }
}
