import { afterEach, describe, expect, test } from 'vitest'
import { Attempts, backOffMsMax, backOffMsMin } from '../../src/kafka/attempts.js'
import { pagesMax } from '../../src/kafka/reading.js'
import { topicLookMs } from '../../src/kafka/run.js'
import { type Clock, MillraceError, systemClock } from '../../src/runtime/index.js'
import { Random } from '../simulation/random.js'
import { away } from './fake-cluster.js'
import { until } from './memory.js'
import { StoreWorld } from './store-world.js'

let world: StoreWorld
afterEach(async () => {
  await world?.close()
})

/** The system's clock, but for looks at the topic, which come when the test says so. */
class LookClock implements Clock {
  #due: (() => void)[] = []
  now = () => systemClock.now()
  monotonic = () => systemClock.monotonic()

  setTimeout(run: () => void, ms: number): { cancel(): void } {
    if (ms !== topicLookMs) return systemClock.setTimeout(run, ms)
    this.#due.push(run)
    return { cancel: () => void this.#due.splice(0, this.#due.length, ...this.#due.filter((each) => each !== run)) }
  }

  get waiting(): number {
    return this.#due.length
  }

  async look(): Promise<void> {
    for (const run of this.#due.splice(0)) run()
    await until(() => this.waiting > 0 || world.bridges.list()[0]?.state.kind === 'failed')
  }
}

describe.each(['exactly-once', 'at-least-once'] as const)('the topic of a bridge that delivers (%s)', (guarantee) => {
  test('may get no partitions, and that is noticed without a restart', async () => {
    const clock = new LookClock()
    world = await StoreWorld.open({ clock })
    await world.stream()
    await world.append(10)
    await world.create({ guarantee })
    await world.caughtUp()
    await clock.look()
    await clock.look()
    expect((await world.shown()).state.kind).toBe('running')
    // A broker that does not answer at that moment is none of its business.
    world.cluster.up = false
    await clock.look()
    world.cluster.up = true
    const topic = world.cluster.topics.get('millrace.clicks')!
    world.cluster.topics.set('millrace.clicks', { ...topic, partitions: 12 })
    await clock.look()
    expect(await world.state('failed')).toMatchObject({
      code: 'KAFKA_REFUSED',
      message: expect.stringContaining('has 12 partitions and the bridge has delivered to 8'),
      remedy: expect.stringContaining('another topic'),
    })
    expect(clock.waiting).toBe(0)
    world.cluster.topics.set('millrace.clicks', topic)
    await world.append(3)
    await world.bridges.resume('test')
    await world.caughtUp()
    expect(world.values()).toHaveLength(13)
  })
})

describe('the configuration of a topic that is there', () => {
  const having = async (config: Record<string, string>, topic = 'millrace.clicks') => {
    world = await StoreWorld.open()
    await world.stream()
    world.cluster.topics.set(topic, { partitions: 1, messageBytesMax: undefined, config })
  }

  test('must be what the bridge asks for', async () => {
    await having({ 'cleanup.policy': 'delete', 'retention.ms': '1000' })
    await world.create({ topicConfig: { 'cleanup.policy': 'compact', 'retention.ms': '1000' } })
    expect(await world.state('failed')).toMatchObject({
      code: 'KAFKA_REFUSED',
      message: expect.stringContaining('cleanup.policy=compact (it has delete)'),
      remedy: expect.stringContaining('kafka-configs --alter --topic millrace.clicks'),
    })
  })

  test('is the same in another order, and is not looked at where nobody asks or may', async () => {
    await having({ 'cleanup.policy': 'delete,compact' })
    await world.create({ topicConfig: { 'cleanup.policy': 'compact, delete' } })
    await world.caughtUp()
    await world.create({ name: 'other', topicConfig: { 'retention.ms': '5' } })
    await world.caughtUp('other')
  })

  test('may have a higher limit of bytes by now: whoever sent what was too large was told to raise it', async () => {
    await having({ 'max.message.bytes': '20000' })
    await world.create({ topicConfig: { 'max.message.bytes': '10000' } })
    await world.caughtUp()
    await world.create({ name: 'other', topicConfig: { 'max.message.bytes': '30000' } })
    expect(await world.state('failed', 'other')).toMatchObject({
      message: expect.stringContaining('max.message.bytes=30000 (it has 20000)'),
    })
  })

  test('of the checkpoints must be compaction: they would be forgotten', async () => {
    await having({ 'cleanup.policy': 'delete' }, 'millrace.clicks.checkpoints')
    await world.create()
    expect(await world.state('failed')).toMatchObject({ message: expect.stringContaining('clicks.checkpoints') })
  })
})

test('between two tries the pauses double up to a bound, with a half of each left to chance', async () => {
  const random = new Random(7)
  const pauses: number[] = []
  const clock: Clock = { ...systemClock, setTimeout: (run) => systemClock.setTimeout(run, 0) }
  const attempts = new Attempts({
    clock,
    random: () => random.below(1000) / 1000,
    stop: new AbortController().signal,
    onWaiting: (_error, ms) => pauses.push(ms),
  })
  for (let i = 0; i < 20; i++) await attempts.failed(away())
  for (const [i, pause] of pauses.entries()) {
    const whole = Math.min(backOffMsMax, backOffMsMin * 2 ** i)
    expect(pause).toBeLessThanOrEqual(whole)
    expect(pause).toBeGreaterThanOrEqual(whole / 2)
  }
  expect(new Set(pauses).size).toBe(20)
  attempts.succeeded()
  await attempts.failed(away())
  expect(pauses.at(-1)).toBeLessThanOrEqual(backOffMsMin)
  await expect(attempts.failed(new MillraceError('KAFKA_REFUSED', 'no'))).rejects.toMatchObject({
    code: 'KAFKA_REFUSED',
  })
})

test('an hour without a broker costs no memory: nothing is read ahead, whatever is written', async () => {
  // An hour of this clock passes in moments.
  let now = systemClock.now()
  const start = now
  const hours = (): number => (now - start) / 3_600_000
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    setTimeout: (run, ms) => {
      const timer = setImmediate(() => {
        now += ms
        run()
      })
      return { cancel: () => clearImmediate(timer) }
    },
  }
  world = await StoreWorld.open({ clock })
  await world.stream()
  await world.append(10)
  await world.create()
  await world.caughtUp()
  world.cluster.up = false
  let reads = 0
  const read = world.log.read.bind(world.log)
  world.log.read = (...given) => {
    reads++
    return read(...given)
  }
  let since: number | undefined
  for (let i = 0; i < 60 || since === undefined || hours() - since < 1; i++) {
    if (world.bridges.list()[0]?.state.kind === 'waiting') since ??= hours()
    if (i < 60) await world.append(50)
    else await new Promise((resolve) => setImmediate(resolve))
  }
  const { state, statistics } = await world.shown()
  expect(state.kind).toBe('waiting')
  expect(statistics.lagRecords).toBe(60 * 50)
  // At most what it holds anyway, and the look that tells the age of the oldest record.
  expect(reads).toBeLessThanOrEqual(pagesMax + 2)
  world.cluster.up = true
  await world.caughtUp()
  expect(world.values()).toHaveLength(10 + 60 * 50)
})
