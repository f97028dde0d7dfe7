import { describe, expect, it } from 'vitest'
import type { Sequence } from '../../src/log/index.js'
import { parsePolicy } from '../../src/retention/index.js'
import { MemoryStorage } from '../memory-storage.js'
import { day, hour, keysKept, openRetention, readShard, rowsOf } from './open-retention.js'

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `${from + i}`)

describe('retention', () => {
  it('takes what is older than the time, and nothing else', async () => {
    const opened = await openRetention()
    const { log, clock, retention, storage } = opened
    const stream = await opened.stream()
    for (const key of numbers(0, 48)) await opened.append(stream, key, { afterMs: hour })
    await retention.run()
    expect(await keysKept(log, stream)).toEqual(numbers(0, 48))
    const chunks = rowsOf(storage, 'chunk')
    // The newest is 0 h old, the oldest 47 h: after six days and 12 hours what is older than 12 h goes.
    clock.advance(6 * day + 12 * hour)
    await retention.run()
    expect(await keysKept(log, stream)).toEqual(numbers(36, 48))
    expect(rowsOf(storage, 'chunk')).toBe(chunks - 36)
    expect(rowsOf(storage, 'chunkIndex')).toBe(12)
    clock.advance(7 * day)
    await retention.run()
    expect(await keysKept(log, stream)).toEqual([])
    expect([rowsOf(storage, 'chunk'), rowsOf(storage, 'chunkIndex')]).toEqual([0, 0])
    expect(log.bytesOf(stream)).toBe(0)
    // The shard goes on where it was.
    await opened.append(stream, 'after')
    expect(await keysKept(log, stream)).toEqual(['after'])
    const again = await openRetention({ storage, clock })
    expect(await keysKept(again.log, stream)).toEqual(['after'])
    await again.append(stream, 'later')
    expect(await keysKept(again.log, stream)).toEqual(['after', 'later'])
  })

  it('answers a late reader with the oldest position there is', async () => {
    const opened = await openRetention()
    const { log, clock, retention } = opened
    const stream = await opened.stream()
    await opened.append(stream, 'old')
    await opened.append(stream, 'new', { afterMs: 5 * day })
    clock.advance(3 * day)
    await retention.run()
    const shard = log.shards(stream)[0]!
    const failed = log.read(shard.id, shard.firstSequence, { bytesMax: 1 })
    await expect(failed).rejects.toMatchObject({ code: 'TRIMMED', details: { oldest: shard.lowWatermark } })
    await expect(failed).rejects.toThrow(String(shard.lowWatermark))
    const { chunks } = await log.read(shard.id, shard.lowWatermark, { bytesMax: 1 })
    expect(chunks).toHaveLength(1)
  })

  it('takes the oldest records of all shards past a size, and never more than it must', async () => {
    const opened = await openRetention({ defaults: { ms: 0, bytes: 20_000 } })
    const { log, retention } = opened
    const stream = await opened.stream(4)
    for (const key of numbers(0, 60)) await opened.append(stream, key, { bytes: 1000, afterMs: hour })
    const before = log.bytesOf(stream)
    await retention.run()
    const kept = await keysKept(log, stream)
    expect(kept).toEqual(numbers(60 - kept.length, 60))
    expect(log.bytesOf(stream)).toBeGreaterThanOrEqual(20_000)
    expect(log.bytesOf(stream)).toBeLessThan(20_000 + before / 60 + 1)
    await retention.run()
    expect(await keysKept(log, stream)).toEqual(kept)
  })

  it('keeps for ever when it is told so, and follows what a stream says of its own at once', async () => {
    const opened = await openRetention({ defaults: { ms: 0, bytes: 0 } })
    const { log, clock, retention } = opened
    const stream = await opened.stream()
    for (const key of numbers(0, 10)) await opened.append(stream, key, { bytes: 1000, afterMs: day })
    clock.advance(1000 * day)
    await retention.run()
    expect(await keysKept(log, stream)).toEqual(numbers(0, 10))
    await log.alterStream(stream, (present) => ({ ...present, retention: { ms: 1003 * day + hour } }))
    await retention.run()
    expect(await keysKept(log, stream)).toEqual(numbers(6, 10))
    await log.alterStream(stream, (present) => ({ ...present, retention: 'forever' }))
    clock.advance(1000 * day)
    await retention.run()
    expect(await keysKept(log, stream)).toEqual(numbers(6, 10))
    await log.alterStream(stream, (present) => ({ ...present, retention: { bytes: 2500 } }))
    await retention.run()
    expect(await keysKept(log, stream)).toEqual(numbers(7, 10))
    expect(parsePolicy({ ms: 5 })).toEqual({ ms: 5 })
    expect(parsePolicy(null)).toBeUndefined()
    for (const wrong of [5, 'never', {}, { ms: 0 }, { ms: 1.5 }, { days: 7 }, [], { bytes: '5' }])
      expect(() => parsePolicy(wrong)).toThrow('retention is')
  })

  it('deletes nothing because of its age while the clock is not believed', async () => {
    const opened = await openRetention()
    const { log, clock, commit, retention } = opened
    const stream = await opened.stream()
    for (const key of numbers(0, 3)) await opened.append(stream, key, { afterMs: hour })
    clock.wall += 30 * day
    await retention.run()
    expect(commit.time.alarm).toBe('jumped')
    expect(await keysKept(log, stream)).toEqual(numbers(0, 3))
    commit.time.confirm()
    await retention.run()
    expect(await keysKept(log, stream)).toEqual([])
  })

  it('waits after a start at a clock far ahead', async () => {
    const first = await openRetention()
    const stream = await first.stream()
    await first.append(stream, '0')
    first.clock.advance(30 * day)
    const { log, clock, commit, retention } = await openRetention({ storage: first.storage, clock: first.clock })
    await retention.run()
    expect(commit.time.alarm).toBe('aheadAtStart')
    expect(await keysKept(log, stream)).toEqual(['0'])
    clock.advance(10 * 60_000)
    await retention.run()
    expect(await keysKept(log, stream)).toEqual([])
  })

  it('goes on below commit.freeBytesMin', async () => {
    const opened = await openRetention()
    const stream = await opened.stream()
    await opened.append(stream, '0')
    opened.clock.advance(8 * day)
    opened.commit.storageFull = true
    await expect(opened.append(stream, '1')).rejects.toMatchObject({ code: 'STORAGE_FULL' })
    await opened.retention.run()
    expect(rowsOf(opened.storage, 'chunk')).toBe(0)
  })

  it('deletes in commits of a bounded size, and looks at nothing when nothing is due', async () => {
    const storage = new MemoryStorage()
    const opened = await openRetention({ storage, rowsPerCommitMax: 7 })
    const stream = await opened.stream(3)
    for (const key of numbers(0, 100)) await opened.append(stream, key, { afterMs: key.endsWith('5') ? hour : 0 })
    opened.clock.advance(8 * day)
    const before = storage.history.length
    await opened.retention.run()
    const deletes = storage.history.slice(before).map((write) => write.deletes.length)
    expect(Math.max(...deletes)).toBeLessThanOrEqual(8)
    expect(deletes.reduce((sum, count) => sum + count)).toBeGreaterThan(100)
    expect(rowsOf(storage, 'chunk')).toBe(0)
    const writes = storage.history.length
    let pages = 0
    const page = storage.page.bind(storage)
    storage.page = (range) => {
      pages++
      return page(range)
    }
    await opened.append(stream, 'fresh')
    await opened.retention.run()
    await opened.retention.run()
    expect(storage.history.length).toBe(writes + 1)
    expect(pages).toBeLessThan(4)
  })

  it('takes away sealed shards when they are empty, and a deleted stream with everything', async () => {
    const opened = await openRetention()
    const { log, clock, retention, storage } = opened
    const stream = await opened.stream()
    await opened.append(stream, 'before')
    const parent = log.shards(stream)[0]!
    await log.split(parent.id)
    await opened.append(stream, 'behind', { afterMs: 4 * day })
    clock.advance(4 * day)
    await retention.run()
    expect(log.shard(parent.id)).toBeUndefined()
    expect(log.shards(stream)).toHaveLength(2)
    expect(await keysKept(log, stream)).toEqual(['behind'])
    await log.closeStream(stream)
    clock.advance(day - 1)
    await retention.run()
    expect(log.stream(stream)).toBeDefined()
    clock.advance(1)
    await retention.run()
    expect(log.stream(stream)).toBeUndefined()
    for (const family of ['stream', 'shard', 'chunk', 'chunkIndex'] as const) expect(rowsOf(storage, family)).toBe(0)
    const again = await openRetention({ storage, clock })
    expect(again.log.streams()).toEqual([])
  })

  it('keeps an empty shard that was sealed a moment ago, so that its readers find its children', async () => {
    const opened = await openRetention()
    const { log, clock, retention } = opened
    const stream = await opened.stream()
    await opened.append(stream, '0')
    const { id, firstSequence } = log.shards(stream)[0]!
    clock.advance(8 * day)
    await log.split(id)
    await retention.run()
    expect(log.shard(id)).toMatchObject({ state: 'sealed', lowWatermark: firstSequence })
    expect(await readShard(log, id)).toHaveLength(1)
    const end = (log.lastSequence(id) + 1) as Sequence
    expect(await log.read(id, end, { bytesMax: 1 })).toMatchObject({ ended: true })
    clock.advance(7 * day)
    await retention.run()
    expect(log.shard(id)).toBeUndefined()
  })
})
