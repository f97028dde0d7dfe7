import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { overMemory, type ThreadMemory } from '../../src/workers/memory-watch.js'

const bounds = { heapBytesMax: 1000, externalBytesMax: 1000, rssBytesMax: 10_000 }
const thread = (memory: Partial<ThreadMemory> = {}): ThreadMemory => ({
  externalBytes: 0,
  heapBytes: 0,
  grownBytes: 0,
  isEnding: false,
  ...memory,
})

describe('the thread that takes too much memory', () => {
  it('is the one that says so, in its heap or outside of it', () => {
    expect(overMemory([thread(), thread({ externalBytes: 1000, heapBytes: 800 })], 10_000, bounds)).toBeUndefined()
    expect(overMemory([thread(), thread({ externalBytes: 1001 })], 0, bounds)).toMatchObject({
      index: 1,
      why: expect.stringContaining('workers.externalBytesMax'),
    })
    expect(overMemory([thread({ heapBytes: 801 })], 0, bounds)).toMatchObject({
      index: 0,
      why: expect.stringContaining('workers.heapBytesMax'),
    })
  })

  it('is, of a process that is too large, the one with the most, with what came while it said nothing', () => {
    const threads = [thread({ externalBytes: 900, grownBytes: 100 }), thread({ externalBytes: 10, grownBytes: 5000 })]
    expect(overMemory(threads, 10_000, bounds)).toBeUndefined()
    expect(overMemory(threads, 10_001, bounds)).toMatchObject({
      index: 1,
      why: expect.stringContaining('workers.rssBytesMax'),
    })
  })

  it('is nobody where the process is large for reasons of its own, or while one is on its way out', () => {
    expect(overMemory([], 20_000, bounds)).toBeUndefined()
    expect(overMemory([thread({ externalBytes: 900 }), thread()], 20_000, bounds)).toBeUndefined()
    const ending = thread({ externalBytes: 5000, isEnding: true })
    expect(overMemory([ending, thread({ grownBytes: 5000 })], 20_000, bounds)).toBeUndefined()
  })

  it('is never one that is ended already, and never one with less than another where the process is too large', () => {
    const memory = fc.record({
      externalBytes: fc.nat(1000),
      heapBytes: fc.nat(800),
      grownBytes: fc.nat(10_000),
      isEnding: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(memory, { maxLength: 5 }), fc.nat(30_000), (threads, rssBytes) => {
        const verdict = overMemory(threads, rssBytes, bounds)
        if (!verdict) return
        expect(threads[verdict.index]?.isEnding).toBe(false)
        const sizes = threads.map(({ externalBytes, grownBytes }) => externalBytes + grownBytes)
        expect(sizes[verdict.index]).toBe(Math.max(...sizes))
      }),
    )
  })
})
