import { expect, test, vi } from 'vitest'
import { silentLogger } from '../../../src/runtime/index.js'
import { ManualClock } from '../../manual-clock.js'
import { MemoryStorage } from '../../memory-storage.js'
import { openExpiry } from '../expiry/open-expiry.js'

const countMs = 3_600_000
const lookMs = 60_000

/** A clock on which a wait is over at once, so that a count goes through its pages. */
class EagerClock extends ManualClock {
  override setTimeout(run: () => void, ms: number): { cancel(): void } {
    if (ms >= lookMs) return super.setTimeout(run, ms)
    setImmediate(run)
    return { cancel: () => {} }
  }
}

test('items and bytes are those of the last count, which comes every countMs and outlives a restart', async () => {
  const clock = new EagerClock()
  const first = await openExpiry({ clock, control: { countMs } })
  const counted = async ({ run }: typeof first) => {
    const { Table } = await run<{ Table: { ItemCount: number; TableSizeBytes: number } }>('DescribeTable', {
      TableName: 'counted',
    })
    return [Table.ItemCount, Table.TableSizeBytes]
  }
  /** The look that the clock brings, and the count that follows from it. */
  const look = async ({ commit }: typeof first, ms: number) => {
    clock.advance(ms)
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve))
    await commit.settled()
  }
  first.tables.start()
  await first.create('counted')
  for (let i = 0; i < 2500; i++) await first.put('counted', String(i).padStart(4, '0'), { x: { S: 'xxx' } })
  await look(first, lookMs)
  expect(await counted(first)).toEqual([0, 0])
  await look(first, countMs)
  const bytes = 2 + 4 + 1 + 3
  expect(await counted(first)).toEqual([2500, 2500 * bytes])
  await first.run('DeleteItem', { TableName: 'counted', Key: { pk: { S: '0000' } } })
  await look(first, lookMs)
  expect(await counted(first)).toEqual([2500, 2500 * bytes])
  await first.close()
  const { storage, folder } = first
  const second = await openExpiry({ storage, folder, clock, control: { countMs } })
  second.tables.start()
  expect(await counted(second)).toEqual([2500, 2500 * bytes])
  await look(second, countMs)
  expect(await counted(second)).toEqual([2499, 2499 * bytes])
  await second.close()
})

test('a table that is deleted while its items are counted is no fault', async () => {
  const clock = new EagerClock()
  let letGo = () => {}
  /** Pages that a count reads come when the test lets them. */
  class HeldStorage extends MemoryStorage {
    isHeld = false

    override async page(range: Parameters<MemoryStorage['page']>[0]) {
      const page = await super.page(range)
      if (this.isHeld) {
        this.isHeld = false
        await new Promise<void>((resolve) => {
          letGo = resolve
        })
      }
      return page
    }
  }
  const storage = new HeldStorage()
  const warn = vi.fn()
  const { tables, create, put, run, close } = await openExpiry({
    clock,
    storage,
    control: { countMs },
    logger: { ...silentLogger, warn },
  })
  tables.start()
  await create('going')
  await create('staying')
  for (const name of ['going', 'staying']) await put(name, 'a')
  storage.isHeld = true
  clock.advance(countMs)
  await expect.poll(() => storage.isHeld).toBe(false)
  await run('DeleteTable', { TableName: 'going' })
  letGo()
  const count = async () =>
    (await run<{ Table: { ItemCount: number } }>('DescribeTable', { TableName: 'staying' })).Table.ItemCount
  await expect.poll(count).toBe(1)
  expect(warn).not.toHaveBeenCalled()
  await close()
})
