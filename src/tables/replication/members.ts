import type { Stamp } from '../items/item-value.js'
import { compareVersions } from './stamps.js'

/**
 * Whether a region has a replica of the table, as of a stamp that a region gave. One that is taken out is leaving until it has
 * brought out all that was written there; then it says itself that it is out.
 */
export interface Member {
  readonly state: 'in' | 'leaving' | 'out'
  readonly stamp: Stamp
  readonly by: string
}

export type Members = Readonly<Record<string, Member>>

/**
 * What a table's row says of its replicas. Every region has all members, and what two regions know is merged: each member by
 * the newer of both. So it matters not in which region, nor in which order, replicas are added and removed.
 */
export interface Replication {
  /** The region that this table is in. */
  readonly home: string
  /** Regions by the numbers that rows of items have for them; the first is `home`. A number is never given twice. */
  readonly origins: readonly string[]
  readonly members: Members
  /** Whether any other region has a replica: then deletions leave tombstones, and changes carry their stamps. */
  readonly isActive: boolean
  /** The replica of this region has ended, and its table is about to be deleted. */
  readonly isEnded?: true
  /** Of a replica that has ended: the members as they were. */
  readonly past?: Members
}

/** Numbers of regions have seven bits. */
export const originsMax = 128

export function mergeMembers(ours: Members, theirs: Members): Members {
  const merged: Record<string, Member> = { ...ours }
  for (const [region, member] of Object.entries(theirs)) {
    const known = merged[region]
    if (!known || isNewer(member, known)) merged[region] = member
  }
  return merged
}

const isNewer = (a: Member, b: Member): boolean =>
  compareVersions({ stamp: a.stamp, region: a.by }, { stamp: b.stamp, region: b.by }) > 0

/** Whether merging changes nothing. */
export function knowsAll(ours: Members, theirs: Members): boolean {
  return Object.entries(theirs).every(([region, member]) => {
    const known = ours[region]
    return known !== undefined && !isNewer(member, known)
  })
}

/** The other regions that have a replica, those that are leaving included. */
export function othersOf({ home, members }: Pick<Replication, 'home' | 'members'>): string[] {
  return Object.entries(members)
    .filter(([region, { state }]) => state !== 'out' && region !== home)
    .map(([region]) => region)
    .sort()
}

/** Whether a region was not taken out, as far as is known. */
export const isIn = ({ members }: Pick<Replication, 'members'>, region: string): boolean =>
  (members[region]?.state ?? 'in') === 'in'

/**
 * Regions that were taken out without having brought all that they had, each with the stamp of that: what one other region has of
 * their writes another one may not have, and nobody brings it to it.
 */
export function forcedOut({ members }: Pick<Replication, 'members'>): ReadonlyMap<string, string> {
  const forced = new Map<string, string>()
  for (const [region, { state, stamp, by }] of Object.entries(members))
    if (state === 'out' && by !== region) forced.set(region, `${region} ${stamp.ms} ${stamp.counter} ${by}`)
  return forced
}

/** Whether a region was taken out, and has not said yet that nothing is left to bring. */
export const isLeaving = ({ members }: Pick<Replication, 'members'>, region: string): boolean =>
  members[region]?.state === 'leaving'

/** Whether clients may write here: not once the region is taken out, or what they wrote would go with the table. */
export function takesWrites(replication: Replication): boolean {
  return !replication.isEnded && isIn(replication, replication.home)
}

/** Members, and numbers for all of their regions and for others that are named. */
export function withMembers(
  present: Replication | undefined,
  home: string,
  members: Members,
  regions: readonly string[] = [],
): Replication {
  const origins = [...(present?.origins ?? [home])]
  for (const region of [...Object.keys(members).sort(), ...regions]) if (!origins.includes(region)) origins.push(region)
  const next = { home, origins, members }
  return { ...next, isActive: othersOf(next).length > 0 }
}
