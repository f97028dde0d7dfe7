import { describe, expect, it } from 'vitest'
import { DecisionHistory } from '../../src/balance/history.js'
import { Balancer } from '../../src/balance/index.js'
import { type SplitPolicy, splitSchema } from '../../src/config/index.js'
import type { NewRecord, ShardId, Stream, StreamId } from '../../src/log/index.js'
import { hashAfter, hashKey, type Logger, silentLogger } from '../../src/runtime/index.js'
import { images, type OpenedLog, openLog, record } from '../log/open-log.js'
import { ManualClock } from '../manual-clock.js'
import { MemoryStorage } from '../memory-storage.js'
import { temporaryFolder } from '../temporary-folder.js'
import { seeded } from './zipf.js'

interface Balanced extends OpenedLog {
  readonly balancer: Balancer
  readonly clock: ManualClock
  readonly storage: MemoryStorage
  readonly stream: Stream
  readonly heard: string[]
  /** One second with these records in it. */
  second(records: readonly NewRecord[]): Promise<void>
  seconds(count: number, records: () => readonly NewRecord[]): Promise<void>
}

const errors: string[] = []
const logger: Logger = { ...silentLogger, error: (...line: unknown[]) => void errors.push(JSON.stringify(line)) }

async function balanced(
  policy: Parameters<typeof splitSchema.parse>[0] = {},
  kind: Stream['kind'] = 'plain',
  limits: { shardsKeptMax?: number } = {},
): Promise<Balanced> {
  const storage = new MemoryStorage()
  const opened = await openLog(storage, temporaryFolder(), limits)
  const stream = await opened.log.createStream({ name: 'clicks', kind, shards: 1, images })
  const clock = new ManualClock()
  const balancer = balancerOf(opened, storage, clock, splitSchema.parse(policy))
  const heard: string[] = []
  balancer.observe(({ kind: what, reason }) => heard.push(`${what} ${reason}`))
  balancer.start()
  const second = async (records: readonly NewRecord[]) => {
    if (records.length > 0) await opened.commit.submit({ records: [{ stream: stream.id, records }] })
    clock.advance(1000)
    // Reading where the history ends comes before the change that is written with it.
    await new Promise((resolve) => setImmediate(resolve))
    await opened.commit.settled()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const seconds = async (count: number, records: () => readonly NewRecord[]) => {
    for (let i = 0; i < count; i++) await second(records())
  }
  return { ...opened, balancer, clock, storage, stream, heard, second, seconds }
}

function balancerOf(
  { log, commit }: OpenedLog,
  storage: MemoryStorage,
  clock: ManualClock,
  policy: SplitPolicy,
): Balancer {
  const showKey = (_: Stream, key: Buffer) => key.toString()
  return new Balancer({ log, commit, storage, clock, logger, random: seeded(1), policy, shardsMax: 64, showKey })
}

const spread = (count: number, from = 0) => Array.from({ length: count }, (_, i) => record(`key ${from + i}`, 'body'))
const hot = (count: number) => Array.from({ length: count }, () => record('hot', 'body'))
const target = { recordsPerSecond: 100 }

describe('the balancer', () => {
  it('isolates a hot key, parks its shard, and names it in history and top', async () => {
    const { balancer, stream, log, heard, seconds } = await balanced({ target })
    await seconds(12, () => [...spread(80), ...hot(150)])
    const at = hashKey(Buffer.from('hot'))
    const isolated = log.openShards(stream.id).filter(({ shard }) => shard.low.hi === at.hi && shard.high.lo === at.lo)
    expect(isolated).toHaveLength(1)
    expect(isolated[0]!.shard.low).toEqual(isolated[0]!.shard.high)
    await seconds(12, () => [...spread(80), ...hot(150)])
    expect(heard).toEqual(['split records', 'park unsplittable'])
    expect(balancer.summary(stream.id)).toMatchObject({ unsplittable: 1 })
    const [park, split] = await balancer.history(stream.id, 10)
    const { id } = isolated[0]!.shard
    expect(split).toMatchObject({ number: 1, kind: 'split', reason: 'records', isolated: [{ key: 'hot' }] })
    expect(split).toMatchObject({ parents: [1], children: log.openShards(stream.id).map(({ shard }) => shard.id) })
    expect(park).toMatchObject({
      kind: 'park',
      reason: 'unsplittable',
      shard: id,
      pauseMs: 60_000,
      key: { key: 'hot', share: 1 },
    })
    expect(park).toHaveProperty('remedies.length', 3)
    const [top, ...others] = balancer.top(stream)
    expect(top).toMatchObject({ shard: id, phase: 'parked', by: 'records', isSampled: true })
    expect(top!.load).toBeCloseTo(1.5)
    expect(top!.keys).toMatchObject([{ key: 'hot', share: 1, recordsPerSecond: 150 }])
    expect(top!.next).toMatchObject({ none: 'unsplittable', key: { key: 'hot' } })
    expect(top!.pauseLeftMs).toBeGreaterThan(0)
    for (const each of others) expect(each.load).toBeLessThan(1)
    // It cools: the pause is over with the heat.
    await seconds(15, () => spread(10))
    expect(balancer.summary(stream.id)).toMatchObject({ unsplittable: 0 })
    expect(errors).toEqual([])
  })

  it('shows the keys of a cold shard to whoever asks, and then looks no longer', async () => {
    const { balancer, stream, log, second } = await balanced({ target })
    await second(hot(10))
    expect(balancer.top(stream)[0]).toMatchObject({ phase: 'calm', isSampled: false, keys: [], next: undefined })
    const endLook = balancer.look(stream)
    await second([...hot(10), ...spread(30)])
    const [top] = balancer.top(stream)
    expect(top).toMatchObject({
      phase: 'calm',
      isSampled: true,
      keys: expect.arrayContaining([expect.objectContaining({ key: 'hot', share: 0.25 })]),
    })
    expect(top!.next).toHaveProperty('cuts')
    // Somebody whose answer comes late sees them as well.
    const endOther = balancer.look(stream)
    endLook()
    await second([])
    await second([])
    expect(balancer.top(stream)[0]).toMatchObject({ isSampled: true })
    endOther()
    await second([])
    expect(log.openShards(stream.id)[0]!.sampler).toBeUndefined()
  })

  it('keeps its history over an opening, the newest thousand, and numbers on', async () => {
    const { balancer, stream, log, commit, storage, groups, counters } = await balanced()
    for (let i = 0; i < 510; i++) {
      const [left, right] = await balancer.split(stream, log.openShards(stream.id)[0]!.shard.id)
      await balancer.merge(stream, left!.id, right!.id)
    }
    const again = balancerOf({ log, commit, groups, counters }, storage, new ManualClock(), splitSchema.parse({}))
    await again.split(stream, log.openShards(stream.id)[0]!.shard.id)
    const history = await again.history(stream.id, 5000)
    expect(history).toHaveLength(1000)
    expect(history.map(({ number }) => number)).toEqual(Array.from({ length: 1000 }, (_, i) => 1021 - i))
    expect(history[0]).toMatchObject({ kind: 'split', reason: 'manual' })
    expect(history[1]).toMatchObject({ kind: 'merge', reason: 'manual' })
  })

  it('forgets where the history of a deleted stream goes on, and writes nothing more of it', async () => {
    const storage = new MemoryStorage()
    const history = new DecisionHistory(storage)
    const [kept, gone] = [1 as StreamId, 2 as StreamId]
    for (const stream of [kept, gone]) await history.prepare(stream)
    history.keepOnly(new Set([kept]))
    expect(history.known).toBe(1)
    const decision = { kind: 'merge', reason: 'cold', load: [], parents: [], children: [] } as const
    expect(history.rows(gone, decision, 0)).toEqual([])
    expect(history.rows(kept, decision, 0)).toHaveLength(1)
  })

  it('takes a policy of a stream at once, checks it, and takes it back', async () => {
    const { balancer, stream, log, heard, seconds } = await balanced({ target })
    const now = () => log.stream(stream.id)!
    await expect(balancer.setPolicy(now(), { shardsMin: 0, targets: {} })).rejects.toMatchObject({
      code: 'BAD_REQUEST',
      message: /shardsMin.*targets/s,
    })
    expect(await balancer.setPolicy(now(), { target: { recordsPerSecond: 1000 } })).toMatchObject({
      target: { recordsPerSecond: 1000, cpu: 0.6 },
    })
    await seconds(15, () => spread(300))
    expect(heard).toEqual([])
    await balancer.setPolicy(now(), { enabled: false, target: { recordsPerSecond: null } })
    expect(now().policy).toEqual({ enabled: false })
    await seconds(15, () => spread(300))
    expect(heard).toEqual([])
    await balancer.setPolicy(now(), null)
    expect(now()).not.toHaveProperty('policy')
    await seconds(6, () => spread(300))
    expect(heard).toEqual(['split records'])
  })

  it('merges cold neighbours of a plain stream and never those of a table', async () => {
    for (const kind of ['plain', 'table'] as const) {
      const { heard, seconds, log, stream } = await balanced({ target, mergeAgeMs: 60_000, mergeMs: 30_000 }, kind)
      await seconds(12, () => spread(250))
      const most = log.openShards(stream.id).length
      expect(most).toBeGreaterThan(2)
      await seconds(600, () => [])
      expect(heard.slice(1)).toEqual(kind === 'plain' ? Array.from({ length: most - 1 }, () => 'merge cold') : [])
      expect(log.openShards(stream.id)).toHaveLength(kind === 'plain' ? 1 : most)
    }
  })

  it('a burst of one key into cold shards parks its shard, merges it with nobody, and lets go of it again', async () => {
    const { balancer, stream, log, heard, seconds } = await balanced({ target, mergeAgeMs: 60_000, mergeMs: 30_000 })
    await balancer.split(stream, 1 as ShardId)
    const { hi, lo } = hashKey(Buffer.from('hot'))
    const { id } = log.route(stream.id, { hi, lo })!
    await balancer.split(stream, id, [{ hi, lo }])
    const alone = log.route(stream.id, { hi, lo })!
    await balancer.split(stream, alone.id, [hashAfter({ hi, lo })])
    await balancer.setPolicy(stream, { shardsMin: 4 })
    await seconds(120, () => [])
    await balancer.setPolicy(log.stream(stream.id)!, null)
    heard.length = 0
    await seconds(3, () => hot(220))
    expect(heard).toContain('park unsplittable')
    await seconds(300, () => [])
    expect(errors).toEqual([])
    expect(heard.filter((each) => each === 'merge cold')).toHaveLength(3)
    expect(log.openShards(stream.id)).toHaveLength(1)
  })

  it('splits for what its records cost a pipeline, and not because one reads up a backlog', async () => {
    const { balancer, stream, log, heard, seconds } = await balanced({ target: { recordsPerSecond: 1000, cpu: 0.5 } })
    const only = () => log.openShards(stream.id)[0]!.shard.id
    // 100 records a second at 1 ms: a tenth of a thread, although the pipeline is busy all the time with older ones.
    await seconds(20, () => {
      balancer.spent(only(), 'reads up', 1000, 1000)
      return spread(100)
    })
    expect(heard).toEqual([])
    // At 10 ms a record a whole thread is needed.
    await seconds(10, () => {
      balancer.spent(only(), 'costs', 100, 1000)
      return spread(100)
    })
    expect(heard).toEqual(['split cpu'])
    // The children inherit the costs until they have their own.
    expect(balancer.top(stream).every(({ cpu }) => cpu > 0.2)).toBe(true)
  })

  it('holds appends at the limit of a shard, refuses what would wait too long, and splits for the wait', async () => {
    const limit = { recordsPerSecond: 100, waitMsMax: 500 }
    const { balancer, stream, clock, heard, second } = await balanced({ target: { recordsPerSecond: 200 }, limit })
    const arriving = (count: number) => () => spread(count).map(({ hash, body }) => ({ ...hash, bytes: body.length }))
    const free = await balanced()
    expect(free.balancer.admit(free.stream, arriving(1_000_000))).toBeUndefined()
    const ask = (count: number) => balancer.admit(stream, arriving(count))
    // A second's worth goes through at once, and what comes then waits its turn.
    expect(ask(100)).toBeUndefined()
    expect(ask(20)).toBeUndefined()
    let isThrough = false
    void ask(10)!.then(() => {
      isThrough = true
    })
    clock.advance(199)
    await Promise.resolve()
    expect(isThrough).toBe(false)
    clock.advance(1)
    await Promise.resolve()
    expect(isThrough).toBe(true)
    void ask(60)
    expect(() => ask(1)).toThrow(expect.objectContaining({ code: 'TOO_BUSY', retryable: true }))
    for (let i = 0; i < 12 && heard.length === 0; i++) {
      for (let n = 0; n < 20; n++) {
        try {
          void ask(10)
        } catch {}
      }
      await second(spread(50))
    }
    expect(heard).toEqual(['split queue'])
  })

  it('parks what the log refuses, and goes on', async () => {
    const { balancer, stream, heard, seconds } = await balanced({ target }, 'plain', { shardsKeptMax: 1 })
    await balancer.split(stream, 1 as ShardId)
    await seconds(12, () => spread(400))
    expect(heard).toEqual(['split manual', 'park refused', 'park refused'])
    expect((await balancer.history(stream.id, 1))[0]).toMatchObject({ kind: 'park', reason: 'refused' })
    expect(errors).toEqual([])
  })
})
