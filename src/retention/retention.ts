import type { Commit } from '../commit/index.js'
import {
  type DurableGroup,
  type DurableGroups,
  dispensable,
  type Group,
  isTrimmed,
  neededFrom,
  type Position,
} from '../groups/index.js'
import {
  isFeed,
  isOutbox,
  isSnapshot,
  isTrimmedAway,
  type Sequence,
  type Shard,
  type ShardedLog,
  type ShardId,
  type Stream,
  type StreamId,
} from '../log/index.js'
import { asMillraceError, type Clock, type Logger, type Timer } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import { boundsOf, type RetentionDefaults } from './policy.js'
import { removeRows } from './rows-of-stream.js'
import { StreamRetention } from './stream-retention.js'

export interface RetentionOptions {
  readonly log: ShardedLog
  readonly groups: DurableGroups
  readonly commit: Commit
  readonly storage: Storage
  readonly clock: Clock
  readonly logger: Logger
  readonly defaults: RetentionDefaults
  readonly heldBytesMax: number
  readonly everyMs: number
  readonly rowsPerCommitMax: number
  /** Whether an AWS stream over this change log can still be read. */
  readonly hasWindow: (stream: StreamId) => boolean
  /** Forgets AWS streams that can no longer be read; asked only while the clock is believed. */
  readonly expireWindows: () => Promise<void>
}

/** What the measuring of retention may see. */
export interface RetentionObserver {
  trimmed(bytes: number): void
  /** A group lost records that it had not read. */
  groupTrimmed(): void
}

/** Deleted bytes after which RocksDB is asked for their space; less waits, unless the disk is nearly full. */
export const reclaimBytesMin = 64 * 1024 * 1024

/**
 * Trims the log: looks at every stream in turn, raises low watermarks, deletes what lies below them in bounded commits,
 * takes empty shards and closed streams away, and asks for the space. Everything may stop at any point; the next look, or
 * the next start, goes on from what is durable.
 */
export class Retention {
  readonly #options: RetentionOptions
  readonly #streams = new Map<StreamId, StreamRetention>()
  readonly #heldBytes = new Map<StreamId, number>()
  /** Groups whose loss was said already. */
  readonly #trimmedGroups = new Set<string>()
  #observer: RetentionObserver | undefined
  #timer: Timer | undefined
  #round: Promise<void> | undefined
  #isClosed = false

  constructor(options: RetentionOptions) {
    this.#options = options
    // A start does not count again what was told before.
    for (const group of options.groups.list()) if (isTrimmed(options.log, group)) this.#trimmedGroups.add(group.name)
  }

  observe(observer: RetentionObserver): void {
    this.#observer = observer
  }

  /** Bytes past a stream's bounds that are kept because a group holds them, as of the newest look. */
  heldBytes(stream: StreamId): number {
    return this.#heldBytes.get(stream) ?? 0
  }

  /** A look every `everyMs`. */
  start(): void {
    if (this.#isClosed) return
    this.#timer = this.#options.clock.setTimeout(() => {
      void this.run().then(() => this.start())
    }, this.#options.everyMs)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    await this.#round
  }

  /** One look at everything. What fails is logged, and tried again at the next look. */
  run(): Promise<void> {
    this.#round ??= this.#look()
      .catch((error: unknown) => {
        if (!this.#isClosed) this.#options.logger.warn(`Retention: ${asMillraceError(error).message}`)
      })
      .finally(() => {
        this.#round = undefined
      })
    return this.#round
  }

  async #look(): Promise<void> {
    const { log, commit, expireWindows } = this.#options
    const now = commit.time.mayExpire() ? commit.time.next() : undefined
    this.#forgetTold()
    const streams = log.streams()
    for (const { id } of streams) {
      const stream = log.stream(id)
      if (stream && !this.#isClosed) await this.#trim(stream, now)
    }
    for (const stream of streams) if (!this.#isClosed) await this.#sweep(stream)
    if (now !== undefined && !this.#isClosed) await expireWindows()
    await this.#forgetPositions()
    await this.#reclaim()
  }

  async #trim(stream: Stream, now: number | undefined): Promise<void> {
    const { log, groups, defaults, heldBytesMax, hasWindow } = this.#options
    let retention = this.#streams.get(stream.id)
    if (!retention) {
      retention = new StreamRetention(log, stream.id)
      this.#streams.set(stream.id, retention)
    }
    const bounds = boundsOf(stream, defaults, hasWindow(stream.id))
    const starts = groups.shownStarts
    const plan = await retention.plan(
      bounds,
      now,
      this.#floorOf(stream.id),
      // Nothing of these goes before their group has passed it, whatever they hold: they have bounds of their own.
      isOutbox(stream) || isFeed(stream) || isSnapshot(stream) ? Number.POSITIVE_INFINITY : heldBytesMax,
    )
    this.#heldBytes.set(stream.id, plan.heldBytes)
    if (plan.cuts.length === 0 || this.#isClosed) return
    // A group that was started or moved since the plan was made is not in it: what it stands in stays for this look. So
    // does everything when the policy is another one now: whoever was told so counts on it.
    const bytes = await log.trimmer.trim(plan.cuts, (shard) => {
      if (log.packedRetention(stream.id) !== stream.retention) return shard.firstSequence
      return lowest(
        groups.startedSince(starts, stream.id).map((group) => neededFrom(group.packedPosition(shard.id), shard)),
      )
    })
    this.#observer?.trimmed(bytes)
    this.#tellGroups(stream)
  }

  /** From which number on some group that holds still needs a shard. */
  #floorOf(stream: StreamId): (shard: Shard) => Sequence | undefined {
    let holders: ReadonlyMap<ShardId, Position>[] | undefined
    return (shard) => {
      // One that has lost records holds the rest, within the same bound: it may seek to the oldest that there is.
      holders ??= this.#groupsOf(stream)
        .filter(({ hold }) => hold)
        .map(positionsOf)
      return lowest(holders.map((positions) => neededFrom(positions.get(shard.id), shard)))
    }
  }

  #groupsOf(stream: StreamId): DurableGroup[] {
    return this.#options.groups.list().filter((group) => group.stream === stream)
  }

  /** Who sought since, or was made anew under its name, is told when it loses again. */
  #forgetTold(): void {
    const { log, groups } = this.#options
    for (const name of this.#trimmedGroups) {
      const group = groups.group(name)
      if (!group || !isTrimmed(log, group)) this.#trimmedGroups.delete(name)
    }
  }

