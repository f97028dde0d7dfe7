import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Placement } from '../../src/commit/index.js'
import type { Group } from '../../src/groups/index.js'
import { forEachRecord, type Sequence, type StreamId } from '../../src/log/index.js'
import type { ManualClock } from '../manual-clock.js'
import { day, hour, type OpenedRetention, openRetention, readShard } from './open-retention.js'

const isLong = process.env.MILLRACE_LONG === '1'

type Step =
  | { readonly do: 'append'; readonly key: number; readonly bytes: number }
  | { readonly do: 'split'; readonly shard: number }
  | { readonly do: 'wait'; readonly hours: number }
  | { readonly do: 'read'; readonly group: number; readonly shards: number }
  | { readonly do: 'trim' | 'restart' }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('append' as const), key: fc.nat(9), bytes: fc.nat(400) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('split' as const), shard: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), hours: fc.integer({ min: 1, max: 60 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('read' as const), group: fc.nat(2), shards: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('trim' as const, 'restart' as const) }) },
)

/** What a group has been given since it joined, and what it must have been given in the end. */
class Reader {
  readonly name: string
  expected = new Set<Sequence>()
  seen: { key: string; sequence: Sequence }[] = []
  timesTold = 0

  constructor(name: string) {
    this.name = name
  }

  async join({ groups, log }: OpenedRetention, stream: StreamId): Promise<void> {
    if (groups.group(this.name)) await groups.delete(this.name)
    this.seen = []
    this.expected = new Set()
    for (const { id } of log.shards(stream))
      for (const { sequence } of await readShard(log, id)) this.expected.add(sequence)
    await groups.create(this.name, stream, 'oldest', { hold: this.name !== 'third' })
  }

  /** Reads a page of some of its shards, and commits where it is; joins again when it is told that records are gone. */
  async read(opened: OpenedRetention, stream: StreamId, shards: number): Promise<void> {
    const { log, commit, groups } = opened
    const group = groups.group(this.name) as Group
    for (const { shard, next } of group.readable().slice(0, shards)) {
      try {
        const page = await log.read(shard, next, { bytesMax: 300 })
        for (const chunk of page.chunks)
          forEachRecord(chunk, next, ({ key, sequence }) => {
            this.seen.push({ key: key.toString(), sequence })
          })
        const moved = [{ shard, next: page.next, ended: page.ended }]
        await commit.submit({ rows: group.rowsFor(moved) })
        group.moved(moved)
      } catch (error) {
        expect(error).toMatchObject({ code: 'TRIMMED' })
        this.timesTold++
        await this.join(opened, stream)
        return
      }
    }
  }

  check(): void {
    const sequences = this.seen.map(({ sequence }) => sequence)
    expect(new Set(sequences).size, 'nothing twice').toBe(sequences.length)
    expect(new Set(sequences), `${this.name} has everything`).toEqual(this.expected)
    const last = new Map<string, Sequence>()
    for (const { key, sequence } of this.seen) {
      expect(sequence).toBeGreaterThan(last.get(key) ?? 0)
      last.set(key, sequence)
    }
  }
}

/** Runs the steps with groups of these names, lets every group come to the end and checks it. Returns how often one was told. */
async function run(
  steps: readonly Step[],
  { names, heldBytesMax, bytes }: { names: readonly string[]; heldBytesMax: number; bytes: number },
): Promise<number> {
  const open = (from?: { storage: OpenedRetention['storage']; clock: ManualClock }) =>
    openRetention({ ...from, heldBytesMax, rowsPerCommitMax: 3, defaults: { ms: 3 * day, bytes } })
  let opened = await open()
  const stream = await opened.stream(2)
  const readers = names.map((name) => new Reader(name))
  for (const reader of readers) await reader.join(opened, stream)
  for (const each of steps) {
    if (each.do === 'append') {
      const placed: Placement[] = []
      await opened.append(stream, `key ${each.key}`, { bytes: each.bytes, placed })
      for (const reader of readers) for (const { firstSequence } of placed) reader.expected.add(firstSequence)
    } else if (each.do === 'split') {
      const shards = opened.log.shards(stream).filter((shard) => shard.state === 'open')
      if (shards.length < 12) await opened.log.split(shards[each.shard % shards.length]!.id)
    } else if (each.do === 'wait') opened.clock.advance(each.hours * hour)
    else if (each.do === 'read') await readers[each.group % names.length]!.read(opened, stream, each.shards + 1)
    else if (each.do === 'trim') await opened.retention.run()
    else opened = await open(opened)
  }
  for (const reader of readers) {
    const group = () => opened.groups.group(reader.name)!
    const isBehind = () =>
      group()
        .readable()
        .some(
          ({ shard, next }) => opened.log.shard(shard)?.state === 'sealed' || next <= opened.log.lastSequence(shard),
        )
    for (let i = 0; isBehind(); i++) {
      expect(i, 'it comes to the end').toBeLessThan(1000)
      await reader.read(opened, stream, 100)
    }
    reader.check()
  }
  return readers.reduce((sum, { timesTold }) => sum + timesTold, 0)
}

describe('groups of a stream that splits and is trimmed', () => {
  it('get everything in order, or are told that something is gone', { timeout: 3_600_000 }, async () => {
    let told = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 10, maxLength: 80 }),
        fc.constantFrom(0, 500, 1 << 30),
        fc.constantFrom(0, 1500),
        async (steps, heldBytesMax, bytes) => {
          told += await run(steps, { names: ['pipeline:first', 'bridge:second', 'third'], heldBytesMax, bytes })
        },
      ),
      { numRuns: isLong ? 1500 : 100 },
    )
    expect(told, 'some of them lose records').toBeGreaterThan(10)
  })

  it('lose nothing while they hold it', { timeout: 3_600_000 }, async () => {
    const names = ['pipeline:first', 'bridge:second']
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
        expect(await run(steps, { names, heldBytesMax: 1 << 30, bytes: 1500 })).toBe(0)
      }),
      { numRuns: isLong ? 1000 : 60 },
    )
  })
})
