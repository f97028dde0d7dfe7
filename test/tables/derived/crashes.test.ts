import { expect, test } from 'vitest'
import { ManualClock } from '../../manual-clock.js'
import { MemoryStorage } from '../../memory-storage.js'
import { Random } from '../../simulation/random.js'
import { temporaryFolder } from '../../temporary-folder.js'
import { type OpenedExpiry, openExpiry } from '../expiry/open-expiry.js'
import { anyRequest } from './any-request.js'
import { derivedRows, expectedRows, tableRows } from './derived-rows.js'

const workersMax = 6
const requestsMax = 40
const lives = 4

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** Lets go on what does not wait for anybody, and moves the clock for what waits for it. */
async function turns(clock: ManualClock, most: number, isOver: () => boolean = () => false): Promise<void> {
  for (let turn = 0; turn < most && !isOver(); turn++) {
    await nextTurn()
    if (turn % 10 === 9) clock.advance(50)
  }
}

/**
 * Some requests beside each other, with a disk that takes turns. `writesMax`: the write after which the disk stands still
 * for good, before it takes effect or after.
 */
async function live(random: Random, { storage, clock, run, tables }: OpenedExpiry, writesMax: number): Promise<void> {
  let isKilled = false
  let writes = 0
  const stop = () => {
    isKilled = true
    return new Promise<void>(() => {})
  }
  const isLost = random.chance(0.5)
  const some = () => (random.chance(0.3) ? nextTurn() : undefined)
  storage.beforeWrite = () => (++writes > writesMax && isLost ? stop() : some())
  storage.afterWrite = () => (writes > writesMax ? stop() : undefined)
  storage.beforeGet = some
  let working = workersMax
  const work = async () => {
    for (let i = 0; i < requestsMax && !isKilled; i++) {
      if (random.chance(0.05)) void tables.sweeper.run()
      // Most are refused for what the others did.
      await run(...anyRequest(random, clock.now())).catch((error: unknown) => {
        if (!(error as { type?: string }).type) throw error
      })
    }
    working--
  }
  for (let i = 0; i < workersMax; i++) void work()
  await turns(clock, 5000, () => isKilled || working === 0)
  expect(isKilled || working === 0).toBe(true)
}

test.each(Array.from({ length: 12 }, (_, i) => i + 1))(
  'indexes and times of expiry are those of their items, whenever a daemon is killed (%i)',
  async (seed) => {
    const random = new Random(seed)
    const folder = temporaryFolder()
    let storage = new MemoryStorage()
    for (let life = 1; life < lives; life++) {
      const opened = await openExpiry({ storage, folder, clock: new ManualClock() })
      await live(random, opened, random.below(120) + 1)
      const left = new MemoryStorage()
      for (const [key, value] of storage.rows) left.rows.set(key, value)
      storage = left
    }
    const clock = new ManualClock()
    const last = await openExpiry({ storage, folder, clock })
    await live(random, last, Number.POSITIVE_INFINITY)
    await turns(clock, 300)
    await last.close()
    // What was cut off by the end goes on.
    const settled = await openExpiry({ storage, folder, clock })
    await turns(clock, 300)
    await settled.close()
    for (const { state, backfills, removals } of tableRows(storage))
      expect([state, backfills, removals]).toEqual(['active', undefined, undefined])
    expect(derivedRows(storage)).toEqual(expectedRows(storage))
  },
)
