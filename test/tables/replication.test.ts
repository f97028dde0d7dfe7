import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CommitTime } from '../../src/commit/index.js'
import { itemKey, versionOfItem } from '../../src/tables/items/item-row.js'
import { encodeItem, stampCounterMax } from '../../src/tables/items/item-value.js'
import { changeVersionOf, encodeChangeVersion } from '../../src/tables/replication/change-version.js'
import { clockMsOf, compareVersions, HybridClock, type RemoteChange } from '../../src/tables/replication/index.js'
import { type Members, mergeMembers } from '../../src/tables/replication/members.js'
import { compareStamps, tick } from '../../src/tables/replication/stamps.js'
import { decodeTombstone, encodeTombstone } from '../../src/tables/replication/tombstone.js'
import { unloggedOf, unloggedRows } from '../../src/tables/replication/unlogged.js'
import { decodeChange, encodeChange } from '../../src/tables/streams/change.js'
import { ManualClock } from '../manual-clock.js'
import { temporaryFolder } from '../temporary-folder.js'
import { type OpenTables, openTables } from './open-tables.js'

const stamps = fc.record({
  ms: fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 2 ** 47 })),
  counter: fc.oneof(
    fc.integer({ min: 0, max: 2 }),
    fc.constant(stampCounterMax),
    fc.integer({ min: 0, max: stampCounterMax }),
  ),
})
const regions = ['ap-south-1', 'eu-west-1', 'us-east-1']
const versions = fc.record({ stamp: stamps, region: fc.constantFrom(...regions) })

test('versions have one order: by stamp, then by region; a tick is the next stamp', () => {
  fc.assert(
    fc.property(versions, versions, versions, (a, b, c) => {
      expect(Math.sign(compareVersions(a, b))).toBe(-Math.sign(compareVersions(b, a)) + 0)
      if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0) expect(compareVersions(a, c)).toBeLessThanOrEqual(0)
      expect(compareVersions(a, b) === 0).toBe(JSON.stringify(a) === JSON.stringify(b))
      expect(compareStamps(a.stamp, tick(a.stamp))).toBeLessThan(0)
      if (compareStamps(a.stamp, b.stamp) < 0) expect(compareStamps(tick(a.stamp), b.stamp)).toBeLessThanOrEqual(0)
    }),
  )
})

test('stamps are written and read as they are: of an item, a tombstone and a change', () => {
  fc.assert(
    fc.property(
      stamps,
      fc.integer({ min: 0, max: 127 }),
      stamps,
      fc.integer({ min: 0, max: 127 }),
      (stamp, origin, other, from) => {
        const json = Buffer.from('{"pk":{"S":"a"}}')
        expect(versionOfItem(encodeItem(json, 3, stamp, origin))).toEqual({ stamp, origin })
        expect(decodeTombstone(encodeTombstone(stamp, origin, 77))).toEqual({ stamp, origin, at: 77 })
        for (const replaced of [undefined, { stamp: other, origin: from }]) {
          const body = encodeChange(
            { json, size: 2 },
            undefined,
            { json, size: 3 },
            encodeChangeVersion(stamp, replaced),
          )
          expect(changeVersionOf(body)).toEqual({ stamp, replaced })
          expect(decodeChange(body)).toMatchObject({ keys: json, oldImage: json })
        }
        expect(changeVersionOf(encodeChange({ json, size: 2 }, undefined, undefined))).toBeUndefined()
      },
    ),
  )
})

test('a tombstone and the end of a change are the vectors of docs/formats.md', () => {
  const lines = /```tombstone\n([^`]*)```/.exec(readFileSync('docs/formats.md', 'utf8'))?.[1]?.trim().split('\n')
  const stamp = { ms: 1_700_000_000_000, counter: 129 }
  expect(lines?.map((line) => line.replaceAll(' ', ''))).toEqual([
    encodeTombstone(stamp, 2, stamp.ms + 1).toString('hex'),
    encodeChangeVersion(stamp, undefined).toString('hex'),
  ])
})

test('the key of a row of what no change brings is the vector of docs/formats.md', () => {
  const text = /```unlogged\n([^`]*)```/.exec(readFileSync('docs/formats.md', 'utf8'))?.[1]?.replaceAll(/\s/g, '')
  const { row } = itemKey(7, { hash: { name: 'pk', type: 'S' } }, { pk: { S: 'a' } })
  const [written] = unloggedRows(7, ['eu-west-1'], row, { ms: 1, counter: 2 }, undefined)
  expect(text).toBe(written?.key.toString('hex'))
  expect(written && unloggedOf(written.key)).toEqual({ table: 7, region: 'eu-west-1' })
})

