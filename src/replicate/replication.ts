import type { Commit } from '../commit/index.js'
import type { DurableGroups } from '../groups/index.js'
import type { ShardedLog, StreamId } from '../log/index.js'
import { asMillraceError, type Clock, type Logger, MillraceError, type Timer } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import {
  forcedOut,
  isIn,
  isLeaving,
  type MayGo,
  type Member,
  othersOf,
  type ReplicaLinks,
  type ReplicaStatus,
  type ReplicatedTable,
  type ReplicatedTables,
  type TableShape,
  unloggedOf,
} from '../tables/index.js'
import { Link, type LinkPhase, linkGroupName, markMarginMs } from './link.js'
import { Lives } from './lives.js'
import { Receiver, type SourceView } from './receiver.js'
import { rowOf, strayRows } from './rows.js'
import { type SweptTable, TombstoneRounds } from './tombstone-rounds.js'
import type { Answering, ApplyAsk, CallName, Calls, JoinAsk, SeenByRegion, Transport } from './types.js'
import { compareRanges, type Verification } from './verify.js'

export interface ReplicationSettings {
  readonly tombstoneRetentionMs: number
  readonly batchBytesMax: number
  readonly skewMsMax: number
}

export interface ReplicationOptions {
  readonly replicas: ReplicatedTables
  readonly groups: DurableGroups
  readonly log: ShardedLog
  readonly commit: Commit
  readonly storage: Storage
  readonly clock: Clock
  readonly logger: Logger
  readonly random: () => number
  readonly transport: Transport
  /** The other regions of the configuration. */
  readonly regions: readonly string[]
  readonly settings: ReplicationSettings
}

/** A link as it is shown. */
export interface LinkView {
  readonly table: string
  readonly region: string
  readonly status: ReplicaStatus['status']
  readonly phase: LinkPhase
  /** Changes that the region does not have; an upper bound. */
  readonly lagRecords: number
  readonly lagSeconds: number
  readonly sentChanges: number
  readonly sentBatches: number
  readonly error: string | undefined
}

const tickMs = 1_000
/** Between two notes of the time up to which nothing was lost. */
const noteMs = 10_000
/** A region that has left waits so long for the others to hear of it. */
const tellMsMax = 60_000

/** The links of all tables to all regions, and the answers to theirs. */
export class Replication implements ReplicaLinks {
  readonly regions: readonly string[]
  readonly #options: ReplicationOptions
  readonly #receiver: Receiver
  readonly #links = new Map<string, { readonly table: ReplicatedTable; readonly link: Link }>()
  /** Since when this region was seen to be leaving, or out, by number of the table. */
  readonly #leaving = new Map<number, { readonly state: Member['state'] | undefined; readonly since: number }>()
  #lives: Lives | undefined
  #work: Promise<void> = Promise.resolve()
  #timer: Timer | undefined
  #notedAt = Number.NEGATIVE_INFINITY
  readonly #rounds: TombstoneRounds
  #turn: Promise<void> | undefined
  #isClosed = false
  readonly #stop = new AbortController()

