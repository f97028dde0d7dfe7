import { describe, expect, it } from 'vitest'
import { holdingTransitions, type LeasedPosition } from '../../src/groups/index.js'
import type { ShardId } from '../../src/log/index.js'
import { images, record } from '../log/open-log.js'
import { MemoryStorage } from '../memory-storage.js'
import { temporaryFolder } from '../temporary-folder.js'
import { memberLimits, type OpenedMembers, openMembers, sequence, settle, TestMember } from './open-members.js'

const keys = Array.from({ length: 40 }, (_, i) => `key ${i}`)

async function begin(shards = 4, limits: Partial<typeof memberLimits> = {}) {
  const storage = new MemoryStorage()
  const folder = temporaryFolder()
  const opened = await openMembers(storage, folder, limits)
  const stream = await opened.log.createStream({ name: 'clicks', kind: 'plain', shards, images })
  const group = await opened.groups.create('g', stream.id, 'oldest')
  const members = opened.memberships.members('g')
  const append = (body: string) =>
    opened.commit.submit({ records: [{ stream: stream.id, records: keys.map((key) => record(key, body)) }] })
  return { ...opened, storage, folder, stream, group, members, append }
}

const join = async ({ memberships }: Pick<OpenedMembers, 'memberships'>): Promise<TestMember> => {
  const member = new TestMember(memberships.members('g'))
  await settle()
  await member.poll()
  return member
}

