import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { growthPercentFor, HeapHeadroom } from '../../src/runtime/index.js'

const MiB = 1024 * 1024

test('a small heap may grow by 64 MiB and to four times its size at most, a large one is left to V8', () => {
  expect(growthPercentFor(0)).toBe(300)
  expect(growthPercentFor(16 * MiB)).toBe(300)
  expect(growthPercentFor(32 * MiB)).toBe(200)
  expect(growthPercentFor(64 * MiB)).toBe(100)
  expect(growthPercentFor(86 * MiB)).toBe(0)
  expect(growthPercentFor(500 * MiB)).toBe(0)
})

test('what a collection left is what counts, not the garbage since; a heap that only grows is left to V8', () => {
  const headroom = new HeapHeadroom()
  expect(headroom.percentAt(32 * MiB)).toBe(200)
  expect(headroom.percentAt(60 * MiB)).toBe(200)
  expect(headroom.percentAt(95 * MiB)).toBe(200)
  // A collection.
  expect(headroom.percentAt(40 * MiB)).toBe(150)
  expect(headroom.percentAt(90 * MiB)).toBe(150)
  // More than there can be without one.
  expect(headroom.percentAt(110 * MiB)).toBe(0)
  expect(headroom.percentAt(600 * MiB)).toBe(0)
  const growing = new HeapHeadroom()
  let percent = 300
  for (let mib = 10; mib <= 150; mib += 5) percent = growing.percentAt(mib * MiB)
  expect(percent).toBe(0)
})

test('V8 knows the flag', () => {
  expect(execFileSync(process.execPath, ['--v8-options']).toString()).toContain('--heap-growing-percent')
})
