import { describe, expect, it } from 'vitest'
import { joinPositions, lagRecords } from '../../src/groups/index.js'
import type { Sequence, Shard, StartPosition } from '../../src/log/index.js'
import { forEachRecord, type ShardId, type StreamId } from '../../src/log/index.js'
import { images, type OpenedLog, openLog, record } from '../log/open-log.js'
import { ManualClock } from '../manual-clock.js'
import { MemoryStorage } from '../memory-storage.js'
import { temporaryFolder } from '../temporary-folder.js'

async function append({ commit }: OpenedLog, stream: StreamId, keys: readonly string[]): Promise<void> {
  await commit.submit({ records: [{ stream, records: keys.map((key) => record(key, 'body')) }] })
}

/** Reads everything that a group may read, shard after shard as they open, and moves it. */
async function drain({ commit, log, groups }: OpenedLog, name: string): Promise<string[]> {
  const group = groups.group(name)!
  const keys: string[] = []
  for (;;) {
    let moved = false
    for (const position of group.readable()) {
      const page = await log.read(position.shard, position.next, { bytesMax: 1 << 20 })
      for (const chunk of page.chunks) {
        forEachRecord(chunk, position.next, (each) => {
          keys.push(each.key.toString())
          return true
        })
      }
      if (page.chunks.length === 0 && !page.ended) continue
      const positions = [{ shard: position.shard, next: page.next, ended: page.ended }]
      await commit.submit({ rows: group.rowsFor(positions) })
      group.moved(positions)
      moved = true
    }
    if (!moved) return keys
  }
}

it('the lag of a group counts each number once, over all shards of its stream', async () => {
  const opened = await openLog(new MemoryStorage(), temporaryFolder())
  const stream = await opened.log.createStream({ name: 's', kind: 'plain', shards: 8, images })
  const group = await opened.groups.create('g', stream.id, 'newest')
  expect(lagRecords(opened.log, group)).toBe(0)
  const keys = Array.from({ length: 50 }, (_, i) => `key ${i}`)
  for (let i = 0; i < 4; i++) await append(opened, stream.id, keys)
  const lag = lagRecords(opened.log, group)
  expect(lag).toBeGreaterThanOrEqual(200)
  expect(lag).toBeLessThan(210)
  await drain(opened, 'g')
  expect(lagRecords(opened.log, group)).toBe(0)
})

