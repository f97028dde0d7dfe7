import { expect, test } from 'vitest'
import { ManualClock } from '../../manual-clock.js'
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
