import { randomUUID } from 'node:crypto'
import { afterEach, describe, expect, test } from 'vitest'
import type { EffectSet, Receipt } from '../../src/commit/index.js'
import type { KafkaCluster } from '../../src/kafka/index.js'
import { Intake, type IntakeRecord } from '../../src/kafka/intake/intake.js'
import { checkIntakeRequest, type IntakeRequest } from '../../src/kafka/intake/options.js'
import { PartReader, type TopicCursor } from '../../src/kafka/intake/part-reader.js'
import { type NewRecord, recordsOfBatch, type StreamId } from '../../src/log/index.js'
import { type Clock, MillraceError, systemClock } from '../../src/runtime/index.js'
import { ManualClock } from '../manual-clock.js'
import { Random } from '../simulation/random.js'
import { FakeTopics, unreachable } from './fake-topics.js'
import { silent, until } from './memory.js'

const topic = 'orders'
const target = 1 as StreamId
const dead = 2 as StreamId

/** Pauses between attempts are as long as they are to a broker: here they are a hundredth. */
const clock: Clock = { ...systemClock, setTimeout: (run, ms) => systemClock.setTimeout(run, ms / 100) }

/** A store that takes whole effect sets; what a process that was killed had queued is lost, or not. */
class Store {
  readonly rows = new Map<string, Buffer>()
  readonly streams = new Map<StreamId, NewRecord[]>([
    [target, []],
    [dead, []],
  ])
  isTargetThere = true
  /** Thrown at the next submits. */
  readonly faults: (MillraceError | undefined)[] = []
  recordsMax = Number.POSITIVE_INFINITY
  /** What commits of records wait for. */
  gate: Promise<void> = Promise.resolve()
  pendingBytes = 0

  /** The commit path as one process sees it. */
  seenBy(life: { killed: boolean }) {
    return {
      submit: (effects: EffectSet): Promise<Receipt> => {
        const fault = effects.essential ? undefined : this.faults.shift()
        if (fault) throw fault
        const records = (effects.records ?? []).map((effect) =>
          'batch' in effect ? { ...effect, records: recordsOfBatch(effect.batch) } : effect,
        )
        const count = records
          .filter(({ stream }) => stream === target)
          .reduce((sum, each) => sum + each.records.length, 0)
        if (count > this.recordsMax) throw new MillraceError('EFFECT_TOO_LARGE', 'too large for a commit')
        return (records.length > 0 ? this.gate : Promise.resolve())
          .then(() => new Promise((resolve) => setImmediate(resolve)))
          .then(() => {
            if (life.killed) return new Promise<Receipt>(() => {})
            for (const { key, value } of effects.rows ?? []) this.rows.set(key.toString('hex'), value as Buffer)
            for (const { stream, records: appended, placed } of records) {
              if (stream === target && !this.isTargetThere) continue
              this.streams.get(stream)?.push(...appended)
              placed?.push({ shard: 1 as never, firstSequence: 1 as never, count: appended.length })
            }
            return { commit: 1, time: 0 }
          })
      },
      readDurableMany: async (keys: readonly Buffer[]) => keys.map((key) => this.rows.get(key.toString('hex'))),
    }
  }

  values = (stream = target): string[] => this.streams.get(stream)?.map(({ body }) => body.toString()) ?? []
}

class World {
  clock = clock
  logger = silent
  readonly store = new Store()
  readonly kafka = new FakeTopics()
  saved: IntakeRecord | undefined
  readonly opened: { intake: Intake; life: { killed: boolean } }[] = []

