import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { Bridge, type BridgeRecord } from '../../src/kafka/bridge.js'
import {
  type BridgeRequest,
  checkBridgeRequest,
  kafkaDrivers,
  murmur2,
  openWith,
  partitionOf,
} from '../../src/kafka/index.js'
import { RecordKind, type ShardId } from '../../src/log/index.js'
import { systemClock } from '../../src/runtime/index.js'
import { decodeChange } from '../../src/tables/index.js'
import { type Broker, brokerJars, kafkaAvailable, startBroker } from './broker.mjs'
import { changeBody, MemoryCommit, MemoryGroup, MemoryLog, newRecord, origin, silent, until } from './memory.js'
import { kafkaAt, type ReadMessage, readTopic } from './read-topic.js'

const here = kafkaAvailable()

let broker: Broker
if (here) {
  beforeAll(async () => {
    broker = await startBroker()
  })
  afterAll(async () => {
    await broker?.close()
  })
}

describe.skipIf(!here).each(kafkaDrivers)('against a real broker (%s)', (driver) => {
  const opened: Bridge[] = []
  /** Restarts of the broker are long: in a short run with the driver that is the default. */
  const isWhole = driver === 'kafkajs' || process.env.MILLRACE_LONG !== undefined

  afterEach(async () => {
    await Promise.all(opened.splice(0).map((bridge) => bridge.close()))
  })

  let topics = 0
  /** A world of its own: a log, the store's rows, and a topic that no other test has. */
  function world(log = new MemoryLog()) {
    const commit = new MemoryCommit()
    const topic = `topic-${driver}-${++topics}`
    let saved: BridgeRecord | undefined
    /** The bridge as a start of the daemon makes it. */
    const open = (request: Partial<BridgeRequest> = {}): Bridge => {
      const positions = commit.positions()
      const record = saved ?? {
        options: checkBridgeRequest({
          name: 'test',
          source: 'clicks',
          brokers: broker.address,
          topic,
          partitions: 3,
          ...request,
          // The records are of another year.
          topicConfig: { 'retention.ms': '-1', ...request.topicConfig },
        }),
        createdAt: 0,
        paused: false,
        settledPartitions: undefined,
        instance: topic,
        begun: false,
      }
      const around = {
        log,
        commit,
        origin,
        store: { id: 'store', epoch: 1 },
        decodeChange,
        openCluster: openWith[driver],
        logger: silent,
        clock: systemClock,
        random: Math.random,
      }
      const bridge = new Bridge(
        record,
        new MemoryGroup(log, positions.length > 0 ? positions : undefined),
        around,
        async (changed) => {
          saved = changed
        },
      )
      opened.push(bridge)
      bridge.start()
      return bridge
    }
    return { log, commit, topic, open, read: () => readTopic(broker.address, topic) }
  }

  let appended = 0
  const append = (log: MemoryLog, count: number): void => {
    log.append(Array.from({ length: count }, () => newRecord(`key-${appended % 50}`, String(appended++))))
  }
  const delivered = (bridge: Bridge, records: number): Promise<void> =>
    until(
      () => bridge.statistics.records >= records,
      () => ({ state: bridge.state, statistics: bridge.statistics }),
    )

  /** Nothing lost, every key on its partition, in order per key; each record once, or its first delivery in order. */
  function check(messages: readonly ReadMessage[], expected: number, { once = true } = {}): void {
    const seen = new Set<number>()
    const newest = new Map<string, number>()
    for (const { key, partition, headers } of messages) {
      expect(partition).toBe(partitionOf(Buffer.from(key), 3))
      const sequence = Number(headers['millrace-sequence'])
      if (once && seen.has(sequence)) throw new Error(`the record ${sequence} came again`)
      if (seen.has(sequence)) continue
      seen.add(sequence)
      expect(sequence).toBeGreaterThan(newest.get(key) ?? 0)
      newest.set(key, sequence)
    }
    expect(seen.size).toBe(expected)
  }

  if (isWhole) {
    test('murmur2 is what the Java client computes', () => {
      const keys = Array.from({ length: 500 }, (_, i) => randomBytes(i % 70)).concat(Buffer.from('{"id":{"N":"1"}}'))
      const source = fileURLToPath(new URL('broker/Murmur.java', import.meta.url))
      const output = execFileSync('java', ['-cp', `${brokerJars()}/*`, source], {
        input: keys.map((key) => key.toString('hex')).join('\n'),
        encoding: 'utf8',
      })
      const expected = keys.map((key) => `${murmur2(key)} ${partitionOf(key, 0x80000000)}`)
      expect(output.trim().split('\n')).toEqual(expected)
    })
  }

  test('changes of a table arrive as they were made', async () => {
    const { log, open, read } = world(new MemoryLog('table', 'todo'))
    const key = { ListId: { N: '2' }, TaskId: { S: '1_progress' } }
    const item = { ...key, Description: { S: 'Share progress' } }
    log.append([newRecord('2', changeBody(key, item), RecordKind.insert)])
    log.append([newRecord('2', changeBody(key, undefined, item), RecordKind.remove)])
    const bridge = open({ compression: 'gzip', topicConfig: { 'cleanup.policy': 'compact' } })
    await delivered(bridge, 2)
    const messages = await read()
    expect(messages.map((message) => message.key)).toEqual(
      Array(3).fill('{"ListId":{"N":"2"},"TaskId":{"S":"1_progress"}}'),
    )
    expect(messages.map((message) => message.value && JSON.parse(message.value))).toMatchObject([
      { op: 'c', before: null, after: item, source: { table: 'todo', eventId: 'event-0000000000000002' } },
      { op: 'd', before: item, after: null },
      null,
    ] as object[])
    expect(messages.map((message) => message.headers['millrace-op'])).toEqual(['c', 'd', 'd'])
    expect(messages[0]?.timestamp).toBe(log.commitTime)
    expect(new Set(messages.map((message) => message.partition)).size).toBe(1)
  })

  // With exactly once the kills of a broker are long: it finds the transaction that was cut before it goes on.
  const guarantees = process.env.MILLRACE_LONG
    ? (['exactly-once', 'at-least-once'] as const)
    : (['at-least-once'] as const)
  if (isWhole) {
    test.each(guarantees)(
      'nothing is lost over splits, a restart of the broker and a kill -9, and it stays in order per key (%s)',
      async (guarantee) => {
        const { log, commit, open, read } = world()
        const bridge = open({ guarantee })
        const writing = setInterval(() => append(log, 10), 4)
        try {
          await delivered(bridge, 500)
          await broker.kill()
          await until(() => bridge.state.kind === 'waiting')
          await log.split(1 as ShardId)
          await broker.start()
          await delivered(bridge, bridge.statistics.records + 500)
          const restarted = broker.restart()
          await log.split(2 as ShardId)
          await restarted
          await delivered(bridge, bridge.statistics.records + 500)
        } finally {
          clearInterval(writing)
        }
        await until(() => bridge.statistics.lagRecords === 0)
        expect(bridge.state.kind).toBe('running')
        await bridge.close()
        // What takes a sequence number beside the records: five shards made, two sealed.
        const records = log.nextSequence() - 1 - 7
        check(await read(), records, { once: guarantee === 'exactly-once' })
        expect(commit.positions().filter((position) => position.ended)).toHaveLength(2)
      },
    )
  }

  test('goes on where it was when it is opened anew after a crash', async () => {
    const { log, open, read, commit } = world()
    append(log, 2_000)
    const first = open()
    await delivered(first, 1_000)
    // What a crash leaves is what was committed until then: the second one starts from a copy of that.
    const then = commit.positions()
    await first.close()
    for (const position of then) await commit.submit({ rows: new MemoryGroup(log).rowsFor([position]) })
    append(log, 500)
    const second = open()
    await until(() => second.statistics.lagRecords === 0 && second.statistics.records >= 500)
    check(await read(), 2_500)
    await second.close()
    expect(commit.positions()).toEqual([{ shard: 1, next: log.nextSequence(), ended: false }])
  })

  if (isWhole) {
    test('a broker that is away at the start is waited for', async () => {
      const { log, open, read } = world()
      append(log, 300)
      await broker.stop()
      const bridge = open()
      await until(() => bridge.state.kind === 'waiting' && bridge.statistics.errors > 0)
      expect(bridge.state).toMatchObject({ error: { code: 'KAFKA_UNAVAILABLE' } })
      await broker.start()
      await delivered(bridge, 300)
      check(await read(), 300)
    })
  }

  test('what the broker refuses is a typed error that says what to do', async () => {
    const refusal = async (bridge: Bridge) => {
      await until(
        () => bridge.state.kind === 'failed',
        () => bridge.state,
      )
      return bridge.state.kind === 'failed' ? bridge.state.error : undefined
    }
    expect(await refusal(world().open({ createTopic: false }))).toMatchObject({
      code: 'KAFKA_REFUSED',
      remedy: expect.stringMatching(/Create it with 3 partitions/),
    })
    expect(await refusal(world().open({ replicationFactor: 3 }))).toMatchObject({
      code: 'KAFKA_REFUSED',
      details: { kafka: 'INVALID_REPLICATION_FACTOR' },
    })
    expect(await refusal(world().open({ topicConfig: { 'cleanup.polizei': 'x' } }))).toMatchObject({
      code: 'KAFKA_REFUSED',
      message: expect.stringContaining('cleanup.polizei'),
      details: { kafka: 'INVALID_CONFIG' },
    })

    const small = world()
    append(small.log, 1_000)
    const bridge = small.open({ topicConfig: { 'max.message.bytes': '20000' } })
    await delivered(bridge, 1_000)
    const [sequence] = small.log.append([newRecord('big', `"${'x'.repeat(30_000)}"`)])
    expect(await refusal(bridge)).toMatchObject({
      code: 'KAFKA_REFUSED',
      details: { kafka: 'MESSAGE_TOO_LARGE', sequence },
      remedy: expect.stringMatching(/max\.message\.bytes/),
    })
    check(await small.read(), 1_000)
  })

  test('a partition that the topic does not have is not taken for acknowledged', async () => {
    const narrow = `narrow-${driver}`
    const admin = kafkaAt(broker.address).admin()
    await admin.connect()
    await admin.createTopics({ topics: [{ topic: narrow, numPartitions: 2 }] })
    await admin.disconnect()
    const cluster = openWith[driver]({ brokers: [broker.address], clientId: 'test', logger: silent })
    const producer = await cluster.connectProducer()
    const message = (partition: number) => ({
      key: Buffer.from('k'),
      value: Buffer.from('v'),
      partition,
      timestamp: Date.now(),
      headers: {},
    })
    await producer.send(narrow, [message(0), message(1)], 'none')
    await expect(producer.send(narrow, [message(0), message(2)], 'none')).rejects.toMatchObject({
      code: 'KAFKA_UNAVAILABLE',
      details: { partition: 2 },
    })
    await expect(producer.send(narrow, [message(0)], 'none')).rejects.toMatchObject({ code: 'INTERNAL' })
    producer.discard()
  })
})