describe('groups', () => {
  it('a group that joins at a time gets what was committed from then on, over splits before and after it', async () => {
    const clock = new ManualClock()
    const opened = await openLog(new MemoryStorage(), temporaryFolder(), {}, { clock })
    const { log, groups } = opened
    const { id } = await log.createStream({ name: 's', kind: 'plain', shards: 1, images })
    const times: number[] = []
    const batches: string[][] = []
    for (let i = 0; i < 8; i++) {
      clock.advance(1000)
      times.push(clock.now())
      batches.push([`a${i}`, `b${i}`, `c${i}`, `d${i}`])
      await append(opened, id, batches[i]!)
      // Between two batches a shard ends: for whoever joins later it has ended before the start.
      const open = log.shards(id).filter((shard) => shard.state === 'open')
      if (i % 2 === 1) await log.split((open[i % open.length] as { id: ShardId }).id)
    }
    for (let i = 0; i < times.length; i++) {
      for (const [name, timeMs] of [
        [`at ${i}`, times[i]!],
        [`before ${i}`, times[i]! - 1],
      ] as const) {
        await groups.create(name, id, { timeMs })
        expect((await drain(opened, name)).sort()).toEqual(batches.slice(i).flat().sort())
      }
    }
    await groups.create('later', id, { timeMs: clock.now() + 1 })
    expect(await drain(opened, 'later')).toEqual([])
    await append(opened, id, ['new'])
    expect(await drain(opened, 'later')).toEqual(['new'])
  })

  it('joins at oldest, newest and a sequence number, with SHARD_END for exactly the shards that ended before it', async () => {
    const storage = new MemoryStorage()
    const folder = temporaryFolder()
    const opened = await openLog(storage, folder)
    const { log, groups } = opened
    const { id } = await log.createStream({ name: 's', kind: 'plain', shards: 1, images })
    await append(opened, id, ['1', '2', '3'])
    const [first] = log.shards(id)
    await log.split(first!.id)
    await append(opened, id, ['4', '5', '6'])
    const sealed = log.shard(first!.id)!.lastSequence!
    const starts: [StartPosition, string[], boolean][] = [
      ['oldest', ['1', '2', '3', '4', '5', '6'], false],
      ['newest', [], true],
      [{ sequence: sealed }, ['4', '5', '6'], false],
      [{ sequence: (sealed + 1) as never }, ['4', '5', '6'], true],
    ]
    for (const [i, [start, expected, isEnded]] of starts.entries()) {
      const group = await groups.create(`g${i}`, id, start)
      expect(group.positions().find((position) => position.shard === first!.id)?.ended).toBe(isEnded)
      expect((await drain(opened, `g${i}`)).sort()).toEqual(expected)
    }
    const again = await openLog(storage, folder)
    for (const group of groups.list()) {
      const same = again.groups.group(group.name)!
      const byShard = (list: typeof group) => [...list.positions()].sort((a, b) => a.shard - b.shard)
      expect(byShard(same)).toEqual(byShard(group))
      expect(await drain(again, group.name)).toEqual([])
    }
  })

  it('opens a child only after every parent ended, also when the parents are empty', async () => {
    const opened = await openLog(new MemoryStorage(), temporaryFolder())
    const { log, groups } = opened
    const { id } = await log.createStream({ name: 's', kind: 'plain', shards: 1, images })
    const group = await groups.create('g', id, 'oldest')
    const [root] = log.shards(id)
    const [low] = await log.split(root!.id)
    await log.split(low!.id)
    await append(opened, id, ['x'])
    const move = (shard: ShardId) => group.moved([{ shard, next: log.shard(shard)!.lastSequence!, ended: true }])
    const readable = () => group.readable().map((position) => position.shard)
    expect(readable()).toEqual([root!.id])
    move(root!.id)
    expect(readable()).toEqual(log.shard(root!.id)!.children)
    move(low!.id)
    expect(readable()).toHaveLength(3)
  })

  it('of two who want one name at once, one gets it', async () => {
    const opened = await openLog(new MemoryStorage(), temporaryFolder())
    const { id } = await opened.log.createStream({ name: 's', kind: 'plain', shards: 1, images })
    await append(opened, id, ['x'])
    const made = await Promise.allSettled([
      opened.groups.create('g', id, { timeMs: 0 }),
      opened.groups.create('g', id, { timeMs: 0 }),
    ])
    expect(made.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(opened.groups.list()).toHaveLength(1)
  })

  it('no number is given twice when a group is made while a shard is split', async () => {
    const storage = new MemoryStorage()
    const folder = temporaryFolder()
    const opened = await openLog(storage, folder)
    const { id } = await opened.log.createStream({ name: 's', kind: 'plain', shards: 1, images })
    const [root] = opened.log.shards(id)
    // Both are in one commit: the numbers of the split are taken when it is packed, after the group was queued.
    await Promise.all([opened.groups.create('g', id, 'oldest'), opened.log.split(root!.id)])
    const again = await openLog(storage, folder)
    const before = again.log.shards(id).map((shard) => shard.id)
    const made = await again.log.createStream({ name: 't', kind: 'plain', shards: 1, images })
    expect(before).not.toContain(again.log.shards(made.id)[0]!.id)
    await again.groups.create('h', made.id, 'oldest')
    expect(again.groups.list()).toHaveLength(2)
  })
})

it('a group that is being made can be neither joined nor moved before it is durable', async () => {
  const storage = new MemoryStorage()
  const { log, groups, commit } = await openLog(storage, temporaryFolder())
  const stream = await log.createStream({ name: 'clicks', kind: 'plain', shards: 1, images })
  await commit.submit({ records: [{ stream: stream.id, records: [record('k', 'before')] }] })
  let letWrite = () => {}
  storage.beforeWrite = () => new Promise((resolve) => (letWrite = resolve))
  const making = groups.create('g', stream.id, { timeMs: 1 })
  // That it exists is said when it is durable: whoever hears it can join then.
  let isRefused = false
  const second = groups.create('g', stream.id, 'oldest').catch((error: unknown) => {
    isRefused = true
    return error
  })
  for (let i = 0; i < 20; i++) {
    await new Promise((resolve) => setImmediate(resolve))
    expect(groups.group('g')).toBeUndefined()
    expect(groups.list()).toEqual([])
    expect(isRefused).toBe(false)
  }
  letWrite()
  const made = await making
  expect(await second).toMatchObject({ code: 'ALREADY_EXISTS' })
  expect(groups.group('g')).toBe(made)
})

it('a merged child of which one parent is trimmed away waits for the other alone', () => {
  const shard = (id: number, more: object) =>
    ({ id, parents: [], lowWatermark: id, firstSequence: id, ...more }) as unknown as Shard
  const shards = [
    shard(2, { lastSequence: 5 }),
    shard(14, { parents: [2, 3], lastSequence: 20 }),
    shard(21, { parents: [14, 3] }),
  ]
  expect(joinPositions(shards, 0 as Sequence)).toEqual([
    { shard: 2, next: 2, ended: false },
    { shard: 3, next: 14, ended: true },
  ])
})
