import { type Commit, type Counters, Family, type RowEffect } from '../commit/index.js'
import type { Log, Sequence, ShardedLog, ShardId, StartPosition, StreamId } from '../log/index.js'
import { killPoint, MillraceError } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import { DurableGroup } from './group.js'
import { decodeGroup, decodePosition, type GroupRow, groupKey, groupRow } from './rows.js'
import { isTime, joinPositions } from './start.js'
import type { CreateGroup, Groups, NewGroup, Position, ReplaceGroups } from './types.js'

export interface GroupsOptions {
  readonly storage: Storage
  readonly commit: Commit
  readonly counters: Counters
  readonly log: Log & Pick<ShardedLog, 'packedLowWatermark'>
  readonly groupsMax: number
}

interface MakeGroup extends CreateGroup {
  /** Further rows, made while the commit is packed. */
  readonly atPack?: () => readonly RowEffect[]
}

/** Groups and their positions. Those of pipelines and bridges are moved by these, the others by their members. */
export class DurableGroups implements Groups {
  readonly #options: GroupsOptions
  readonly #groups = new Map<string, DurableGroup>()
  /** Groups that are being made, by name: nobody may join or move one before it is durable. */
  readonly #making = new Map<string, Promise<unknown>>()
  /** Of these the start is packed, and may not be durable yet. */
  readonly #starting = new Set<DurableGroup>()
  /** Starts and seeks that were packed since the opening. */
  #starts = 0
  /** Those that a commit in flight changes. */
  readonly #changing = new Set<DurableGroup>()

