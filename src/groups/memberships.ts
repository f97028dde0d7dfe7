import { randomUUID } from 'node:crypto'
import type { StartPosition } from '../log/index.js'
import { MillraceError } from '../runtime/index.js'
import type { DurableGroup } from './group.js'
import { GroupMembers, type GroupMembersOptions, type MemberLimits } from './group-members.js'
import { goneError } from './groups.js'
import { PollBudget } from './poll.js'

export interface MembershipLimits extends MemberLimits {
  /** Bytes of the answers of all polls that are not sent yet. */
  readonly pollsBytesMax: number
}

export interface MembershipsOptions extends Pick<GroupMembersOptions, 'groups' | 'log' | 'commit' | 'clock'> {
  readonly limits: MembershipLimits
  /** Ids of members; none may ever come again. */
  readonly makeId?: () => string
}

/** The groups that programs join: who their members are, and what only such groups can have done to them. */
export class Memberships {
  readonly #options: MembershipsOptions
  readonly #members = new Map<DurableGroup, GroupMembers>()
  readonly #budget: PollBudget
  #over: MillraceError | undefined

  constructor(options: MembershipsOptions) {
    this.#options = options
    this.#budget = new PollBudget(options.limits.pollsBytesMax)
  }

  get pollBytes(): number {
    return this.#budget.heldBytes
  }

  /** The members of a group, for reading; undefined while it never had any. */
  membersOf(name: string): GroupMembers | undefined {
    const group = this.#options.groups.group(name)
    return group && this.#members.get(group)
  }

  /** Throws NOT_FOUND, and CONFLICT for the group of a pipeline or bridge. */
  members(name: string): GroupMembers {
    if (this.#over) throw this.#over
    const group = this.#clientGroup(name)
    let members = this.#members.get(group)
    if (!members) {
      const { makeId = randomUUID, ...options } = this.#options
      members = new GroupMembers({ ...options, group, budget: this.#budget, makeId })
      this.#members.set(group, members)
    }
    return members
  }

  /** Moves a group; whoever holds one of its shards loses it and gets it again at the new position. As `DurableGroups.seek`. */
  async seek(name: string, to: StartPosition): Promise<number> {
    return this.#options.groups.seek(this.#clientGroup(name), to)
  }

  async delete(name: string): Promise<void> {
    const group = this.#clientGroup(name)
    await this.#options.groups.delete(name)
    this.#members.get(group)?.close(goneError(name))
    this.#members.delete(group)
  }

  #clientGroup(name: string): DurableGroup {
    const group = this.#options.groups.group(name)
    if (!group) throw new MillraceError('NOT_FOUND', `There is no group named ${name}.`)
    if (group.kind !== 'client')
      throw new MillraceError('CONFLICT', `The group ${name} belongs to a ${group.kind}, which moves it.`, {
        remedy: `Make a group of your own, or change the ${group.kind}.`,
      })
    return group
  }

  /** The rooms go: every poll that waits ends. */
  close(): void {
    this.#over = new MillraceError('NOT_READY', 'The daemon is stopping or opens its store again.')
    for (const members of this.#members.values()) members.close(this.#over)
    this.#members.clear()
  }
}
