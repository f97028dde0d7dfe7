import { describe, expect, it } from 'vitest'
import { EpochSize } from '../../src/pipelines/epoch-size.js'

const KiB = 1024

/** Commits until the size has changed. */
function commitsToGrow(size: EpochSize): number {
  const before = size.bytes
  let commits = 0
  for (; size.bytes === before; commits++) size.committed()
  return commits
}

describe('what is read between two barriers', () => {
  it('is cut in half, down to a least that cannot be cut', () => {
    const size = new EpochSize(300 * KiB)
    expect([size.halve(), size.bytes, size.share]).toEqual([true, 150 * KiB, 0.5])
    expect([size.halve(), size.bytes]).toEqual([true, 75 * KiB])
    expect([size.halve(), size.bytes]).toEqual([true, 64 * KiB])
    expect([size.halve(), size.bytes]).toEqual([false, 64 * KiB])
  })

  it('grows back to what it was, the later, the more often it was cut', () => {
    const size = new EpochSize(256 * KiB)
    for (let i = 0; i < 1000; i++) size.committed()
    expect(size.bytes).toBe(256 * KiB)
    const limits = size.within({ epochBytesMax: 0, barrierMs: 20 })
    size.halve()
    expect(limits).toEqual({ epochBytesMax: 128 * KiB, barrierMs: 20 })
    const first = commitsToGrow(size)
    expect(limits.epochBytesMax).toBe(256 * KiB)
    size.halve()
    size.halve()
    expect(commitsToGrow(size)).toBe(4 * first)
    expect(size.bytes).toBe(128 * KiB)
    commitsToGrow(size)
    expect(size.bytes).toBe(256 * KiB)
  })
})