  private constructor(options: GroupsOptions) {
    this.#options = options
    options.commit.onReturned(() => {
      for (const group of this.#changing) group.show()
      this.#changing.clear()
    })
  }

  static async open(options: GroupsOptions): Promise<DurableGroups> {
    const groups = new DurableGroups(options)
    const byId = new Map<number, DurableGroup>()
    const { storage, log } = options
    for await (const page of storage.scan({ ...familyRange(Family.group), bytesMax: 1 << 20 })) {
      for (const value of page.values) {
        const row = decodeGroup(value)
        const group = new DurableGroup(row, log)
        groups.#groups.set(row.name, group)
        byId.set(row.id, group)
      }
    }
    for await (const page of storage.scan({ ...familyRange(Family.position), bytesMax: 1 << 20 })) {
      page.keys.forEach((key, i) => {
        const { group, position } = decodePosition(key, page.values[i] as Buffer)
        byId.get(group)?.load(position)
      })
    }
    return groups
  }

  list(): readonly DurableGroup[] {
    return [...this.#groups.values()]
  }

  group(name: string): DurableGroup | undefined {
    return this.#groups.get(name)
  }

  async create(name: string, stream: StreamId, start: StartPosition, options: CreateGroup = {}): Promise<DurableGroup> {
    const [group] = await this.createAll([{ name, stream, start }], options)
    return group as DurableGroup
  }

  async createAll(wanted: readonly NewGroup[], options: CreateGroup = {}): Promise<readonly DurableGroup[]> {
    // "It exists" rests on a commit that is still on its way: the answer waits for it, and whoever gets it may join.
    for (;;) {
      const other = wanted.find(({ name }) => this.#making.has(name))
      if (!other) break
      await this.#making.get(other.name)?.catch(() => {})
    }
    const { log, groupsMax } = this.#options
    for (const { name, stream, start } of wanted) {
      if (this.#groups.has(name)) throw new MillraceError('ALREADY_EXISTS', `A group named ${name} exists.`)
      if (!log.stream(stream)) throw new MillraceError('NOT_FOUND', `There is no stream with the id ${stream}.`)
      this.#checkStart(start)
    }
    if (this.#groups.size + this.#making.size + wanted.length > groupsMax)
      throw new MillraceError('TOO_BUSY', `There are ${groupsMax} groups already.`, {
        details: { limit: 'groups.groupsMax' },
      })
    const making = this.#make(wanted, options)
    for (const { name } of wanted) this.#making.set(name, making)
    try {
      return await making
    } finally {
      for (const { name } of wanted) this.#making.delete(name)
    }
  }

  async #make(
    wanted: readonly NewGroup[],
    { kind = 'client', hold = kind !== 'client', rows = [], atPack = () => [] }: MakeGroup,
    returned: () => void = () => {},
  ): Promise<readonly DurableGroup[]> {
    const { commit, counters, log } = this.#options
    const made: { readonly group: DurableGroup; readonly first: Sequence | undefined }[] = []
    for (const { name, stream, start } of wanted) {
      const row: GroupRow = { id: counters.take('group'), name, stream, createdAt: commit.time.next(), kind, hold }
      made.push({ group: new DurableGroup(row, log), first: await this.#firstOf(stream, start) })
    }
    try {
      await commit.submit({
        essential: true,
        rows: [...made.map(({ group }) => groupRow(group.row)), ...rows],
        // At packing, so that no shard can be sealed between the look at the layout and the commit.
        atPack: (context) => {
          const positions = made.flatMap(({ group, first }) => {
            this.#starting.add(group)
            return this.changed(group, this.#startAt(group, first ?? context.takeSequence(), 0))
          })
          if (made.length > 0) killPoint('group:joined')
          return [...positions, ...(made.length > 0 ? [counters.row()] : []), ...atPack()]
        },
      })
      returned()
      for (const { group } of made) this.#groups.set(group.name, group)
    } finally {
      for (const { group } of made) this.#starting.delete(group)
    }
    return made.map(({ group }) => group)
  }

  /**
   * Starts and seeks so far of which `list` and the groups' positions tell. One that is packed, but not durable or not
   * listed yet, is not among them, nor is any that came after it.
   */
  get shownStarts(): number {
    let shown = this.#starts
    for (const group of this.#starting) if (group.started > 0) shown = Math.min(shown, group.started - 1)
    for (const group of this.#changing) if (!group.isStartShown) shown = Math.min(shown, group.started - 1)
    return shown
  }

  /** At packing: the groups of a stream that were started or moved since there were so many starts. */
  startedSince(starts: number, stream: StreamId): DurableGroup[] {
    return [...this.#groups.values(), ...this.#starting].filter(
      (group) => group.started > starts && group.stream === stream && !group.isDeleted,
    )
  }

  async delete(name: string, rows: readonly RowEffect[] = []): Promise<void> {
    const group = this.#known(name)
    await this.#options.commit.submit({
      essential: true,
      rows: [{ key: groupKey(group.row.id), value: undefined }, ...rows],
      atPack: () => this.#leave(group),
    })
    this.#groups.delete(name)
  }

  async replace({ gone, renamed, made = [], kind, rows }: ReplaceGroups): Promise<void> {
    const leaving = gone.map((name) => this.#known(name))
    const moving = [...renamed].map(([from, to]) => ({ from, group: this.#known(from), to }))
    const names = [...moving.map(({ to }) => to), ...made.map(({ name }) => name)]
    const taken = names.find((name) => this.#groups.has(name) && !gone.includes(name) && !renamed.has(name))
    if (taken !== undefined) throw new MillraceError('ALREADY_EXISTS', `A group named ${taken} exists.`)
    const replaced = {
      rows: [
        ...leaving.map(({ row }) => ({ key: groupKey(row.id), value: undefined })),
        ...moving.map(({ group, to }) => groupRow({ ...group.row, name: to })),
        ...rows,
      ],
      atPack: () => leaving.flatMap((group) => this.#leave(group)),
    }
    await this.#make(made, { kind, ...replaced }, () => {
      for (const { name } of leaving) this.#groups.delete(name)
      for (const { from } of moving) this.#groups.delete(from)
      for (const { group, to } of moving) {
        group.renamed({ ...group.row, name: to })
        this.#groups.set(to, group)
      }
    })
  }

  #known(name: string): DurableGroup {
    const group = this.#groups.get(name)
    if (!group) throw new MillraceError('NOT_FOUND', `There is no group named ${name}.`)
    return group
  }

  /** At packing: nothing of a group is written any more. */
  #leave(group: DurableGroup): RowEffect[] {
    group.isDeleted = true
    const shards = [...group.packedPositions()].map((position) => position.shard)
    return this.changed(
      group,
      shards.map((shard) => group.drop(shard)),
    )
  }

  /**
   * Moves a whole group by the join rule and raises every lease in that commit, so that nothing that a member was about
   * to commit counts any more. Returns the lease that was taken for that: who holds a shard at the new place has a higher
   * one. Throws BAD_REQUEST, NOT_FOUND.
   */
  async seek(group: DurableGroup, to: StartPosition, rows: readonly RowEffect[] = []): Promise<number> {
    this.#checkStart(to)
    // Only a time is waited for: what is submitted after any other call is queued behind it.
    const first = isTime(to) ? await this.#firstOf(group.stream, to) : this.#numberOf(to)
    let lease = 0
    await this.#options.commit.submit({
      essential: true,
      guard: () => (group.isDeleted ? goneError(group.name) : undefined),
      atPack: (context) => {
        lease = group.takeLease()
        return [...rows, ...this.changed(group, this.#startAt(group, first ?? context.takeSequence(), lease))]
      },
    })
    return lease
  }

  async move(name: string, to: StartPosition, rows: readonly RowEffect[] = []): Promise<void> {
    await this.seek(this.#known(name), to, rows)
  }

  /** Removes positions in shards that are gone, when no child needs them to be opened. */
  async forget(name: string, shards: readonly ShardId[]): Promise<void> {
    const group = this.#groups.get(name)
    if (!group) return
    await this.#options.commit.submit({
      essential: true,
      atPack: () =>
        group.isDeleted
          ? []
          : this.changed(
              group,
              shards.map((shard) => group.drop(shard)),
            ),
    })
  }

  async #firstOf(stream: StreamId, start: StartPosition): Promise<Sequence | undefined> {
    return isTime(start) ? this.#options.log.sequenceAtTime(stream, start.timeMs) : this.#numberOf(start)
  }

  /** The next number to deliver; undefined is the one that the commit of the start takes. */
  #numberOf(start: Exclude<StartPosition, { readonly timeMs: number }>): Sequence | undefined {
    if (start === 'newest') return undefined
    return start === 'oldest' ? (0 as Sequence) : start.sequence
  }

  /** A position beyond what was ever written could not be told from one that skips what comes. */
  #checkStart(start: StartPosition): void {
    const next = this.#options.log.nextSequence()
    if (typeof start === 'object' && 'sequence' in start && start.sequence > next)
      throw new MillraceError('BAD_REQUEST', `The next sequence number is ${next}; ${start.sequence} is above it.`, {
        details: { next },
      })
  }

  #startAt(group: DurableGroup, first: Sequence, lease: number): RowEffect[] {
    const { log } = this.#options
    group.started = ++this.#starts
    // A trim that was packed before, in this commit or the one in flight, is not visible yet.
    const shards = log.shards(group.stream).map((shard) => {
      return { ...shard, lowWatermark: log.packedLowWatermark(shard.id) }
    })
    const positions = joinPositions(shards, first)
    const kept = new Set(positions.map((position: Position) => position.shard))
    const rows: RowEffect[] = []
    // A shard whose parents have not ended now is not opened, whatever it was before.
    for (const { shard } of [...group.packedPositions()]) if (!kept.has(shard)) rows.push(group.drop(shard))
    for (const position of positions) rows.push(group.put({ ...position, lease }))
    return rows
  }

  /** At packing: says that the commit changes this group; gives the rows back. */
  changed(group: DurableGroup, rows: RowEffect[]): RowEffect[] {
    this.#changing.add(group)
    return rows
  }
}

export const goneError = (name: string): MillraceError =>
  new MillraceError('NOT_FOUND', `The group ${name} was deleted.`)

const familyRange = (byte: number): { gte: Buffer; lt: Buffer } => ({
  gte: Buffer.from([byte]),
  lt: Buffer.from([byte + 1]),
})
