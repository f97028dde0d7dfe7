import { describe, expect, test } from 'vitest'
import type { Position } from '../../src/groups/index.js'
import { Bridge, type BridgeRecord } from '../../src/kafka/bridge.js'
import type { BridgeState } from '../../src/kafka/bridge-state.js'
import { type BridgeRequest, checkBridgeRequest, type KafkaMessage, partitionOf } from '../../src/kafka/index.js'
import type { ShardId } from '../../src/log/index.js'
import { MillraceError, systemClock } from '../../src/runtime/index.js'
import { decodeChange } from '../../src/tables/index.js'
import { away, FakeCluster, tooLarge } from './fake-cluster.js'
import { MemoryCommit, MemoryGroup, MemoryLog, newRecord, origin, silent, until } from './memory.js'

interface World {
  readonly log: MemoryLog
  readonly commit: MemoryCommit
  readonly cluster: FakeCluster
  saved: BridgeRecord | undefined
  /** Thrown in place of the cluster. */
  unknown?: MillraceError
  /** What is to be remembered becomes durable after it. */
  saving?: Promise<void>
  isSaving?: boolean
}

const world = (log = new MemoryLog()): World => ({
  log,
  commit: new MemoryCommit(),
  cluster: new FakeCluster(),
  saved: undefined,
})

/** A bridge as a start of the daemon would make it: from the rows, or new. */
function bridgeIn(at: World, request: Partial<BridgeRequest> = {}): Bridge {
  const { log, commit, cluster } = at
  const positions = commit.positions()
  const record = at.saved ?? {
    options: checkBridgeRequest({ name: 'test', source: 'clicks', brokers: 'a:1', ...request }),
    createdAt: 0,
    paused: false,
    settledPartitions: undefined,
  }
  const group = new MemoryGroup(log, positions.length > 0 ? positions : undefined)
  const around = {
    log,
    commit,
    origin,
    store: { id: 'store', epoch: 1 },
    decodeChange,
    openCluster: () => {
      if (at.unknown) throw at.unknown
      return cluster
    },
    logger: silent,
    clock: systemClock,
    random: () => 1,
  }
  const bridge = new Bridge(record, group, around, async (changed) => {
    at.isSaving = true
    await at.saving
    at.saved = changed
  })
  bridge.start()
  return bridge
}

let appended = 0
const append = (log: MemoryLog, count: number, keys = 20): void => {
  for (let i = 0; i < count; i++) log.append([newRecord(`key-${appended % keys}`, String(appended++))])
}

const sequenceOf = (message: KafkaMessage): number => Number(message.headers['millrace-sequence'])

/** Everything there, each key's first deliveries in order of sequence number. */
function check(at: World, expected: number): void {
  const { log } = at.cluster
  const seen = new Set<number>()
  const newest = new Map<string, number>()
  for (const message of log) {
    const sequence = sequenceOf(message)
    if (seen.has(sequence)) continue
    seen.add(sequence)
    expect(sequence).toBeGreaterThan(newest.get(String(message.key)) ?? 0)
    newest.set(String(message.key), sequence)
    expect(message.partition).toBe(
      partitionOf(message.key, at.cluster.topics.get('millrace.clicks')?.partitions as number),
    )
  }
  expect(seen.size).toBe(expected)
}

const ended = (positions: readonly Position[]): ShardId[] =>
  positions.filter((position) => position.ended).map((position) => position.shard)

