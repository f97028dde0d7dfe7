/** A group that starts, or is moved, in the very moment of a trim: it stands where there is something to read. */
import { expect, it } from 'vitest'
import { type DurableGroup, isTrimmed } from '../../src/groups/index.js'
import { day, type OpenedRetention, openRetention } from './open-retention.js'

/** More turns than a look at one stream takes. */
const turnsMax = 120

const oneTurn = (turn: number): Promise<unknown> => (turn % 4 === 3 ? new Promise(setImmediate) : Promise.resolve())

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await oneTurn(turn)
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

it('a stream that is told to keep for ever beside a trim loses nothing more after the answer', async () => {
  let trimmed = 0
  for (let turn = 0; turn < turnsMax; turn++) {
    const { opened, stream } = await due()
    const { log, retention } = opened
    const looking = retention.run()
    await turns(turn)
    await log.alterStream(stream, (described) => ({ ...described, retention: 'forever' }))
    const kept = new Map(log.shards(stream).map(({ id }) => [id, log.packedLowWatermark(id)]))
    await looking
    for (const { id, lowWatermark } of log.shards(stream))
      expect(lowWatermark, `after ${turn} turns`).toBe(kept.get(id))
    if (log.oldest(stream) > 4) trimmed++
  }
  expect(trimmed).toBeGreaterThan(0)
  expect(trimmed).toBeLessThan(turnsMax)
})

it('a start or seek that nobody is told of yet is among those since the shown ones', async () => {
  const { opened, stream } = await due()
  const { groups, commit } = opened
  /** What a look that begins now would not see in the list. */
  const since = () => groups.startedSince(groups.shownStarts, stream).map(({ name }) => name)
  /** The same, at the packing of a commit that comes with what was asked before. */
  const whilePacked = async (asked: Promise<unknown>, turnsBefore = 0) => {
    let found: readonly string[] = []
    const atPack = () => {
      found = since()
      return []
    }
    for (let turn = 0; turn < turnsBefore; turn++) await Promise.resolve()
    await Promise.all([asked, commit.submit({ essential: true, atPack })])
    return found
  }
  expect(await whilePacked(groups.create('pipeline:p', stream, 'oldest'), 3)).toEqual(['pipeline:p'])
  expect(since()).toEqual([])
  const group = groups.group('pipeline:p') as DurableGroup
  expect(await whilePacked(groups.seek(group, 'newest'))).toEqual(['pipeline:p'])
  expect(since()).toEqual([])
})