  constructor(options: ReplicationOptions) {
    this.#options = options
    const { commit, replicas, storage, settings } = options
    this.regions = options.regions.filter((region) => region !== replicas.region)
    this.#receiver = new Receiver({
      storage,
      time: commit.time,
      replicas,
      skewMsMax: settings.skewMsMax,
      lives: () => this.#known,
    })
    this.#rounds = new TombstoneRounds({
      sweep: (table, behind, mayGo) => replicas.sweepTombstones(table, behind, mayGo),
      monotonic: () => options.clock.monotonic(),
      now: () => commit.time.next(),
      isStopped: () => this.#isClosed,
    })
    replicas.links = this
    replicas.observe(() => this.refresh())
    commit.onRowsReturned((rows) => {
      for (const { key, value } of rows) {
        const found = value && unloggedOf(key)
        if (found) this.#links.get(placeOf(found.table, found.region))?.link.noticeUnlogged()
      }
    })
  }

  async start(): Promise<void> {
    const { replicas, logger, storage, commit, settings } = this.#options
    this.#lives = await Lives.open(storage, commit, settings.skewMsMax)
    for (const table of replicas.list()) {
      await replicas.conflicts.open(table.id)
      if (table.replication.home !== replicas.region)
        logger.error(
          { table: table.name },
          `The table is a replica of ${table.replication.home}, and aws.region is ${replicas.region}: its links stay down.`,
        )
    }
    const wanted = wantedLinks(replicas.list())
    const tables = new Set(replicas.list().map(({ id }) => id))
    const rows = await strayRows(storage, (table, region) =>
      region === undefined ? tables.has(table) : wanted.places.has(placeOf(table, region)),
    )
    if (rows.length > 0) await commit.submit({ rows, essential: true })
    this.#tick()
  }

  get #known(): Lives {
    if (!this.#lives) throw new MillraceError('NOT_READY', 'The links to other regions are being opened.')
    return this.#lives
  }

  #tick(): void {
    if (this.#isClosed) return
    this.refresh()
    this.#sweep()
    this.#timer = this.#options.clock.setTimeout(() => this.#tick(), tickMs)
  }

  /** Links are made and ended as the tables say, one look after the other. */
  refresh(): void {
    if (this.#isClosed) return
    for (const { link } of this.#links.values()) if (!link.hasToldMembers) link.wake()
    this.#work = this.#work
      .then(() => (this.#isClosed ? undefined : this.#look()))
      .catch((error: unknown) => {
        if (!this.#isClosed) this.#options.logger.warn(`Replicas: ${asMillraceError(error).message}`)
      })
  }

  /** Resolves when everything that was to be looked at has been. */
  settled(): Promise<void> {
    return this.#work
  }

  async #look(): Promise<void> {
    const { replicas } = this.#options
    const all = replicas.list()
    const wanted = wantedLinks(all)
    for (const [place, { table, link }] of this.#links) {
      if (wanted.places.has(place)) continue
      this.#links.delete(place)
      await link.stop()
      await this.#forget(table, link.region)
    }
    await this.#dropGroups(wanted.groups)
    for (const table of all) {
      // A link that is opened after the end would be stopped by nobody.
      if (this.#isClosed) return
      if (table.replication.home !== replicas.region) continue
      for (const region of othersOf(table.replication)) this.#open(table, region)
      if (!isIn(table.replication, table.replication.home)) await this.#leave(table)
    }
    for (const name of replicas.ended()) await replicas.leave(name)
    await this.#note(all.length > 0)
  }

  /** Groups of links that are over: a kill may have come before they went, and a table of the same name has another log. */
  async #dropGroups(wanted: ReadonlyMap<string, StreamId>): Promise<void> {
    const { groups } = this.#options
    for (const { name, kind, stream } of groups.list())
      if (kind === 'replica' && wanted.get(name) !== stream) await groups.delete(name)
  }

  #open(table: ReplicatedTable, region: string): void {
    const place = placeOf(table.id, region)
    if (this.#links.has(place)) return
    const { settings, ...rooms } = this.#options
    const link = new Link({
      ...rooms,
      table,
      region,
      store: this.#known.store,
      batchBytesMax: settings.batchBytesMax,
      seen: () => this.#seen(table.name),
      stable: () => this.#stable(table),
    })
    this.#links.set(place, { table, link })
    link.start()
  }

  /** The region has no replica any more: nothing of its link is kept. */
  async #forget(table: ReplicatedTable, region: string): Promise<void> {
    const { groups, commit, replicas } = this.#options
    await this.#receiver.forget(table, region)
    await replicas.dropUnlogged(table.id, region)
    const rows = [rowOf(table.id, 'outgoing', region, undefined), rowOf(table.id, 'incoming', region, undefined)]
    const name = linkGroupName(table.name, region)
    if (groups.group(name)) await groups.delete(name, rows)
    else await commit.submit({ rows, essential: true })
  }

  /**
   * This region was taken out: what was written here is brought to the others, they are told, and the table goes. Clients write
   * nothing any more, so a look at the log that begins now sees all that there is to bring, however long that takes.
   */
  async #leave({ id, name, replication }: ReplicatedTable): Promise<void> {
    const { replicas, clock, logger } = this.#options
    const links = this.#linksOf(id)
    const state = replication.members[replication.home]?.state
    const before = this.#leaving.get(id)
    const since = before && before.state === state ? before.since : clock.now()
    this.#leaving.set(id, { state, since })
    if (state === 'leaving') {
      const late = links.filter(({ caughtUpAt }) => caughtUpAt === undefined || caughtUpAt <= since)
      // One that has nothing to bring would look again in ten seconds only.
      for (const link of late) link.wake()
      if (late.length === 0) await replicas.finishLeaving(name)
      return
    }
    for (const link of links) if (!link.hasToldMembers) link.wake()
    if (links.some((link) => !link.hasToldMembers) && clock.now() - since < tellMsMax) return
    for (const region of othersOf(replication)) {
      const found = this.#links.get(placeOf(id, region))
      this.#links.delete(placeOf(id, region))
      await found?.link.stop()
      if (found) await this.#forget(found.table, region)
    }
    this.#leaving.delete(id)
    const end = await replicas.leave(name)
    logger.info({ table: name }, `The replica of this region was taken out: its table was ${end}.`)
  }

  #linksOf(table: number): Link[] {
    return [...this.#links.values()].filter((each) => each.table.id === table).map(({ link }) => link)
  }

  #stable({ id, replication }: ReplicatedTable): number {
    const links = this.#linksOf(id)
    if (links.length < othersOf(replication).length) return 0
    return links.reduce((least, { confirmedMs }) => Math.min(least, confirmedMs), Number.MAX_SAFE_INTEGER)
  }

  async #seen(name: string): Promise<SeenByRegion> {
    const { replicas, commit } = this.#options
    const table = replicas.find(name)
    return table ? this.#receiver.had(table, commit.time.next() - markMarginMs) : {}
  }

  async #note(isAny: boolean): Promise<void> {
    const { clock } = this.#options
    if (!isAny || clock.monotonic() - this.#notedAt < noteMs) return
    this.#notedAt = clock.monotonic()
    await this.#known.note()
  }

  /** Deletions that are remembered, as of the last look. */
  get tombstones(): number {
    return this.#rounds.count
  }

  /** One turn at a time. */
  #sweep(): void {
    const { commit, replicas, settings, logger } = this.#options
    if (this.#turn || !commit.time.mayExpire()) return
    const active = replicas.list().filter(({ replication }) => replication.home === replicas.region)
    const tables = active.map((table): SweptTable => {
      const { id, name } = table
      return { id, name, retentionMs: settings.tombstoneRetentionMs, mayGo: () => this.#mayGo(table) }
    })
    for (const { id, name } of replicas.former()) {
      const isFormer: MayGo = () => replicas.find(name)?.id !== id
      tables.push({ id, name, retentionMs: 0, mayGo: async () => isFormer })
    }
    this.#turn = this.#rounds
      .turn(tables)
      .catch((error: unknown) => {
        if (!this.#isClosed) logger.warn(`Tombstones of replicas: ${asMillraceError(error).message}`)
      })
      .finally(() => {
        this.#turn = undefined
      })
  }

  /** Tombstones go when they are old and every region has had a chance to lose against them. */
  async #mayGo(table: ReplicatedTable): Promise<MayGo> {
    const { commit, replicas, settings } = this.#options
    const old = commit.time.next() - settings.tombstoneRetentionMs
    const seen = await this.#receiver.seen(table, othersOf(table.replication))
    const arrived = [...seen.values()].reduce((least, { through }) => Math.min(least, through), Number.MAX_SAFE_INTEGER)
    const confirmed = this.#stable(table)
    const forced = forcedOut(table.replication)
    const filledAt = Math.max(...this.#linksOf(table.id).map((link) => link.filledAt ?? Number.POSITIVE_INFINITY))
    return ({ region, at }) => {
      if (at > old || at + settings.skewMsMax > arrived) return false
      if (region === replicas.region) return at <= confirmed
      const stable = seen.get(region)?.stable
      if (stable !== undefined) return at + settings.skewMsMax <= stable
      // Of a region that has no replica any more nothing comes that could be older; but others may still have what it deleted.
      return !forced.has(region) || filledAt + settings.skewMsMax <= arrived
    }
  }

  status(table: number, region: string): ReplicaStatus {
    return this.#links.get(placeOf(table, region))?.link.status ?? { status: 'CREATING' }
  }

  async check(region: string, shape: TableShape): Promise<void> {
    await this.#options.transport.call(region, 'check', { shape }, undefined, this.#stop.signal)
  }

  /** The links of all tables, or of one. */
  views(name?: string): LinkView[] {
    const { replicas } = this.#options
    return [...this.#links.values()]
      .filter(({ table }) => name === undefined || table.name === name)
      .map(({ table, link }) => {
        const { region, phase, lagRecords, lagSeconds, sentChanges, sentBatches, failure, status } = link
        return {
          table: table.name,
          region,
          status: isLeaving(replicas.find(table.name)?.replication ?? table.replication, region)
            ? ('DELETING' as const)
            : status.status,
          phase,
          lagRecords,
          lagSeconds,
          sentChanges,
          sentBatches,
          error: failure?.message,
        }
      })
  }

  /** What came from other regions since the opening. */
  sources(): SourceView[] {
    return this.#receiver.views()
  }

  /** Compares the digests of a table with those of all of its replicas. Throws NOT_FOUND. */
  verify(name: string): Promise<Verification> {
    const { replicas, transport, clock } = this.#options
    const table = replicas.find(name)
    if (!table) throw new MillraceError('NOT_FOUND', `There is no table named ${name} with replicas.`)
    return compareRanges({
      here: (ranges) => replicas.digests(name, ranges),
      regions: othersOf(table.replication),
      there: async (region, ranges) =>
        (await transport.call(region, 'digest', { table: name, ranges }, undefined, this.#stop.signal)).digests,
      home: replicas.region,
      clock,
    })
  }

  /** What another region asks. Throws FORBIDDEN for one that the configuration does not have. */
  readonly answer: Answering = async <Name extends CallName>(
    from: string,
    name: Name,
    ask: Calls[Name]['ask'],
    body: Buffer,
  ): Promise<Calls[Name]['answer']> => {
    if (!this.regions.includes(from))
      throw new MillraceError('REPLICA_REFUSED', `${this.#options.replicas.region} knows no region ${from}.`, {
        remedy: `Add ${from} under regions in the configuration of ${this.#options.replicas.region}.`,
      })
    const run = (): Promise<unknown> | unknown => {
      switch (name) {
        case 'check':
          return this.#options.replicas.check((ask as Calls['check']['ask']).shape) ?? {}
        case 'join':
          return this.#receiver.join(from, ask as JoinAsk)
        case 'apply':
          return this.#receiver.apply(from, ask as ApplyAsk, body)
        default:
          return this.#digest(ask as Calls['digest']['ask'])
      }
    }
    return (await run()) as Calls[Name]['answer']
  }

  async #digest({ table, ranges }: Calls['digest']['ask']): Promise<Calls['digest']['answer']> {
    return { digests: await this.#options.replicas.digests(table, ranges) }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#stop.abort()
    await Promise.all([...this.#links.values()].map(({ link }) => link.stop()))
    await this.#work
    await this.#turn
  }
}

const placeOf = (table: number, region: string): string => `${table} ${region}`

/** The links that tables want: their places, and their groups by name with the log that each must be on. */
function wantedLinks(tables: readonly ReplicatedTable[]): {
  readonly places: ReadonlySet<string>
  readonly groups: ReadonlyMap<string, StreamId>
} {
  const places = new Set<string>()
  const groups = new Map<string, StreamId>()
  for (const { id, name, log, replication } of tables) {
    for (const region of othersOf(replication)) {
      places.add(placeOf(id, region))
      groups.set(linkGroupName(name, region), log)
    }
  }
  return { places, groups }
}