  #tellGroups(stream: Stream): void {
    const { log, logger, heldBytesMax } = this.#options
    for (const group of this.#groupsOf(stream.id)) {
      if (this.#trimmedGroups.has(group.name) || !isTrimmed(log, group)) continue
      this.#trimmedGroups.add(group.name)
      this.#observer?.groupTrimmed()
      const about = { group: group.name, stream: stream.name, oldest: log.oldest(stream.id) }
      if (group.hold)
        logger.error(
          { ...about, code: 'TRIMMED', heldBytesMax },
          'a group held more than retention.heldBytesMax: records that it had not read were trimmed, it must seek',
        )
      else
        logger.warn(
          { ...about, code: 'TRIMMED' },
          'records that a group had not read were trimmed by the retention of their stream, it must seek',
        )
    }
  }

  /** Deletes what lies below the low watermarks, then takes away what is empty. */
  async #sweep({ id }: Stream): Promise<void> {
    const { log, rowsPerCommitMax } = this.#options
    const empty: ShardId[] = []
    for (const shard of log.shards(id)) {
      if (shard.trimmed === undefined && !isTrimmedAway(shard)) continue
      let isSwept = log.trimmer.isSwept(shard.id)
      while (!isSwept && !this.#isClosed) isSwept = await log.trimmer.sweep(shard.id, rowsPerCommitMax)
      if (isSwept && isTrimmedAway(shard)) empty.push(shard.id)
    }
    if (empty.length > 0 && !this.#isClosed) await this.#remove(id, empty)
  }

  /** A shard goes when every group has its end, or cannot come to it before it is told that records are gone. */
  async #remove(stream: StreamId, empty: readonly ShardId[]): Promise<void> {
    const { log, storage, commit, rowsPerCommitMax } = this.#options
    const groups = this.#groupsOf(stream).map((group) => dispensable(log, group))
    const free = empty.filter((shard) => groups.every((without) => without.has(shard)))
    if (free.length === 0) return
    const isLast = log.stream(stream)?.closedAt !== undefined && free.length === log.shards(stream).length
    // What else belongs to the stream goes before its row: a stop in between leaves the row to begin again from.
    if (isLast) {
      await removeRows({ storage, commit, rowsPerCommitMax }, stream)
      log.shapes.forget(stream)
    }
    const gone = await log.trimmer.remove(free)
    for (const each of gone) {
      this.#streams.delete(each)
      this.#heldBytes.delete(each)
    }
  }

  /** Positions in shards that are gone say that children may be read; they go when each child has one of its own. */
  async #forgetPositions(): Promise<void> {
    const { groups, log } = this.#options
    for (const group of groups.list()) {
      const positions = positionsOf(group)
      const gone = [...positions.values()].filter(({ shard, ended }) => ended && log.shard(shard) === undefined)
      if (gone.length === 0 || this.#isClosed) continue
      const needed = new Set<ShardId>()
      for (const child of log.shards(group.stream))
        if (!positions.has(child.id)) for (const parent of child.parents) needed.add(parent)
      const forgotten = gone.map(({ shard }) => shard).filter((shard) => !needed.has(shard))
      if (forgotten.length > 0) await groups.forget(group.name, forgotten)
    }
  }

  async #reclaim(): Promise<void> {
    const { log, commit } = this.#options
    const least = commit.storageFull ? 1 : reclaimBytesMin
    while (!this.#isClosed && log.trimmer.freedBytes >= least) if (!(await log.trimmer.reclaim())) return
  }
}

const positionsOf = (group: Group): ReadonlyMap<ShardId, Position> =>
  new Map(group.positions().map((position) => [position.shard, position]))

function lowest(numbers: readonly (Sequence | undefined)[]): Sequence | undefined {
  let least: Sequence | undefined
  for (const number of numbers) if (number !== undefined && (least === undefined || number < least)) least = number
  return least
}
