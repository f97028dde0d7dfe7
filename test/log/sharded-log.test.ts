import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Family, type Placement } from '../../src/commit/index.js'
import {
  encodeBatch,
  forEachRecord,
  type LogRecord,
  type Sequence,
  type Shard,
  type ShardId,
  type StreamId,
} from '../../src/log/index.js'
import { compareHash, type Hash64, hashAfter, hashKey, hashMax, hashMin } from '../../src/runtime/index.js'
import { ManualClock } from '../manual-clock.js'
import { MemoryStorage } from '../memory-storage.js'
import { temporaryFolder } from '../temporary-folder.js'
import { images, type OpenedLog, openLog, record } from './open-log.js'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

async function readAll(
  log: OpenedLog['log'],
  shard: ShardId,
  bytesMax = 1 << 20,
): Promise<{ records: LogRecord[]; ended: boolean }> {
  const records: LogRecord[] = []
  let from = (log.shard(shard)?.lowWatermark ?? 0) as Sequence
  for (;;) {
    const page = await log.read(shard, from, { bytesMax })
    for (const chunk of page.chunks) {
      forEachRecord(chunk, from, (each) => {
        records.push(each)
      })
    }
    from = page.next
    if (page.ended || page.chunks.length === 0) return { records, ended: page.ended }
  }
}

async function append(
  opened: OpenedLog,
  stream: StreamId,
  keys: readonly string[],
  body = 'body',
): Promise<Placement[]> {
  const placed: Placement[] = []
  await opened.commit.submit({ records: [{ stream, records: keys.map((key) => record(key, body)), placed }] })
  return placed
}

/** The cuts that give each of these keys a shard of its own, as far as they lie in this one. */
function isolating(shard: Shard, keys: readonly string[]): Hash64[] {
  const cuts = keys.map((key) => hashKey(Buffer.from(key))).flatMap((hash) => [hash, hashAfter(hash)])
  const inside = cuts.filter((cut) => compareHash(cut, shard.low) > 0 && compareHash(cut, shard.high) <= 0)
  return inside.sort(compareHash).filter((cut, i) => i === 0 || compareHash(cut, inside[i - 1]!) !== 0)
}

/** Open shards cover every hash exactly once. */
function expectCover(opened: OpenedLog, stream: StreamId): void {
  const open = opened.log.openShards(stream).map(({ shard }) => shard)
  expect(open[0]!.low).toEqual(hashMin)
  expect(open.at(-1)!.high).toEqual(hashMax)
  for (let i = 1; i < open.length; i++) expect(open[i]!.low).toEqual(hashAfter(open[i - 1]!.high))
}

