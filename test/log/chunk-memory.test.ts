import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ChunkMemory } from '../../src/log/chunk-memory.js'
import { shiftCrc32 } from '../../src/log/crc.js'
import type { Sequence, ShardId } from '../../src/log/index.js'
import { TailCache } from '../../src/log/tail-cache.js'

const shard = 1 as ShardId
const chunkBytes = 100_000

function cacheOf(chunks: number) {
  const memory = new ChunkMemory()
  const cache = new TailCache(chunks * 114_688, memory)
  let last = 0
  const add = (): Buffer => {
    const chunk = memory.take(chunkBytes).fill(++last)
    cache.add(shard, chunk, (last - 1) as Sequence, last as Sequence)
    return chunk
  }
  return { memory, cache, add }
}

describe('memory of chunks', () => {
  it('is written again when its chunk has left the cache', () => {
    const { cache, add } = cacheOf(2)
    const first = add()
    add()
    add()
    expect(add().buffer).toBe(first.buffer)
    expect(cache.bytes).toBe(2 * 114_688)
  })

  it('is left alone while a reader holds the chunk, and for ever when it never says that it is done', () => {
    const { cache, memory, add } = cacheOf(2)
    add()
    const page = cache.read(shard, 1 as Sequence, 1)
    const kept = page?.chunks[0] as Buffer
    for (let i = 0; i < 10; i++) expect(add().buffer).not.toBe(kept.buffer)
    expect(kept.every((byte) => byte === 1)).toBe(true)
    const before = memory.freeBytes
    page?.release()
    page?.release()
    expect(memory.freeBytes).toBe(before + kept.buffer.byteLength)
  })

  it('is given back by the last of several readers', () => {
    const { cache, memory, add } = cacheOf(1)
    add()
    const pages = [1, 2].map(() => cache.read(shard, 1 as Sequence, 1))
    add()
    const before = memory.freeBytes
    pages[0]?.release()
    expect(memory.freeBytes).toBe(before)
    pages[1]?.release()
    expect(memory.freeBytes).toBeGreaterThan(before)
  })

  it('is not gathered without a bound, and never shared by two chunks', () => {
    const memory = new ChunkMemory()
    const taken = Array.from({ length: 1000 }, () => memory.take(chunkBytes))
    expect(new Set(taken.map(({ buffer }) => buffer)).size).toBe(1000)
    for (const chunk of taken) memory.giveBack(chunk)
    expect(memory.freeBytes).toBeLessThanOrEqual(16 * 1024 * 1024)
  })

  it('of sizes that nobody asks for any more makes room for those that come back', () => {
    const memory = new ChunkMemory()
    const small = Array.from({ length: 1000 }, () => memory.take(chunkBytes))
    for (const chunk of small) memory.giveBack(chunk)
    const large = memory.take(1_000_000)
    memory.giveBack(large)
    expect(memory.take(1_000_000).buffer === large.buffer).toBe(true)
    expect(memory.freeBytes).toBeLessThanOrEqual(16 * 1024 * 1024)
  })

  it('holds what was asked for, at every size', () => {
    const memory = new ChunkMemory()
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5_000_000 }), (length) => {
        const chunk = memory.take(length)
        expect(chunk.length).toBe(length)
        expect(chunk.byteOffset).toBe(0)
        expect(chunk.buffer.byteLength).toBeLessThanOrEqual(length * 1.25)
        memory.giveBack(chunk)
      }),
    )
  })
})

it('knows the checksum of two parts from those of each', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), fc.uint8Array({ maxLength: 70_000, size: 'max' }), (a, b) => {
      const both = (shiftCrc32(crc32(a), b.length) ^ crc32(b)) >>> 0
      expect(both).toBe(crc32(Buffer.concat([a, b])))
    }),
    { numRuns: 200 },
  )
})
