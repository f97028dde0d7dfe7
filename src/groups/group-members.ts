import type { Commit, Placement, RecordEffect } from '../commit/index.js'
import type { Log, Sequence, ShardId, StreamId } from '../log/index.js'
import { type Clock, killPoint, MillraceError, type Timer } from '../runtime/index.js'
import { assignShards } from './assignment.js'
import { type CommittedPositions, checkPositions, type Effect, fencedError, PositionGuard } from './commit-positions.js'
import type { DurableGroup } from './group.js'
import { type DurableGroups, goneError } from './groups.js'
import { afterEvent, type Holding, type HoldingEvent } from './holding.js'
import { Member } from './member.js'
import {
  hasMore,
  limitWait,
  type PollAnswer,
  type PollBudget,
  type PollPage,
  type PollRequest,
  readPages,
} from './poll.js'
import type { LeasedPosition } from './types.js'

export interface MemberLimits {
  readonly membersMax: number
  /** A member that gives no sign of life for this long has left. */
  readonly sessionMs: number
  /** Time to finish with a shard that was asked back. */
  readonly releaseMs: number
  readonly pollBytesMax: number
}

export interface GroupMembersOptions {
  readonly group: DurableGroup
  readonly groups: DurableGroups
  readonly log: Pick<Log, 'shard' | 'stream' | 'read' | 'onChange'> & { lastSequence(shard: ShardId): Sequence }
  readonly commit: Commit
  readonly clock: Clock
  readonly limits: MemberLimits
  readonly budget: PollBudget
  readonly makeId: () => string
}

/**
 * The members of one group and who holds which shard. Members and holdings live in memory, leases in the position rows:
 * after a restart there are no members, and each that joins goes on from the durable positions.
 */
export class GroupMembers {
  readonly #options: GroupMembersOptions
  readonly #members = new Map<string, Member>()
  readonly #holdings = new Map<ShardId, Holding>()
  readonly #unlisten: readonly (() => void)[]
  #timer: Timer | undefined
  /** When the timer comes, monotonic; a session that was over before would end too late. */
  #dueAt = Number.POSITIVE_INFINITY
  #isLooking = false
  #over: MillraceError | undefined

  get stream(): StreamId {
    return this.#options.group.stream
  }

  constructor(options: GroupMembersOptions) {
    this.#options = options
    const { group, log } = options
    this.#unlisten = [
      log.onChange(group.stream, () => {
        for (const member of this.#members.values()) member.wakeIfFed()
      }),
      group.onMoved(() => this.#lookSoon()),
    ]
  }

  /** Who is there, and the shards of each. */
  view(): readonly { readonly member: string; readonly shards: readonly ShardId[] }[] {
    return [...this.#members.keys()].map((id) => ({
      member: id,
      shards: [...this.#holdings].filter(([, holding]) => holding.member.id === id).map(([shard]) => shard),
    }))
  }

  get count(): number {
    return this.#members.size
  }

