import type { GroupMembers, LeasedPosition, PollAnswer, PollRequest } from '../../src/groups/index.js'
import { Memberships } from '../../src/groups/index.js'
import { forEachRecord, type Sequence, type ShardId } from '../../src/log/index.js'
import { type OpenedLog, openLog } from '../log/open-log.js'
import { ManualClock } from '../manual-clock.js'
import type { MemoryStorage } from '../memory-storage.js'

export const memberLimits = {
  membersMax: 8,
  sessionMs: 10_000,
  releaseMs: 5_000,
  pollBytesMax: 1 << 20,
  pollsBytesMax: 8 << 20,
}

export interface OpenedMembers extends OpenedLog {
  readonly memberships: Memberships
  readonly clock: ManualClock
}

/** The log and the groups on a memory store, with members whose time the test moves. */
export async function openMembers(
  storage: MemoryStorage,
  folder: string,
  limits: Partial<typeof memberLimits> = {},
): Promise<OpenedMembers> {
  const opened = await openLog(storage, folder)
  const clock = new ManualClock()
  const { groups, log, commit } = opened
  const memberships = new Memberships({ groups, log, commit, clock, limits: { ...memberLimits, ...limits } })
  return { ...opened, memberships, clock }
}

/** Until everything that was begun has gone as far as it can without time. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 12; i++) await new Promise<void>((resolve) => setImmediate(resolve))
}

/** A program that joins, as the tests play it: it reads one page at a time and commits what it was told to. */
export class TestMember {
  readonly id: string
  readonly leases = new Map<ShardId, LeasedPosition>()
  generation: number | undefined
  readonly #members: GroupMembers

  constructor(members: GroupMembers) {
    this.#members = members
    this.id = members.join().id
  }

  /** Asks once, without waiting; takes over what it holds now. */
  async poll(request: Partial<PollRequest> = {}): Promise<PollAnswer> {
    const cursors = new Map([...this.leases].map(([shard, { next }]) => [shard, next]))
    const answer = await this.#members.poll(this.id, {
      cursors,
      bytesMax: 1 << 20,
      waitMs: 0,
      generation: this.generation,
      signal: new AbortController().signal,
      ...request,
    })
    this.generation = answer.generation
    const held = new Set(answer.assigned.map(({ shard }) => shard))
    for (const shard of this.leases.keys())
      if (!held.has(shard) && !answer.revoked.includes(shard)) this.leases.delete(shard)
    for (const { shard, lease, next } of answer.assigned) {
      if (this.leases.get(shard)?.lease !== lease) this.leases.set(shard, { shard, lease, next, ended: false })
    }
    answer.release()
    return answer
  }

  /** What it holds, by shard. */
  get shards(): ShardId[] {
    return [...this.leases.keys()].sort((a, b) => a - b)
  }

  /** Reads what is there, calls `see` with each record, and commits the position behind it. */
  async work(see: (key: string, body: string, shard: ShardId) => void = () => {}): Promise<number> {
    let count = 0
    for (const page of (await this.poll()).pages) {
      const position = this.leases.get(page.shard) as LeasedPosition
      for (const chunk of page.chunks) {
        forEachRecord(chunk, position.next, (record) => {
          count++
          see(record.key.toString(), record.body.toString(), page.shard)
          return true
        })
      }
      await this.commit({ ...position, next: page.next, ended: page.ended })
    }
    return count
  }

  async commit(position: LeasedPosition) {
    const done = await this.#members.commitPositions(this.id, [position], [])
    if (position.ended) this.leases.delete(position.shard)
    else this.leases.set(position.shard, position)
    return done
  }

  release(shards: readonly ShardId[]): void {
    for (const shard of shards) this.leases.delete(shard)
    this.#members.release(this.id, shards)
  }

  leave(): void {
    this.#members.leave(this.id)
  }
}

export const sequence = (value: number): Sequence => value as Sequence
