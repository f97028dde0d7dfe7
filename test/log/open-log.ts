import { type Commit, Counters } from '../../src/commit/index.js'
import { DurableGroups } from '../../src/groups/index.js'
import { Codec, type LogLimits, type NewRecord, ShardedLog } from '../../src/log/index.js'
import { hashKey } from '../../src/runtime/index.js'
import { open } from '../commit/open-memory.js'
import type { MemoryStorage } from '../memory-storage.js'

export const logLimits: LogLimits = {
  chunkBytesMax: 1 << 20,
  tailCacheBytesMax: 1 << 20,
  shardsMax: 64,
  shardsKeptMax: 4096,
  streamsMax: 100,
}

export interface OpenedLog {
  readonly commit: Commit
  readonly log: ShardedLog
  readonly groups: DurableGroups
  readonly counters: Counters
}

export async function openLog(
  storage: MemoryStorage,
  folder: string,
  limits: Partial<LogLimits> = {},
  options: Parameters<typeof open>[2] = {},
): Promise<OpenedLog> {
  const { commit } = await open(storage, folder, options)
  const counters = await Counters.open(storage)
  const log = await ShardedLog.open({ storage, commit, counters, limits: { ...logLimits, ...limits } })
  const groups = await DurableGroups.open({ storage, commit, counters, log, groupsMax: 100 })
  return { commit, log, groups, counters }
}

export const images = { old: false, new: false }

/** A record of a plain stream. */
export function record(key: string, body: string, time = 0): NewRecord {
  const bytes = Buffer.from(key)
  return { hash: hashKey(bytes), kind: 0, flags: 0, codec: Codec.raw, time, key: bytes, body: Buffer.from(body) }
}