  /** Throws TOO_BUSY. */
  join(): Member {
    const { limits, clock, makeId, group } = this.#options
    this.#checkOpen()
    if (this.#members.size >= limits.membersMax)
      throw new MillraceError('TOO_BUSY', `The group ${group.name} has ${limits.membersMax} members already.`, {
        details: { limit: 'groups.membersMax' },
      })
    const member = new Member(makeId(), clock.monotonic())
    this.#members.set(member.id, member)
    this.#look()
    return member
  }

  leave(id: string): void {
    const member = this.#members.get(id)
    if (member) this.#remove([member])
  }

  /** Shards that a member is done with; others than its own are passed over. */
  release(id: string, shards: readonly ShardId[]): void {
    const member = this.#alive(id)
    for (const shard of shards) {
      const holding = this.#holdings.get(shard)
      if (holding?.member === member) this.#step(shard, holding, 'release')
    }
    member.changed()
    this.#look()
  }

  /** Throws FENCED when the member is not known, TRIMMED, and NOT_FOUND when the group goes meanwhile. */
  async poll(id: string, request: PollRequest): Promise<PollAnswer> {
    const { clock } = this.#options
    const member = this.#alive(id)
    let isOver = request.waitMs === 0
    const end = limitWait(clock, request.waitMs, request.signal, () => {
      isOver = true
      member.wake()
    })
    const number = ++member.newestPoll
    member.polls++
    try {
      for (;;) {
        // The sleep begins before the look, so that what happens meanwhile is not slept through.
        const woken = member.sleep(() => !this.#isFed(member, request))
        const answer = await this.#answer(member, request)
        if (answer.pages.length > 0 || answer.generation !== request.generation) return answer
        if (isOver || request.signal.aborted) return answer
        await woken
        if (member.newestPoll !== number) return await this.#answer(member, { ...request, bytesMax: 0 })
      }
    } finally {
      end()
      member.polls--
      member.lastSeen = clock.monotonic()
      if (member.lastSeen + this.#options.limits.sessionMs < this.#dueAt) this.#schedule()
    }
  }

  async #answer(member: Member, request: PollRequest): Promise<PollAnswer> {
    const { log, budget, limits } = this.#options
    if (member.isGone) throw this.#unknown(member.id)
    const { generation } = member
    const { assigned, revoked } = this.#shardsOf(member)
    const bytesMax = Math.min(request.bytesMax, limits.pollBytesMax)
    let pages: readonly PollPage[] = []
    // Cursors are of the leases that the member knows: read under a lease that it has not heard of, they would pass over
    // records (after a seek back, the old cursor lies ahead of the new position).
    const isCurrent = request.generation === generation
    if (isCurrent && bytesMax > 0 && budget.hasRoom(member)) {
      // Reserved before the read, or all polls of one moment would read beyond the bound together.
      const unreserve = budget.take(bytesMax)
      try {
        pages = await readPages(log, member, this.#cursorsOf(member, request), bytesMax)
      } finally {
        unreserve()
      }
    }
    let bytes = 0
    for (const { chunks } of pages) for (const chunk of chunks) bytes += chunk.length
    this.#checkOpen()
    return { generation, assigned, revoked, pages, bytes, release: budget.take(bytes) }
  }

  #shardsOf(member: Member): Pick<PollAnswer, 'assigned' | 'revoked'> {
    const { group } = this.#options
    const assigned: PollAnswer['assigned'][number][] = []
    const revoked: ShardId[] = []
    for (const [shard, holding] of this.#holdings) {
      if (holding.member !== member) continue
      const position = group.position(shard)
      if (holding.state === 'held' && position) assigned.push({ shard, lease: holding.lease, next: position.next })
      else if (holding.state === 'askedBack') revoked.push(shard)
    }
    return { assigned, revoked }
  }

  /** Only shards that the member holds are read for it: nobody can read a child early. */
  #cursorsOf(member: Member, { cursors }: PollRequest): (readonly [ShardId, Sequence])[] {
    return [...cursors].filter(([shard]) => {
      const holding = this.#holdings.get(shard)
      return holding?.state === 'held' && holding.member === member
    })
  }

  #isFed(member: Member, request: PollRequest): boolean {
    if (request.bytesMax === 0) return false
    return this.#cursorsOf(member, request).some(([shard, next]) => hasMore(this.#options.log, shard, next))
  }

  /** Throws BAD_REQUEST, FENCED, CONFLICT, NOT_FOUND: then nothing was changed; and what `submit` throws. */
  async commitPositions(
    id: string,
    positions: readonly LeasedPosition[],
    effects: readonly Effect[],
  ): Promise<CommittedPositions> {
    const { group, groups, log, commit, clock } = this.#options
    this.#alive(id).lastSeen = clock.monotonic()
    for (const { shard, lease } of positions) {
      if (group.position(shard)?.lease !== lease) throw fencedError(group.name, shard, lease)
    }
    checkPositions(log, group, positions)
    const placed: Placement[][] = effects.map(() => [])
    const records = effects.map((effect, i): RecordEffect => ({ ...effect, placed: placed[i] as Placement[] }))
    const guard = new PositionGuard(log, group, positions, records)
    try {
      const receipt = await commit.submit({
        essential: records.length === 0,
        guard: () => guard.check(),
        atPack: () =>
          groups.changed(
            group,
            positions.map((position) => group.put(position)),
          ),
        records,
      })
      killPoint('positions:committed')
      return { moved: true, commit: receipt.commit, placed }
    } catch (error) {
      if (guard.isStored) return { moved: false, placed: [] }
      throw error
    }
  }