describe('members of a group', () => {
  it('share the shards evenly; who joins gets its part when the others have given it back', async () => {
    const opened = await begin(4)
    const a = await join(opened)
    expect(a.shards).toHaveLength(4)
    const b = await join(opened)
    expect(b.shards).toEqual([])
    const { revoked } = await a.poll()
    expect(revoked).toHaveLength(2)
    // Nobody has them before they are given back.
    await b.poll()
    expect(b.shards).toEqual([])
    a.release(revoked)
    await settle()
    await Promise.all([a.poll(), b.poll()])
    expect(b.shards).toEqual([...revoked].sort((x, y) => x - y))
    expect([...a.shards, ...b.shards].sort((x, y) => x - y)).toEqual(
      opened.log.shards(opened.stream.id).map((s) => s.id),
    )
    // Who leaves gives everything to the other at once.
    b.leave()
    await settle()
    await a.poll()
    expect(a.shards).toHaveLength(4)
    await expect(b.poll()).rejects.toMatchObject({ code: 'FENCED' })
  })

  it('a member that dies loses its shards with its session, not before, and its commit then changes nothing', async () => {
    const opened = await begin(2)
    await opened.append('1')
    const a = await join(opened)
    const b = await join(opened)
    a.release((await a.poll()).revoked)
    await settle()
    await b.poll()
    await a.poll()
    expect([a.shards.length, b.shards.length]).toEqual([1, 1])
    const [shard] = a.shards as [ShardId]
    const dead = a.leases.get(shard) as LeasedPosition
    opened.clock.advance(memberLimits.sessionMs - 1)
    await b.poll()
    expect(b.shards).toHaveLength(1)
    opened.clock.advance(1)
    await settle()
    await b.poll()
    expect(b.shards).toHaveLength(2)
    const before = opened.group.position(shard)
    await expect(a.commit({ ...dead, next: sequence(dead.next + 1) })).rejects.toMatchObject({ code: 'FENCED' })
    expect(opened.group.position(shard)).toEqual(before)
    expect(before?.lease).toBeGreaterThan(dead.lease)
    expect(before?.next).toBe(dead.next)
  })

  it('a slow member is fenced when the time to give back is over; its other shards stay with it', async () => {
    const opened = await begin(2)
    await opened.append('1')
    const slow = await join(opened)
    const b = await join(opened)
    const { revoked } = await slow.poll()
    const [lost] = revoked as [ShardId]
    const held = slow.leases.get(lost) as LeasedPosition
    // It is alive, but does not give back.
    opened.clock.advance(memberLimits.releaseMs - 1)
    await slow.poll()
    await b.poll()
    expect(b.shards).toEqual([])
    // What it commits in time counts.
    await slow.commit({ ...held, next: sequence(held.next + 1) })
    opened.clock.advance(1)
    await settle()
    await b.poll()
    expect(b.shards).toEqual([lost])
    expect(b.leases.get(lost)?.next).toBe(held.next + 1)
    await expect(slow.commit({ ...held, next: sequence(held.next + 2) })).rejects.toMatchObject({ code: 'FENCED' })
    await slow.poll()
    expect(slow.shards).toHaveLength(1)
    const [kept] = slow.shards as [ShardId]
    const own = slow.leases.get(kept) as LeasedPosition
    expect((await slow.commit({ ...own, next: sequence(own.next + 1) })).moved).toBe(true)
  })

  it('a commit that is queued behind the change of its lease is refused when it is packed, with its effects', async () => {
    const opened = await begin(1)
    await opened.append('1')
    const out = await opened.log.createStream({ name: 'out', kind: 'plain', shards: 1, images })
    const a = await join(opened)
    const [shard] = a.shards as [ShardId]
    const position = a.leases.get(shard) as LeasedPosition
    const effect = { stream: out.id, records: [record('k', 'effect')] }
    // Both are in one commit: the seek first, so the positions that follow are of an old lease.
    const seek = opened.memberships.seek('g', 'oldest')
    const late = opened.members.commitPositions(a.id, [{ ...position, next: sequence(position.next + 1) }], [effect])
    await expect(late).rejects.toMatchObject({ code: 'FENCED' })
    await seek
    expect(opened.log.lastSequence(opened.log.shards(out.id)[0]!.id)).toBe(opened.log.shards(out.id)[0]!.firstSequence)
    // The other way round the positions count, and the seek moves on from them.
    await settle()
    await a.poll()
    const again = a.leases.get(shard) as LeasedPosition
    expect(again.lease).toBeGreaterThan(position.lease)
    const early = opened.members.commitPositions(a.id, [{ ...again, next: sequence(again.next + 1) }], [effect])
    await Promise.all([early, opened.memberships.seek('g', 'newest')])
    expect(opened.log.lastSequence(opened.log.shards(out.id)[0]!.id)).toBeGreaterThan(
      opened.log.shards(out.id)[0]!.firstSequence,
    )
  })

  it('a commit whose answer was lost can be sent again: it moves nothing and appends nothing', async () => {
    const opened = await begin(1)
    await opened.append('1')
    const out = await opened.log.createStream({ name: 'out', kind: 'plain', shards: 1, images })
    const a = await join(opened)
    const position = [...a.leases.values()][0] as LeasedPosition
    const effect = { stream: out.id, records: [record('k', 'effect')] }
    const moved = [{ ...position, next: sequence(position.next + 2) }]
    const [first, second] = await Promise.all([
      opened.members.commitPositions(a.id, moved, [effect]),
      opened.members.commitPositions(a.id, moved, [effect]),
    ])
    expect([first.moved, second.moved]).toEqual([true, false])
    expect((await opened.members.commitPositions(a.id, moved, [effect])).moved).toBe(false)
    const back = [{ ...position, next: sequence(position.next + 1) }]
    await expect(opened.members.commitPositions(a.id, back, [effect])).rejects.toMatchObject({ code: 'CONFLICT' })
    const outShard = opened.log.shards(out.id)[0]!
    expect(opened.log.lastSequence(outShard.id) - outShard.firstSequence).toBe(1)
  })

  it('records without a position are refused, and not taken for the resend of some', async () => {
    const opened = await begin(1)
    const a = await join(opened)
    const effect = { stream: opened.stream.id, records: [record('k', 'v')] }
    await expect(opened.members.commitPositions(a.id, [], [effect])).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  })

  it('a session ends in its time also while a longer time to give back runs', async () => {
    const opened = await begin(2, { releaseMs: 60_000 })
    const a = await join(opened)
    const b = await join(opened)
    // One shard was asked back. Both wait, so that time is the only thing to come.
    await a.poll()
    const over = new AbortController()
    const waiting = [a.poll({ waitMs: 100_000, signal: over.signal }), b.poll({ waitMs: 100_000 })]
    await settle()
    opened.members.leave(opened.members.join().id)
    over.abort()
    await waiting[0]
    opened.clock.advance(memberLimits.sessionMs)
    await settle()
    expect(opened.members.view().map(({ member }) => member)).toEqual([b.id])
    expect((await waiting[1])!.assigned).toHaveLength(2)
  })

  it('cannot be moved beyond what is there, nor end a shard that has not ended', async () => {
    const opened = await begin(1)
    await opened.append('1')
    const a = await join(opened)
    const position = [...a.leases.values()][0] as LeasedPosition
    const last = opened.log.lastSequence(position.shard)
    for (const wrong of [
      { ...position, next: sequence(last + 2) },
      { ...position, next: sequence(last + 1), ended: true },
    ])
      await expect(a.commit(wrong)).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    await opened.log.split(position.shard)
    await expect(a.commit({ ...position, ended: true })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    expect(opened.group.position(position.shard)?.ended).toBe(false)
  })

  it('SHARD_END opens the children once, to whoever is to have them, and never before it is durable', async () => {
    const opened = await begin(1)
    await opened.append('1')
    const a = await join(opened)
    const b = await join(opened)
    const [parent] = a.shards as [ShardId]
    const children = (await opened.log.split(parent)).map((child) => child.id)
    await opened.append('2')
    await settle()
    for (const member of [a, b]) await member.poll()
    expect([a.shards, b.shards]).toEqual([[parent], []])
    let letWrite = () => {}
    opened.storage.beforeWrite = () =>
      new Promise((resolve) => {
        letWrite = resolve
      })
    const working = a.work()
    await settle()
    await b.poll()
    expect(b.shards).toEqual([])
    opened.storage.beforeWrite = () => {}
    letWrite()
    expect(await working).toBe(keys.length)
    await settle()
    for (const member of [a, b]) await member.poll()
    expect([...a.shards, ...b.shards].sort((x, y) => x - y)).toEqual([...children].sort((x, y) => x - y))
    expect([a.shards.length, b.shards.length]).toEqual([1, 1])
    const leases = children.map((child) => opened.group.position(child)?.lease)
    await opened.append('3')
    await settle()
    expect(children.map((child) => opened.group.position(child)?.lease)).toEqual(leases)
    expect((await a.work()) + (await b.work())).toBe(2 * keys.length)
  })

  it('a seek takes the shards from who holds them and gives them out again at the new place', async () => {
    const opened = await begin(2)
    await opened.append('1')
    const a = await join(opened)
    expect(await a.work()).toBe(keys.length)
    const { generation } = a
    await opened.memberships.seek('g', 'oldest')
    await settle()
    await a.poll()
    expect(a.generation).toBeGreaterThan(generation as number)
    expect(await a.work()).toBe(keys.length)
    // A seek past the parents ends them, and only them.
    const [first, second] = a.shards as [ShardId, ShardId]
    const children = (await opened.log.split(first)).map((child) => child.id)
    const at = opened.log.nextSequence()
    await opened.append('2')
    await opened.memberships.seek('g', { sequence: at })
    await settle()
    await a.poll()
    expect(a.shards).toEqual([second, ...children].sort((x, y) => x - y))
    expect(opened.group.position(first)?.ended).toBe(true)
    // A seek back closes the children again until the parent is read.
    await opened.memberships.seek('g', 'oldest')
    await settle()
    await a.poll()
    expect(a.shards).toEqual([first, second])
    let count = 0
    for (let i = 0; i < 6; i++) {
      count += await a.work()
      await settle()
    }
    expect(count).toBe(2 * keys.length)
    await expect(opened.memberships.seek('g', { sequence: sequence(1e9) })).rejects.toMatchObject({
      code: 'BAD_REQUEST',
    })
  })

  it('a seek by time goes to the first record that was stored at or after it', async () => {
    const opened = await begin(1)
    await opened.append('1')
    const a = await join(opened)
    await a.work()
    const time = opened.commit.time.next()
    await opened.memberships.seek('g', { timeMs: time })
    await settle()
    expect(await a.work()).toBe(0)
    await a.poll()
    expect(await a.work()).toBe(keys.length)
    await opened.memberships.seek('g', { timeMs: time + 1 })
    await settle()
    await a.poll()
    expect(await a.work()).toBe(0)
  })

  it('after a restart members join anew and go on from the durable positions; old leases are fenced', async () => {
    const opened = await begin(2)
    await opened.append('1')
    const a = await join(opened)
    expect(await a.work()).toBe(keys.length)
    const old = a.leases.get(a.shards[0]!) as LeasedPosition
    await opened.append('2')
    opened.memberships.close()
    await expect(a.poll()).rejects.toMatchObject({ code: 'NOT_READY' })
    const again = await openMembers(opened.storage, opened.folder)
    await expect(again.memberships.members('g').commitPositions(a.id, [old], [])).rejects.toMatchObject({
      code: 'FENCED',
    })
    const b = await join(again)
    expect(b.shards).toHaveLength(2)
    expect(b.leases.get(old.shard)?.lease).toBeGreaterThan(old.lease)
    const bodies: string[] = []
    await b.work((_key, body) => bodies.push(body))
    expect(bodies).toEqual(keys.map(() => '2'))
  })

  it('any number of groups go their own ways', async () => {
    const opened = await begin(3)
    await opened.append('1')
    const seen = new Map<string, number>()
    for (let i = 0; i < 20; i++) {
      await opened.groups.create(`g${i}`, opened.stream.id, 'oldest')
      const member = new TestMember(opened.memberships.members(`g${i}`))
      await settle()
      await member.poll()
      seen.set(`g${i}`, await member.work())
    }
    expect([...seen.values()]).toEqual(Array.from({ length: 20 }, () => keys.length))
  })

  it('are bounded in number, and a group of a pipeline or bridge has none', async () => {
    const opened = await begin(1, { membersMax: 2 })
    opened.members.join()
    opened.members.join()
    expect(() => opened.members.join()).toThrow(expect.objectContaining({ code: 'TOO_BUSY' }))
    await opened.groups.create('pipeline:p', opened.stream.id, 'oldest', { kind: 'pipeline' })
    expect(() => opened.memberships.members('pipeline:p')).toThrow(expect.objectContaining({ code: 'CONFLICT' }))
    for (const change of [opened.memberships.seek('pipeline:p', 'oldest'), opened.memberships.delete('pipeline:p')])
      await expect(change).rejects.toMatchObject({ code: 'CONFLICT' })
  })

  it('of a group that is deleted hear of it, and nothing of it stays in the store', async () => {
    const opened = await begin(2)
    const a = await join(opened)
    const waiting = a.poll({ waitMs: 10_000, generation: a.generation })
    await settle()
    await opened.memberships.delete('g')
    await expect(waiting).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await settle()
    const left = [...opened.storage.rows.keys()].filter(
      (key) => key.charCodeAt(0) === 0x09 || key.charCodeAt(0) === 0x0a,
    )
    expect(left).toEqual([])
  })
})

describe('a poll', () => {
  it('waits without a look at the log until there is something, and ends with its time', async () => {
    const opened = await begin(1)
    const a = await join(opened)
    let answered = 0
    const waiting = a.poll({ waitMs: 1000 }).then((answer) => {
      answered++
      return answer
    })
    await settle()
    expect(answered).toBe(0)
    await opened.append('1')
    expect((await waiting).pages).toHaveLength(1)
    // Without a new position it is the same again; behind the end it waits for the time.
    await a.work()
    const second = a.poll({ waitMs: 1000 }).then((answer) => {
      answered++
      return answer
    })
    opened.clock.advance(999)
    await settle()
    expect(answered).toBe(1)
    opened.clock.advance(1)
    expect((await second).pages).toEqual([])
  })

  it('keeps a session alive while it waits, and ends the poll before it', async () => {
    const opened = await begin(1)
    const a = await join(opened)
    const first = a.poll({ waitMs: 100_000 })
    await settle()
    opened.clock.advance(memberLimits.sessionMs * 3)
    await settle()
    const second = a.poll({ waitMs: 100_000 })
    expect((await first).pages).toEqual([])
    await opened.append('1')
    expect((await second).pages).toHaveLength(1)
  })

  it('of an aborted request ends, and the session runs from then', async () => {
    const opened = await begin(1)
    const a = await join(opened)
    const over = new AbortController()
    const waiting = a.poll({ waitMs: 100_000, signal: over.signal })
    await settle()
    over.abort()
    await waiting
    opened.clock.advance(memberLimits.sessionMs)
    await expect(a.poll()).rejects.toMatchObject({ code: 'FENCED' })
  })

  it('reads nothing of a shard that the member does not hold', async () => {
    const opened = await begin(2)
    await opened.append('1')
    const a = await join(opened)
    const b = await join(opened)
    const cursors = new Map([...a.leases].map(([shard, { next }]) => [shard, next]))
    const answer = await b.poll({ cursors })
    expect([answer.pages, answer.assigned, answer.revoked]).toEqual([[], [], []])
  })

  it('keeps to its bytes, begins with another shard each time, and all of them together keep to theirs', async () => {
    const opened = await begin(4, { pollsBytesMax: 1 })
    for (let i = 0; i < 5; i++) await opened.append(String(i))
    const a = await join(opened)
    const first = new Set<ShardId>()
    for (let i = 0; i < 4; i++) {
      const { pages } = await a.poll({ bytesMax: 1 })
      expect(pages).toHaveLength(1)
      expect(pages[0]!.chunks).toHaveLength(1)
      first.add(pages[0]!.shard)
    }
    expect(first.size).toBe(4)
    const cursors = new Map([...a.leases].map(([shard, { next }]) => [shard, next]))
    const request = { cursors, bytesMax: 1, generation: a.generation, signal: new AbortController().signal }
    const unsent = await opened.members.poll(a.id, { ...request, waitMs: 0 })
    expect(unsent.bytes).toBeGreaterThan(0)
    expect(opened.memberships.pollBytes).toBe(unsent.bytes)
    const waiting = opened.members.poll(a.id, { ...request, waitMs: 1000 })
    await settle()
    expect(opened.memberships.pollBytes).toBe(unsent.bytes)
    unsent.release()
    expect((await waiting).bytes).toBeGreaterThan(0)
  })
})

it('a shard that is held or being given out is given to nobody else', () => {
  for (const [state, after] of Object.entries(holdingTransitions))
    expect(after.grant, state).toBe(state === 'free' || state === 'askedBack' ? 'granting' : undefined)
})
