import { randomUUID } from 'node:crypto'
import { type Commit, type Counters, Family, type RowEffect } from '../../commit/index.js'
import type { ImagesKept, Sequence, ShardedLog, StreamId } from '../../log/index.js'
import { type Clock, killPoint, type Logger, MillraceError, type Timer } from '../../runtime/index.js'
import type { Storage } from '../../storage/index.js'
import type { ControlSettings } from '../control/settings.js'
import { refuseToDelete, statusOf } from '../control/table-status.js'
import { widen } from '../control/widen.js'
import { tablePrefix } from '../items/item-row.js'
import type { ReplicaStatus } from '../replication/replica-status.js'
import { inUse, notFound, resourceNotFound, validation } from '../requests/aws-error.js'
import { type WindowEvent, windowState, windowTakes } from '../streams/window-lifecycle.js'
import type { WindowTime } from '../streams/window-time.js'
import { Gate } from './gate.js'
import { sweepSome } from './sweep.js'
import {
  type AwsStream,
  awsStreamEffect,
  awsStreamKey,
  type TableRow,
  tableEffect,
  tableKey,
  type ViewType,
} from './table-row.js'

export interface Table {
  row: TableRow
  readonly gate: Gate
}

interface Leaving {
  readonly table: Table
  readonly until: number
  readonly timer: Timer
}

export interface CatalogueOptions {
  readonly commit: Commit
  readonly storage: Storage
  readonly counters: Counters
  readonly log: ShardedLog
  readonly clock: Clock
  readonly logger: Logger
  readonly region: string
  readonly accountId: string
  readonly windowTime: WindowTime
  readonly settings: ControlSettings
}

export const tablesMax = 2500
/** Rows of streams that one commit forgets. */
const expiredStreamsMax = 1000
/** The rows of a table that go with it: its items and what is derived from them. */
const familiesOfItems = [Family.item, Family.index, Family.expiry, Family.tombstone, Family.replication]

const imagesOfView: Record<ViewType, ImagesKept> = {
  KEYS_ONLY: { old: false, new: false },
  NEW_IMAGE: { old: false, new: true },
  OLD_IMAGE: { old: true, new: false },
  NEW_AND_OLD_IMAGES: { old: true, new: true },
}

/** The tables, their change logs and the AWS streams over them. */
export class Catalogue {
  readonly #options: CatalogueOptions
  readonly #tables = new Map<string, Table>()
  readonly #awsStreams = new Map<string, AwsStream>()
  readonly #deleting = new Set<Promise<void>>()
  /** Names that are being made. */
  readonly #busy = new Set<string>()
  /** Deleted tables that are described for a while yet. */
  readonly #leaving = new Map<string, Leaving>()
  /** What change records carry, by the row that says it: a row is replaced when it changes, and a stream keeps its view. */
  readonly #images = new WeakMap<TableRow, ImagesKept>()
  /** How the replica of a table in another region is; the links know. */
  replicaStatus: (table: number, region: string) => ReplicaStatus = () => ({ status: 'CREATING' })
  /** Rows that stay of a table, in the commit that deletes it. */
  rowsOfDeleted: (row: TableRow) => readonly RowEffect[] = () => []
  #lastLabelMs = 0
  #isClosed = false

  private constructor(options: CatalogueOptions) {
    this.#options = options
  }

  static async open(options: CatalogueOptions): Promise<Catalogue> {
    const catalogue = new Catalogue(options)
    const read = async <T>(family: number, take: (value: T) => void) => {
      const range = { gte: Buffer.from([family]), lt: Buffer.from([family + 1]), bytesMax: 1 << 20 }
      for await (const page of options.storage.scan(range)) {
        for (const value of page.values) take(JSON.parse(value.toString('utf8', 1)) as T)
      }
    }
    const deleting: TableRow[] = []
    await read<TableRow>(Family.table, (row) => {
      if (row.state === 'deleting') deleting.push(row)
      else catalogue.#tables.set(row.name, { row, gate: new Gate() })
    })
    await read<AwsStream>(Family.awsStream, (stream) => {
      catalogue.#awsStreams.set(catalogue.streamArn(stream), stream)
      catalogue.#lastLabelMs = Math.max(catalogue.#lastLabelMs, Date.parse(`${stream.label}Z`))
    })
    for (const row of deleting) catalogue.#deleteItems(row)
    return catalogue
  }

  tables(): IterableIterator<Table> {
    return this.#tables.values()
  }