describe('a bridge', () => {
  test('delivers what is there and what comes, and is caught up then', async () => {
    const at = world()
    append(at.log, 1_500)
    const bridge = bridgeIn(at)
    append(at.log, 700)
    await until(() => bridge.statistics.records === 2_200 && bridge.statistics.lagRecords === 0)
    check(at, 2_200)
    expect(bridge.state.kind).toBe('running')
    expect(bridge.statistics).toMatchObject({ lagSeconds: 0, errors: 0, lastError: undefined })
    expect(at.cluster.topics.get('millrace.clicks')?.partitions).toBe(8)
    expect(at.saved?.settledPartitions).toBe(8)
    await bridge.close()
    expect(bridge.state).toMatchObject({ kind: 'stopped', reason: 'closed' })
    expect(at.commit.positions()).toEqual([{ shard: 1, next: at.log.nextSequence(), ended: false }])
    expect(at.log.listeners).toBe(0)
    expect(at.cluster.open).toBe(0)
  })

  test('goes on where it was after a close, and delivers nothing twice then', async () => {
    const at = world()
    append(at.log, 100)
    const first = bridgeIn(at)
    await until(() => first.statistics.records === 100)
    await first.close()
    append(at.log, 50)
    const second = bridgeIn(at)
    await until(() => second.statistics.records === 50)
    await second.close()
    expect(at.cluster.log).toHaveLength(150)
    check(at, 150)
  })

  test('is not caught up while the end of a parent is not durable and nobody reads its children', async () => {
    const at = world()
    let open = (): void => {}
    at.commit.gate = new Promise((resolve) => {
      open = resolve
    })
    append(at.log, 10)
    await at.log.split(1 as ShardId)
    append(at.log, 40)
    const bridge = bridgeIn(at)
    // From its first moment on.
    expect(bridge.statistics.lagRecords).toBeGreaterThanOrEqual(40)
    await until(() => bridge.statistics.records === 10)
    expect(bridge.statistics.lagRecords).toBeGreaterThanOrEqual(40)
    open()
    await until(() => bridge.statistics.lagRecords === 0)
    expect(bridge.statistics.records).toBe(50)
    await bridge.close()
  })

  test('writes its position only after the acknowledgement', async () => {
    const at = world()
    let open = (): void => {}
    at.cluster.gate = new Promise((resolve) => {
      open = resolve
    })
    append(at.log, 10)
    const bridge = bridgeIn(at)
    await until(() => at.cluster.atGate)
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(at.commit.commits).toBe(0)
    expect(bridge.statistics).toMatchObject({ records: 0 })
    expect(bridge.statistics.lagRecords).toBeGreaterThanOrEqual(10)
    expect(bridge.statistics.lagSeconds).toBeGreaterThan(0)
    open()
    await until(() => at.commit.positions()[0]?.next === at.log.nextSequence())
    await bridge.close()
  })

  test('opens the children of a shard only after its end is durable', async () => {
    const at = world()
    append(at.log, 300)
    await at.log.split(1 as ShardId)
    append(at.log, 300)
    await at.log.split(2 as ShardId)
    await at.log.split(4 as ShardId)
    append(at.log, 300)
    const open = at.log.shards().filter((shard) => shard.state === 'open')
    const [left, right] = open.sort((a, b) => a.low.hi - b.low.hi)
    await at.log.merge(left!.id, right!.id)
    append(at.log, 300)
    const durable: ShardId[][] = []
    at.cluster.onSend = (messages) => {
      const now = ended(at.commit.positions())
      durable.push(now)
      for (const message of messages) {
        const shard = at.log.shard(Number(message.headers['millrace-shard']) as ShardId)
        for (const parent of shard?.parents ?? []) expect(now).toContain(parent)
      }
      return undefined
    }
    const bridge = bridgeIn(at)
    await until(() => bridge.statistics.records === 1200)
    await bridge.close()
    expect(bridge.statistics.lastError).toBeUndefined()
    check(at, 1200)
    expect(ended(at.commit.positions())).toEqual([1, 2, left!.id, 4, right!.id].sort((a, b) => a - b))
  })

  test('waits for a broker that is away at the start, and catches up', async () => {
    const at = world()
    at.cluster.up = false
    append(at.log, 200)
    const bridge = bridgeIn(at)
    await until(() => bridge.statistics.errors > 1)
    expect(bridge.state).toMatchObject({ kind: 'waiting', error: { code: 'KAFKA_UNAVAILABLE' } })
    expect(bridge.statistics.lagRecords).toBeGreaterThanOrEqual(0)
    at.cluster.up = true
    await until(() => bridge.statistics.records === 200)
    expect(bridge.state.kind).toBe('running')
    check(at, 200)
    await bridge.close()
  })

  test('reads no more than its bound while the broker is away', async () => {
    const at = world()
    append(at.log, 1)
    const bridge = bridgeIn(at)
    await until(() => bridge.statistics.records === 1)
    at.cluster.up = false
    let reads = 0
    const { read } = at.log
    at.log.read = (...given) => {
      reads++
      return read.apply(at.log, given)
    }
    for (let i = 0; i < 60; i++) at.log.append([newRecord(`k${i}`, `"${'x'.repeat(60_000)}"`)])
    await until(() => bridge.state.kind === 'waiting')
    const then = reads
    for (let i = 0; i < 60; i++) at.log.append([newRecord(`k${i}`, `"${'x'.repeat(60_000)}"`)])
    await until(() => bridge.statistics.errors > 3)
    expect(reads - then).toBeLessThanOrEqual(20)
    at.cluster.up = true
    await until(() => bridge.statistics.records === 121)
    await bridge.close()
  })

  test('never uses a producer again that has failed; what was half stored comes again in order', async () => {
    const at = world()
    at.cluster.onSend = (messages, send) =>
      send % 3 === 0 ? { error: away(), stored: Math.floor(messages.length / 2) } : undefined
    append(at.log, 500)
    const bridge = bridgeIn(at)
    await until(() => bridge.statistics.records >= 500)
    append(at.log, 3_000)
    await until(() => bridge.statistics.records >= 3_500)
    await bridge.close()
    expect(at.cluster.producers).toBeGreaterThan(1)
    expect(at.cluster.open).toBe(0)
    check(at, 3_500)
  })

  test('sends less at once when a topic takes less, and names the record that alone is too much', async () => {
    const at = world()
    const huge = appended + 150
    at.cluster.onSend = (messages) =>
      messages.length > 60 || messages.some((message) => String(message.value).includes(`"after":${huge},`))
        ? { error: tooLarge(), stored: 0 }
        : undefined
    append(at.log, 300)
    const bridge = bridgeIn(at)
    await until(() => bridge.state.kind === 'failed')
    expect(bridge.state).toMatchObject({
      error: {
        code: 'KAFKA_REFUSED',
        remedy: expect.stringMatching(/^Raise it\./),
        details: { topic: 'millrace.clicks', sequence: 152 },
      },
    })
    at.cluster.onSend = () => undefined
    await bridge.resume()
    await until(() => bridge.statistics.records === 300)
    check(at, 300)
    await bridge.close()
  })

  test('fails when its position cannot be written', async () => {
    const at = world()
    at.commit.failure = new MillraceError('STORE_FAILED', 'the disk', { outcome: 'unknown' })
    append(at.log, 10)
    const bridge = bridgeIn(at)
    await until(() => bridge.state.kind === 'failed')
    expect(bridge.state).toMatchObject({ error: { code: 'STORE_FAILED' } })
    expect(at.cluster.open).toBe(0)
  })

  test('a pause and what is learned of the topic at the same time are both remembered', async () => {
    const at = world()
    let open = (): void => {}
    at.saving = new Promise((resolve) => {
      open = resolve
    })
    const bridge = bridgeIn(at)
    await until(() => at.isSaving === true)
    const paused = bridge.pause()
    open()
    await paused
    expect(at.saved).toMatchObject({ paused: true, settledPartitions: 8 })
    expect(bridge.record).toEqual(at.saved)
  })

  test('pauses over a restart, and resumes', async () => {
    const at = world()
    append(at.log, 10)
    const bridge = bridgeIn(at)
    await until(() => bridge.statistics.records === 10)
    await bridge.pause()
    expect(bridge.state.kind).toBe('paused')
    append(at.log, 10)
    const again = bridgeIn(at)
    expect(again.state.kind).toBe('paused')
    expect(again.statistics.lagRecords).toBe(10)
    await again.resume()
    // One that runs is left alone.
    await again.resume()
    await until(() => again.statistics.records === 10)
    await again.close()
    check(at, 20)
  })

  test('that was overtaken by retention fails, says so and what helps, and passes over nothing', async () => {
    const at = world()
    append(at.log, 100)
    at.log.trim(1 as ShardId, at.log.nextSequence())
    append(at.log, 100)
    const bridge = bridgeIn(at)
    for (let attempt = 0; attempt < 2; attempt++) {
      await until(() => bridge.state.kind === 'failed')
      const { error } = bridge.state as Extract<BridgeState, { kind: 'failed' }>
      expect(error.code).toBe('TRIMMED')
      expect(error.remedy).toContain('`millrace bridges seek`')
      expect(at.cluster.log).toEqual([])
      await bridge.resume()
    }
    await bridge.close()
  })

  test('drains a source that was deleted, and ends', async () => {
    const at = world()
    append(at.log, 100)
    await at.log.closeStream()
    const bridge = bridgeIn(at)
    await until(() => bridge.state.kind === 'stopped')
    expect(bridge.state).toMatchObject({ reason: 'sourceDeleted' })
    check(at, 100)
    const again = bridgeIn(at)
    await until(() => again.state.kind === 'stopped')
    expect(again.state).toMatchObject({ reason: 'sourceDeleted' })
  })

  test('whose cluster is not configured any more fails, says so, and goes on when it is there again', async () => {
    const at = world()
    at.unknown = new MillraceError('NOT_FOUND', 'No Kafka cluster main is configured.')
    append(at.log, 10)
    const bridge = bridgeIn(at, { brokers: undefined, cluster: 'main' })
    expect(bridge.state).toMatchObject({ kind: 'failed', error: { code: 'NOT_FOUND' } })
    expect(bridge.statistics.lagRecords).toBeGreaterThanOrEqual(10)
    delete at.unknown
    await bridge.resume()
    await until(() => bridge.statistics.records === 10)
    await bridge.close()
  })

  test('can be closed while the broker is away and while it does not answer', async () => {
    const at = world()
    at.cluster.up = false
    const waiting = bridgeIn(at)
    await until(() => waiting.state.kind === 'waiting')
    await waiting.close()
    at.cluster.up = true
    let open = (): void => {}
    at.cluster.gate = new Promise((resolve) => {
      open = resolve
    })
    append(at.log, 10)
    const sending = bridgeIn(at)
    await until(() => at.cluster.atGate)
    const closed = sending.close()
    open()
    await closed
    expect(at.commit.positions()[0]?.next).toBe(at.log.nextSequence())
  })
})

