import { existsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { Ballast } from '../../src/daemon/ballast.js'
import { FreeSpaceWatch } from '../../src/daemon/free-space.js'
import { silentLogger } from '../../src/runtime/index.js'
import { ManualClock } from '../manual-clock.js'
import { temporaryFolder } from '../temporary-folder.js'

it('is spent when it was given away, and not when it is only smaller than it should be by now', async () => {
  const path = join(temporaryFolder(), 'ballast')
  const small = new Ballast(path, 1000, silentLogger)
  expect([small.isThere, small.isSpent]).toEqual([false, false])
  await small.make()
  expect([small.isThere, small.isSpent]).toEqual([true, false])
  // The write buffers were made larger: writes must not be refused for that.
  const large = new Ballast(path, 5000, silentLogger)
  expect([large.isThere, large.isSpent]).toEqual([false, false])
  const watch = new FreeSpaceWatch({
    path: '/',
    freeBytesMin: 1000,
    ballast: large,
    clock: new ManualClock(),
    logger: silentLogger,
    onChange: () => {},
    freeBytes: async () => 2000,
  })
  await watch.start()
  expect(watch.full).toBe(false)
  large.release()
  expect([statSync(path).size, large.isThere, large.isSpent]).toEqual([0, false, true])
  await large.make()
  expect([statSync(path).size, large.isThere, large.isSpent]).toEqual([5000, true, false])
  await watch.stop()
})

it('gives the space of one that a kill left half made away, too', () => {
  const path = join(temporaryFolder(), 'ballast')
  writeFileSync(`${path}.new`, Buffer.alloc(3000))
  const ballast = new Ballast(path, 5000, silentLogger)
  ballast.release()
  expect([existsSync(path), existsSync(`${path}.new`)]).toEqual([false, false])
})
