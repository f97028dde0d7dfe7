import { describe, expect, it } from 'vitest'
import { type EpochCommit, EpochSize } from '../../src/pipelines/epoch-size.js'

const KiB = 1024
const MiB = 1024 * KiB
const bounds = { backlogBarrierMs: 500, effectSetBytesMax: 16 * MiB, stateBytesMax: 64 * MiB }
/** One that reads so much at first. */
const sized = (bytes: number): EpochSize => new EpochSize({ ...bounds, epochBytesMax: 4 * bytes })
/** A commit of a pipeline that keeps up. */
const small: EpochCommit = { bytes: 1000, changes: 10, isBehind: false }
const behind: EpochCommit = { ...small, isBehind: true }

/** Commits until the size has changed. */
function commitsToGrow(size: EpochSize, commit = small): number {
  const before = size.bytes
  let commits = 0
  for (; size.bytes === before; commits++) size.committed(commit)
  return commits
}

describe('what is read between two barriers', () => {
  it('is cut in half, down to a least that cannot be cut', () => {
    const size = sized(300 * KiB)
    expect([size.halve(), size.bytes, size.share]).toEqual([true, 150 * KiB, 0.5])
    expect([size.halve(), size.bytes]).toEqual([true, 75 * KiB])
    expect([size.halve(), size.bytes]).toEqual([true, 64 * KiB])
    expect([size.bytes, size.recordsMax]).toEqual([64 * KiB, undefined])
  })

  it('is counted in records where it cannot be cut, down to one, and in more of them again the later, the more often that was too early', () => {
    const size = sized(64 * KiB)
    const limits = size.within({ epochBytesMax: 0, backlogBarrierMs: 500 })
    const cuts = [0, 1, 2, 3].map(() => [size.halve(), limits.recordsMax])
    expect(cuts).toEqual([
      [true, 256],
      [true, 16],
      [true, 1],
      [false, 1],
    ])
    const commitsToWiden = (): number => {
      const before = limits.recordsMax
      let commits = 0
      for (; limits.recordsMax === before; commits++) size.committed(behind)
      return commits
    }
    const first = commitsToWiden()
    expect([first, limits.recordsMax]).toEqual([128, 16])
    size.halve()
    expect([commitsToWiden(), limits.recordsMax]).toEqual([2 * first, 16])
    commitsToWiden()
    commitsToWiden()
    expect(limits).toEqual({ epochBytesMax: 64 * KiB, backlogBarrierMs: 500, recordsMax: undefined })
  })

  it('is what it was as soon as what was too large is known', () => {
    const size = sized(256 * KiB)
    for (let i = 0; i < 6; i++) size.halve()
    size.reset()
    expect([size.bytes, size.share, size.recordsMax]).toEqual([256 * KiB, 1, undefined])
    size.halve()
    expect(commitsToGrow(size)).toBe(256)
  })

  it('grows back to what it was, the later, the more often it was cut', () => {
    const size = sized(256 * KiB)
    for (let i = 0; i < 1000; i++) size.committed(small)
    expect(size.bytes).toBe(256 * KiB)
    const limits = size.within({ epochBytesMax: 0, barrierMs: 20, backlogBarrierMs: 500 })
    size.halve()
    expect(limits).toEqual({ epochBytesMax: 128 * KiB, barrierMs: 20, backlogBarrierMs: 500 })
    const first = commitsToGrow(size)
    expect(limits.epochBytesMax).toBe(256 * KiB)
    size.halve()
    size.halve()
    expect(commitsToGrow(size)).toBe(4 * first)
    expect(size.bytes).toBe(128 * KiB)
    commitsToGrow(size, behind)
    expect(size.bytes).toBe(256 * KiB)
  })
})

describe('while a backlog lasts', () => {
  it('no more is ever read than epochBytesMax, and a quarter of it while there is none', () => {
    const size = new EpochSize({ ...bounds, epochBytesMax: 32 * MiB })
    expect(size.bytes).toBe(8 * MiB)
    for (let i = 0; i < 10; i++) size.committed(behind)
    expect(size.bytes).toBe(32 * MiB)
  })

  it('commits become fewer, up to a quarter, until the pipeline keeps up', () => {
    const size = sized(MiB)
    const limits = size.within({ epochBytesMax: 0, backlogBarrierMs: 500 })
    const sizes = [behind, behind, behind, small].map((commit) => {
      size.committed(commit)
      return [limits.epochBytesMax / MiB, limits.backlogBarrierMs]
    })
    expect(sizes).toEqual([
      [2, 1000],
      [4, 2000],
      [4, 2000],
      [1, 500],
    ])
  })

  it('those that hold much stay as they are, or become more again', () => {
    const size = sized(MiB)
    const sizeAfter = (commit: Partial<EpochCommit>): number => {
      size.committed({ ...behind, ...commit })
      return size.bytes / MiB
    }
    expect(sizeAfter({ bytes: 3 * MiB })).toBe(1)
    expect(sizeAfter({ changes: 100_000 })).toBe(1)
    expect(sizeAfter({ bytes: 2 * MiB, changes: 65_536 })).toBe(2)
    expect(sizeAfter({ bytes: 4 * MiB })).toBe(2)
    expect(sizeAfter({})).toBe(4)
    expect(sizeAfter({ changes: 140_000 })).toBe(2)
    expect(sizeAfter({ bytes: 5 * MiB })).toBe(1)
  })

  it('what was too large for one commit is not made larger again before it has grown back', () => {
    const size = sized(MiB)
    size.committed(behind)
    expect([size.bytes, size.halve(), size.bytes]).toEqual([2 * MiB, true, MiB / 2])
    size.committed(behind)
    expect(size.bytes).toBe(MiB / 2)
  })
})
