import type { ShardId } from '../log/index.js'

/**
 * Who should hold which shard: every member the same number, give or take one, and as many as possible where they are.
 *
 * @param shards what may be read now
 * @param members in the order in which they joined
 * @param held shards that somebody holds and was not asked to give back
 */
export function assignShards(
  shards: readonly ShardId[],
  members: readonly string[],
  held: ReadonlyMap<ShardId, string>,
): ReadonlyMap<ShardId, string> {
  const target = new Map<ShardId, string>()
  if (members.length === 0) return target
  const kept = new Map<string, ShardId[]>(members.map((member) => [member, []]))
  const free: ShardId[] = []
  for (const shard of shards) {
    const holder = held.get(shard)
    const list = holder === undefined ? undefined : kept.get(holder)
    if (list) list.push(shard)
    else free.push(shard)
  }
  // Who has most may keep the odd ones; among equals, who joined first.
  const order = [...members].sort((a, b) => lengthOf(kept, b) - lengthOf(kept, a))
  const base = Math.floor(shards.length / members.length)
  const odd = shards.length % members.length
  const room: { member: string; places: number }[] = []
  order.forEach((member, i) => {
    const quota = base + (i < odd ? 1 : 0)
    const own = kept.get(member) as ShardId[]
    for (const shard of own.slice(0, quota)) target.set(shard, member)
    free.push(...own.slice(quota))
    if (own.length < quota) room.push({ member, places: quota - own.length })
  })
  let at = 0
  for (const { member, places } of room) {
    for (let i = 0; i < places; i++) target.set(free[at++] as ShardId, member)
  }
  return target
}

const lengthOf = (kept: ReadonlyMap<string, ShardId[]>, member: string): number =>
  (kept.get(member) as ShardId[]).length