  #alive(id: string): Member {
    this.#checkOpen()
    const member = this.#members.get(id)
    if (!member) throw this.#unknown(id)
    member.lastSeen = this.#options.clock.monotonic()
    return member
  }

  #unknown(id: string): MillraceError {
    const { group } = this.#options
    return new MillraceError('FENCED', `${id} is no member of the group ${group.name}: its session is over.`, {
      details: { group: group.name, member: id },
    })
  }

  #checkOpen(): void {
    if (this.#over) throw this.#over
    if (this.#options.group.isDeleted) throw goneError(this.#options.group.name)
  }

  #step(shard: ShardId, holding: Holding, event: HoldingEvent): void {
    const state = afterEvent(holding.state, event)
    if (state === 'free') this.#holdings.delete(shard)
  }

  #remove(members: readonly Member[]): void {
    const gone = new Set(members)
    for (const member of members) {
      this.#members.delete(member.id)
      member.isGone = true
      member.wake()
    }
    for (const [shard, holding] of this.#holdings) if (gone.has(holding.member)) this.#step(shard, holding, 'release')
    this.#look()
  }

  /** Positions move inside of a commit's return; what follows from it comes after everyone has heard of that. */
  #lookSoon(): void {
    if (this.#isLooking || this.#members.size === 0) return
    this.#isLooking = true
    setImmediate(() => {
      this.#isLooking = false
      this.#look()
    })
  }

  /** Compares who holds what with who should, and takes the first step from one to the other. */
  #look(): void {
    const { group, clock, limits } = this.#options
    if (this.#over || group.isDeleted) return
    const now = clock.monotonic()
    const readable = group.readable()
    this.#dropVoid(new Map(readable.map((position) => [position.shard, position])))
    const held = new Map<ShardId, string>()
    for (const [shard, { state, member }] of this.#holdings) if (state !== 'askedBack') held.set(shard, member.id)
    const target = assignShards(
      readable.map((position) => position.shard),
      [...this.#members.keys()],
      held,
    )
    const grants = new Map<ShardId, Member>()
    for (const { shard } of readable) {
      const wanted = this.#members.get(target.get(shard) ?? '')
      const holding = this.#holdings.get(shard)
      if (!wanted) continue
      if (!holding || (holding.state === 'askedBack' && holding.until <= now)) grants.set(shard, wanted)
      else if (holding.state === 'held' && holding.member !== wanted) {
        afterEvent(holding.state, 'askBack')
        this.#holdings.set(shard, { ...holding, state: 'askedBack', until: now + limits.releaseMs })
        holding.member.changed()
      }
    }
    if (grants.size > 0) void this.#grant(grants)
    this.#schedule()
  }

  /** Shards that were read to their ends, and those that a seek moved. */
  #dropVoid(readable: ReadonlyMap<ShardId, LeasedPosition>): void {
    for (const [shard, holding] of this.#holdings) {
      if (holding.state === 'granting' || readable.get(shard)?.lease === holding.lease) continue
      this.#step(shard, holding, 'void')
      holding.member.changed()
    }
  }

  async #grant(grants: ReadonlyMap<ShardId, Member>): Promise<void> {
    const { group, groups, commit } = this.#options
    for (const [shard, member] of grants) {
      const before = this.#holdings.get(shard)
      afterEvent(before?.state ?? 'free', 'grant')
      // The lease may be lost to the member itself, when it was slow and there is nobody else.
      before?.member.changed()
      this.#holdings.set(shard, { state: 'granting', member })
    }
    const leases = new Map<ShardId, number>()
    let failed = false
    try {
      await commit.submit({
        essential: true,
        guard: () => (group.isDeleted ? goneError(group.name) : undefined),
        atPack: () =>
          groups.changed(
            group,
            [...grants.keys()].flatMap((shard) => {
              const position = group.packedReadable(shard)
              if (!position) return []
              killPoint('lease:granted')
              const lease = group.takeLease()
              leases.set(shard, lease)
              return [group.put({ ...position, lease })]
            }),
          ),
      })
    } catch {
      // The store has failed, the daemon stops, or the group is gone: in each case the rooms or this object go too.
      failed = true
    }
    for (const [shard, member] of grants) this.#granted(shard, member, leases.get(shard))
    if (!failed) this.#look()
  }

  #granted(shard: ShardId, member: Member, lease: number | undefined): void {
    const isNewest = lease !== undefined && this.#options.group.position(shard)?.lease === lease
    if (isNewest && !member.isGone) {
      afterEvent('granting', 'granted')
      this.#holdings.set(shard, { state: 'held', member, lease })
    } else {
      afterEvent('granting', 'notGranted')
      this.#holdings.delete(shard)
    }
    member.changed()
  }

  /** One timer, for the first session or release that may be over. */
  #schedule(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#dueAt = Number.POSITIVE_INFINITY
    if (this.#over || this.#members.size === 0) return
    const { clock, limits } = this.#options
    let first = Number.POSITIVE_INFINITY
    for (const { polls, lastSeen } of this.#members.values())
      if (polls === 0) first = Math.min(first, lastSeen + limits.sessionMs)
    for (const holding of this.#holdings.values())
      if (holding.state === 'askedBack') first = Math.min(first, holding.until)
    if (first === Number.POSITIVE_INFINITY) return
    this.#dueAt = first
    this.#timer = clock.setTimeout(() => this.#tick(), Math.max(1, Math.ceil(first - clock.monotonic())))
  }

  #tick(): void {
    this.#timer = undefined
    this.#dueAt = Number.POSITIVE_INFINITY
    const now = this.#options.clock.monotonic()
    const { sessionMs } = this.#options.limits
    const silent = [...this.#members.values()].filter(
      ({ polls, lastSeen }) => polls === 0 && lastSeen + sessionMs <= now,
    )
    if (silent.length > 0) this.#remove(silent)
    else this.#look()
  }

  /** Ends every poll with this error; nothing is granted any more. */
  close(error: MillraceError): void {
    this.#over ??= error
    this.#timer?.cancel()
    for (const unlisten of this.#unlisten) unlisten()
    for (const member of this.#members.values()) member.wake()
  }
}
