import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Family } from '../../src/commit/index.js'
import { forEachRecord, type Sequence, type ShardedLog, type ShardId } from '../../src/log/index.js'
import { ManualClock } from '../manual-clock.js'
import { MemoryStorage } from '../memory-storage.js'
import { temporaryFolder } from '../temporary-folder.js'
import { images, type OpenedLog, openLog, record } from './open-log.js'

async function sequencesOf(log: ShardedLog, shard: ShardId): Promise<number[]> {
  const sequences: number[] = []
  let from = log.shard(shard)!.lowWatermark
  for (;;) {
    const page = await log.read(shard, from, { bytesMax: 1 << 20 })
    for (const chunk of page.chunks)
      forEachRecord(chunk, from, ({ sequence }) => {
        sequences.push(sequence)
      })
    if (page.chunks.length === 0) return sequences
    from = page.next
  }
}

async function append({ commit, log }: OpenedLog, counts: readonly number[], bytes: number): Promise<void> {
  const effects = counts.flatMap((count, i) => {
    const stream = log.streams()[i % log.streams().length]!.id
    return count === 0
      ? []
      : [{ stream, records: Array.from({ length: count }, (_, n) => record(`${n}`, 'x'.repeat(bytes))) }]
  })
  if (effects.length > 0) await commit.submit({ records: effects })
}

describe('records of a shard', () => {
  it('are counted over commits, splits, openings and trims, to any place', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            { weight: 6, arbitrary: fc.tuple(fc.array(fc.nat(9), { minLength: 1, maxLength: 3 }), fc.nat(38_000)) },
            { weight: 1, arbitrary: fc.constantFrom('split' as const, 'open' as const, 'trim' as const) },
          ),
          { minLength: 1, maxLength: 25 },
        ),
        async (steps) => {
          const storage = new MemoryStorage()
          const folder = temporaryFolder()
          const clock = new ManualClock()
          let opened = await openLog(storage, folder, {}, { clock })
          for (const name of ['a', 'b']) await opened.log.createStream({ name, kind: 'plain', shards: 1, images })
          for (const step of steps) {
            clock.advance(60_000)
            const { id } = opened.log.streams()[0]!
            const open = opened.log.shards(id).find(({ state }) => state === 'open')!
            if (step === 'open') opened = await openLog(storage, folder, {}, { clock })
            else if (step === 'split') await opened.log.split(open.id)
            else if (step === 'trim') await opened.log.trimmer.trim([{ shard: open.id, to: opened.log.nextSequence() }])
            else await append(opened, step[0], step[1])
          }
          const { log } = opened
          for (const { id: stream } of log.streams()) {
            for (const { id, firstSequence, trimmed } of log.shards(stream)) {
              const kept = await sequencesOf(log, id)
              const gone = trimmed?.records ?? 0
              expect(log.recordsIn(id)).toBe(gone + kept.length)
              const low = Math.max(firstSequence, log.shard(id)!.lowWatermark)
              for (let at = low; at <= log.nextSequence(); at += 3)
                expect(await log.recordsBefore(id, at as Sequence)).toBe(gone + kept.filter((each) => each < at).length)
            }
          }
        },
      ),
      { numRuns: 25 },
    )
  })

  it('of a shard from before they were counted are not known', async () => {
    const storage = new MemoryStorage()
    const folder = temporaryFolder()
    const opened = await openLog(storage, folder)
    const { id } = await opened.log.createStream({ name: 'a', kind: 'plain', shards: 1, images })
    await append(opened, [3], 10)
    for (const [name, value] of storage.rows)
      if (name.charCodeAt(0) === Family.chunkIndex) storage.rows.set(name, value.subarray(0, 40))
    const { log } = await openLog(storage, folder)
    const shard = log.shards(id)[0]!.id
    expect(log.recordsIn(shard)).toBeUndefined()
    expect(await log.recordsBefore(shard, log.nextSequence())).toBeUndefined()
    // A shard that comes after it is counted.
    const [child] = await log.split(shard)
    expect(log.recordsIn(child!.id)).toBe(0)
  })
})