  open(request: Partial<IntakeRequest> = {}, { lookMs = 500, skipLost = false } = {}): Intake {
    const life = { killed: false }
    const commit = this.store.seenBy(life)
    const record: IntakeRecord = this.saved ?? {
      options: checkIntakeRequest({ name: 'test', topic, into: 'stream:orders', brokers: 'a:1', ...request }),
      createdAt: 0,
      paused: false,
      instance: randomUUID(),
      stream: target,
      deadLetters: request.unreadable === 'stop' ? undefined : dead,
      known: undefined,
    }
    const around = {
      commit,
      log: {
        stream: (id: StreamId) =>
          this.store.streams.has(id) ? ({ id, name: 'a stream', kind: 'plain', createdAt: 0 } as never) : undefined,
        openShards: () => [{}, {}] as never,
        route: (_stream: StreamId, hash: { lo: number }) => ({ id: hash.lo % 2 }) as never,
      },
      tables: {} as never,
      store: { id: 'store' },
      openCluster: () => ({ connectConsumer: this.kafka.connectConsumer }) as unknown as KafkaCluster,
      logger: this.logger,
      clock: this.clock,
      random: () => 1,
      lookMs,
    }
    const intake = new Intake(record, around, async (changed, rows) => {
      await commit.submit({ rows: [...rows], essential: true })
      if (!life.killed) this.saved = changed
    })
    this.opened.push({ intake, life })
    intake.start(skipLost)
    return intake
  }

  /** What is not stored yet never is. */
  kill(): void {
    for (const { life, intake } of this.opened.splice(0)) {
      life.killed = true
      void intake.close()
    }
  }
}

const worlds: World[] = []
function world(partitions = 2): World {
  const made = new World()
  made.kafka.partitions(topic, partitions)
  worlds.push(made)
  return made
}
afterEach(async () => {
  for (const { opened } of worlds.splice(0)) {
    for (const { intake, life } of opened) if (!life.killed) await intake.close()
  }
})

const failed = async (intake: Intake): Promise<MillraceError> => {
  await until(
    () => intake.state.kind === 'failed',
    () => intake.state,
  )
  return (intake.state as { error: MillraceError }).error
}

