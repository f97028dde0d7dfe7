import type { CommitTime } from '../commit/index.js'
import { MillraceError } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import { othersOf, type ReplicatedTable, type ReplicatedTables, type Version } from '../tables/index.js'
import type { Lives } from './lives.js'
import { type Incoming, readRow, rowOf } from './rows.js'
import {
  type ApplyAnswer,
  type ApplyAsk,
  hasHad,
  isSameLife,
  type JoinAnswer,
  type JoinAsk,
  type Seen,
  type SeenByRegion,
  withGap,
} from './types.js'
import { decodeChanges } from './wire.js'

export interface ReceiverOptions {
  readonly storage: Pick<Storage, 'get'>
  readonly time: Pick<CommitTime, 'next'>
  readonly replicas: ReplicatedTables
  /** How far the stamp of another region may be ahead of the time here. */
  readonly skewMsMax: number
  readonly lives: () => Pick<Lives, 'gaps' | 'store'>
}

/** What is known of the changes of one region in one table. */
interface Source {
  session: number
  incoming: Incoming
  /** One call at a time: a session begins when nothing of the one before is under way. */
  tail: Promise<unknown>
  applied: number
  ignored: number
  conflicts: number
  /** How far the newest stamp that was refused is ahead, milliseconds; 0 when none is. */
  aheadMs: number
}

/** The changes that a table has had from another region since the opening. */
export interface SourceView extends Pick<Source, 'applied' | 'ignored' | 'conflicts' | 'aheadMs'> {
  readonly table: string
  readonly region: string
}

/** Takes the changes of other regions. */
export class Receiver {
  readonly #options: ReceiverOptions
  /** By number of the table and region. */
  readonly #sources = new Map<string, { readonly table: string; readonly region: string; readonly source: Source }>()
  #sessions = 0

  constructor(options: ReceiverOptions) {
    this.#options = options
  }

