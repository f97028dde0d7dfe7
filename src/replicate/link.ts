import type { Commit } from '../commit/index.js'
import { type DurableGroups, type Group, lagRecords, type Position } from '../groups/index.js'
import type { Sequence, ShardedLog, ShardId } from '../log/index.js'
import { asMillraceError, type Clock, type Logger, MillraceError, Wake } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import {
  forcedOut,
  type Members,
  othersOf,
  type ReplicaStatus,
  type ReplicatedTable,
  type ReplicatedTables,
} from '../tables/index.js'
import { collect } from './collector.js'
import { fill } from './fill.js'
import { type Outgoing, readRow, rowOf } from './rows.js'
import { hasAll, Standing } from './standing.js'
import {
  type ApplyAnswer,
  type ApplyAsk,
  isSameLife,
  type JoinAnswer,
  type Marks,
  type SeenByRegion,
  type StoreLife,
  type Transport,
} from './types.js'
import { UnloggedSender } from './unlogged-sender.js'

/** Writes that were decided this long ago are queued, at least: what a mark says is behind by it. */
export const markMarginMs = 60_000
/** Between two marks of a link that has something to send, and of one that has not. */
const markMs = 1_000
const idleMarkMs = 10_000
/** Between two savings of positions, which retention goes by. */
const saveMs = 1_000
const retryMsMin = 100
const retryMsMax = 5_000

export type LinkPhase = 'connecting' | 'filling' | 'following' | 'held' | 'refused' | 'unreachable' | 'failing'

export interface LinkOptions {
  readonly table: ReplicatedTable
  readonly region: string
  readonly replicas: ReplicatedTables
  readonly groups: DurableGroups
  readonly log: ShardedLog
  readonly commit: Commit
  readonly storage: Storage
  readonly clock: Clock
  readonly logger: Logger
  readonly random: () => number
  readonly transport: Transport
  readonly store: StoreLife
  readonly batchBytesMax: number
  /** By region: the time up to which all of its writes are here. */
  readonly seen: () => Promise<SeenByRegion>
  /** The time up to which everything that was written here is in all regions. */
  readonly stable: () => number
}

/** How far a link is while it follows the change log. */
interface Following {
  readonly standing: Standing
  /** Where each shard is read on. */
  readonly reading: Map<ShardId, Sequence>
  /** What the other region has, while the group has not saved it. */
  acknowledged: readonly Position[] | undefined
  savedAt: number
  markedAt: number
}

export const linkGroupName = (table: string, region: string): string => `replica:${table}:${region}`

/** Brings what is written to a table here to one other region. One batch is under way at a time. */
export class Link {
  readonly region: string
  readonly #options: LinkOptions
  readonly #wake: Wake
  readonly #stop = new AbortController()
  #ended: Promise<void> = Promise.resolve()
  phase: LinkPhase = 'connecting'
  failure: MillraceError | undefined
  #row: Outgoing | undefined
  /** Everything that was written before is in the other region, milliseconds of commit time. */
  confirmedMs = 0
  /** When the last look began that left nothing to send, milliseconds of the clock. */
  caughtUpAt: number | undefined
  #oldest: number | undefined
  #membersSent: unknown
  sentChanges = 0
  sentBatches = 0
  conflicts = 0
  #retryMs = retryMsMin
  #session = 0
  /** The log has lost what the other region had not read. */
  #isTrimmed = false
  readonly #unlogged: UnloggedSender
  /** Up to where everything has arrived, or was not for the other region. */
  #passed: readonly Position[] = []