test('a clock never gives a stamp that is not above all that it has given and seen, over restarts too', () => {
  const events = fc.oneof(
    fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: -60_000, max: 60_000 }) }),
    fc.record({ kind: fc.constant('see' as const), aheadMs: fc.integer({ min: -300_000, max: 300_000 }) }),
    fc.record({ kind: fc.constant('write' as const), times: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ kind: fc.constant('restart' as const) }),
  )
  fc.assert(
    fc.property(fc.array(events, { maxLength: 40 }), (history) => {
      const wall = new ManualClock()
      let time = new CommitTime(wall, 0)
      let durable: Buffer | undefined
      let clock = new HybridClock(time, 0)
      let newest = { ms: 0, counter: 0 }
      const takes = () => {
        // As a write does: its commit has the row of the clock, and a time that is not before the stamp's.
        const row = clock.row()
        if (row) durable = row.value
      }
      for (const event of history) {
        if (event.kind === 'time') wall.advance(Math.max(event.ms, 0))
        if (event.kind === 'time' && event.ms < 0) wall.wall += event.ms
        if (event.kind === 'see') {
          const seen = { ms: Math.max(0, wall.wall + event.aheadMs), counter: 3 }
          clock.see(seen)
          takes()
          if (compareStamps(seen, newest) > 0) newest = seen
        }
        if (event.kind === 'write')
          for (let i = 0; i < event.times; i++) {
            const stamp = clock.next()
            expect(compareStamps(stamp, newest)).toBeGreaterThan(0)
            newest = stamp
            takes()
          }
        if (event.kind === 'restart') {
          time = new CommitTime(wall, time.next())
          clock = new HybridClock(time, clockMsOf(durable))
        }
      }
    }),
  )
})

test('a write over a version is newer than the end of its time to live, wherever that happens and whatever the clocks say', () => {
  fc.assert(
    fc.property(stamps, fc.integer({ min: -2, max: 2 }), (version, aheadMs) => {
      const time = { next: () => Math.max(0, version.ms + aheadMs) }
      const clock = new HybridClock(time, 0)
      const written = clock.after(version)
      expect(compareStamps(written, tick(version))).toBeGreaterThan(0)
      expect(compareStamps(clock.next(), written)).toBeGreaterThan(0)
    }),
  )
})

test('members are the same whatever the order in which regions hear of them, and however often', () => {
  const member = fc.record({
    state: fc.constantFrom('in' as const, 'leaving' as const, 'out' as const),
    stamp: stamps,
    by: fc.constantFrom(...regions),
  })
  const members: fc.Arbitrary<Members> = fc.dictionary(fc.constantFrom(...regions), member)
  // Two different things with one stamp of one region do not exist.
  const distinct = fc
    .array(members, { maxLength: 5 })
    .map((all) =>
      all.map((each, i) =>
        Object.fromEntries(
          Object.entries(each).map(([region, found]) => [
            region,
            { ...found, stamp: { ...found.stamp, ms: found.stamp.ms * 8 + i } },
          ]),
        ),
      ),
    )
  fc.assert(
    fc.property(distinct, (all) => {
      const merged = (list: readonly Members[]) => list.reduce(mergeMembers, {} as Members)
      expect(merged([...all].reverse())).toEqual(merged(all))
      expect(merged([...all, ...all])).toEqual(merged(all))
    }),
  )
})

const TableName = 'todo'

async function openReplica(clock: ManualClock): Promise<OpenTables> {
  const opened = await openTables({ clock, folder: temporaryFolder() })
  await opened.run('CreateTable', {
    TableName,
    AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
    StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' },
  })
  const stamp = { ms: 1, counter: 0 }
  const members = Object.fromEntries(
    ['here', ...regions].map((region) => [region, { state: 'in' as const, stamp, by: 'here' }]),
  )
  await opened.tables.replicas.merge(TableName, members)
  return opened
}