describe('the sharded log', () => {
  it('gives records strictly increasing numbers and reads them back in order, also after an opening', async () => {
    const storage = new MemoryStorage()
    const folder = temporaryFolder()
    const opened = await openLog(storage, folder)
    const stream = await opened.log.createStream({ name: 'clicks', kind: 'plain', shards: 1, images })
    const sent: string[] = []
    for (let i = 0; i < 50; i++) {
      const keys = Array.from({ length: 1 + (i % 4) }, (_, n) => `key ${i} ${n}`)
      sent.push(...keys)
      await append(opened, stream.id, keys)
    }
    const shard = opened.log.shards(stream.id)[0]!.id
    for (const log of [opened.log, (await openLog(storage, folder, { tailCacheBytesMax: 0 })).log]) {
      const { records, ended } = await readAll(log, shard)
      expect(records.map((each) => each.key.toString())).toEqual(sent)
      expect(ended).toBe(false)
      for (let i = 1; i < records.length; i++) expect(records[i]!.sequence).toBeGreaterThan(records[i - 1]!.sequence)
    }
  })

  it('sends every record to the shard of its key hash and says where it went', async () => {
    const opened = await openLog(new MemoryStorage(), temporaryFolder())
    const stream = await opened.log.createStream({ name: 'clicks', kind: 'plain', shards: 8, images })
    const keys = Array.from({ length: 500 }, (_, i) => `key ${i}`)
    const placed = await append(opened, stream.id, keys)
    expect(placed.reduce((sum, place) => sum + place.count, 0)).toBe(keys.length)
    const seen = new Map<string, number>()
    for (const shard of opened.log.shards(stream.id)) {
      for (const each of (await readAll(opened.log, shard.id)).records) {
        const { hi } = hashKey(each.key)
        expect(hi).toBeGreaterThanOrEqual(shard.low.hi)
        expect(hi).toBeLessThanOrEqual(shard.high.hi)
        seen.set(each.key.toString(), each.sequence)
        expect(
          placed.some(
            (place) =>
              place.shard === shard.id &&
              each.sequence >= place.firstSequence &&
              each.sequence < place.firstSequence + place.count,
          ),
        ).toBe(true)
      }
    }
    expect([...seen.keys()].sort()).toEqual([...keys].sort())
  })

  it('takes a client batch as it lies in one shard, and slices it by whole records over several', async () => {
    for (const shards of [1, 5]) {
      const opened = await openLog(new MemoryStorage(), temporaryFolder())
      const stream = await opened.log.createStream({ name: 'clicks', kind: 'plain', shards, images })
      const keys = Array.from({ length: 100 }, (_, i) => `key ${i}`)
      const batch = encodeBatch(keys.map((key) => record(key, `body of ${key}`, 7)))
      await opened.commit.submit({ records: [{ stream: stream.id, batch }] })
      const all: LogRecord[] = []
      for (const shard of opened.log.shards(stream.id)) all.push(...(await readAll(opened.log, shard.id)).records)
      expect(all.map((each) => each.key.toString()).sort()).toEqual([...keys].sort())
      for (const each of all) {
        expect(each.body.toString()).toBe(`body of ${each.key}`)
        expect(each.time).toBe(7)
      }
    }
  })

  it('splits: the parent ends below the first number of its children, and later records go into them', async () => {
    const opened = await openLog(new MemoryStorage(), temporaryFolder())
    const stream = await opened.log.createStream({ name: 'clicks', kind: 'plain', shards: 1, images })
    const keys = Array.from({ length: 64 }, (_, i) => `key ${i}`)
    await append(opened, stream.id, keys)
    const parent = opened.log.shards(stream.id)[0]!
    // The append is queued before the split and must not be lost between the parent and its children.
    const racing = append(opened, stream.id, keys)
    const children = await opened.log.split(parent.id)
    await racing
    await append(opened, stream.id, keys)
    const sealed = opened.log.shard(parent.id)!
    expect(sealed.state).toBe('sealed')
    expect(sealed.children).toEqual(children.map((child) => child.id))
    for (const child of children) expect(child.firstSequence).toBeGreaterThan(sealed.lastSequence!)
    const first = await readAll(opened.log, parent.id)
    expect(first.ended).toBe(true)
    let total = first.records.length
    for (const child of children) {
      const { records, ended } = await readAll(opened.log, child.id)
      expect(ended).toBe(false)
      expect(records.length).toBeGreaterThan(0)
      total += records.length
    }
    expect(total).toBe(keys.length * 3)
    await expect(opened.log.split(parent.id)).rejects.toMatchObject({ code: 'CONFLICT' })
  })

  it('splits at many cuts in one commit, and gives one key a shard of its own', async () => {
    const opened = await openLog(new MemoryStorage(), temporaryFolder())
    const stream = await opened.log.createStream({ name: 'clicks', kind: 'plain', shards: 1, images })
    const parent = opened.log.shards(stream.id)[0]!
    const hot = hashKey(Buffer.from('hot'))
    const cuts = [hot, hashAfter(hot), { hi: 0xf000_0000, lo: 0 }]
    const rows: number[] = []
    const racing = append(opened, stream.id, ['hot', 'cold'])
    const children = await opened.log.split(parent.id, cuts, ({ firstSequence }) => {
      rows.push(firstSequence)
      return []
    })
    await racing
    expect(children.map(({ low }) => low)).toEqual([hashMin, ...cuts])
    expect(rows).toEqual([children[0]!.firstSequence])
    expectCover(opened, stream.id)
    const isolated = children[1]!
    expect(isolated.low).toEqual(isolated.high)
    const { records } = await readAll(opened.log, isolated.id)
    expect(records.map((each) => each.key.toString())).toEqual(['hot'])
    await expect(opened.log.split(isolated.id)).rejects.toMatchObject({ code: 'SHARD_UNSPLITTABLE' })
    const [first] = children as readonly [Shard]
    for (const wrong of [[], [hashMin], [hot], [first.high, first.high], [first.high, { hi: 0, lo: 1 }]])
      await expect(opened.log.split(first.id, wrong)).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  })

  it('merges neighbours into one child of both, in one commit, and asks the guards', async () => {
    const storage = new MemoryStorage()
    const folder = temporaryFolder()
    const opened = await openLog(storage, folder)
    const { log } = opened
    const stream = await log.createStream({ name: 'clicks', kind: 'plain', shards: 4, images })
    const keys = Array.from({ length: 64 }, (_, i) => `key ${i}`)
    await append(opened, stream.id, keys)
    const [a, b, c] = log.openShards(stream.id).map(({ shard }) => shard.id) as [ShardId, ShardId, ShardId]
    for (const [left, right] of [
      [a, c],
      [b, a],
      [a, a],
    ] as const)
      await expect(log.merge(left, right)).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    const racing = append(opened, stream.id, keys)
    const child = await log.merge(a, b)
    await racing
    expect(child.parents).toEqual([a, b])
    for (const parent of [a, b]) {
      expect(log.shard(parent)).toMatchObject({ state: 'sealed', children: [child.id] })
      expect(log.shard(parent)!.lastSequence).toBeLessThan(child.firstSequence)
    }
    expectCover(opened, stream.id)
    await expect(log.merge(a, b)).rejects.toMatchObject({ code: 'CONFLICT' })
    let isAsked = 0
    log.guardMerges(() => (++isAsked > 1 ? 'somebody reads it' : undefined))
    // The first answer lets it be queued, the one at packing refuses it: nothing changed.
    await expect(log.merge(child.id, c)).rejects.toMatchObject({ code: 'CONFLICT', message: /somebody reads it/ })
    expect(isAsked).toBe(2)
    expect(log.openShards(stream.id)).toHaveLength(3)
    const again = await openLog(storage, folder)
    expectCover(again, stream.id)
    expect(again.log.shard(child.id)).toEqual(log.shard(child.id))
  })

  it('counts open shards against one bound and sealed ones against another', async () => {
    const opened = await openLog(new MemoryStorage(), temporaryFolder(), { shardsMax: 3, shardsKeptMax: 3 })
    const { log } = opened
    const stream = await log.createStream({ name: 'clicks', kind: 'plain', shards: 2, images })
    const open = () => log.openShards(stream.id).map(({ shard }) => shard.id)
    await log.split(open()[0]!)
    await expect(log.split(open()[0]!)).rejects.toMatchObject({ code: 'TOO_BUSY', details: { limit: 'log.shardsMax' } })
    await log.merge(open()[0]!, open()[1]!)
    await expect(log.merge(open()[0]!, open()[1]!)).rejects.toMatchObject({
      code: 'TOO_BUSY',
      details: { limit: 'log.shardsKeptMax' },
    })
  })

  it('counts what is packed into a shard and shows its chunks to a sampler', async () => {
    const opened = await openLog(new MemoryStorage(), temporaryFolder())
    const stream = await opened.log.createStream({ name: 'clicks', kind: 'plain', shards: 1, images })
    const [metered] = opened.log.openShards(stream.id)
    await append(opened, stream.id, ['a', 'b'])
    const seen: Buffer[] = []
    metered!.sampler = { take: (chunk) => seen.push(chunk) }
    await append(opened, stream.id, ['c'])
    expect(metered!.records).toBe(3)
    expect(seen).toHaveLength(1)
    expect(metered!.bytes).toBeGreaterThan(seen[0]!.length)
  })

  it('keeps what was changed in the description of a stream', async () => {
    const storage = new MemoryStorage()
    const folder = temporaryFolder()
    const opened = await openLog(storage, folder)
    const { id } = await opened.log.createStream({ name: 'clicks', kind: 'plain', shards: 1, images })
    await opened.log.alterStream(id, (stream) => ({ ...stream, policy: { enabled: false } }))
    const again = await openLog(storage, folder)
    for (const { log } of [opened, again]) expect(log.streamNamed('clicks')!.policy).toEqual({ enabled: false })
  })

  it('reads from any position across chunks and segments, with any page size', async () => {
    const storage = new MemoryStorage()
    const folder = temporaryFolder()
    const opened = await openLog(storage, folder)
    const stream = await opened.log.createStream({ name: 'clicks', kind: 'plain', shards: 2, images })
    for (let i = 0; i < 30; i++) await append(opened, stream.id, [`a${i}`, `b${i}`, `c${i}`])
    // Each opening begins a segment.
    const again = await openLog(storage, folder, { tailCacheBytesMax: 2000 })
    for (let i = 30; i < 60; i++) await append(again, stream.id, [`a${i}`, `b${i}`, `c${i}`])
    for (const shard of again.log.shards(stream.id)) {
      const whole = (await readAll(again.log, shard.id)).records.map((each) => each.sequence)
      for (const bytesMax of [1, 300, 1 << 20]) {
        expect((await readAll(again.log, shard.id, bytesMax)).records.map((each) => each.sequence)).toEqual(whole)
      }
      for (let from = shard.firstSequence as number; from <= whole[whole.length - 1]!; from++) {
        const page = await again.log.read(shard.id, from as Sequence, { bytesMax: 1 })
        const found: number[] = []
        forEachRecord(page.chunks[0]!, from as Sequence, (each) => {
          found.push(each.sequence)
        })
        expect(found[0]).toBe(whole.find((sequence) => sequence >= from))
      }
    }
  })

  it('never passes over a missing or changed chunk', async () => {
    const storage = new MemoryStorage()
    const folder = temporaryFolder()
    const opened = await openLog(storage, folder, { tailCacheBytesMax: 0 })
    const stream = await opened.log.createStream({ name: 'clicks', kind: 'plain', shards: 1, images })
    for (let i = 0; i < 10; i++) await append(opened, stream.id, [`key ${i}`])
    const shard = opened.log.shards(stream.id)[0]!.id
    const chunks = [...storage.rows.keys()].filter((key) => key.charCodeAt(0) === Family.chunk).sort()
    for (const name of chunks) {
      const chunk = storage.rows.get(name)!
      storage.rows.delete(name)
      await expect(readAll(opened.log, shard)).rejects.toMatchObject({ code: 'LOG_DAMAGED' })
      for (const at of [0, 20, 70, chunk.length - 1]) {
        const changed = Buffer.from(chunk)
        changed[at] = changed[at]! ^ 1
        storage.rows.set(name, changed)
        await expect(readAll(opened.log, shard)).rejects.toMatchObject({ code: 'LOG_DAMAGED' })
      }
      storage.rows.set(name, chunk)
    }
    expect((await readAll(opened.log, shard)).records).toHaveLength(10)
  })

  it('keeps each key in order over random appends, splits, merges, reopenings and openings', async () => {
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          kind: fc.constant('append' as const),
          keys: fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 6 }),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant('split' as const),
          nth: fc.nat(20),
          keys: fc.uniqueArray(fc.integer({ min: 0, max: 9 }), { maxLength: 4 }),
        }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('merge' as const), nth: fc.nat(20) }) },
      { weight: 1, arbitrary: fc.constant({ kind: 'reseal' as const }) },
      { weight: 1, arbitrary: fc.constant({ kind: 'open' as const }) },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const storage = new MemoryStorage()
        const folder = temporaryFolder()
        let opened = await openLog(storage, folder, { tailCacheBytesMax: 1000 })
        const stream = await opened.log.createStream({ name: 'clicks', kind: 'plain', shards: 1, images })
        const expected = new Map<string, string[]>()
        let n = 0
        for (const each of steps) {
          if (each.kind === 'append') {
            const records = each.keys.map((key) => {
              const body = String(n++)
              const list = expected.get(`k${key}`) ?? []
              list.push(body)
              expected.set(`k${key}`, list)
              return record(`k${key}`, body)
            })
            await opened.commit.submit({ records: [{ stream: stream.id, records }] })
          } else if (each.kind === 'split') {
            const open = opened.log.shards(stream.id).filter((shard) => shard.state === 'open')
            const shard = open[each.nth % open.length]!
            const cuts = isolating(
              shard,
              each.keys.map((key) => `k${key}`),
            )
            if (open.length < 30 && compareHash(shard.low, shard.high) !== 0)
              await opened.log.split(shard.id, cuts.length === 0 ? undefined : cuts)
          } else if (each.kind === 'merge') {
            const open = opened.log.openShards(stream.id).map(({ shard }) => shard.id)
            const nth = each.nth % open.length
            if (nth > 0) await opened.log.merge(open[nth - 1]!, open[nth]!)
          } else if (each.kind === 'reseal') {
            if (opened.log.openShards(stream.id).length < 30) await opened.log.reopenShards(stream.id, images)
          } else {
            opened = await openLog(storage, folder, { tailCacheBytesMax: 1000 })
          }
        }
        // A group reads parents before children; then every key is in the order in which it was appended.
        const group = await opened.groups.create('check', stream.id, 'oldest')
        const found = new Map<string, string[]>()
        for (let progress = true; progress; ) {
          progress = false
          for (const position of group.readable()) {
            const page = await opened.log.read(position.shard, position.next, { bytesMax: 500 })
            if (page.chunks.length === 0 && !page.ended) continue
            progress = true
            for (const chunk of page.chunks) {
              forEachRecord(chunk, position.next, (each) => {
                const list = found.get(each.key.toString()) ?? []
                list.push(each.body.toString())
                found.set(each.key.toString(), list)
              })
            }
            const moved = [{ shard: position.shard, next: page.next, ended: page.ended }]
            await opened.commit.submit({ rows: group.rowsFor(moved) })
            group.moved(moved)
          }
        }
        expect(Object.fromEntries([...found].sort())).toEqual(Object.fromEntries([...expected].sort()))
      }),
      { numRuns: 60 },
    )
  })

  it('says that a stream exists only when nothing can take it back', async () => {
    const storage = new MemoryStorage()
    const { log } = await openLog(storage, temporaryFolder())
    let letWrite = () => {}
    storage.beforeWrite = () => new Promise((resolve) => (letWrite = resolve))
    const first = log.createStream({ name: 'clicks', kind: 'plain', shards: 1, images })
    await turn()
    let refused = false
    const second = log.createStream({ name: 'clicks', kind: 'plain', shards: 1, images }).catch(() => (refused = true))
    for (let i = 0; i < 20; i++) await turn()
    expect(refused).toBe(false)
    letWrite()
    await first
    expect(await second).toBe(true)
  })

  it('bounds the shards that a stream is split into', async () => {
    const { log } = await openLog(new MemoryStorage(), temporaryFolder(), { shardsMax: 3 })
    const { id } = await log.createStream({ name: 's', kind: 'plain', shards: 2, images })
    await log.split(log.shards(id)[0]!.id)
    await expect(log.split(log.shards(id)[1]!.id)).rejects.toMatchObject({ code: 'TOO_BUSY' })
    expect(log.shards(id)).toHaveLength(4)
  })

  it('keeps to its bounds when many splits are asked for at once', async () => {
    const { log } = await openLog(new MemoryStorage(), temporaryFolder(), { shardsMax: 5 })
    const { id } = await log.createStream({ name: 's', kind: 'plain', shards: 4, images })
    const splits = await Promise.allSettled(log.shards(id).map((shard) => log.split(shard.id)))
    expect(splits.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'rejected'])
    expect(splits[1]).toMatchObject({ reason: { code: 'TOO_BUSY', details: { limit: 'log.shardsMax' } } })
    expect(log.openShards(id)).toHaveLength(5)
  })

  it('finds a time by reading few chunks, in the cache and in the store', async () => {
    const clock = new ManualClock()
    const storage = new MemoryStorage()
    const folder = temporaryFolder()
    const opened = await openLog(storage, folder, {}, { clock })
    const { id } = await opened.log.createStream({ name: 's', kind: 'plain', shards: 1, images })
    const firsts: { time: number; sequence: number }[] = []
    for (let i = 0; i < 300; i++) {
      if (i % 3 === 0) clock.advance(10)
      const [place] = await append(opened, id, [`${i} a`, `${i} b`])
      if (i % 3 === 0) firsts.push({ time: clock.now(), sequence: place!.firstSequence })
    }
    const again = await openLog(storage, folder, { tailCacheBytesMax: 0 }, { clock })
    for (const { log } of [opened, again]) {
      for (const { time, sequence } of firsts) {
        expect(await log.sequenceAtTime(id, time)).toBe(sequence)
        expect(await log.sequenceAtTime(id, time - 9)).toBe(sequence)
      }
      expect(await log.sequenceAtTime(id, 0)).toBe(firsts[0]!.sequence)
      expect(await log.sequenceAtTime(id, clock.now() + 1)).toBe(log.nextSequence())
    }
    let pages = 0
    const { page } = storage
    storage.page = (range) => {
      pages++
      return page.call(storage, range)
    }
    await again.log.sequenceAtTime(id, firsts[50]!.time)
    expect(pages).toBeLessThan(40)
  })
})
