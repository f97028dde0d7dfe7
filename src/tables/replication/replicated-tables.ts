import type { Commit } from '../../commit/index.js'
import type { StreamId } from '../../log/index.js'
import { MillraceError } from '../../runtime/index.js'
import type { Storage } from '../../storage/index.js'
import type { Catalogue, Table } from '../catalogue/catalogue.js'
import { sweepSome } from '../catalogue/sweep.js'
import type { TableRow } from '../catalogue/table-row.js'
import type { Stamp } from '../items/item-value.js'
import type { Writer } from '../items/writer.js'
import { AwsError } from '../requests/aws-error.js'
import { type AppliedCounts, type ApplyOptions, applyChanges, type RemoteChange } from './apply.js'
import { Conflicts, type NumberedConflict } from './conflicts.js'
import { digestsOf, type RangeDigest } from './digest.js'
import type { HybridClock } from './hybrid-clock.js'
import {
  isIn,
  knowsAll,
  type Member,
  type Members,
  mergeMembers,
  originsMax,
  othersOf,
  type Replication,
  withMembers,
} from './members.js'
import type { PastMembers } from './past-members.js'
import { removeMissing, type Stretch } from './rebuild.js'
import type { ReplicaStatus } from './replica-status.js'
import { compareStamps, tick } from './stamps.js'
import { differenceOf, type TableShape, tableShapeOf } from './table-shape.js'
import { type MayGo, type SweptPiece, sweepTombstones } from './tombstone-sweep.js'
import { forgetUnlogged, type UnloggedPage, type UnloggedRow, unloggedPage, unloggedPrefix } from './unlogged.js'
import { type VersionPage, type VersionPageRequest, versionPage } from './version-pages.js'

export interface ReplicatedTablesOptions {
  readonly storage: Storage
  readonly commit: Commit
  readonly catalogue: Catalogue
  readonly writer: Writer
  readonly clock: HybridClock
  readonly region: string
  readonly conflictsMax: number
  /** Of tables that were deleted. */
  readonly past: PastMembers
}

/** A table with replicas, as the links see it. */
export interface ReplicatedTable {
  readonly id: number
  readonly name: string
  readonly uuid: string
  /** Milliseconds since 1970: nothing older was ever written here. */
  readonly createdAt: number
  readonly log: StreamId
  readonly replication: Replication
}

/** The regions that links can reach, and what they know; without any, no replica can be made. */
export interface ReplicaLinks {
  /** The other regions of the configuration. */
  readonly regions: readonly string[]
  status(table: number, region: string): ReplicaStatus
  /** Asks a region whether it takes a replica of a table. Rejects with REPLICA_REFUSED when it does not. */
  check(region: string, shape: TableShape): Promise<void>
}

/** Tables that have, or had, replicas in other regions: what the links read of them and write to them. */
export class ReplicatedTables {
  readonly #options: ReplicatedTablesOptions
  readonly conflicts: Conflicts
  links: ReplicaLinks | undefined
  #onChange: () => void = () => {}

  constructor(options: ReplicatedTablesOptions) {
    this.#options = options
    this.conflicts = new Conflicts(options.storage, options.commit, options.conflictsMax)
  }

  /** Told whenever the replicas of a table have changed. */
  observe(onChange: () => void): void {
    this.#onChange = onChange
  }

  get region(): string {
    return this.#options.region
  }