  constructor(options: LinkOptions) {
    this.#options = options
    this.region = options.region
    this.#wake = new Wake(options.clock, this.#stop.signal)
    this.#unlogged = new UnloggedSender({
      replicas: options.replicas,
      region: options.region,
      bytesMax: options.batchBytesMax,
      send: async (ask, body, changes) => {
        await this.#send(ask, body)
        this.sentChanges += changes
        this.sentBatches++
      },
    })
  }

  start(): void {
    this.#ended = this.#run()
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#ended
  }

  /** There is something to tell: members have changed. */
  wake(): void {
    this.#wake.raise()
  }

  /** There is something to bring that the log does not have. */
  noticeUnlogged(): void {
    this.#unlogged.notice()
    this.#wake.raise()
  }

  get status(): ReplicaStatus {
    const isActive = this.#row?.phase === 'following'
    const status = isActive ? 'ACTIVE' : this.phase === 'refused' ? 'CREATION_FAILED' : 'CREATING'
    return { status, ...(this.failure ? { description: this.failure.message } : {}) }
  }

  get group(): Group | undefined {
    return this.#options.groups.group(linkGroupName(this.#options.table.name, this.region))
  }

  /** Records that may be for the other region and have not arrived; an upper bound. */
  get lagRecords(): number {
    const { group } = this
    if (!group) return 0
    const furthest = new Map(group.positions().map((position) => [position.shard, position]))
    for (const position of this.#passed) {
      const saved = furthest.get(position.shard)
      if (!saved || (!saved.ended && saved.next < position.next)) furthest.set(position.shard, position)
    }
    return lagRecords(this.#options.log, { stream: group.stream, positions: () => [...furthest.values()] })
  }

  /** Age of the oldest change that was read and has not arrived, seconds; 0 when all have. */
  get lagSeconds(): number {
    return this.#oldest === undefined ? 0 : Math.max(0, this.#options.clock.now() - this.#oldest) / 1000
  }

  /** Whether the other region knows the members as they are now. */
  get hasToldMembers(): boolean {
    const { table, replicas } = this.#options
    return this.#membersSent === replicas.find(table.name)?.replication.members
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#work()
        return
      } catch (error) {
        if (this.#stop.signal.aborted) return
        const failure = asMillraceError(error)
        this.#failed(failure)
        await this.#learn(failure)
        const version = this.#wake.version
        await this.#wake.news(version, this.#retryMs * (0.5 + this.#options.random() / 2))
        this.#retryMs = Math.min(2 * this.#retryMs, retryMsMax)
      }
    }
  }

  #failed(error: MillraceError): void {
    const before = this.failure
    this.failure = error
    this.phase = phaseOf(error)
    if (before?.code === error.code) return
    const { table, logger } = this.#options
    logger.warn({ table: table.name, region: this.region, code: error.code }, `A link waits: ${error.message}`)
  }

  /** A region that refuses this one because it was taken out says so. */
  async #learn({ code, details }: MillraceError): Promise<void> {
    const { replicas, table, logger } = this.#options
    if (code !== 'REPLICA_REFUSED' || !details.members) return
    try {
      await replicas.merge(table.name, details.members as Members)
      this.#membersSent = replicas.find(table.name)?.replication.members
    } catch (error) {
      logger.warn(
        { table: table.name, region: this.region },
        `Members were not taken: ${asMillraceError(error).message}`,
      )
    }
  }

  /** One session, from a join until the link is not wanted any more. */
  async #work(): Promise<void> {
    const { replicas, table, groups, transport, store, log, commit } = this.#options
    const { name } = table
    if (!this.#isTrimmed) this.#row ??= await readRow(this.#options.storage, table.id, 'outgoing', this.region)
    const ask = { shape: replicas.shape(name), members: this.#table().replication.members, store }
    const joined = await transport.call(this.region, 'join', ask, undefined, this.#stop.signal)
    this.#session = joined.session
    await replicas.merge(name, joined.members)
    if (!this.#isWanted()) return
    let group = this.group
    if (
      !group ||
      !this.#isKnown(joined) ||
      !this.#isFilledWithout() ||
      this.#row?.phase !== 'following' ||
      !hasAll(group, joined.positions ?? [])
    ) {
      if (!group || !this.#isKnown(joined) || !this.#isFilledWithout() || this.#row?.phase !== 'filling') {
        if (group) await groups.move(group.name, 'newest')
        else
          group = await groups.create(linkGroupName(name, this.region), table.log, 'newest', {
            kind: 'replica',
            hold: true,
          })
        const without = [...forcedOut(this.#table().replication).values()]
        await this.#save({ phase: 'filling', remote: joined.store, without })
        this.#isTrimmed = false
      }
      this.phase = 'filling'
      await this.#fill(group)
      const filledAt = commit.time.next()
      const { without = [] } = this.#row as Outgoing
      const repeatsBelow = log.nextSequence()
      await this.#save({ phase: 'following', remote: joined.store, repeatsBelow, without, filledAt })
      this.#unlogged.filled()
      this.#options.logger.info({ table: name, region: this.region }, 'A replica has all items.')
      await this.#follow(group, new Standing(group))
    } else await this.#follow(group, new Standing(group, joined.positions))
  }

  /** The other side is who it was: the same store in the same life, and the same table. */
  #isKnown({ store }: JoinAnswer): boolean {
    const remote = this.#row?.remote
    return remote !== undefined && isSameLife(remote, store) && remote.table === store.table
  }

  /** Whether its newest fill began after every region that was forced out had been. */
  #isFilledWithout(): boolean {
    const { without = [] } = this.#row ?? {}
    return [...forcedOut(this.#table().replication).values()].every((each) => without.includes(each))
  }

  /** When the other region had everything that is here of regions that were forced out; undefined while it has not. */
  get filledAt(): number | undefined {
    return this.#row?.phase === 'following' && this.#isFilledWithout() ? (this.#row.filledAt ?? 0) : undefined
  }

  async #fill(group: Group): Promise<void> {
    const { replicas, seen } = this.#options
    await fill(this.#row?.fill, {
      replicas,
      table: () => this.#table(),
      seen,
      send: async (ask, body, changes) => {
        const { upTo } = await this.#send(ask, body)
        this.sentChanges += changes
        return upTo
      },
      save: (at) => this.#save({ ...(this.#row as Outgoing), fill: at }),
    })
    const positions = new Standing(group).wire()
    await this.#send({ regions: [], repeats: true, positions }, Buffer.alloc(0))
  }

  async #follow(group: Group, standing: Standing): Promise<void> {
    const { log, clock, table } = this.#options
    const unsubscribe = log.onChange(table.log, () => this.#wake.raise())
    const following: Following = {
      standing,
      reading: standing.reading(),
      acknowledged: standing.hasEnded ? standing.positions() : undefined,
      savedAt: clock.monotonic(),
      markedAt: Number.NEGATIVE_INFINITY,
    }
    this.phase = 'following'
    this.#unlogged.notice()
    try {
      while (!this.#stop.signal.aborted && this.#isWanted()) {
        if (!this.#isFilledWithout())
          throw new MillraceError('CONFLICT', 'A region was forced out: the link fills anew.')
        const version = this.#wake.version
        const { isWhole, hasEnd } = await this.#sendSome(following)
        const { acknowledged, savedAt } = following
        if (acknowledged && (hasEnd || clock.monotonic() - savedAt >= saveMs)) {
          await this.#savePositions(group, following, acknowledged)
          if (hasEnd) continue
        }
        if (isWhole) await this.#wake.news(version, following.acknowledged ? saveMs : idleMarkMs)
      }
    } catch (error) {
      // What the region has missed is gone from the log: it gets all items anew.
      if (asMillraceError(error).code === 'TRIMMED') {
        this.#row = undefined
        this.#isTrimmed = true
      }
      throw error
    } finally {
      unsubscribe()
    }
  }

  /** What there is now, in one batch; nothing is sent when there is nothing to say. */
  async #sendSome(following: Following): Promise<{ readonly isWhole: boolean; readonly hasEnd: boolean }> {
    const { log, clock, batchBytesMax } = this.#options
    const { standing, reading } = following
    const now = clock.monotonic()
    const began = clock.now()
    const isDue = now - following.markedAt >= (following.acknowledged ? markMs : idleMarkMs)
    const tells = isDue || !this.hasToldMembers
    // Before the log is read: what was written by then is in it.
    const mark = tells ? await this.#takeMark() : undefined
    const unlogged = await this.#unlogged.read(this.#table())
    const found = await collect(log, reading, this.#table().replication, batchBytesMax)
    this.#oldest = found.oldest ?? this.#oldest
    standing.move(found.moved)
    for (const [shard, { next, ended }] of found.moved) {
      // To the end of the row: where a batch is full before all shards were read, the others are next.
      reading.delete(shard)
      if (!ended) reading.set(shard, next)
    }
    const hasEnd = standing.hasEnded
    // Behind a shard's end are its children: then there is more, as when the batch was full.
    const isAtEnd = found.isWhole && !hasEnd
    // What such a write has replaced comes first, where the log has it.
    if (unlogged && !isAtEnd) this.#unlogged.notice()
    const behind = isAtEnd ? unlogged : undefined
    const isWhole = isAtEnd && !behind?.more
    const marks = isWhole ? mark : undefined
    // A part of the log that has nothing for the other region is none that it must be looked through for again.
    if (found.changes > 0 || hasEnd || tells || !found.isWhole) {
      const repeats = found.lowest !== undefined && found.lowest < (this.#row?.repeatsBelow ?? 0)
      const positions = standing.wire()
      const told = marks && !behind ? { marks } : {}
      await this.#send({ regions: found.regions, repeats, positions, ...told }, found.body)
      following.acknowledged = standing.positions()
      this.sentChanges += found.changes
      this.sentBatches++
    }
    if (behind) {
      await this.#unlogged.send(behind)
      if (marks) await this.#send({ regions: [], repeats: true, marks }, Buffer.alloc(0))
    }
    if (marks) following.markedAt = now
    this.#passed = standing.positions()
    if (isWhole) {
      this.#oldest = undefined
      this.caughtUpAt = began
      if (marks) this.confirmedMs = Math.max(this.confirmedMs, marks.through)
    }
    return { isWhole, hasEnd }
  }

  async #takeMark(): Promise<Marks> {
    const { commit, stable } = this.#options
    const through = commit.time.next() - markMarginMs
    await commit.settled()
    return { through, stable: stable() }
  }

  /** What the other region has is what the log need not keep for it. */
  async #savePositions(group: Group, following: Following, positions: readonly Position[]): Promise<void> {
    await this.#options.commit.submit({ essential: true, rows: group.rowsFor(positions) })
    group.moved(positions)
    const { standing, reading } = following
    standing.saved(positions)
    for (const [shard, next] of standing.reading()) if (!reading.has(shard)) reading.set(shard, next)
    following.savedAt = this.#options.clock.monotonic()
    following.acknowledged = undefined
  }

  async #send(ask: Omit<ApplyAsk, 'table' | 'session' | 'members'>, body: Buffer): Promise<ApplyAnswer> {
    const { transport, replicas, table } = this.#options
    const { members } = this.#table().replication
    const whole = { ...ask, table: table.name, session: this.#session, members }
    const answer = await transport.call(this.region, 'apply', whole, body, this.#stop.signal)
    this.#membersSent = members
    this.conflicts += answer.conflicts
    this.failure = undefined
    this.#retryMs = retryMsMin
    await replicas.merge(table.name, answer.members)
    return answer
  }

  async #save(row: Outgoing): Promise<void> {
    const { commit, table } = this.#options
    await commit.submit({ essential: true, rows: [rowOf(table.id, 'outgoing', this.region, row)] })
    this.#row = row
  }

  /** The table as it is now. Throws NOT_FOUND when it went. */
  #table(): ReplicatedTable {
    const { table, replicas } = this.#options
    const present = replicas.find(table.name)
    if (present?.id === table.id) return present
    throw new MillraceError('NOT_FOUND', `The table ${table.name} has no replicas any more.`)
  }

  #isWanted(): boolean {
    const { table, replicas } = this.#options
    const present = replicas.find(table.name)
    return present?.id === table.id && othersOf(present.replication).includes(this.region)
  }
}

function phaseOf({ code }: MillraceError): LinkPhase {
  if (code === 'REPLICA_CLOCK_AHEAD') return 'held'
  if (code === 'REPLICA_REFUSED') return 'refused'
  return code === 'REPLICA_UNAVAILABLE' ? 'unreachable' : 'failing'
}