test('whatever the order, and however often: the newest versions stay, and nothing else', async () => {
  const change = fc.record({
    pk: fc.constantFrom('a', 'b', 'c'),
    version: versions,
    value: fc.option(fc.constantFrom('x', 'y', 'z'), { nil: undefined }),
  })
  const clock = new ManualClock()
  const [first, second] = [await openReplica(clock), await openReplica(clock)]
  let round = 0
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(change, { maxLength: 12, selector: ({ pk, version }) => JSON.stringify([pk, version]) }),
      fc.infiniteStream(fc.nat()),
      async (changes, choices) => {
        round++
        const named = (pk: string) => `${pk} ${round}`
        const remote = changes.map(({ pk, version, value }): RemoteChange => {
          const item = { pk: { S: named(pk) }, ...(value === undefined ? {} : { value: { S: value } }) }
          const place = itemKey(1, { hash: { name: 'pk', type: 'S' } }, { pk: item.pk }).row.subarray(5)
          const json = Buffer.from(JSON.stringify(item))
          return { place, version, replaced: undefined, image: value === undefined ? undefined : { json, size: 10 } }
        })
        const shuffled = [...remote, ...remote]
          .map((each) => ({ each, at: choices.next().value as number }))
          .sort((a, b) => a.at - b.at)
        const options = { countsConflicts: false, rows: [] }
        for (const each of remote) await first.tables.replicas.apply(TableName, [each], options)
        for (const { each } of shuffled) await second.tables.replicas.apply(TableName, [each], options)
        for (const pk of ['a', 'b', 'c']) {
          const newest = changes
            .filter((each) => each.pk === pk)
            .sort((a, b) => compareVersions(b.version, a.version))[0]
          for (const { run } of [first, second]) {
            const { Item } = await run<{ Item?: { value: { S: string } } }>('GetItem', {
              TableName,
              Key: { pk: { S: named(pk) } },
            })
            expect(Item?.value.S).toBe(newest?.value)
          }
        }
      },
    ),
    { numRuns: 30 },
  )
  const ranges = Array.from({ length: 256 }, (_, i) => i)
  expect(await first.tables.replicas.digests(TableName, ranges)).toEqual(
    await second.tables.replicas.digests(TableName, ranges),
  )
  await Promise.all([first.close(), second.close()])
})

test('what another region has seen and has no longer goes in parts, and what it has stays', async () => {
  const { tables, run, close } = await openReplica(new ManualClock())
  const place = (pk: string) => itemKey(1, { hash: { name: 'pk', type: 'S' } }, { pk: { S: pk } }).row.subarray(5)
  for (let i = 0; i < 24; i++)
    await run('PutItem', { TableName, Item: { pk: { S: `k${i}` }, value: { S: 'x'.repeat(300_000) } } })
  const places = new Set([place('k3'), place('k17')].map((each) => each.toString('latin1')))
  let gone = 0
  let calls = 0
  for (let after: Buffer | undefined; ; calls++) {
    const part = await tables.replicas.removeMissing(TableName, { after, upTo: undefined, places, hasSeen: () => true })
    gone += part.gone
    if (!part.upTo) break
    after = part.upTo
  }
  expect(calls).toBeGreaterThan(0)
  expect(gone).toBe(22)
  expect(await run('Scan', { TableName, ProjectionExpression: 'pk' })).toMatchObject({ Count: 2 })
  await close()
})

test('a conflict is counted once, also where the changes that have it are too large for one commit', async () => {
  const clock = new ManualClock()
  const { tables, run, close } = await openReplica(clock)
  const changes: RemoteChange[] = []
  for (const pk of ['a', 'b', 'c', 'd']) {
    await run('PutItem', { TableName, Item: { pk: { S: pk }, value: { S: 'x'.repeat(300_000) } } })
    const { row } = itemKey(1, { hash: { name: 'pk', type: 'S' } }, { pk: { S: pk } })
    const version = { stamp: { ms: clock.now() + 60_000, counter: 0 }, region: 'eu-west-1' }
    const json = Buffer.from(JSON.stringify({ pk: { S: pk } }))
    changes.push({ place: row.subarray(5), version, replaced: undefined, image: { json, size: 3 } })
  }
  expect(await tables.replicas.apply(TableName, changes, { countsConflicts: true, rows: [] })).toEqual({
    applied: 4,
    ignored: 0,
    conflicts: 4,
  })
  const { count, conflicts } = await tables.replicas.listConflicts(TableName, 10)
  expect(count).toBe(4)
  expect(conflicts.map(({ number }) => number)).toEqual([4, 3, 2, 1])
  await close()
})
