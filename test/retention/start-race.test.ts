/** A group that starts, or is moved, in the very moment of a trim: it stands where there is something to read. */
import { expect, it } from 'vitest'
import { type DurableGroup, isTrimmed } from '../../src/groups/index.js'
import { day, type OpenedRetention, openRetention } from './open-retention.js'

/** More turns than a look at one stream takes. */
const turnsMax = 120

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await (turn % 4 === 3 ? new Promise(setImmediate) : Promise.resolve())
}

/** Records that are due, and one that is not; a split, so that there is a sealed shard among those that go. */
async function due(): Promise<{ opened: OpenedRetention; stream: Awaited<ReturnType<OpenedRetention['stream']>> }> {
  const opened = await openRetention()
  const stream = await opened.stream(2)
  for (let i = 0; i < 8; i++) await opened.append(stream, `${i}`)
  await opened.log.split(opened.log.shards(stream)[0]!.id)
  for (let i = 8; i < 12; i++) await opened.append(stream, `${i}`)
  opened.clock.advance(8 * day)
  for (let i = 12; i < 16; i++) await opened.append(stream, `${i}`)
  return { opened, stream }
}

async function expectStart({ log }: OpenedRetention, group: DurableGroup, when: string): Promise<void> {
  expect(isTrimmed(log, group), when).toBe(false)
  expect(group.readable().length, when).toBeGreaterThan(0)
  for (const { shard, next } of group.readable())
    await expect(log.read(shard, next, { bytesMax: 1 }), when).resolves.toBeDefined()
}

it.each([true, false])(
  'a group that starts at the oldest record beside a trim can read on (hold: %s)',
  async (hold) => {
    let trimmed = 0
    for (let turn = 0; turn < turnsMax; turn++) {
      const { opened, stream } = await due()
      const { log, groups, retention } = opened
      const looking = retention.run()
      await turns(turn)
      const group = await groups.create('pipeline:p', stream, 'oldest', { hold })
      await looking
      await expectStart(opened, group, `after ${turn} turns`)
      if (log.oldest(stream) > 4) trimmed++
    }
    // The trim went before in some and was held back in others.
    expect(trimmed).toBeGreaterThan(0)
    expect(trimmed).toBeLessThan(turnsMax)
  },
)

it('a group that seeks the oldest record beside a trim can read on', async () => {
  for (let turn = 0; turn < turnsMax; turn++) {
    const { opened, stream } = await due()
    const { groups, retention } = opened
    const group = await groups.create('reader', stream, 'newest')
    const looking = retention.run()
    await turns(turn)
    await groups.seek(group, 'oldest')
    await looking
    await expectStart(opened, group, `after ${turn} turns`)
  }
})
