import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Family } from '../../src/commit/index.js'
import { markBytes, markChunks, markMs } from '../../src/log/extent.js'
import {
  forEachRecord,
  type LogRecord,
  type Sequence,
  type ShardedLog,
  type ShardId,
  type StreamId,
} from '../../src/log/index.js'
import { markValue } from '../../src/log/marks.js'
import { ManualClock } from '../manual-clock.js'
import { MemoryStorage } from '../memory-storage.js'
import { temporaryFolder } from '../temporary-folder.js'
import { images, type OpenedLog, openLog, record } from './open-log.js'

async function readAll(log: ShardedLog, shard: ShardId): Promise<LogRecord[]> {
  const records: LogRecord[] = []
  let from = log.shard(shard)!.lowWatermark
  for (;;) {
    const page = await log.read(shard, from, { bytesMax: 1 << 20 })
    for (const chunk of page.chunks)
      forEachRecord(chunk, from, (each) => {
        records.push(each)
      })
    if (page.chunks.length === 0) return records
    from = page.next
  }
}

const append = ({ commit }: OpenedLog, stream: StreamId, key: string, body: string) =>
  commit.submit({ records: [{ stream, records: [record(key, body)] }] })

const indexRows = (storage: MemoryStorage) =>
  [...storage.rows].filter(([name]) => name.charCodeAt(0) === Family.chunkIndex).sort(([a], [b]) => (a < b ? -1 : 1))

describe('the chunk index', () => {
  it('has a row after so many bytes, so many chunks and so much time, and no more', async () => {
    const storage = new MemoryStorage()
    const clock = new ManualClock()
    const opened = await openLog(storage, temporaryFolder(), {}, { clock })
    const { id } = await opened.log.createStream({ name: 's', kind: 'plain', shards: 1, images })
    await append(opened, id, 'k', 'first')
    for (let i = 1; i < markChunks; i++) await append(opened, id, 'k', 'x')
    expect(indexRows(storage)).toHaveLength(1)
    await append(opened, id, 'k', 'x')
    expect(indexRows(storage), 'chunks').toHaveLength(2)
    for (let bytes = 0; bytes <= markBytes; bytes += 400_000) await append(opened, id, 'k', 'x'.repeat(400_000))
    await append(opened, id, 'k', 'x')
    expect(indexRows(storage), 'bytes').toHaveLength(3)
    clock.advance(markMs - 1)
    await append(opened, id, 'k', 'x')
    expect(indexRows(storage)).toHaveLength(3)
    clock.advance(1)
    await append(opened, id, 'k', 'x')
    expect(indexRows(storage), 'time').toHaveLength(4)
    expect(await readAll(opened.log, opened.log.shards(id)[0]!.id)).toHaveLength(markChunks + 7)
  })

  it('says the same bytes after an opening, and of a sealed shard without looking into its chunks', async () => {
    const storage = new MemoryStorage()
    const folder = temporaryFolder()
    const opened = await openLog(storage, folder)
    const { id } = await opened.log.createStream({ name: 's', kind: 'plain', shards: 1, images })
    for (let i = 0; i < 30; i++) await append(opened, id, `key ${i}`, 'x'.repeat(i * 10))
    const bytes = opened.log.bytesOf(id)
    expect(bytes).toBeGreaterThan(30 * 128)
    const again = await openLog(storage, folder)
    expect(again.log.bytesOf(id)).toBe(bytes)
    await again.log.split(again.log.shards(id)[0]!.id)
    const sealed = again.log.shards(id)[0]!
    expect(sealed.records).toMatchObject({ bytes, last: again.log.lastSequence(sealed.id) })
    const looked = new Set<number>()
    const page = storage.page.bind(storage)
    storage.page = (range) => {
      const key = range.gte as Buffer
      if (key[0] === Family.chunkIndex) looked.add(key.readUInt32BE(1))
      return page(range)
    }
    const last = await openLog(storage, folder)
    expect(last.log.bytesOf(id)).toBe(bytes)
    expect(last.log.lastSequence(sealed.id)).toBe(sealed.records!.last)
    expect([...looked]).toEqual(sealed.children)
  })

  it('finds the first record of a time, as a walk over all of them does, with rows of format 1 too', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 2 * markMs }), fc.integer({ min: 0, max: 2000 })), {
          minLength: 1,
          maxLength: 40,
        }),
        fc.array(fc.integer({ min: -10, max: 40 * markMs }), { minLength: 5, maxLength: 5 }),
        fc.boolean(),
        async (appends, times, isOld) => {
          const storage = new MemoryStorage()
          const folder = temporaryFolder()
          const clock = new ManualClock()
          const start = clock.now()
          const opened = await openLog(storage, folder, { tailCacheBytesMax: 0 }, { clock })
          const { id } = await opened.log.createStream({ name: 's', kind: 'plain', shards: 1, images })
          for (const [ms, bytes] of appends) {
            clock.advance(ms)
            await append(opened, id, 'k', 'x'.repeat(bytes))
          }
          // Format 1 had one row a segment, which said the segment alone.
          if (isOld)
            for (const [i, [name, value]] of indexRows(storage).entries())
              if (i === 0) storage.rows.set(name, value.subarray(0, 4))
              else storage.rows.delete(name)
          const shard = opened.log.shards(id)[0]!.id
          const records = await readAll(opened.log, shard)
          const end = opened.log.nextSequence()
          for (const time of [...times.map((ms) => start + ms), ...records.map((each) => each.commitTime)]) {
            const expected = records.find((each) => each.commitTime >= time)?.sequence ?? end
            expect(await opened.log.sequenceAtTime(id, time)).toBe(expected)
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  it('finds a time in a long shard with few looks into the store', async () => {
    const storage = new MemoryStorage()
    const clock = new ManualClock()
    const opened = await openLog(storage, temporaryFolder(), { tailCacheBytesMax: 0 }, { clock })
    const { id } = await opened.log.createStream({ name: 's', kind: 'plain', shards: 1, images })
    const times: number[] = []
    for (let i = 0; i < 400; i++) {
      clock.advance(markMs)
      times.push((await append(opened, id, 'k', 'x')).time)
    }
    const shard = opened.log.shards(id)[0]!.id
    let pages = 0
    const page = storage.page.bind(storage)
    storage.page = (range) => {
      pages++
      return page(range)
    }
    const sequence = await opened.log.sequenceAtTime(id, times[237]!)
    expect(pages).toBeLessThan(20)
    const { chunks } = await opened.log.read(shard, sequence, { bytesMax: 1 })
    forEachRecord(chunks[0]!, 0 as Sequence, ({ commitTime }) => {
      expect(commitTime).toBe(times[237])
    })
  })

  it('has values as docs/formats.md shows', () => {
    const vector = /```mark\n([^`]*)```/.exec(readFileSync('docs/formats.md', 'utf8'))![1]!.replace(/\s/g, '')
    const mark = { time: 1_700_000_000_000, timeBefore: 1_699_999_999_999, bytes: 1_048_577, previous: 41 as Sequence }
    expect(markValue(3, { ...mark, records: 17 }).toString('hex')).toBe(vector)
    expect(markValue(3, mark).toString('hex')).toBe(vector.slice(0, 80))
  })
})
