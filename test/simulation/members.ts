/** Members of groups: programs that poll, are slow, die, and commit what they read with what follows from it. */
import type { LeasedPosition, PollPage } from '../../src/groups/index.js'
import type { Sequence, ShardId } from '../../src/log/index.js'
import { MillraceError } from '../../src/runtime/index.js'
import type { Choice } from './choice.js'
import { hashOf, recordOf, recordsOf } from './records.js'
import type { Simulation } from './simulation.js'

const membersMax = 3

interface MemberState {
  readonly group: string
  readonly id: string
  /** Number of the daemon that it joined. */
  readonly life: number
  generation: number | undefined
  readonly leases: Map<ShardId, LeasedPosition>
}

export class Members {
  readonly #simulation: Simulation
  #members: MemberState[] = []

  constructor(simulation: Simulation) {
    this.#simulation = simulation
  }

  get #alive(): MemberState[] {
    this.#members = this.#members.filter(({ life }) => life === this.#simulation.life)
    return this.#members
  }

  get #groups() {
    return this.#simulation.live.groups.list().filter(({ kind }) => kind === 'client')
  }

  join({ pick }: Choice): void {
    const groups = this.#groups
    const group = groups[pick % Math.max(1, groups.length)]
    if (!group || this.#alive.filter((member) => member.group === group.name).length >= membersMax) return
    const { id } = this.#simulation.live.memberships.members(group.name).join()
    const { life } = this.#simulation
    this.#members.push({ group: group.name, id, life, generation: undefined, leases: new Map() })
  }

  /** It leaves, or it says nothing more and what it was doing comes late. */
  leave({ pick, size }: Choice): void {
    const member = this.#any(pick)
    if (!member) return
    this.#members = this.#members.filter((other) => other !== member)
    if (size % 2 === 0) this.#simulation.live.memberships.members(member.group).leave(member.id)
  }

  leaveAll(): void {
    for (const member of this.#alive) this.#simulation.live.memberships.members(member.group).leave(member.id)
    this.#members = []
  }

  joinAll(): void {
    this.#groups.forEach((_, pick) => void this.join({ pick, size: 0 }))
  }

  pollAll(): void {
    for (const member of this.#alive) this.#poll(member, 8)
  }

  #any(pick: number): MemberState | undefined {
    const alive = this.#alive
    return alive[pick % Math.max(1, alive.length)]
  }

  poll({ pick, size }: Choice): void {
    const member = this.#any(pick)
    if (member) this.#poll(member, size)
  }

  #poll(member: MemberState, size: number): void {
    const simulation = this.#simulation
    const members = simulation.live.memberships.members(member.group)
    simulation.start(`member ${member.id}`, async () => {
      const cursors = new Map([...member.leases].map(([shard, { next }]) => [shard, next]))
      const { generation } = member
      const signal = new AbortController().signal
      const bytesMax = 1 + ((size * 53) % 3000)
      const history = simulation.journal.groups.get(member.group)
      const before = history?.fromLease
      const asked = members.poll(member.id, { cursors, bytesMax, waitMs: 0, generation, signal })
      const answer = await simulation.still(asked).catch((error: unknown) => {
        // It has lost records, and has to be moved.
        if (history && error instanceof MillraceError && error.code === 'TRIMMED') history.isUnknown = true
        throw error
      })
      answer.release()
      member.generation = answer.generation
      const held = new Map(answer.assigned.map((assigned) => [assigned.shard, assigned]))
      for (const [shard, { lease }] of member.leases)
        if (held.get(shard)?.lease !== lease && !answer.revoked.includes(shard)) member.leases.delete(shard)
      for (const { shard, lease, next } of answer.assigned) {
        // An answer that a seek overtakes is of before it; what follows from it will be fenced.
        if (history && !history.isUnknown && history.fromLease === before) simulation.checkLineage(member.group, shard)
        if (!member.leases.has(shard)) member.leases.set(shard, { shard, lease, next, ended: false })
      }
      // Some are slow, and lose their leases meanwhile.
      for (let slow = size % 5; slow > 0; slow--) await simulation.still(simulation.scheduler.pause())
      for (const page of answer.pages) await this.#commit(member, page, cursors.get(page.shard) as Sequence, size)
      const revoked = answer.revoked.filter((shard) => member.leases.delete(shard))
      if (revoked.length > 0) members.release(member.id, revoked)
    })
  }

  async #commit(member: MemberState, page: PollPage, from: Sequence, size: number): Promise<void> {
    const simulation = this.#simulation
    const { log, memberships } = simulation.live
    const position = member.leases.get(page.shard)
    if (!position) return simulation.fault(`${member.id} was given records of shard ${page.shard}, not its own`)
    const output = log.streamNamed(`out:${member.group}`)
    if (!output) return simulation.fault(`the group ${member.group} is there, its stream is not`)
    const { lease } = position
    const records = recordsOf(page.chunks, from)
    simulation.checkShown(records)
    const given = records.map(({ key, hash, body, sequence }) =>
      recordOf(key, hashOf(hash), `${body}@${sequence}#${lease}`),
    )
    const moved = { ...position, next: page.next, ended: page.ended }
    const effects = [{ stream: output.id, records: given }]
    const members = memberships.members(member.group)
    // Sometimes the answer is lost on the way, and it asks again.
    for (let sent = 0; sent <= (size % 7 === 0 ? 1 : 0); sent++)
      await simulation.still(members.commitPositions(member.id, [moved], effects))
    if (moved.ended) member.leases.delete(page.shard)
    else member.leases.set(page.shard, moved)
    simulation.progress++
  }

  /** Moves a whole group. */
  seek({ pick, size }: Choice): void {
    const groups = this.#groups
    const group = groups[pick % Math.max(1, groups.length)]
    const history = group && this.#simulation.journal.groups.get(group.name)
    if (!group || !history) return
    const simulation = this.#simulation
    const newest = simulation.live.commit.durableNextSequence
    const start = size % 3 === 0 ? ('oldest' as const) : { sequence: 1 + ((size * 31) % newest) }
    simulation.start(`seek ${group.name}`, async () => {
      history.isUnknown = true
      const to = start === 'oldest' ? start : { sequence: start.sequence as Sequence }
      // What is of a higher lease came after it, also in the same commit.
      history.fromLease = await simulation.still(simulation.live.memberships.seek(group.name, to))
      history.start = start
      history.isUnknown = false
    })
  }
}
