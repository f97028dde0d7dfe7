import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { KeySampler } from '../../src/balance/key-sampler.js'
import { Peak } from '../../src/balance/peak.js'
import { Reservoir } from '../../src/balance/reservoir.js'
import { SpaceSaving } from '../../src/balance/space-saving.js'
import { batchBytes, chunkHeaderBytes, type NewRecord, writeBatch } from '../../src/log/index.js'
import { record } from '../log/open-log.js'
import { seeded } from './zipf.js'

/** A chunk of these batches, as the packer lays it. */
function chunkOf(...batches: readonly (readonly NewRecord[])[]): Buffer {
  const parts = batches.map((batch) => {
    const bytes = batchBytes(batch)
    const buffer = Buffer.alloc(bytes)
    writeBatch(buffer, 0, batch, bytes)
    return buffer
  })
  return Buffer.concat([Buffer.alloc(chunkHeaderBytes), ...parts])
}

describe('the sampler of a hot shard', () => {
  it('sees every record of a slow shard, over batches and chunks, with its key', () => {
    const sampler = new KeySampler(seeded(1), 0, 0)
    const a = record('a', 'body of a')
    const b = record('b', 'body of b')
    sampler.take(chunkOf([a, b], [b]))
    sampler.take(chunkOf([b]))
    const { points, heavy } = sampler.samples()
    expect(points).toHaveLength(4)
    expect(heavy.map(({ key, share }) => [key.toString(), share])).toEqual([
      ['b', 0.75],
      ['a', 0.25],
    ])
    expect(heavy[0]!.hash).toEqual(b.hash)
  })

  it('looks at one record in 16 of a fast one, of chunks of any size, and no pattern hides from it', () => {
    for (const size of [1, 7, 16, 1000]) {
      const sampler = new KeySampler(seeded(size), 0, 0)
      sampler.tick(1000, 100_000, 0)
      // The writer's pattern has the length of the step.
      const records = Array.from({ length: size }, (_, i) => record(`key ${i % 16}`, ''))
      const chunk = chunkOf(records)
      for (let i = 0; i < 16_000 / size; i++) sampler.take(chunk)
      const { heavy, points } = sampler.samples()
      expect(points.length).toBeGreaterThan(400)
      expect(heavy).toHaveLength(Math.min(16, size))
      if (size >= 16) for (const { share } of heavy) expect(share).toBeLessThan(0.15)
    }
  })

  it('counts large records for what they load a shard with', () => {
    const sampler = new KeySampler(seeded(1), 0, 1 / 100)
    const large = record('large', 'x'.repeat(10_000))
    const small = Array.from({ length: 50 }, () => record('small', ''))
    sampler.take(chunkOf([large, ...small]))
    const [first] = sampler.samples().heavy
    expect(first!.key.toString()).toBe('large')
    expect(first!.share).toBeCloseTo(100.37 / 150.37, 2)
  })
})

describe('SpaceSaving', () => {
  it('never says more than a key has, and always has the keys above 1/size', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 1, maxLength: 600 }), (keys) => {
        const size = 8
        const counters = new SpaceSaving(size)
        const truth = new Map<number, number>()
        for (const key of keys) {
          counters.add(key, 0, 1, Buffer.from(`key ${key}`), 0, 6)
          truth.set(key, (truth.get(key) ?? 0) + 1)
        }
        const found = counters.heaviest()
        for (const { hi, count, over } of found) {
          expect(count - over).toBeLessThanOrEqual(truth.get(hi)!)
          expect(count).toBeGreaterThanOrEqual(truth.get(hi)!)
        }
        const names = found.map(({ hi }) => hi)
        for (const [key, count] of truth) if (count > keys.length / size) expect(names).toContain(key)
      }),
    )
  })
})

describe('the reservoir', () => {
  const shareOfFirst = (reservoir: Reservoir) => {
    const points = reservoir.points()
    return points.filter(({ hi }) => hi === 1).length / points.length
  }

  it('holds keys in proportion to their weight', () => {
    const reservoir = new Reservoir(512, 10_000, seeded(3))
    for (let i = 0; i < 20_000; i++) reservoir.add(i % 2 === 0 ? 1 : 2, i, i % 2 === 0 ? 3 : 1, 0)
    expect(reservoir.points()).toHaveLength(512)
    expect(shareOfFirst(reservoir)).toBeGreaterThan(0.68)
    expect(shareOfFirst(reservoir)).toBeLessThan(0.82)
  })

  it('forgets what was long ago', () => {
    const reservoir = new Reservoir(512, 10_000, seeded(4))
    for (let i = 0; i < 5000; i++) reservoir.add(1, i, 1, 0)
    for (let i = 0; i < 5000; i++) reservoir.add(2, i, 1, 60_000)
    expect(shareOfFirst(reservoir)).toBeLessThan(0.02)
  })
})

describe('a peak', () => {
  it('is the largest value of its window, and of little more', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 10, noNaN: true }), { minLength: 1, maxLength: 100 }), (values) => {
        const peak = new Peak()
        values.forEach((value, i) => {
          peak.add(value, i * 1000, 20_000)
          const within = Math.max(...values.slice(Math.max(0, i - 20), i + 1))
          const nearly = Math.max(...values.slice(Math.max(0, i - 24), i + 1))
          expect(peak.value).toBeGreaterThanOrEqual(within)
          expect(peak.value).toBeLessThanOrEqual(nearly)
        })
      }),
    )
  })
})
