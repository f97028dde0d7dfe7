import { describe, expect, it } from 'vitest'
import type { EffectSet } from '../../src/commit/index.js'
import type { Group, Position } from '../../src/groups/index.js'
import type { Sequence, ShardId, StreamId } from '../../src/log/index.js'
import type { Feed, FeedPart, PartBounds } from '../../src/pipelines/feeds/feed.js'
import { Feeder } from '../../src/pipelines/feeds/feeder.js'
import { type KafkaCursor, KafkaFeed } from '../../src/pipelines/feeds/kafka-feed.js'
import { MillraceError } from '../../src/runtime/index.js'
import { ManualClock } from '../manual-clock.js'

const shard = 1 as ShardId
const kibibytes = 1024

/** So many parts of a size, of one record each. */
class Parts implements Feed<number> {
  readonly start = 0
  readonly asked: PartBounds[] = []
  readonly #parts: number
  readonly #bytes: number

  constructor(parts: number, bytes: number) {
    this.#parts = parts
    this.#bytes = bytes
  }

  async next(cursor: number, bounds: PartBounds): Promise<FeedPart<number>> {
    this.asked.push(bounds)
    const key = Buffer.from(String(cursor))
    const body = Buffer.alloc(this.#bytes)
    const record = { hash: { hi: 0, lo: 0 }, kind: 0, flags: 0, codec: 0, time: 0, key, body } as const
    return { records: [record], cursor: cursor + 1, rows: [], isEnd: cursor + 1 === this.#parts }
  }
}

/** A store of one stream, what went into it, and how far it was read. */
function world<Cursor>(feed: Feed<Cursor>) {
  const rows = new Map<string, Buffer>()
  const given: string[] = []
  const clock = new ManualClock()
  let next = 1
  let read = 1
  let isClosed = false
  const faults: (MillraceError | undefined)[] = []
  const make = () =>
    new Feeder<Cursor>({
      pipeline: 7,
      stream: 3 as StreamId,
      feed,
      clock,
      group: {
        position: (): Position => ({ shard, next: read as Sequence, ended: false }),
      } as unknown as Group,
      commit: {
        readDurable: (key) => rows.get(key.toString('hex')),
        submit: async ({ rows: put = [], records = [] }: EffectSet) => {
          const fault = faults.shift()
          if (fault) throw fault
          for (const { key, value } of put) rows.set(key.toString('hex'), value as Buffer)
          for (const effect of records) {
            if ('batch' in effect) continue
            for (const { key } of effect.records) given.push(key.toString())
            effect.placed?.push({ shard, firstSequence: next as Sequence, count: effect.records.length })
            next += effect.records.length
          }
          return { commit: 1, time: 0 }
        },
      },
      log: {
        stream: () => ({ closedAt: isClosed ? 1 : undefined }) as never,
        closeStream: async () => {
          isClosed = true
        },
      },
    })
  return { make, given, clock, faults, isClosed: () => isClosed, readTo: (sequence: number) => (read = sequence) }
}

const settled = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))

describe('what feeds a pipeline', () => {
  it('waits when more is under way than the pipeline has committed, and goes on when that moves', async () => {
    const { make, given, readTo, isClosed } = world(new Parts(40, 1024 * kibibytes))
    const feeder = make()
    const errors: unknown[] = []
    feeder.start((error) => errors.push(error))
    await expect.poll(() => given.length).toBe(16)
    await settled()
    expect(given).toHaveLength(16)
    readTo(11)
    feeder.moved()
    await expect.poll(() => given.length).toBe(26)
    readTo(41)
    feeder.moved()
    await feeder.ended()
    expect(given).toEqual(Array.from({ length: 40 }, (_, i) => String(i)))
    expect(isClosed()).toBe(true)
    expect(errors).toEqual([])
  })

  it('goes on behind its last commit, and has nothing to do behind its end', async () => {
    const { make, given, readTo } = world(new Parts(20, 1024 * kibibytes))
    const first = make()
    first.start(() => {})
    await expect.poll(() => given.length).toBe(16)
    first.stop()
    await first.ended()
    readTo(17)
    for (let i = 0; i < 2; i++) {
      const again = make()
      again.start(() => {})
      await again.ended()
    }
    expect(given).toEqual(Array.from({ length: 20 }, (_, i) => String(i)))
  })

  it('asks for less where a part is too large for a commit, and again later where the store is busy', async () => {
    const parts = new Parts(2, 1)
    const { make, given, faults, clock } = world(parts)
    faults.push(new MillraceError('EFFECT_TOO_LARGE', 'large'), new MillraceError('TOO_BUSY', 'busy'))
    const feeder = make()
    feeder.start(() => {})
    await expect.poll(() => faults.length).toBe(0)
    await settled()
    clock.advance(1000)
    await feeder.ended()
    expect(given).toEqual(['0', '1'])
    expect((parts.asked[1] as PartBounds).recordsMax).toBe((parts.asked[0] as PartBounds).recordsMax / 2)
  })

  it('fails at a message of Kafka that alone is more than a commit may hold, and says which and what to do', async () => {
    const key = Buffer.from('k')
    const record = { hash: { hi: 0, lo: 0 }, kind: 0, flags: 0, codec: 0, time: 0, key, body: key } as const
    const asked: number[] = []
    const reading = {
      next: async ({ offsets }: KafkaCursor, { recordsMax }: PartBounds) => {
        asked.push(recordsMax)
        const offset = offsets[3] ?? 41
        return {
          records: [record],
          cursor: { offsets: { 3: offset + 1 } },
          isEnd: false,
          first: { topic: 't', partition: 3, offset },
        }
      },
      close: async () => {},
    }
    const { make, given, faults } = world(new KafkaFeed(reading))
    const large = new MillraceError('EFFECT_TOO_LARGE', 'large', { details: { bytes: 9, effectSetBytesMax: 8 } })
    faults.push(undefined, ...Array.from({ length: 10 }, () => large))
    const errors: unknown[] = []
    const feeder = make()
    feeder.start((error) => errors.push(error))
    await feeder.ended()
    expect(given).toEqual(['k'])
    expect(asked.at(-1)).toBe(1)
    expect(errors).toEqual([
      expect.objectContaining({
        code: 'KAFKA_REFUSED',
        message: expect.stringContaining('offset 42 of partition 3 of t'),
        remedy: expect.stringContaining('commit.effectSetBytesMax'),
        details: { bytes: 9, effectSetBytesMax: 8, topic: 't', partition: 3, offset: 42 },
      }),
    ])
  })

  it('says what it cannot go on with, and nothing once it was stopped', async () => {
    const failing: Feed<number> = {
      start: 0,
      next: async () => {
        throw new MillraceError('SOURCE_FILE_INVALID', 'Line 3')
      },
    }
    const { make } = world(failing)
    const errors: unknown[] = []
    const feeder = make()
    feeder.start((error) => errors.push(error))
    await feeder.ended()
    expect(errors).toMatchObject([{ code: 'SOURCE_FILE_INVALID' }])
    const stopped = make()
    stopped.start((error) => errors.push(error))
    stopped.stop()
    await stopped.ended()
    expect(errors).toHaveLength(1)
  })
})
