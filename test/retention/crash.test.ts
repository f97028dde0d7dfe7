import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Family } from '../../src/commit/index.js'
import { forEachRecord, type Sequence, type ShardedLog, type ShardId, type StreamId } from '../../src/log/index.js'
import type { MemoryStorage } from '../memory-storage.js'
import { day, hour, keysKept, type OpenedRetention, openRetention } from './open-retention.js'

const families = [Family.stream, Family.shard, Family.chunk, Family.chunkIndex, Family.group, Family.position]

/** What is stored, without what every commit writes. */
const stored = (storage: MemoryStorage): string[] =>
  [...storage.rows.keys()].filter((name) => families.includes(name.charCodeAt(0) as (typeof families)[number])).sort()

/** A stream with a sealed parent and its children, most of it old; a group that has read half of the parent; another stream. */
async function fill(opened: OpenedRetention): Promise<void> {
  const { log, groups, commit } = opened
  const [stream, other] = [await opened.stream(), await opened.stream()]
  const group = await groups.create('pipeline:p', stream, 'oldest', { hold: true })
  for (let i = 0; i < 6; i++) {
    await opened.append(stream, `parent ${i}`, { afterMs: hour, bytes: 300 })
    await opened.append(other, `other ${i}`)
  }
  const parent = log.shards(stream)[0]!.id
  const ended = [{ shard: parent, next: (log.lastSequence(parent) + 1) as Sequence, ended: true }]
  await log.split(parent)
  await commit.submit({ rows: group.rowsFor(ended) })
  group.moved(ended)
  for (let i = 0; i < 8; i++) await opened.append(stream, `child ${i}`, { afterMs: hour, bytes: 300 })
  const children = log.shards(stream).filter((shard) => shard.parents.includes(parent))
  const moved = children.map(({ id }) => ({
    shard: id,
    next: (log.lastSequence(id) + 1) as Sequence,
    ended: false,
  }))
  await commit.submit({ rows: group.rowsFor(moved) })
  group.moved(moved)
  await log.closeStream(other)
  await opened.append(stream, 'young', { afterMs: 6 * day + 20 * hour })
  opened.clock.advance(20 * hour)
}

const all = [
  ...Array.from({ length: 6 }, (_, i) => `parent ${i}`),
  ...Array.from({ length: 8 }, (_, i) => `child ${i}`),
]

describe('a trim that is cut off', () => {
  it('after any of its writes leaves no hole to read, and the next start finishes it', async () => {
    const opened = await openRetention({ rowsPerCommitMax: 3 })
    await fill(opened)
    const before = opened.storage.history.length
    await opened.retention.run()
    const writes = opened.storage.history.length
    const whole = stored(opened.storage)
    const kept = await keysKept(opened.log, 1 as StreamId)
    expect(kept).toEqual(['young'])
    expect(writes - before).toBeGreaterThan(8)
    expect(opened.log.stream(2 as StreamId)).toBeUndefined()
    for (let cut = before; cut < writes; cut++) {
      const storage = opened.storage.without((index) => index >= cut)
      const again = await openRetention({ storage, clock: opened.clock, rowsPerCommitMax: 3 })
      const left = await keysKept(again.log, 1 as StreamId)
      expect(left.slice(-1), `cut at ${cut}`).toEqual(['young'])
      // Of each shard the newest records may be left, whole up to its end (what is missing would be LOG_DAMAGED).
      for (const name of ['parent', 'child']) {
        const of = left.filter((key) => key.startsWith(name))
        expect(of).toEqual(of.length === 0 ? [] : [...all].filter((key) => key.startsWith(name)).slice(-of.length))
      }
      await again.append(1 as StreamId, 'after')
      await again.retention.run()
      expect(await keysKept(again.log, 1 as StreamId)).toEqual(['young', 'after'])
      expect(again.log.stream(2 as StreamId)).toBeUndefined()
      expect(
        stored(storage)
          .filter((name) => !whole.includes(name))
          .every(isOfAfter),
      ).toBe(true)
      expect(whole.filter((name) => !stored(storage).includes(name))).toEqual([])
    }
  })
})

/** The chunk and the index row of the record that was appended after the start. */
const isOfAfter = (name: string): boolean =>
  name.charCodeAt(0) === Family.chunk || name.charCodeAt(0) === Family.chunkIndex

/** Reads on from a position as a slow reader does; returns what it saw, and whether it was told that records are gone. */
async function follow(log: ShardedLog, shard: ShardId, pause: () => Promise<void>) {
  const seen: Sequence[] = []
  let from = log.shard(shard)!.lowWatermark
  for (;;) {
    try {
      const page = await log.read(shard, from, { bytesMax: 2000 })
      if (page.chunks.length === 0) return seen
      for (const chunk of page.chunks)
        forEachRecord(chunk, from, ({ sequence }) => {
          seen.push(sequence)
        })
      from = page.next
      await pause()
    } catch (error) {
      expect(error).toMatchObject({ code: 'TRIMMED' })
      const { oldest } = (error as { details: { oldest: Sequence } }).details
      expect(oldest).toBeGreaterThan(from)
      from = oldest
      seen.length = 0
    }
  }
}

describe('readers beside a trim', () => {
  it('get every record from where they are, or TRIMMED; never a hole', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 600 }), { minLength: 10, maxLength: 40 }),
        fc.array(fc.integer({ min: 0, max: 8 }), { minLength: 7, maxLength: 7 }),
        fc.integer({ min: 1, max: 9 }),
        async (sizes, delays, rowsPerCommitMax) => {
          const opened = await openRetention({ defaults: { ms: 0, bytes: 3000 }, rowsPerCommitMax })
          const { log, retention, storage } = opened
          const stream = await opened.stream()
          for (const bytes of sizes) await opened.append(stream, 'k', { bytes, afterMs: hour })
          const shard = log.shards(stream)[0]!.id
          const all: Sequence[] = []
          for (let from = log.shard(shard)!.lowWatermark; ; ) {
            const page = await log.read(shard, from, { bytesMax: 1 << 20 })
            if (page.chunks.length === 0) break
            for (const chunk of page.chunks)
              forEachRecord(chunk, from, ({ sequence }) => {
                all.push(sequence)
              })
            from = page.next
          }
          const pause = () => new Promise<void>((resolve) => setImmediate(resolve))
          const page = storage.page.bind(storage)
          // A look into the store takes as long as it likes: what is deleted meanwhile is missing from the next.
          let turn = 0
          storage.page = async (range) => {
            for (let i = delays[turn++ % delays.length]!; i > 0; i--) await pause()
            return page(range)
          }
          const [seen] = await Promise.all([follow(log, shard, pause), retention.run()])
          expect(seen).toEqual(all.slice(all.length - seen.length))
          expect(seen.length).toBeGreaterThan(0)
        },
      ),
      { numRuns: 100 },
    )
  })
})