describe('a bridge in', () => {
  test('stores each message once and in order, whatever fails and is killed', async () => {
    for (let seed = 1; seed <= (process.env.MILLRACE_LONG ? 200 : 20); seed++) {
      const random = new Random(seed)
      const at = world(1 + random.below(3))
      const { kafka, store } = at
      let [sent, partitions] = [0, kafka.partitions(topic, 0).length]
      const expected = new Map<string, string[]>()
      const append = (): void => {
        const p = random.below(partitions)
        const partition = kafka.partitions(topic, 0)[p]!
        if (random.below(4) === 0) return partition.gap()
        const value = String(sent++)
        partition.append(null, value)
        expected.set(String(p), [...(expected.get(String(p)) ?? []), value])
      }
      kafka.onCall = () => {
        if (random.below(12) === 0) throw unreachable()
      }
      at.open()
      for (let step = 0; step < 60; step++) {
        for (let i = random.below(4); i > 0; i--) append()
        kafka.changed()
        const chance = random.below(30)
        if (chance === 0) {
          at.kill()
          at.open()
        } else if (chance === 1 && partitions < 5) kafka.partitions(topic, ++partitions)
        else if (chance === 2) store.faults.push(new MillraceError('TOO_BUSY', 'busy'))
        else if (chance === 3) store.recordsMax = 1 + random.below(3)
        await new Promise((resolve) => setImmediate(resolve))
      }
      kafka.onCall = () => {}
      const waking = setInterval(() => kafka.changed(), 5)
      await until(
        () => store.values().length >= sent,
        () => ({ seed, stored: store.values().length, sent, state: at.opened.at(-1)?.intake.state }),
      )
      clearInterval(waking)
      const stored = new Map<string, string[]>()
      for (const { key, body } of store.streams.get(target)!)
        stored.set(key.toString(), [...(stored.get(key.toString()) ?? []), body.toString()])
      expect(stored, `seed ${seed}`).toEqual(expected)
      expect(store.values(dead)).toEqual([])
      at.kill()
    }
  })

  test('begins at the newest message when it is told to, and partitions that come later at their oldest', async () => {
    const at = world(1)
    const [first] = at.kafka.partitions(topic, 1)
    first!.append('a', '"old"')
    const intake = at.open({ start: 'newest' })
    await until(() => intake.state.kind === 'running')
    first!.append('a', '"new"')
    at.kafka.partitions(topic, 2)[1]!.append('b', '"of another partition"')
    at.kafka.changed()
    await until(() => at.store.values().length === 2)
    expect(at.store.values().sort()).toEqual(['"new"', '"of another partition"'])
  })

  test('tells Kafka how far it is, and reads nothing from there', async () => {
    const at = world(1)
    at.kafka.partitions(topic, 1)[0]!.append('a', '1')
    const intake = at.open()
    await until(() => at.store.values().length === 1)
    await intake.close()
    const group = at.kafka.groups.get('millrace.store.test')!
    expect(group.get(0)).toEqual({ offset: 1, metadata: 'millrace bridge test' })
    group.set(0, { offset: 0, metadata: 'millrace bridge test' })
    const again = at.open()
    await until(() => again.state.kind === 'running')
    expect(at.store.values()).toEqual(['1'])
  })

  test('takes no group that has members, or offsets of somebody else', async () => {
    const at = world(1)
    at.kafka.inUse.add('theirs')
    expect((await failed(at.open({ group: 'theirs' }))).message).toMatch(/group theirs is used by another application/)
    const other = world(1)
    other.kafka.groups.set('theirs', new Map([[0, { offset: 3, metadata: '' }]]))
    const error = await failed(other.open({ group: 'theirs' }))
    expect(error).toMatchObject({ code: 'KAFKA_REFUSED', remedy: expect.stringContaining('--group') })
    expect(other.store.values()).toEqual([])
  })

  test('knows another topic or cluster by its offsets, partitions and id', async () => {
    const stored = async (): Promise<World> => {
      const at = world(2)
      for (let i = 0; i < 3; i++) at.kafka.partitions(topic, 2)[0]!.append('a', String(i))
      const intake = at.open()
      await until(() => at.store.values().length === 3)
      await intake.close()
      return at
    }
    const shorter = await stored()
    shorter.kafka.partitions(topic, 2)[0]!.entries.length = 1
    expect((await failed(shorter.open())).message).toMatch(/Partition 0 of orders ends at 1, and was read up to 3/)
    const smaller = await stored()
    smaller.kafka.topics.get(topic)!.length = 1
    expect((await failed(smaller.open())).message).toMatch(/has 1 partitions and had 2/)
    const elsewhere = await stored()
    elsewhere.kafka.clusterId = 'another'
    expect((await failed(elsewhere.open())).message).toMatch(/of another cluster \(another\)/)
    const gone = await stored()
    gone.kafka.topics.delete(topic)
    expect((await failed(gone.open())).message).toBe('There is no topic orders.')
  })

  test('stops before a gap, also when it comes while it reads, and goes on behind it when it is told to', async () => {
    const at = world(1)
    const [partition] = at.kafka.partitions(topic, 1)
    partition!.append('a', '0')
    const intake = at.open({}, { lookMs: 1_000_000 })
    await until(() => at.store.values().length === 1)
    for (let i = 1; i < 6; i++) partition!.append('a', String(i))
    partition!.oldest = 4
    at.kafka.changed()
    expect(await failed(intake)).toMatchObject({ code: 'TRIMMED', details: { partition: 0, offset: 1, oldest: 4 } })
    await intake.resume()
    expect((await failed(intake)).code).toBe('TRIMMED')
    await intake.resume(true)
    await until(() => at.store.values().length === 3)
    expect(at.store.values()).toEqual(['0', '4', '5'])
  })

  test('puts aside what no commit can hold, and what has no readable key', async () => {
    const at = world(1)
    const [partition] = at.kafka.partitions(topic, 1)
    at.store.recordsMax = 0
    partition!.append('a', 'large')
    const intake = at.open()
    await until(() => at.store.values(dead).length === 1)
    at.store.recordsMax = 10
    partition!.entries.push({ offset: 1, timestamp: -1, key: Buffer.from([0xc0]), value: null, headers: [] })
    partition!.append('b', null)
    at.kafka.changed()
    await until(() => at.store.values().length === 1)
    expect(at.store.values()).toEqual(['null'])
    expect(at.store.values(dead).map((body) => JSON.parse(body))).toMatchObject([
      { error: 'too large for a commit', offset: 0, key: 'a', value: 'large' },
      { error: 'its key is not UTF-8', offset: 1, keyBytes: 'wA==', value: null },
    ])
    expect(intake.statistics).toMatchObject({ records: 3, deadLetters: 2, lagRecords: 0 })
  })

  test('waits for a busy store also with what it puts aside, and with an offset alone', async () => {
    const at = world(1)
    const [partition] = at.kafka.partitions(topic, 1)
    at.store.recordsMax = 0
    partition!.append('a', 'large')
    at.store.faults.push(
      undefined,
      new MillraceError('TOO_BUSY', 'busy'),
      undefined,
      new MillraceError('TOO_BUSY', 'busy'),
    )
    const intake = at.open()
    await until(() => at.store.values(dead).length === 1)
    expect(at.store.values(dead)).toEqual([expect.stringContaining('too large for a commit')])
    partition!.gap()
    at.kafka.changed()
    await until(() => at.store.faults.length === 0 && intake.statistics.lagRecords === 0)
    await until(() => intake.state.kind === 'running')
  })

  test('stops at what cannot be stored when it is told to, with all before it stored', async () => {
    const at = world(1)
    const [partition] = at.kafka.partitions(topic, 1)
    partition!.append('a', '1')
    partition!.entries.push({ offset: 1, timestamp: 0, key: Buffer.from([0xff]), value: null, headers: [] })
    partition!.append('b', '2')
    const intake = at.open({ unreadable: 'stop' })
    expect(await failed(intake)).toMatchObject({ code: 'KAFKA_REFUSED', details: { topic, partition: 0, offset: 1 } })
    expect(at.store.values()).toEqual(['1'])
    // What it has stored is told, so that who watches the group sees one message that waits, and not two.
    expect(at.kafka.groups.get('millrace.store.test')!.get(0)).toMatchObject({ offset: 1 })
    await intake.resume()
    await failed(intake)
    expect(at.store.values()).toEqual(['1'])
  })

  test('fails when its stream is gone', async () => {
    const at = world(1)
    at.store.isTargetThere = false
    at.kafka.partitions(topic, 1)[0]!.append('a', '1')
    expect(await failed(at.open())).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('stream:orders'),
    })
  })

  test('fails when the stream that takes what cannot be stored is gone, with nothing lost', async () => {
    const at = world(1)
    at.store.streams.delete(dead)
    at.kafka.partitions(topic, 1)[0]!.append('a'.repeat(70_000), '1')
    expect((await failed(at.open())).message).toMatch(/stream that takes what the bridge cannot store is gone/)
    at.store.streams.set(dead, [])
    at.open()
    await until(() => at.store.values(dead).length === 1)
  })

  test('stops while a broker does not answer', async () => {
    const at = world(1)
    const connect = at.kafka.connectConsumer
    let answer = (): void => {}
    at.kafka.connectConsumer = async () => {
      await new Promise<void>((resolve) => {
        answer = resolve
      })
      return connect()
    }
    const intake = at.open()
    await intake.close()
    expect(intake.state.kind).toBe('stopped')
    answer()
    await until(() => at.kafka.open === 0)
  })

  test('is behind for as long as it has seen messages and stored none', async () => {
    const at = world(1)
    at.kafka.partitions(topic, 1)[0]!.append('a', '1')
    let open = (): void => {}
    at.store.gate = new Promise((resolve) => {
      open = resolve
    })
    const intake = at.open()
    await until(() => intake.statistics.lagSeconds > 0)
    expect(intake.statistics.lagRecords).toBe(1)
    open()
    await until(() => intake.statistics.lagRecords === 0)
    expect(intake.statistics.lagSeconds).toBe(0)
  })

  test('leaves in Kafka what the store does not take', async () => {
    const at = world(1)
    const [partition] = at.kafka.partitions(topic, 1)
    at.kafka.recordsMax = 1
    for (let i = 0; i < 100; i++) partition!.append('a', 'x'.repeat(1_000_000))
    let open = (): void => {}
    at.store.gate = new Promise((resolve) => {
      open = resolve
    })
    let fetches = 0
    at.kafka.onCall = (name) => {
      if (name === 'fetch') fetches++
    }
    at.open()
    // 16 MiB in commits, what is being taken, and what was fetched behind it.
    await until(() => fetches >= 18)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(fetches).toBeLessThan(22)
    expect(at.store.values()).toEqual([])
    open()
    at.store.gate = Promise.resolve()
    await until(() => at.store.values().length === 100)
  })

  test('waits for a broker that is away, and for a store that is full', async () => {
    const at = world(1)
    let isAway = true
    at.kafka.onCall = () => {
      if (isAway) throw unreachable()
    }
    const intake = at.open()
    await until(() => intake.state.kind === 'waiting')
    isAway = false
    await until(() => intake.state.kind === 'running')
    const { errors } = intake.statistics
    at.store.faults.push(new MillraceError('STORAGE_FULL', 'full'))
    at.kafka.partitions(topic, 1)[0]!.append('a', '1')
    at.kafka.changed()
    await until(() => intake.state.kind === 'running' && at.store.values().length === 1)
    expect(intake.statistics).toMatchObject({ errors, lastError: { error: { code: 'KAFKA_UNAVAILABLE' } } })
    await intake.resume()
    expect(intake.state.kind).toBe('running')
    await intake.pause()
    expect(intake.state.kind).toBe('paused')
    expect(at.kafka.open).toBe(0)
    await intake.resume()
    await until(() => intake.state.kind === 'running')
  })

  test('says once that the store is busy, and once that it is no more', async () => {
    const at = world(1)
    const manual = new ManualClock()
    const lines: string[] = []
    const line = (_fields: object, message: string) => void lines.push(message)
    at.clock = manual
    at.logger = { ...silent, info: line, warn: line }
    at.kafka.recordsMax = 1
    const busy = new MillraceError('TOO_BUSY', 'busy')
    for (const refusals of [2, 0, 1, 3]) {
      at.kafka.partitions(topic, 1)[0]!.append('a', '1')
      at.store.faults.push(...Array.from({ length: refusals }, () => busy), undefined)
    }
    const intake = at.open()
    for (const left of [9, 8, 5, 3, 2, 1]) {
      await until(() => at.store.faults.length === left)
      expect(intake.state).toMatchObject({ kind: 'waiting', nextTryAt: manual.now() + 200 })
      manual.advance(200)
    }
    await until(() => at.store.values().length === 4)
    expect(lines).toEqual(['bridge test is starting', 'bridge test is running', 'bridge test waits: busy'])
    manual.advance(2_000)
    expect(lines.slice(3)).toEqual(['bridge test is running'])
    expect(intake.statistics).toMatchObject({ errors: 0, lastError: undefined })
    await Promise.all([intake.close(), until(() => at.kafka.open === 0).then(() => manual.advance(1_000))])
  })
})

