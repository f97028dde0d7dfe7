import { Family, type Placement } from '../../src/commit/index.js'
import { forEachRecord, type LogRecord, type ShardedLog, type ShardId, type StreamId } from '../../src/log/index.js'
import { Retention, type RetentionDefaults } from '../../src/retention/index.js'
import type { Logger } from '../../src/runtime/index.js'
import { images, type OpenedLog, openLog, record } from '../log/open-log.js'
import { ManualClock } from '../manual-clock.js'
import { MemoryStorage } from '../memory-storage.js'
import { temporaryFolder } from '../temporary-folder.js'

export const hour = 3_600_000
export const day = 24 * hour

export const defaults: RetentionDefaults = {
  ms: 7 * day,
  bytes: 0,
  deletedMs: day,
  changeLogMs: 7 * day,
  windowMs: day,
}

export interface Said {
  readonly level: 'warn' | 'error'
  readonly about: Record<string, unknown>
}

export interface OpenedRetention extends OpenedLog {
  readonly storage: MemoryStorage
  readonly clock: ManualClock
  readonly retention: Retention
  readonly said: Said[]
  /** Makes a plain stream and gives its number. */
  stream(shards?: number): Promise<StreamId>
  /** Appends one record of so many bytes, so long after the one before. */
  append(
    stream: StreamId,
    key: string,
    options?: { bytes?: number; afterMs?: number; placed?: Placement[] },
  ): Promise<void>
}

export async function openRetention(
  options: {
    storage?: MemoryStorage
    clock?: ManualClock
    defaults?: Partial<RetentionDefaults>
    heldBytesMax?: number
    hasWindow?: boolean
    rowsPerCommitMax?: number
  } = {},
): Promise<OpenedRetention> {
  const storage = options.storage ?? new MemoryStorage()
  const clock = options.clock ?? new ManualClock()
  const opened = await openLog(storage, temporaryFolder(), { tailCacheBytesMax: 0 }, { clock })
  const said: Said[] = []
  const say = (level: Said['level']) => (about: object | string) => {
    // What fails inside of a look is logged and tried again: here it fails the test.
    if (typeof about === 'string') throw new Error(about)
    said.push({ level, about: { ...about } })
  }
  const retention = new Retention({
    ...opened,
    storage,
    clock,
    logger: { warn: say('warn'), error: say('error') } as unknown as Logger,
    defaults: { ...defaults, ...options.defaults },
    heldBytesMax: options.heldBytesMax ?? 1 << 30,
    everyMs: 1000,
    rowsPerCommitMax: options.rowsPerCommitMax ?? 1000,
    hasWindow: () => options.hasWindow ?? false,
    expireWindows: async () => {},
  })
  let streams = opened.log.streams().length
  return {
    ...opened,
    storage,
    clock,
    retention,
    said,
    stream: async (shards = 1) =>
      (await opened.log.createStream({ name: `stream ${++streams}`, kind: 'plain', shards, images })).id,
    append: async (stream, key, { bytes = 10, afterMs = 0, placed } = {}) => {
      clock.advance(afterMs)
      await opened.commit.submit({
        records: [{ stream, records: [record(key, 'x'.repeat(bytes))], ...(placed ? { placed } : {}) }],
      })
    },
  }
}

/** Reads a shard from its low watermark to its end; throws what a reader would get. */
export async function readShard(log: ShardedLog, shard: ShardId): Promise<LogRecord[]> {
  const records: LogRecord[] = []
  let from = log.shard(shard)!.lowWatermark
  for (;;) {
    const page = await log.read(shard, from, { bytesMax: 200 })
    for (const chunk of page.chunks)
      forEachRecord(chunk, from, (each) => {
        records.push(each)
      })
    from = page.next
    if (page.chunks.length === 0 || page.ended) return records
  }
}

/** The keys of all records that a stream keeps, in the order of their numbers. */
export async function keysKept(log: ShardedLog, stream: StreamId): Promise<string[]> {
  const records: LogRecord[] = []
  for (const shard of log.shards(stream)) records.push(...(await readShard(log, shard.id)))
  return records.sort((a, b) => a.sequence - b.sequence).map((each) => each.key.toString())
}

/** How many rows of a family are stored. */
export const rowsOf = (storage: MemoryStorage, family: keyof typeof Family): number =>
  [...storage.rows.keys()].filter((name) => name.charCodeAt(0) === Family[family]).length
