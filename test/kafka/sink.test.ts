import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { partitionOf } from '../../src/kafka/index.js'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'
import { type Broker, kafkaAvailable, startBroker } from './broker.mjs'
import { kafkaAt, readTopic } from './read-topic.js'

// A pipeline of a daemon that sends to a real broker: at least once and in order per key, over kills of both.
const here = kafkaAvailable()

describe.skipIf(!here)('a Kafka sink', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
  let broker: Broker
  let daemon: DaemonProcess
  const start = async () => {
    daemon = await DaemonProcess.start({
      data: join(folder, 'data'),
      env: {
        MILLRACE_WORKERS_THREADS: '2',
        MILLRACE_KAFKA_BROKERS: broker.address,
        MILLRACE_PIPELINES_EPOCH_BYTES_MAX: '262144',
        MILLRACE_LOG_LEVEL: 'silent',
      },
    })
  }

  beforeAll(async () => {
    ensureBuilt()
    broker = await startBroker()
    const admin = kafkaAt(broker.address).admin()
    await admin.connect()
    await admin.createTopics({
      topics: [
        { topic: 'out', numPartitions: 3 },
        { topic: 'small', numPartitions: 1, configEntries: [{ name: 'max.message.bytes', value: '20000' }] },
      ],
    })
    await admin.disconnect()
    await start()
  })

  afterAll(async () => {
    expect(await daemon?.stop()).toBe(0)
    await broker?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  let number = 0
  async function deploy(source: string): Promise<unknown> {
    const path = join(folder, `module-${number++}.ts`)
    writeFileSync(path, `import { kafka, pipeline, stream } from 'millrace'\n${source}`)
    return daemon.v1('POST', 'pipelines', { bundle: await bundleModule(path) })
  }
  interface OutboxOf {
    readonly delivered: number
    readonly deadLetters: number
    readonly records: number
    readonly error?: string
  }
  const outbox = async (name: string) =>
    (await daemon.v1<{ outboxes: OutboxOf[] }>('GET', `pipelines/${name}`)).outboxes?.[0]
  const append = (name: string, records: readonly object[]) => daemon.v1('POST', `streams/${name}/records`, { records })

  it('delivers everything at least once and in order per key, while broker and daemon are killed', async () => {
    await daemon.v1('POST', 'streams', { name: 'in', shards: 2 })
    await deploy(`export default pipeline('out').from(stream<number>('in')).keyBy((record) => record.key)
      .to(kafka('out', ({ value }, key) => ({ key, value: { n: value }, headers: { from: 'in' } }), {
        batchMax: 50, retry: { first: '20ms', longest: '200ms' }, breaker: { failures: 1000, pause: '100ms' },
      }))`)
    let n = 0
    const more = async (many: number) => {
      const records = Array.from({ length: many }, () => ({ key: `k${n % 11}`, value: n++ }))
      await append('in', records)
    }
    await more(1000)
    await expect.poll(async () => (await outbox('out'))?.delivered ?? 0).toBeGreaterThan(100)
    await broker.kill()
    await more(1000)
    await expect.poll(async () => (await outbox('out'))?.error ?? '').not.toBe('')
    await daemon.kill()
    await broker.start()
    await start()
    await more(1000)
    await expect.poll(async () => (await outbox('out'))?.delivered ?? 0).toBe(n)
    const messages = await readTopic(broker.address, 'out')
    const firsts = new Map<string, number[]>()
    const ids = new Map<string, string>()
    for (const { key, value, partition, headers } of messages) {
      expect(partition).toBe(partitionOf(Buffer.from(key), 3))
      expect(headers.from).toBe('in')
      // What comes twice has one id and one content.
      const id = headers['millrace-id']!
      expect(ids.get(id) ?? value).toBe(value)
      ids.set(id, value!)
      const seen = firsts.get(key) ?? []
      const each = (JSON.parse(value!) as { n: number }).n
      if (!seen.includes(each)) seen.push(each)
      firsts.set(key, seen)
    }
    expect(ids.size).toBe(n)
    for (const [key, seen] of firsts)
      expect(seen).toEqual(Array.from({ length: n }, (_, i) => i).filter((i) => `k${i % 11}` === key))
  })

  it('sends text, bytes and tombstones as they are; what the broker will not take is a dead letter, and others go on', async () => {
    await daemon.v1('POST', 'streams', { name: 'kinds', shards: 1 })
    await deploy(`export default pipeline('kinds').from(stream<string>('kinds'))
      .to(kafka('small', ({ value }) =>
        value === 'bytes' ? { key: new Uint8Array([0x41]), value: new Uint8Array([0x42, 0x43]) }
        : value === 'tombstone' ? { key: 'gone', value: null }
        : value === 'large' ? { key: 'large', value: 'x'.repeat(30000) }
        : value === 'nowhere' ? { value, partition: 7 }
        : { value, partition: 0 },
      { retry: { first: '20ms', longest: '100ms' } }))`)
    await append(
      'kinds',
      ['text', 'bytes', 'large', 'tombstone', 'nowhere', 'last'].map((value) => ({ key: 'k', value })),
    )
    await expect.poll(async () => (await outbox('kinds'))?.delivered ?? 0).toBe(6)
    expect(await outbox('kinds')).toMatchObject({ records: 0, deadLetters: 2 })
    const messages = await readTopic(broker.address, 'small')
    const firsts = new Map(messages.map((message) => [message.headers['millrace-id'], message]))
    expect([...firsts.values()].map(({ value }) => value)).toEqual(['text', 'BC', null, 'last'])
  })
})