describe('a topic in parts', () => {
  const bounds = { recordsMax: 2, bytesMax: 1_000_000 }
  const read = (kafka: FakeTopics, more: { isBounded?: boolean; start?: 'oldest' | 'newest' } = {}) =>
    new PartReader({
      cluster: { connectConsumer: kafka.connectConsumer } as unknown as KafkaCluster,
      topic,
      start: 'oldest',
      isBounded: false,
      clock,
      random: () => 1,
      logger: silent,
      lookMs: 500,
      ...more,
    })
  const start: TopicCursor = { offsets: {} }

  test('is each message once for who stores cursors, whatever fails, is given again or begun anew', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = new Random(seed)
      const kafka = new FakeTopics()
      let partitions = 2
      kafka.partitions(topic, partitions)
      const expected = new Map<string, string[]>()
      let [sent, cursor] = [0, start]
      const stored: [string, string][] = []
      kafka.onCall = () => {
        if (random.below(10) === 0) throw unreachable()
      }
      const append = (): void => {
        const p = random.below(partitions)
        if (random.below(5) === 0) return kafka.partitions(topic, 0)[p]!.gap()
        const value = String(sent++)
        kafka.partitions(topic, 0)[p]!.append(null, value)
        expected.set(String(p), [...(expected.get(String(p)) ?? []), value])
      }
      let reader = read(kafka)
      for (let i = 0; i < 40; i++) append()
      const waking = setInterval(() => kafka.changed(), 1)
      for (let appended = 40; stored.length < sent || appended < 60; ) {
        if (appended++ < 60) append()
        const part = await reader.next(cursor, { ...bounds, recordsMax: 1 + random.below(4) })
        const chance = random.below(12)
        if (chance === 0) {
          await reader.close()
          reader = read(kafka)
        } else if (chance > 1) {
          for (const { key, body } of part.records) stored.push([key.toString(), body.toString()])
          cursor = chance === 2 ? (JSON.parse(JSON.stringify(part.cursor)) as TopicCursor) : part.cursor
        } else if (partitions < 4) kafka.partitions(topic, ++partitions)
      }
      clearInterval(waking)
      await reader.close()
      const found = new Map<string, string[]>()
      for (const [key, value] of stored) found.set(key, [...(found.get(key) ?? []), value])
      expect(found, `seed ${seed}`).toEqual(expected)
    }
  })

  test('ends where the topic ended when it began, when it is bounded', async () => {
    const kafka = new FakeTopics()
    const [first] = kafka.partitions(topic, 2)
    for (let i = 0; i < 5; i++) first!.append('a', String(i))
    const reader = read(kafka, { isBounded: true })
    const values: string[] = []
    let cursor = start
    for (let isEnd = false; !isEnd; ) {
      const part = await reader.next(cursor, bounds)
      values.push(...part.records.map(({ body }) => body.toString()))
      ;({ cursor, isEnd } = part)
      first!.append('a', 'later')
      kafka.partitions(topic, 3)
      kafka.changed()
    }
    await reader.close()
    expect(values).toEqual(['0', '1', '2', '3', '4'])
    const again = read(kafka, { isBounded: true })
    expect(await again.next(cursor, bounds)).toMatchObject({ records: [], isEnd: true })
    await again.close()
  })

  test('says where the first message of a part lies', async () => {
    const kafka = new FakeTopics()
    const [first] = kafka.partitions(topic, 1)
    first!.append('a', '0')
    first!.gap()
    for (const value of ['2', '3', '4']) first!.append('a', value)
    const reader = read(kafka, { isBounded: true })
    const places: unknown[] = []
    let cursor = start
    for (let isEnd = false; !isEnd; ) {
      const part = await reader.next(cursor, { ...bounds, recordsMax: 1 })
      places.push(...(part.first ? [part.first] : []))
      ;({ cursor, isEnd } = part)
    }
    await reader.close()
    expect(places).toEqual([0, 2, 3, 4].map((offset) => ({ topic, partition: 0, offset })))
  })

  test('of nothing is at its end at once when it is bounded', async () => {
    const kafka = new FakeTopics()
    kafka.partitions(topic, 1)
    const reader = read(kafka, { isBounded: true })
    const part = await reader.next(start, bounds)
    expect(part.records).toEqual([])
    expect(part.isEnd || (await reader.next(part.cursor, bounds)).isEnd).toBe(true)
    await reader.close()
  })

  test('keeps where it began, also when nothing has come', async () => {
    const kafka = new FakeTopics()
    const [partition] = kafka.partitions(topic, 1)
    partition!.append('a', '"old"')
    const reader = read(kafka, { start: 'newest' })
    const { records, cursor } = await reader.next(start, bounds)
    expect([records, cursor.offsets]).toEqual([[], { 0: 1 }])
    await reader.close()
    partition!.append('a', '"new"')
    const again = read(kafka, { start: 'newest' })
    expect((await again.next(cursor, bounds)).records.map(({ body }) => String(body))).toEqual(['"new"'])
    await again.close()
  })

  test('ends a wait when it is closed, and says what no other try mends', async () => {
    const kafka = new FakeTopics()
    kafka.partitions(topic, 1)
    const reader = read(kafka)
    const { cursor } = await reader.next(start, bounds)
    const waiting = reader.next(cursor, bounds)
    waiting.catch(() => {})
    await reader.close()
    await expect(waiting).rejects.toMatchObject({ code: 'NOT_READY' })
    const none = read(new FakeTopics())
    await expect(none.next(start, bounds)).rejects.toMatchObject({ code: 'KAFKA_REFUSED' })
    await none.close()
  })
})