  views(): SourceView[] {
    return [...this.#sources.values()].map(({ table, region, source }) => {
      const { applied, ignored, conflicts, aheadMs } = source
      return { table, region, applied, ignored, conflicts, aheadMs }
    })
  }

  /** What is known of a region whose replica went, when nothing of it is under way any more. */
  async forget({ id }: ReplicatedTable, region: string): Promise<void> {
    const place = `${id} ${region}`
    await this.#sources.get(place)?.source.tail
    this.#sources.delete(place)
  }

  /** By region: the time up to which all of its writes are here. */
  async seen(table: ReplicatedTable, regions: readonly string[]): Promise<Map<string, Incoming>> {
    const seen = new Map<string, Incoming>()
    for (const region of regions) {
      const { incoming } = await this.#source(table, region)
      seen.set(region, incoming)
    }
    return seen
  }

  /** Makes the table where there is none. Throws REPLICA_REFUSED, CONFLICT. */
  async join(from: string, { shape, members, store }: JoinAsk): Promise<JoinAnswer> {
    const { replicas, time, skewMsMax } = this.#options
    const table = await replicas.join(from, shape, members)
    const source = await this.#source(table, from)
    return this.#inTurn(source, async () => {
      source.session = ++this.#sessions
      const known = source.incoming.store
      if (!isSameLife(known, store)) {
        const { positions: _, ...rest } = source.incoming
        // All that it wrote until `through` has come; what came later from its former life it may not have brought to all.
        const gap = { from: rest.through + 1, to: time.next() + skewMsMax }
        const gaps = known.id === '' ? [] : withGap(rest.gaps ?? [], gap)
        source.incoming = { ...rest, store, gaps }
      }
      const { positions } = source.incoming
      return {
        store: { ...this.#options.lives().store, table: table.uuid },
        session: source.session,
        members: (replicas.find(table.name) ?? table).replication.members,
        ...(positions ? { positions } : {}),
      }
    })
  }

  /** Throws CONFLICT when another session has begun; REPLICA_CLOCK_AHEAD, with nothing of the batch applied. */
  async apply(from: string, ask: ApplyAsk, body: Buffer): Promise<ApplyAnswer> {
    const { replicas } = this.#options
    // What it says itself with this batch is its last word; what is known without that ends its link.
    await replicas.refuseOut(from, ask.table, {})
    const found = replicas.find(ask.table)
    if (!found) throw over(ask.table)
    const source = await this.#source(found, from)
    return this.#inTurn(source, async () => {
      if (source.session !== ask.session) throw over(ask.table)
      const changes = decodeChanges(body, ask.regions)
      this.#refuseAhead(source, from, changes)
      await replicas.merge(ask.table, ask.members, ask.regions)
      const { marks, positions } = ask
      const { through, stable } = source.incoming
      const incoming: Incoming = {
        ...source.incoming,
        ...(positions ? { positions } : {}),
        through: Math.max(through, marks?.through ?? 0),
        stable: Math.max(stable, marks?.stable ?? 0),
      }
      const isMoved = positions !== undefined || marks !== undefined
      const rows = isMoved ? [rowOf(found.id, 'incoming', from, incoming)] : []
      const counts = await replicas.apply(ask.table, changes, {
        countsConflicts: !ask.repeats,
        hasSeen: await this.#hasSeen(found),
        rows,
      })
      const upTo = ask.stretch && (await this.#removeMissing(ask.table, ask.stretch, changes))
      source.incoming = incoming
      source.applied += counts.applied
      source.ignored += counts.ignored
      source.conflicts += counts.conflicts
      const members = replicas.find(ask.table)?.replication.members ?? ask.members
      return { ...counts, members, ...(upTo ? { upTo: upTo.toString('hex') } : {}) }
    })
  }

  async #removeMissing(
    table: string,
    { after, upTo, seen }: NonNullable<ApplyAsk['stretch']>,
    changes: readonly { readonly place: Buffer }[],
  ): Promise<Buffer | undefined> {
    const removed = await this.#options.replicas.removeMissing(table, {
      after: after === undefined ? undefined : Buffer.from(after, 'hex'),
      upTo: upTo === undefined ? undefined : Buffer.from(upTo, 'hex'),
      places: new Set(changes.map(({ place }) => place.toString('latin1'))),
      hasSeen: ({ stamp, region }: Version) => hasHad(seen[region], stamp.ms),
    })
    return removed.upTo
  }

  /** By region: what this one has had of its writes; of its own, as long as they are older than `homeThrough`. */
  async had(table: ReplicatedTable, homeThrough: number): Promise<SeenByRegion> {
    const { replicas, lives, skewMsMax } = this.#options
    // What is older than the table, as far as clocks can be told, may belong to one of before, which this store has lost.
    const before = { from: 0, to: table.createdAt + skewMsMax }
    const had: Record<string, Seen> = {
      [replicas.region]: { through: homeThrough, gaps: [before, ...lives().gaps] },
    }
    for (const [region, { through, gaps = [] }] of await this.seen(table, othersOf(table.replication)))
      had[region] = { through, gaps }
    return had
  }

  async #hasSeen(table: ReplicatedTable): Promise<(version: Version) => boolean> {
    const had = await this.had(table, Number.MAX_SAFE_INTEGER)
    return ({ stamp, region }) => hasHad(had[region], stamp.ms)
  }

  #refuseAhead(source: Source, from: string, changes: readonly { readonly version: Version }[]): void {
    const { time, skewMsMax } = this.#options
    const newest = changes.reduce((most, { version }) => Math.max(most, version.stamp.ms), 0)
    const aheadMs = newest - time.next()
    source.aheadMs = aheadMs > skewMsMax ? aheadMs : 0
    if (source.aheadMs === 0) return
    throw new MillraceError(
      'REPLICA_CLOCK_AHEAD',
      `A change of ${from} has a stamp ${Math.round(aheadMs / 1000)} s ahead of the clock here; ${skewMsMax / 1000} s are let through.`,
      { details: { region: from, aheadMs } },
    )
  }

  async #source({ id, name }: ReplicatedTable, region: string): Promise<Source> {
    const place = `${id} ${region}`
    const known = this.#sources.get(place)
    if (known) return known.source
    const stored = await readRow(this.#options.storage, id, 'incoming', region)
    const source: Source = {
      session: 0,
      incoming: stored ?? { store: { id: '', epoch: 0 }, through: 0, stable: 0 },
      tail: Promise.resolve(),
      applied: 0,
      ignored: 0,
      conflicts: 0,
      aheadMs: 0,
    }
    const other = this.#sources.get(place)
    if (other) return other.source
    this.#sources.set(place, { table: name, region, source })
    return source
  }

  #inTurn<Result>(source: Source, run: () => Promise<Result>): Promise<Result> {
    const turn = source.tail.then(run)
    source.tail = turn.catch(() => {})
    return turn
  }
}

const over = (table: string): MillraceError =>
  new MillraceError(
    'CONFLICT',
    `The session of the link for ${table} is over: another one has begun, or the table went.`,
  )
