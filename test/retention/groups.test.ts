import { describe, expect, it } from 'vitest'
import { type Group, isTrimmed, type Position } from '../../src/groups/index.js'
import type { Sequence, Shard, ShardId } from '../../src/log/index.js'
import { day, hour, keysKept, type OpenedRetention, openRetention, rowsOf } from './open-retention.js'

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `${from + i}`)

/** The group has read a shard up to a number, or to its end. */
async function move({ commit }: OpenedRetention, group: Group, ...positions: Position[]): Promise<void> {
  await commit.submit({ rows: group.rowsFor(positions) })
  group.moved(positions)
}

const at = (shard: ShardId, next: number, ended = false): Position => ({ shard, next: next as Sequence, ended })

describe('groups and retention', () => {
  it('of pipelines and bridges hold what they have not read', async () => {
    const opened = await openRetention()
    const { log, groups, clock, retention, said } = opened
    const stream = await opened.stream()
    const [slow, fast] = [
      await groups.create('pipeline:slow', stream, 'oldest', { hold: true }),
      await groups.create('bridge:fast', stream, 'oldest', { hold: true }),
    ]
    const shard = log.shards(stream)[0]!.id
    const sequences: number[] = []
    for (const key of numbers(0, 20)) {
      await opened.append(stream, key, { afterMs: hour, bytes: 1000 })
      sequences.push(log.lastSequence(shard))
    }
    clock.advance(30 * day)
    await move(opened, fast, at(shard, sequences[19]! + 1))
    await retention.run()
    expect(await keysKept(log, stream)).toEqual(numbers(0, 20))
    expect(retention.heldBytes(stream)).toBe(log.bytesOf(stream))
    await move(opened, slow, at(shard, sequences[12]!))
    await retention.run()
    expect(await keysKept(log, stream)).toEqual(numbers(12, 20))
    expect(retention.heldBytes(stream)).toBe(log.bytesOf(stream))
    await move(opened, slow, at(shard, sequences[19]! + 1))
    await retention.run()
    expect(await keysKept(log, stream)).toEqual([])
    expect(retention.heldBytes(stream)).toBe(0)
    expect(said).toEqual([])
    for (const group of [slow, fast]) expect(isTrimmed(log, group)).toBe(false)
  })

  it('that hold too much are trimmed past, oldest first over all shards, with an alarm said once', async () => {
    const opened = await openRetention({ heldBytesMax: 10_000 })
    const { log, groups, clock, retention, said } = opened
    let alarms = 0
    retention.observe({ trimmed() {}, groupTrimmed: () => alarms++ })
    const stream = await opened.stream(4)
    const group = await groups.create('pipeline:stuck', stream, 'oldest', { hold: true })
    for (const key of numbers(0, 40)) await opened.append(stream, key, { bytes: 1000, afterMs: hour })
    clock.advance(8 * day)
    await retention.run()
    const kept = await keysKept(log, stream)
    expect(kept).toEqual(numbers(40 - kept.length, 40))
    expect(retention.heldBytes(stream)).toBeLessThanOrEqual(10_000)
    expect(retention.heldBytes(stream)).toBeGreaterThan(10_000 - 2400)
    expect(isTrimmed(log, group)).toBe(true)
    expect(alarms).toBe(1)
    expect(said).toEqual([
      {
        level: 'error',
        about: expect.objectContaining({ group: 'pipeline:stuck', code: 'TRIMMED', oldest: log.oldest(stream) }),
      },
    ])
    // What is left stays for it to seek to.
    await retention.run()
    expect(await keysKept(log, stream)).toEqual(kept)
    expect([alarms, said.length]).toEqual([1, 1])
    const { shard, next } = group.readable()[0]!
    await expect(log.read(shard, next, { bytesMax: 1 })).rejects.toMatchObject({ code: 'TRIMMED' })
    // Neither does a start say it again.
    const again = await openRetention({ storage: opened.storage, clock })
    await again.append(stream, 'more')
    clock.advance(8 * day)
    await again.retention.run()
    expect(again.said).toEqual([])
    expect(isTrimmed(again.log, again.groups.group('pipeline:stuck')!)).toBe(true)
  })

  it('that do not hold lose with a warning', async () => {
    const opened = await openRetention()
    const { log, groups, clock, retention, said } = opened
    const stream = await opened.stream()
    const group = await groups.create('reader', stream, 'oldest')
    await opened.append(stream, '0')
    await opened.append(stream, '1', { afterMs: day })
    clock.advance(7 * day - hour)
    await retention.run()
    expect(await keysKept(log, stream)).toEqual(['1'])
    expect(said).toEqual([
      {
        level: 'warn',
        about: expect.objectContaining({ group: 'reader', oldest: log.shards(stream)[0]!.lowWatermark }),
      },
    ])
    const { shard, next } = group.readable()[0]!
    await expect(log.read(shard, next, { bytesMax: 1 })).rejects.toMatchObject({
      code: 'TRIMMED',
      details: { oldest: log.oldest(stream) },
    })
  })

  it('are told each time: after a seek, and when one of the same name is made anew', async () => {
    const opened = await openRetention()
    const { log, groups, clock, retention, said } = opened
    let alarms = 0
    retention.observe({ trimmed() {}, groupTrimmed: () => alarms++ })
    const stream = await opened.stream()
    const lose = async (key: string) => {
      await opened.append(stream, key)
      clock.advance(8 * day)
      await retention.run()
    }
    const group = await groups.create('reader', stream, 'oldest')
    await lose('0')
    await lose('1')
    expect(alarms).toBe(1)
    await groups.seek(group, 'oldest')
    expect(isTrimmed(log, group)).toBe(false)
    await lose('2')
    expect(alarms).toBe(2)
    await groups.delete('reader')
    await groups.create('reader', stream, 'oldest')
    await lose('3')
    expect(alarms).toBe(3)
    expect(said).toHaveLength(3)
  })

  it('that have read everything lose nothing, though their positions lie below the low watermark', async () => {
    const opened = await openRetention()
    const { log, groups, clock, retention, said } = opened
    const [stream, other] = [await opened.stream(), await opened.stream()]
    const group = await groups.create('reader', stream, 'oldest')
    await opened.append(stream, '0')
    const shard = log.shards(stream)[0]!.id
    await move(opened, group, at(shard, log.lastSequence(shard) + 1))
    for (const key of numbers(0, 5)) await opened.append(other, key, { afterMs: hour })
    await opened.append(stream, '1', { afterMs: hour })
    clock.advance(7 * day - 1)
    await retention.run()
    expect(await keysKept(log, stream)).toEqual(['1'])
    expect(isTrimmed(log, group)).toBe(false)
    const page = await log.read(shard, group.positions()[0]!.next, { bytesMax: 1 })
    expect(page.chunks).toHaveLength(1)
    expect(said).toEqual([])
  })

  it('that run get TRIMMED where a parent was trimmed; one that joins counts it as read', async () => {
    const opened = await openRetention()
    const { log, groups, clock, retention } = opened
    const stream = await opened.stream()
    const running = await groups.create('running', stream, 'oldest')
    await opened.append(stream, 'a')
    const parent = log.shards(stream)[0]!.id
    await log.split(parent)
    const children = log.shards(stream).filter((shard) => shard.parents.includes(parent))
    await opened.append(stream, 'b', { afterMs: 6 * day })
    clock.advance(day)
    await retention.run()
    // It stands in the parent, which stays for it to be told; its children are not opened by what was trimmed.
    expect(running.readable().map(({ shard }) => shard)).toEqual([parent])
    await expect(log.read(parent, running.readable()[0]!.next, { bytesMax: 1 })).rejects.toMatchObject({
      code: 'TRIMMED',
      details: { oldest: log.oldest(stream) },
    })
    const joined = await groups.create('joined', stream, 'oldest')
    expect(joined.readable().map(({ shard }) => shard)).toEqual(children.map(({ id }) => id))
    for (const { shard, next } of joined.readable()) await log.read(shard, next, { bytesMax: 1 })
    await groups.delete('running')
    await retention.run()
    expect(log.shard(parent)).toBeUndefined()
    const later = await groups.create('later', stream, 'oldest')
    expect(later.readable().map(({ shard }) => shard)).toEqual(children.map(({ id }) => id))
  })

  it('keep their place in a shard that is gone until each of its children has one', async () => {
    const opened = await openRetention()
    const { log, groups, clock, retention, storage } = opened
    const stream = await opened.stream()
    const group = await groups.create('pipeline:p', stream, 'oldest', { hold: true })
    await opened.append(stream, 'a')
    const parent = log.shards(stream)[0]!.id
    await log.split(parent)
    await move(opened, group, at(parent, log.lastSequence(parent) + 1, true))
    const [left, right] = log.shards(stream).filter((shard) => shard.parents.includes(parent)) as [Shard, Shard]
    clock.advance(8 * day)
    await retention.run()
    expect(log.shard(parent)).toBeUndefined()
    expect(group.positions().map(({ shard }) => shard)).toEqual([parent])
    await move(opened, group, at(left.id, log.lastSequence(left.id) + 1))
    await retention.run()
    expect(rowsOf(storage, 'position')).toBe(2)
    const again = await openRetention({ storage, clock })
    const group2 = again.groups.group('pipeline:p')!
    expect(group2.readable().map(({ shard }) => shard)).toEqual([left.id, right.id])
    await move(again, group2, at(right.id, log.lastSequence(right.id) + 1))
    await again.retention.run()
    expect(rowsOf(storage, 'position')).toBe(2)
    expect(group2.positions().map(({ shard }) => shard)).toEqual([left.id, right.id])
  })

  it('keep sealed shards that they have yet to pass, empty ones too', async () => {
    const opened = await openRetention()
    const { log, groups, clock, retention } = opened
    const stream = await opened.stream()
    const group = await groups.create('reader', stream, 'newest')
    const parent = log.shards(stream)[0]!.id
    await log.split(parent)
    const child = log.shards(stream)[1]!.id
    await log.split(child)
    clock.advance(100 * day)
    await retention.run()
    expect(group.readable().map(({ shard }) => shard)).toEqual([parent])
    expect(log.shards(stream).map(({ id }) => id)).toContain(child)
    expect(isTrimmed(log, group)).toBe(false)
    const page = await log.read(parent, group.readable()[0]!.next, { bytesMax: 1 })
    expect(page).toMatchObject({ chunks: [], ended: true })
    await move(opened, group, at(parent, page.next, true))
    await retention.run()
    expect(log.shard(parent)).toBeUndefined()
    expect(group.readable().map(({ shard }) => shard)).toContain(child)
  })
})
