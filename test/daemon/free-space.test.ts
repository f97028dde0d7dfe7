import { expect, it } from 'vitest'
import { FreeSpaceWatch } from '../../src/daemon/free-space.js'
import { silentLogger } from '../../src/runtime/index.js'
import { ManualClock } from '../manual-clock.js'

it('refuses below the bound and accepts again only a tenth above it', async () => {
  const clock = new ManualClock()
  let free = 2000
  const changes: boolean[] = []
  const watch = new FreeSpaceWatch({
    path: '/',
    freeBytesMin: 1000,
    clock,
    logger: silentLogger,
    onChange: (full) => changes.push(full),
    freeBytes: async () => {
      if (free < 0) throw new Error('no such disk')
      return free
    },
  })
  await watch.start()
  const seen: boolean[] = []
  for (const next of [1000, 999, 1001, 999, 1099, -1, 1100, 1001, 999]) {
    free = next
    clock.advance(1000)
    await new Promise((resolve) => setImmediate(resolve))
    seen.push(watch.full)
  }
  expect(seen).toEqual([false, true, true, true, true, true, false, false, true])
  expect(changes).toEqual([true, false, true])
  watch.stop()
  free = 5000
  clock.advance(10_000)
  expect(watch.full).toBe(true)
})