  /** All tables that have replicas. */
  list(): ReplicatedTable[] {
    return [...this.#options.catalogue.tables()].flatMap(({ row }) => replicatedOf(row) ?? [])
  }

  find(name: string): ReplicatedTable | undefined {
    const row = this.#options.catalogue.get(name)?.row
    return row && replicatedOf(row)
  }

  /** Throws NOT_FOUND. */
  shape(name: string): TableShape {
    return tableShapeOf(this.#table(name).row)
  }

  /** Adds and removes replicas, as UpdateTable asks for it; `check` sees the table alone on its gate. */
  async change(
    name: string,
    changes: ReadonlyMap<string, 'in' | 'out'>,
    check: (row: TableRow) => void,
  ): Promise<TableRow> {
    const { catalogue, clock, region, past } = this.#options
    const row = await catalogue.change(name, (before) => {
      check(before)
      const present = before.replication?.members
      const known = mergeMembers(past.of(name), present ?? {})
      const member = (other: string, state: Member['state']): Member => ({
        state,
        stamp: newerStamp(clock, known[other]),
        by: region,
      })
      // A region that does not say that it is out is taken out when it is asked for once more.
      const given = [...changes].map(([other, state]) => {
        const isSecond = present?.[other]?.state === 'leaving'
        return [other, member(other, state === 'out' && !isSecond ? 'leaving' : state)] as const
      })
      const here = present?.[region] ?? member(region, 'in')
      const members: Members = { ...present, [region]: here, ...Object.fromEntries(given) }
      return withReplication(before, withMembers(before.replication, region, members))
    })
    await this.conflicts.open(row.id)
    this.#onChange()
    return row
  }

  /** Says that nothing of this region is left to bring. Throws NOT_FOUND. */
  async finishLeaving(name: string): Promise<void> {
    const { clock, region } = this.#options
    const known = this.#table(name).row.replication?.members[region]
    await this.merge(name, { [region]: { state: 'out', stamp: newerStamp(clock, known), by: region } })
  }

  /** Takes what another region knows of the members, and gives numbers to regions. Throws NOT_FOUND. */
  async merge(name: string, members: Members, regions: readonly string[] = []): Promise<void> {
    const present = this.#table(name).row.replication
    const isKnown = (row: Replication | undefined): boolean =>
      row !== undefined && knowsAll(row.members, members) && regions.every((each) => row.origins.includes(each))
    if (isKnown(present)) return
    const { catalogue, region } = this.#options
    const row = await asMillrace(
      catalogue.change(name, (before) => {
        if (isKnown(before.replication)) return before
        const merged = mergeMembers(before.replication?.members ?? {}, members)
        return withReplication(before, withMembers(before.replication, region, merged, regions))
      }),
    )
    await this.conflicts.open(row.id)
    this.#onChange()
  }

  /** Whether this region takes a replica of a table: there is none of its name, or one like it. Throws REPLICA_REFUSED. */
  check(shape: TableShape): void {
    const { catalogue, region } = this.#options
    const row = catalogue.get(shape.name)?.row
    const difference = row && differenceOf(row, shape, (present) => this.#viewOf(present))
    if (difference === undefined) return
    throw new MillraceError('REPLICA_REFUSED', `The table ${shape.name} is in ${region} already, and ${difference}.`, {
      details: { table: shape.name, region },
    })
  }

  /**
   * Throws REPLICA_REFUSED with the members when a region that asks was taken out: what it writes belongs to no other replica,
   * and it may not know that yet.
   */
  async refuseOut(from: string, name: string, members: Members): Promise<void> {
    const { catalogue, past } = this.#options
    const present = catalogue.get(name)?.row.replication
    const known = mergeMembers(mergeMembers(past.of(name), present?.members ?? {}), members)
    if (known[from]?.state !== 'out') return
    if (present?.isActive) await this.merge(name, members)
    throw takenOut(from, name, known)
  }

  /** Makes the replica of a table, where there is none, and takes the members. Throws REPLICA_REFUSED, CONFLICT. */
  async join(from: string, shape: TableShape, members: Members): Promise<ReplicatedTable> {
    await this.refuseOut(from, shape.name, members)
    this.check(shape)
    const { catalogue, region, past } = this.#options
    if (!catalogue.get(shape.name)) {
      // One that asks may not have heard yet that this region is out.
      const known = mergeMembers(past.of(shape.name), members)
      if (known[region]?.state === 'out') throw takenOut(region, shape.name, known)
      const { expiry, ...wanted } = shape
      const changedAt = this.#options.commit.time.next()
      await asMillrace(
        catalogue.create(
          {
            ...wanted,
            deletionProtection: false,
            ...(expiry === undefined ? {} : { expiry: { attribute: expiry, changedAt } }),
            replication: withMembers(undefined, region, members),
          },
          'NEW_AND_OLD_IMAGES',
        ),
      )
    }
    const table = this.#table(shape.name)
    if (table.row.replication?.isEnded)
      throw new MillraceError('CONFLICT', `The table ${shape.name} is about to be deleted.`)
    if (table.row.label === undefined) await asMillrace(catalogue.enableStream(shape.name, 'NEW_AND_OLD_IMAGES'))
    await this.merge(shape.name, members)
    await this.conflicts.open(table.row.id)
    const joined = this.find(shape.name)
    if (!joined) throw new MillraceError('CONFLICT', `The table ${shape.name} is not one of the replicas.`)
    this.#onChange()
    return joined
  }

  /** Throws NOT_FOUND when the table went. */
  async apply(name: string, changes: readonly RemoteChange[], options: ApplyOptions): Promise<AppliedCounts> {
    return asMillrace(applyChanges(this.#table(name), changes, options, this.#applying))
  }

  /** Deletes what another region has seen and has no longer; see `removeMissing`. */
  removeMissing(name: string, stretch: Stretch): ReturnType<typeof removeMissing> {
    return asMillrace(removeMissing(this.#table(name), stretch, this.#options))
  }

  page(table: ReplicatedTable, request: VersionPageRequest): Promise<VersionPage> {
    return versionPage(this.#options.storage, table.id, table.replication, request)
  }

  /** Throws NOT_FOUND. */
  async digests(name: string, ranges: readonly number[]): Promise<RangeDigest[]> {
    const { row } = this.#table(name)
    if (!row.replication) throw new MillraceError('NOT_FOUND', `The table ${name} has no replicas.`)
    return digestsOf(this.#options.storage, row.id, row.replication, ranges)
  }

  /** The newest conflicts of a table, the newest first. Throws NOT_FOUND. */
  async listConflicts(
    name: string,
    limit: number,
  ): Promise<{ readonly count: number; readonly conflicts: readonly NumberedConflict[] }> {
    const { id } = this.#table(name).row
    await this.conflicts.open(id)
    return { conflicts: await this.conflicts.list(id, limit), count: this.conflicts.count(id) }
  }

  /** One piece of the tombstones of a table, which may have no replicas any more; see `sweepTombstones`. */
  async sweepTombstones(
    { id, name }: Pick<ReplicatedTable, 'id' | 'name'>,
    behind: Buffer | undefined,
    mayGo: MayGo,
  ): Promise<SweptPiece> {
    const row = this.#options.catalogue.get(name)?.row
    if (row?.id !== id || !row.replication) return { gone: 0, left: 0, oldest: undefined, next: undefined }
    return sweepTombstones(id, row.replication, behind, mayGo, this.#options)
  }

  /** Tables that had replicas, and have none any more. */
  former(): { readonly id: number; readonly name: string }[] {
    return [...this.#options.catalogue.tables()].flatMap(({ row: { id, name, replication } }) =>
      replication && !replication.isActive && !replication.isEnded ? [{ id, name }] : [],
    )
  }

  /** The milliseconds of the newest stamp that was given or seen. */
  get newestMs(): number {
    return this.#options.clock.newestMs
  }

  /** What a region must get that no record of the change log brings; see `unloggedPage`. */
  unlogged(table: ReplicatedTable, region: string, bytesMax: number): Promise<UnloggedPage> {
    return unloggedPage(this.#options.storage, table, region, bytesMax)
  }

  /** A region has the changes of these rows. */
  forgetUnlogged(rows: readonly UnloggedRow[]): Promise<void> {
    return forgetUnlogged(rows, this.#options.commit)
  }

  /** Nothing is to be brought any more to a region that no link leads to. */
  async dropUnlogged(table: number, region: string): Promise<void> {
    const { storage, commit } = this.#options
    while (await sweepSome(storage, commit, unloggedPrefix(table, region)));
  }

  /**
   * Ends the replica of this region, which has been taken out and has brought out what was written here: the table is deleted, as
   * on AWS, unless it is protected; then it stays, as a table without replicas.
   */
  async leave(name: string): Promise<'deleted' | 'kept'> {
    const { catalogue, region } = this.#options
    const row = await asMillrace(
      catalogue.change(name, (before) => {
        if (!before.replication || before.replication.isEnded) return before
        const { members: past } = before.replication
        const without = withMembers(before.replication, region, {})
        // In one commit: a kill before the deletion leaves a table that still knows that it is to go.
        return withReplication(before, before.deletionProtection ? without : { ...without, isEnded: true, past })
      }),
    )
    this.#onChange()
    if (row.deletionProtection) return 'kept'
    await asMillrace(catalogue.delete(name))
    return 'deleted'
  }

  /** Names of tables whose replica has ended, or has nobody left to bring anything to, and which are not deleted yet. */
  ended(): string[] {
    const isOver = (replication: Replication): boolean =>
      replication.isEnded ||
      (replication.home === this.region && !replication.isActive && !isIn(replication, replication.home))
    return [...this.#options.catalogue.tables()].flatMap(({ row: { name, replication } }) =>
      replication && isOver(replication) ? [name] : [],
    )
  }

  #viewOf(row: TableRow): string | undefined {
    const { catalogue } = this.#options
    return row.label === undefined
      ? undefined
      : catalogue.awsStream(catalogue.streamArn({ tableName: row.name, label: row.label }))?.view
  }

  get #applying() {
    const { commit, writer } = this.#options
    return { commit, writer, conflicts: this.conflicts }
  }

  #table(name: string): Table {
    const table = this.#options.catalogue.get(name)
    if (!table) throw new MillraceError('NOT_FOUND', `There is no table named ${name}.`)
    return table
  }
}

const takenOut = (region: string, table: string, members: Members): MillraceError =>
  new MillraceError('REPLICA_REFUSED', `${region} has no replica of ${table} any more: it was taken out.`, {
    details: { table, region, members },
  })

/** What is said of a member counts against what was said before, whatever the clocks say. The clock of items stays as it is. */
function newerStamp(clock: HybridClock, known: Member | undefined): Stamp {
  const stamp = clock.next()
  return known && compareStamps(stamp, known.stamp) <= 0 ? tick(known.stamp) : stamp
}

function replicatedOf({ id, name, uuid, createdAt, log, replication }: TableRow): ReplicatedTable | undefined {
  if (!replication || log === undefined) return undefined
  if (othersOf(replication).length === 0) return undefined
  return { id, name, uuid, createdAt, log, replication }
}

function withReplication(row: TableRow, replication: Replication): TableRow {
  if (replication.origins.length > originsMax)
    throw new MillraceError('TOO_LARGE', `A table knows ${originsMax} regions at most, those of before included.`)
  return { ...row, replication }
}

/** What is refused in AWS's words is said in ours. */
async function asMillrace<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof AwsError)) throw error
    const code = error.type.endsWith('ResourceNotFoundException') ? 'NOT_FOUND' : 'CONFLICT'
    throw new MillraceError(code, error.message, { cause: error })
  }
}