describe('the topic', () => {
  const failed = async (at: World, request: Partial<BridgeRequest> = {}): Promise<MillraceError> => {
    const bridge = bridgeIn(at, request)
    await until(() => bridge.state.kind === 'failed')
    if (bridge.state.kind !== 'failed') throw new Error('unreachable')
    expect(bridge.state.error.code).toBe('KAFKA_REFUSED')
    return bridge.state.error
  }

  test('is not created when that is forbidden', async () => {
    expect((await failed(world(), { createTopic: false })).message).toMatch(/There is no topic millrace.clicks/)
  })

  test('must have the partitions that were asked for', async () => {
    const at = world()
    at.cluster.topics.set('millrace.clicks', { partitions: 3, messageBytesMax: undefined, config: {} })
    expect((await failed(at, { partitions: 4 })).message).toMatch(/has 3 partitions and the bridge asks for 4/)
  })

  test('may neither change its partitions nor vanish once something was delivered', async () => {
    const at = world()
    append(at.log, 10)
    const bridge = bridgeIn(at, { partitions: 2 })
    await until(() => bridge.statistics.records === 10)
    await bridge.close()
    at.cluster.topics.set('millrace.clicks', { partitions: 3, messageBytesMax: undefined, config: {} })
    expect((await failed(at)).message).toMatch(/delivered to 2/)
    at.cluster.topics.clear()
    const error = await failed(at)
    expect(error.message).toMatch(/is gone/)
    expect(error.remedy).toMatch(/create the topic with 2 partitions/)
  })

  test('that takes small messages only gets small requests', async () => {
    const at = world()
    at.cluster.topics.set('millrace.clicks', { partitions: 1, messageBytesMax: 20_000, config: {} })
    const sizes: number[] = []
    at.cluster.onSend = (messages) => {
      sizes.push(messages.reduce((sum, message) => sum + message.key.length + (message.value?.length ?? 0), 0))
      return undefined
    }
    append(at.log, 1_000)
    const bridge = bridgeIn(at)
    await until(() => bridge.statistics.records === 1_000)
    await bridge.close()
    expect(Math.max(...sizes)).toBeLessThan(18_000)
  })
})