  names(): string[] {
    const now = this.#options.clock.now()
    const leaving = [...this.#leaving].filter(([name, { until }]) => now < until && !this.#tables.has(name))
    const names = [...this.#tables.keys(), ...leaving.map(([name]) => name)]
    return names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  }

  /** A table that can be read and written: not one that is still CREATING, or DELETING. */
  find(name: string): Table | undefined {
    const table = this.#tables.get(name)
    const isNew = table?.row.details?.busy?.with === 'CREATING'
    return isNew && statusOf(table.row, this.#options.clock.now()) === 'CREATING' ? undefined : table
  }

  /** The table that a request for items names. Throws ResourceNotFoundException. */
  requested(name: string): Table {
    const table = this.find(name)
    if (!table) throw resourceNotFound()
    return table
  }

  /** A table that is described, whatever its status. */
  get(name: string): Table | undefined {
    const table = this.#tables.get(name)
    if (table) return table
    const leaving = this.#leaving.get(name)
    return leaving && this.#options.clock.now() < leaving.until ? leaving.table : undefined
  }

  /** Whether a table was not deleted. */
  has(table: Table): boolean {
    return this.#tables.get(table.row.name) === table
  }

  tableArn(name: string): string {
    const { region, accountId } = this.#options
    return `arn:aws:dynamodb:${region}:${accountId}:table/${name}`
  }

  streamArn(stream: Pick<AwsStream, 'tableName' | 'label'>): string {
    return `${this.tableArn(stream.tableName)}/stream/${stream.label}`
  }

  /** Streams that are on, and those that were switched off, or lost their table, less than a window ago. */
  awsStreams(): AwsStream[] {
    const { until } = this.#options.windowTime
    return [...this.#awsStreams.values()].filter((stream) => windowTakes(windowState(stream, until), 'read'))
  }

  awsStream(arn: string): AwsStream | undefined {
    const stream = this.#awsStreams.get(arn)
    return stream && this.#takes(stream, 'read') ? stream : undefined
  }

  #takes(stream: AwsStream, event: WindowEvent): boolean {
    return windowTakes(windowState(stream, this.#options.windowTime.until), event)
  }

  /** Forgets streams that can no longer be read. */
  async expireStreams(): Promise<void> {
    const { until } = this.#options.windowTime
    const over = [...this.#awsStreams]
      .filter(([, stream]) => windowState(stream, until) === 'expired')
      .slice(0, expiredStreamsMax)
    if (over.length === 0) return
    const rows = over.map(([, { table, label }]) => ({ key: awsStreamKey(table, label), value: undefined }))
    await this.#options.commit.submit({ essential: true, rows })
    for (const [arn] of over) this.#awsStreams.delete(arn)
  }

  async create(
    wanted: Pick<
      TableRow,
      | 'name'
      | 'schema'
      | 'billing'
      | 'throughput'
      | 'deletionProtection'
      | 'tableClass'
      | 'details'
      | 'indexes'
      | 'nextIndex'
      | 'expiry'
      | 'replication'
    >,
    view: ViewType | undefined,
  ): Promise<TableRow> {
    const { commit, counters } = this.#options
    const { name } = wanted
    if (this.get(name) || this.#busy.has(name)) throw inUse(`Table already exists: ${name}`)
    if (this.#tables.size >= tablesMax) throw new MillraceError('TOO_BUSY', `There are ${tablesMax} tables already.`)
    this.#busy.add(name)
    try {
      let row: TableRow = {
        ...wanted,
        id: counters.take('table'),
        uuid: randomUUID(),
        createdAt: commit.time.next(),
        state: 'active',
        isFollowed: false,
      }
      if (view === undefined) await commit.submit({ rows: [tableEffect(row)], atPack: () => [counters.row()] })
      else row = await this.#openStream(row, view)
      this.#tables.set(name, { row, gate: new Gate() })
      return row
    } finally {
      this.#busy.delete(name)
    }
  }

  /** Runs a change of a table's description alone. Throws ResourceNotFoundException, ResourceInUseException. */
  async change(name: string, run: (row: TableRow) => Promise<TableRow> | TableRow): Promise<TableRow> {
    const table = this.#tables.get(name)
    if (!table) throw notFound(`Requested resource not found: Table: ${name} not found`)
    const release = await table.gate.exclude()
    try {
      // The table may have been deleted while this waited.
      if (this.#tables.get(name) !== table) throw notFound(`Requested resource not found: Table: ${name} not found`)
      // Writers let the gate go when they have queued. A layout change is packed before the records of its commit, so
      // what is queued must not share that commit: its records would find the stream closed, or lack the new images.
      await this.#options.commit.settled()
      const before = table.row
      const row = await run(before)
      if (row !== before && table.row === before) {
        await this.#options.commit.submit({ rows: [tableEffect(row)] })
        table.row = row
      }
      return table.row
    } finally {
      release()
    }
  }

  /** Switches the AWS stream on; it begins here, with shards of its own. */
  enableStream(name: string, view: ViewType, check: (row: TableRow) => void = () => {}): Promise<TableRow> {
    return this.change(name, async (row) => {
      check(row)
      if (row.label !== undefined) throw validation(`Table already has an enabled stream: TableName: ${name}`)
      return this.#replace(row, await this.#openStream(row, view))
    })
  }

  /** Switches it off: its shards are sealed, and can be read for 24 hours. Pipelines and bridges go on. */
  disableStream(name: string, check: (row: TableRow) => void = () => {}): Promise<TableRow> {
    return this.change(name, async (row) => {
      check(row)
      const stream =
        row.label === undefined
          ? undefined
          : this.#awsStreams.get(this.streamArn({ tableName: name, label: row.label }))
      if (!stream || !this.#takes(stream, 'disable'))
        throw validation(`Table has no stream to disable: TableName: ${name}`)
      if (row.replication?.isActive)
        throw validation(
          `One or more parameter values were invalid: The stream of ${name} cannot be disabled while it has replicas in other regions`,
        )
      return this.#replace(row, await this.#closeWindow(row, stream))
    })
  }

  /** The change log for a pipeline or a bridge: with both images from here on. */
  async follow(name: string): Promise<StreamId> {
    const row = await this.change(name, async (before) => {
      if (before.isFollowed) return before
      const both = { old: true, new: true }
      let made: TableRow = { ...before, isFollowed: true }
      if (before.log === undefined) {
        const stream = await this.#options.log.createStream({
          name: logName(name),
          kind: 'table',
          shards: this.#shardsOf(before),
          images: both,
          rows: ({ stream: { id } }) => {
            made = { ...made, log: id }
            return [tableEffect(made)]
          },
        })
        made = { ...made, log: stream.id }
      } else if (this.images(before).old && this.images(before).new) {
        await this.#options.commit.submit({ rows: [tableEffect(made)] })
      } else await this.#options.log.reopenShards(before.log, both, () => [tableEffect(made)])
      return this.#replace(before, made)
    })
    return row.log as StreamId
  }

  /** Shards that the log of a table opens with. */
  #shardsOf({ details }: TableRow): number {
    return Math.min(details?.shards ?? 1, this.#options.settings.warmShardsMax, this.#options.log.shardsMax)
  }

  /** Splits the log of a table until it has the shards that its warm throughput asks for. */
  async widen(row: TableRow): Promise<void> {
    if (row.log !== undefined) await widen(this.#options.log, row.log, this.#shardsOf(row))
  }

  /** The images that change records of a table carry now; asked for each of them. */
  images(row: TableRow): ImagesKept {
    const known = this.#images.get(row)
    if (known) return known
    const images = this.#imagesOf(row)
    this.#images.set(row, images)
    return images
  }

  #imagesOf(row: TableRow): ImagesKept {
    const both = row.isFollowed
    const view =
      row.label === undefined
        ? undefined
        : this.#awsStreams.get(this.streamArn({ tableName: row.name, label: row.label }))?.view
    const wanted = view ? imagesOfView[view] : { old: false, new: false }
    return { old: both || wanted.old, new: both || wanted.new }
  }

  async delete(name: string): Promise<TableRow> {
    let gone: TableRow | undefined
    const row = await this.change(name, async (before) => {
      // A replica that has ended was refused before, if it was to be.
      if (!before.replication?.isEnded) refuseToDelete(before, this.#options.clock.now())
      if (before.replication?.isActive) throw inUse(`Table ${name} has replicas in other regions.`)
      const rows = this.rowsOfDeleted(before)
      gone = { ...before, state: 'deleting' }
      const { label } = before
      const stream = label === undefined ? undefined : this.#awsStreams.get(this.streamArn({ tableName: name, label }))
      if (before.log === undefined)
        await this.#options.commit.submit({ rows: [tableEffect(gone), ...rows], essential: true })
      else {
        await this.#options.log.closeStream(before.log, ({ firstSequence, time }) => [
          tableEffect(gone as TableRow),
          ...rows,
          ...(stream && this.#takes(stream, 'deleteTable') ? [this.#closed(stream, firstSequence, time)] : []),
        ])
      }
      killPoint('table:deleted')
      this.#replace(before, gone)
      const table = this.#tables.get(name)
      this.#tables.delete(name)
      const { deleteMs } = this.#options.settings
      if (table && deleteMs > 0) this.#leave(name, table, deleteMs)
      return gone
    })
    this.#deleteItems(row)
    return row
  }

  /** Goes on describing a deleted table for a while, and forgets it then, also when nobody asks. */
  #leave(name: string, table: Table, deleteMs: number): void {
    const { clock } = this.#options
    this.#leaving.get(name)?.timer.cancel()
    const timer = clock.setTimeout(() => this.#leaving.delete(name), deleteMs)
    this.#leaving.set(name, { table, until: clock.now() + deleteMs, timer })
  }

  /** The row is durable already, in the commit of the layout change. */
  #replace(before: TableRow, row: TableRow): TableRow {
    const table = this.#tables.get(before.name)
    if (table) table.row = row
    return row
  }

  async #openStream(before: TableRow, view: ViewType): Promise<TableRow> {
    const { log } = this.#options
    const label = this.#newLabel()
    let row: TableRow = { ...before, label, latestLabel: label }
    let stream: AwsStream | undefined
    const rows = (id: StreamId, first: Sequence, createdAt: number): RowEffect[] => {
      row = { ...row, log: id }
      stream = { table: row.id, tableName: row.name, label, view, schema: row.schema, stream: id, first, createdAt }
      return [tableEffect(row), awsStreamEffect(stream)]
    }
    const wanted = imagesOfView[view]
    if (before.log === undefined) {
      await log.createStream({
        name: logName(before.name),
        kind: 'table',
        shards: this.#shardsOf(before),
        images: wanted,
        rows: (made) => rows(made.stream.id, made.firstSequence as Sequence, made.time),
      })
    } else {
      const kept = { old: wanted.old || before.isFollowed, new: wanted.new || before.isFollowed }
      await log.reopenShards(before.log, kept, (made) =>
        rows(made.stream.id, made.firstSequence as Sequence, made.time),
      )
    }
    const opened = stream as AwsStream | undefined
    if (opened) this.#awsStreams.set(this.streamArn(opened), opened)
    return row
  }

  async #closeWindow(before: TableRow, stream: AwsStream): Promise<TableRow> {
    const { log } = this.#options
    const { label: _, ...rest } = before
    if (before.isFollowed) {
      await log.reopenShards(stream.stream, { old: true, new: true }, ({ firstSequence, time }) => [
        tableEffect(rest),
        this.#closed(stream, (firstSequence - 1) as Sequence, time),
      ])
      return rest
    }
    const { log: __, ...unlogged } = rest
    await log.closeStream(stream.stream, ({ firstSequence, time }) => [
      tableEffect(unlogged),
      this.#closed(stream, firstSequence as Sequence, time),
    ])
    return unlogged
  }

  #closed(stream: AwsStream, last: number, disabledAt: number): RowEffect {
    const closed: AwsStream = { ...stream, last: last as Sequence, disabledAt }
    this.#awsStreams.set(this.streamArn(closed), closed)
    return awsStreamEffect(closed)
  }

  /** A label is the time of its making, to the millisecond, and never used twice. */
  #newLabel(): string {
    this.#lastLabelMs = Math.max(this.#lastLabelMs + 1, this.#options.clock.now())
    return new Date(this.#lastLabelMs).toISOString().slice(0, -1)
  }

  /** Removes a deleted table's items in bounded commits, then its row; begun again at a start when it was cut off. */
  #deleteItems(row: TableRow): void {
    const work = this.#deleteAll(row).catch((error: unknown) => {
      if (!this.#isClosed)
        this.#options.logger.warn(
          { table: row.name, error: String(error) },
          'the items of a deleted table are removed at the next start',
        )
    })
    this.#deleting.add(work)
    void work.finally(() => this.#deleting.delete(work))
  }

  async #deleteAll(row: TableRow): Promise<void> {
    const { storage, commit } = this.#options
    for (const family of familiesOfItems) {
      const prefix = tablePrefix(row.id, family)
      while (await sweepSome(storage, commit, prefix)) if (this.#isClosed) return
    }
    await commit.submit({ rows: [{ key: tableKey(row.id), value: undefined }], essential: true })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const { timer } of this.#leaving.values()) timer.cancel()
    await Promise.all(this.#deleting)
  }
}

export const logName = (table: string): string => `table:${table}`
