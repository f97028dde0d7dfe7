import { describe, expect, test } from 'vitest'
import { Attempts } from '../../src/kafka/attempts.js'
import { Bridge, type BridgeRecord } from '../../src/kafka/bridge.js'
import { type BridgeRequest, checkBridgeRequest, type KafkaMessage } from '../../src/kafka/index.js'
import { TransactionalDelivery } from '../../src/kafka/transactional-delivery.js'
import type { ShardId } from '../../src/log/index.js'
import { systemClock } from '../../src/runtime/index.js'
import { decodeChange } from '../../src/tables/index.js'
import { Random } from '../simulation/random.js'
import { away, FakeCluster, seenBy, tooLarge } from './fake-cluster.js'
import { MemoryCommit, MemoryGroup, MemoryLog, newRecord, origin, silent, until } from './memory.js'

const topic = 'millrace.clicks'
const checkpoints = `${topic}.checkpoints`

class World {
  readonly log = new MemoryLog()
  readonly commit = new MemoryCommit()
  readonly cluster = new FakeCluster()
  saved: BridgeRecord | undefined
  #appended = 0

  /** The bridge as a start of the daemon makes it, or one that is new. */
  open({
    request = {},
    epoch = 1,
    store = 'store',
  }: {
    request?: Partial<BridgeRequest>
    epoch?: number
    store?: string
  } = {}) {
    const life = { killed: false }
    const positions = this.commit.positions()
    const record = this.saved ?? {
      options: checkBridgeRequest({ name: 'test', source: 'clicks', brokers: 'a:1', ...request }),
      createdAt: 0,
      paused: false,
      settledPartitions: undefined,
      instance: 'first',
      begun: false,
    }
    const around = {
      log: this.log,
      commit: {
        submit: async (...effects: Parameters<MemoryCommit['submit']>) => {
          if (life.killed) return await new Promise<never>(() => {})
          return await this.commit.submit(...effects)
        },
        readDurableMany: this.commit.readDurableMany,
      },
      origin,
      store: { id: store, epoch },
      decodeChange,
      openCluster: () => seenBy(this.cluster, life),
      logger: silent,
      clock: systemClock,
      random: () => 1,
    }
    const group = new MemoryGroup(this.log, positions.length > 0 ? positions : undefined)
    const bridge = new Bridge(record, group, around, async (changed) => {
      if (!life.killed) this.saved = changed
    })
    bridge.start()
    const kill = () => {
      life.killed = true
    }
    return { bridge, kill }
  }

