import { expect, test } from 'vitest'
import { temporaryFolder } from '../temporary-folder.js'
import { runHistory } from './history.js'

const seedsMax = Number(process.env.MILLRACE_TEST_SEEDS ?? 40)

test('three regions are equal after long histories', async () => {
  let conflicts = 0
  for (let seed = 100; seed < 100 + seedsMax; seed++)
    conflicts += (await runHistory({ folder: temporaryFolder(), seed, steps: 200 })).conflicts
  expect(conflicts).toBeGreaterThan(0)
}, 3_600_000)

test('three regions are equal after long histories in which they are opened from older copies of their data', async () => {
  let restores = 0
  for (let seed = 300; seed < 300 + seedsMax; seed++)
    restores += (await runHistory({ folder: temporaryFolder(), seed, steps: 200, restores: true })).restores
  expect(restores).toBeGreaterThan(0)
}, 3_600_000)
