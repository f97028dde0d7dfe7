import { type Commit, type Counters, Family, type RowEffect } from '../commit/index.js'
import type { Log, Sequence, Shard, ShardId, StartPosition, StreamId } from '../log/index.js'
import { MillraceError } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import type { Group, Groups, Position } from './types.js'

/** What a group's row says. */
interface GroupRow {
  readonly id: number
  readonly name: string
  readonly stream: StreamId
  readonly createdAt: number
}

export interface GroupsOptions {
  readonly storage: Storage
  readonly commit: Commit
  readonly counters: Counters
  readonly log: Log
  readonly groupsMax: number
}

const groupKey = (id: number): Buffer => {
  const key = Buffer.allocUnsafe(5)
  key[0] = Family.group
  key.writeUInt32BE(id, 1)
  return key
}

/** `position`: family, group u32be, shard u32be -> version u8, flags u8 (1: ended), next sequence number as a double. */
const positionKey = (group: number, shard: ShardId): Buffer => {
  const key = Buffer.allocUnsafe(9)
  key[0] = Family.position
  key.writeUInt32BE(group, 1)
  key.writeUInt32BE(shard, 5)
  return key
}

function positionRow(group: number, position: Position): RowEffect {
  const value = Buffer.allocUnsafe(10)
  value[0] = 1
  value[1] = position.ended ? 1 : 0
  value.writeDoubleLE(position.next, 2)
  return { key: positionKey(group, position.shard), value }
}

class DurableGroup implements Group {
  readonly row: GroupRow
  readonly #log: Log
  readonly #positions = new Map<ShardId, Position>()

  constructor(row: GroupRow, log: Log) {
    this.row = row
    this.#log = log
  }

  get name(): string {
    return this.row.name
  }

  get stream(): StreamId {
    return this.row.stream
  }

  positions(): readonly Position[] {
    return [...this.#positions.values()]
  }

  readable(): readonly Position[] {
    const readable: Position[] = []
    for (const shard of this.#log.shards(this.stream)) {
      const position = this.#positions.get(shard.id)
      if (position?.ended) continue
      if (position) readable.push(position)
      // Only the durable SHARD_END of every parent opens a child; a parent without a position was itself never opened.
      else if (shard.parents.length > 0 && shard.parents.every((parent) => this.#positions.get(parent)?.ended)) {
        readable.push({ shard: shard.id, next: shard.firstSequence, ended: false })
      }
    }
    return readable
  }

  rowsFor(positions: readonly Position[]): RowEffect[] {
    return positions.map((position) => positionRow(this.row.id, position))
  }

  moved(positions: readonly Position[]): void {
    for (const position of positions) this.#positions.set(position.shard, position)
  }
}

/** Groups and their positions. Each group belongs to one user inside the daemon, which moves it. */
export class DurableGroups implements Groups {
  readonly #options: GroupsOptions
  readonly #groups = new Map<string, DurableGroup>()

  private constructor(options: GroupsOptions) {
    this.#options = options
  }

  static async open(options: GroupsOptions): Promise<DurableGroups> {
    const groups = new DurableGroups(options)
    const byId = new Map<number, DurableGroup>()
    const { storage, log } = options
    for await (const page of storage.scan({ ...familyRange(Family.group), bytesMax: 1 << 20 })) {
      for (const value of page.values) {
        const row = JSON.parse(value.toString('utf8', 1)) as GroupRow
        const group = new DurableGroup(row, log)
        groups.#groups.set(row.name, group)
        byId.set(row.id, group)
      }
    }
    for await (const page of storage.scan({ ...familyRange(Family.position), bytesMax: 1 << 20 })) {
      page.keys.forEach((key, i) => {
        const value = page.values[i] as Buffer
        byId
          .get(key.readUInt32BE(1))
          ?.moved([
            { shard: key.readUInt32BE(5) as ShardId, next: value.readDoubleLE(2) as Sequence, ended: value[1] === 1 },
          ])
      })
    }
    return groups
  }

  list(): readonly Group[] {
    return [...this.#groups.values()]
  }

  group(name: string): Group | undefined {
    return this.#groups.get(name)
  }

  async create(name: string, stream: StreamId, start: StartPosition, rows: readonly RowEffect[] = []): Promise<Group> {
    const { commit, counters, log, groupsMax } = this.#options
    if (this.#groups.has(name)) throw new MillraceError('ALREADY_EXISTS', `A group named ${name} exists.`)
    if (this.#groups.size >= groupsMax)
      throw new MillraceError('TOO_BUSY', `There are ${groupsMax} groups already.`, {
        details: { limit: 'groups.groupsMax' },
      })
    if (!log.stream(stream)) throw new MillraceError('NOT_FOUND', `There is no stream with the id ${stream}.`)
    const row: GroupRow = { id: counters.take('group'), name, stream, createdAt: commit.time.next() }
    const group = new DurableGroup(row, log)
    // The name is taken before the first wait, so that two who want it cannot both have it.
    this.#groups.set(name, group)
    try {
      const first = await this.#firstOf(stream, start)
      let positions: Position[] = []
      const value = Buffer.concat([Buffer.from([1]), Buffer.from(JSON.stringify(row))])
      await commit.submit({
        essential: true,
        rows: [{ key: groupKey(row.id), value }, ...rows],
        // At packing, so that no shard can be sealed between the look at the layout and the commit.
        atPack: (context) => {
          positions = joinPositions(log.shards(stream), first ?? context.takeSequence())
          return [...group.rowsFor(positions), counters.row()]
        },
      })
      group.moved(positions)
      return group
    } catch (error) {
      this.#groups.delete(name)
      throw error
    }
  }

  /** The next number to deliver; undefined is the one that the commit of the join takes. */
  async #firstOf(stream: StreamId, start: StartPosition): Promise<Sequence | undefined> {
    if (start === 'newest') return undefined
    if (start === 'oldest') return 0 as Sequence
    return 'sequence' in start ? start.sequence : this.#options.log.sequenceAtTime(stream, start.timeMs)
  }

  async delete(name: string, rows: readonly RowEffect[] = []): Promise<void> {
    const group = this.#groups.get(name)
    if (!group) throw new MillraceError('NOT_FOUND', `There is no group named ${name}.`)
    const deletes = group
      .positions()
      .map((position) => ({ key: positionKey(group.row.id, position.shard), value: undefined }))
    await this.#options.commit.submit({
      essential: true,
      rows: [{ key: groupKey(group.row.id), value: undefined }, ...deletes, ...rows],
    })
    this.#groups.delete(name)
  }
}

/**
 * Joining at P: SHARD_END for exactly the shards that ended before P, every other position is the larger of P and the
 * oldest number that is kept. Shards whose parents have not ended get their position when the parents end.
 */
export function joinPositions(shards: readonly Shard[], first: Sequence): Position[] {
  const positions: Position[] = []
  const ended = new Set<ShardId>()
  const known = new Set(shards.map((shard) => shard.id))
  for (const shard of shards) {
    const isEnded = shard.lastSequence !== undefined && shard.lastSequence < first
    const parentsEnded = shard.parents.every((parent) => ended.has(parent) || !known.has(parent))
    if (isEnded && parentsEnded) ended.add(shard.id)
    if (!parentsEnded) continue
    positions.push({
      shard: shard.id,
      next: Math.max(first, shard.lowWatermark) as Sequence,
      ended: ended.has(shard.id),
    })
  }
  return positions
}

const familyRange = (byte: number): { gte: Buffer; lt: Buffer } => ({
  gte: Buffer.from([byte]),
  lt: Buffer.from([byte + 1]),
})