  append(count: number, keys = 20): void {
    for (let i = 0; i < count; i++)
      this.log.append([newRecord(`key-${this.#appended % keys}`, String(this.#appended++))])
  }

  get delivered(): readonly KafkaMessage[] {
    return this.cluster.messages(topic)
  }

  /** Each record once, and those of a key in their order. */
  check(from = 0): void {
    const values = this.delivered.map((message) => Number(JSON.parse(String(message.value)).after))
    expect([...values].sort((a, b) => a - b)).toEqual(Array.from({ length: this.#appended - from }, (_, i) => i + from))
    const newest = new Map<string, number>()
    values.forEach((value, i) => {
      const key = String(this.delivered[i]?.key)
      expect(value).toBeGreaterThan(newest.get(key) ?? -1)
      newest.set(key, value)
    })
  }

  async caughtUp(bridge: Bridge): Promise<void> {
    await until(
      () => bridge.statistics.lagRecords === 0 && bridge.state.kind === 'running',
      () => [bridge.state, bridge.statistics],
    )
  }
}

async function refusal(bridge: Bridge) {
  await until(() => bridge.state.kind === 'failed')
  return bridge.state.kind === 'failed' ? bridge.state.error : undefined
}

describe('a bridge with exactly once', () => {
  test('delivers in transactions with the positions behind them', async () => {
    const at = new World()
    at.append(1_200)
    const { bridge } = at.open()
    at.append(300)
    await at.caughtUp(bridge)
    await bridge.close()
    at.check()
    const last = at.cluster.messages(checkpoints).at(-1)
    expect(JSON.parse(String(last?.key))).toEqual({ bridge: 'test', shard: 1 })
    expect(JSON.parse(String(last?.value))).toEqual({
      store: 'store',
      instance: 'first',
      epoch: 1,
      next: at.log.nextSequence(),
      ended: false,
    })
    expect(at.commit.positions()).toEqual([{ shard: 1, next: at.log.nextSequence(), ended: false }])
    expect(at.saved).toMatchObject({ begun: true, settledPartitions: 8 })
    expect(at.cluster.open).toBe(0)
    expect(at.log.listeners).toBe(0)
  })

  test.each([1, 2, 3, 4, 5, 6, 7, 8])('whatever fails on the way, each record comes once (seed %i)', async (seed) => {
    const random = new Random(seed)
    const at = new World()
    at.cluster.onSend = () => (random.chance(0.06) ? { error: away(), stored: 0 } : undefined)
    at.cluster.onCommit = () => (random.chance(0.15) ? { error: away(), committed: random.chance(0.5) } : undefined)
    let { bridge, kill } = at.open()
    for (let step = 0; step < 40; step++) {
      at.append(random.below(60))
      if (random.chance(0.1)) {
        kill()
        ;({ bridge, kill } = at.open())
      } else if (random.chance(0.06)) {
        await bridge.close()
        ;({ bridge, kill } = at.open())
      }
      const open = at.log.shards().filter(({ state }) => state === 'open')
      if (random.chance(0.1) && open.length < 6) await at.log.split(random.pick(open).id)
      else if (random.chance(0.1) && open.length > 1) {
        const sorted = [...open].sort((a, b) => a.low.hi - b.low.hi)
        const left = random.below(sorted.length - 1)
        await at.log.merge(sorted[left]!.id, sorted[left + 1]!.id)
      }
      await new Promise((resolve) => setTimeout(resolve, random.below(12)))
    }
    at.cluster.onSend = () => undefined
    at.cluster.onCommit = () => undefined
    await at.caughtUp(bridge)
    await bridge.close()
    at.check()
  })

  test('keeps none of the messages of a transaction until its end', async () => {
    const at = new World()
    const stop = new AbortController().signal
    const clock = systemClock
    const acknowledged: unknown[] = []
    const delivery = new TransactionalDelivery(
      {
        cluster: at.cluster,
        topic: { topic, topicConfig: {}, createTopic: true, settledPartitions: undefined },
        compression: 'none',
        stop,
        clock,
        checkpoint: {
          topic,
          bridge: 'test',
          instance: 'first',
          transactionalId: 'test',
          store: { id: 'store', epoch: 1 },
          shards: () => at.log.shards(),
          start: () => [],
          isBegun: () => false,
          logger: silent,
        },
        begun: async () => {},
        onConnected: () => {},
        onTooMuch: () => {},
        putAside: undefined,
        onAcknowledged: (requests) => acknowledged.push(...requests),
      },
      new Attempts({ clock, stop, random: () => 1, onWaiting: () => {} }),
    )
    await delivery.open()
    const bytes = { key: Buffer.from('k'), value: Buffer.from('v') }
    const sent = { records: 1, bytes: 2, partitionBytes: 2, positions: [], counts: new Map(), isFull: false }
    const messages = [{ ...bytes, partition: 0, timestamp: 0, headers: {} }]
    for (let i = 0; i < 2; i++) await delivery.deliver({ ...sent, messages, oldestCommitTime: 1 })
    await delivery.close()
    expect(at.delivered).toHaveLength(2)
    expect(acknowledged).toEqual([1, 2].map(() => ({ ...sent, oldestCommitTime: 1 })))
  })

  test('a program that was fenced by another one writes nothing more, and says so', async () => {
    const at = new World()
    at.append(100)
    const old = at.open()
    await at.caughtUp(old.bridge)
    const { bridge } = at.open()
    await at.caughtUp(bridge)
    at.append(100)
    await at.caughtUp(bridge)
    expect(await refusal(old.bridge)).toMatchObject({
      code: 'KAFKA_REFUSED',
      message: expect.stringContaining('taken over'),
    })
    at.append(50)
    await at.caughtUp(bridge)
    at.check()
    await bridge.close()
  })

  test('one whose own barrier was written without an answer is not taken for another program', async () => {
    const at = new World()
    at.append(100)
    const { bridge } = at.open()
    await at.caughtUp(bridge)
    // The transaction of records fails, then the barrier of the new producer is there and nobody hears of it, twice.
    const answers = [false, true, true]
    at.cluster.onCommit = () => {
      const committed = answers.shift()
      return committed === undefined ? undefined : { error: away(), committed }
    }
    at.append(100)
    await until(
      () => answers.length === 0 && at.delivered.length === 200,
      () => [bridge.state, answers],
    )
    await at.caughtUp(bridge)
    await bridge.close()
    at.check()
  })

  test('one whose transaction was left open ends it itself and goes on, before the broker does', async () => {
    const at = new World()
    at.append(100)
    const { bridge } = at.open()
    await at.caughtUp(bridge)
    const faults = [{ error: away(), committed: false, isOpen: true }]
    at.cluster.onCommit = () => faults.shift()
    at.append(100)
    await until(
      () => at.delivered.length === 200,
      () => [bridge.state, bridge.statistics],
    )
    await at.caughtUp(bridge)
    expect(bridge.statistics.errors).toBe(1)
    await bridge.close()
    at.check()
  })

  test('passes over the marks that versions before this one wrote', async () => {
    const at = new World()
    at.append(10)
    const first = at.open()
    await at.caughtUp(first.bridge)
    await first.bridge.close()
    const mark = { store: 'store', instance: 'first', epoch: 1, run: 'another' }
    const key = Buffer.from(JSON.stringify({ bridge: 'test', look: true }))
    const value = Buffer.from(JSON.stringify(mark))
    const { bridge } = at.open()
    await at.caughtUp(bridge)
    at.cluster.committed.set(checkpoints, [
      ...at.cluster.messages(checkpoints),
      { key, value, partition: 0, timestamp: 0, headers: {} },
    ])
    const faults = [{ error: away(), committed: false }]
    at.cluster.onCommit = () => faults.shift()
    at.append(10)
    await until(
      () => at.delivered.length === 20,
      () => [bridge.state, bridge.statistics],
    )
    await at.caughtUp(bridge)
    await bridge.close()
    at.check()
  })

  test('begins after what a checkpoint says, also when its own positions are older', async () => {
    const at = new World()
    at.append(500)
    const first = at.open()
    await at.caughtUp(first.bridge)
    await first.bridge.close()
    // The store is that of the beginning, as after a restore; the record of the bridge is too.
    at.commit.rows.clear()
    at.saved = undefined
    at.append(200)
    const { bridge } = at.open({ epoch: 2 })
    await at.caughtUp(bridge)
    await bridge.close()
    at.check()
  })

  test('goes on in a shard that is open again after a restore, though Kafka has its end', async () => {
    const at = new World()
    at.append(50)
    const first = at.open()
    await at.caughtUp(first.bridge)
    await at.log.split(1 as ShardId)
    at.append(20)
    await until(() => at.delivered.length === 70)
    await first.bridge.close()
    // The restored store has its root alone, and gives numbers behind those that it lost.
    const restored = new World()
    for (const [name, messages] of at.cluster.committed) restored.cluster.committed.set(name, messages)
    for (const [name, described] of at.cluster.topics) restored.cluster.topics.set(name, described)
    restored.saved = at.saved
    restored.append(50)
    restored.log.skip(10_000)
    restored.append(30)
    const { bridge } = restored.open({ epoch: 2 })
    await until(
      () => restored.delivered.length === 100,
      () => [bridge.state, bridge.statistics, restored.delivered.length],
    )
    await restored.caughtUp(bridge)
    await bridge.close()
  })

  test('refuses what it cannot go on from, with what to do', async () => {
    const at = new World()
    at.append(10)
    const first = at.open({ epoch: 2 })
    await at.caughtUp(first.bridge)
    await first.bridge.close()
    expect(await refusal(at.open({ epoch: 1 }).bridge)).toMatchObject({
      code: 'KAFKA_REFUSED',
      message: expect.stringContaining('older copy'),
    })
    expect(await refusal(at.open({ store: 'another', epoch: 2 }).bridge)).toMatchObject({
      message: expect.stringContaining('another store'),
      remedy: expect.stringContaining('another name'),
    })
    at.cluster.committed.set(checkpoints, [])
    expect(await refusal(at.open({ epoch: 2 }).bridge)).toMatchObject({
      message: expect.stringContaining('gone'),
      remedy: expect.stringContaining('bridges seek test --to oldest'),
    })
    at.cluster.topics.delete(checkpoints)
    expect(await refusal(at.open({ epoch: 2 }).bridge)).toMatchObject({ message: expect.stringContaining('is gone') })
  })

  test('one that is made anew under the name of another begins where it is told', async () => {
    const at = new World()
    at.append(30)
    const first = at.open()
    await at.caughtUp(first.bridge)
    await first.bridge.close()
    at.commit.rows.clear()
    at.saved = { ...(at.saved as BridgeRecord), instance: 'second', begun: false }
    const { bridge } = at.open()
    await until(() => at.delivered.length === 60)
    await at.caughtUp(bridge)
    await bridge.close()
    const entries = at.cluster.messages(checkpoints).filter(({ key }) => String(key).includes('shard'))
    expect(JSON.parse(String(entries.at(-1)?.value))).toMatchObject({ instance: 'second' })
  })

  test('messages that are too many for the topic come in smaller requests; one that is too large stops it', async () => {
    const at = new World()
    at.cluster.onSend = (messages) => (messages.length > 40 ? { error: tooLarge(), stored: 0 } : undefined)
    at.append(1_000)
    const { bridge } = at.open()
    await at.caughtUp(bridge)
    at.check()
    at.cluster.onSend = (messages) =>
      messages.some(({ value }) => String(value).includes('1000')) ? { error: tooLarge(), stored: 0 } : undefined
    at.append(1)
    expect(await refusal(bridge)).toMatchObject({ code: 'KAFKA_REFUSED', details: { bytes: expect.any(Number) } })
    await bridge.close()
  })
})
