import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { growthPercentFor } from '../../src/runtime/index.js'

const MiB = 1024 * 1024

test('a small heap may grow by 64 MiB and to four times its size at most, a large one is left to V8', () => {
  expect(growthPercentFor(0)).toBe(300)
  expect(growthPercentFor(16 * MiB)).toBe(300)
  expect(growthPercentFor(32 * MiB)).toBe(200)
  expect(growthPercentFor(64 * MiB)).toBe(100)
  expect(growthPercentFor(86 * MiB)).toBe(0)
  expect(growthPercentFor(500 * MiB)).toBe(0)
})

test('V8 knows the flag', () => {
  expect(execFileSync(process.execPath, ['--v8-options']).toString()).toContain('--heap-growing-percent')
})
