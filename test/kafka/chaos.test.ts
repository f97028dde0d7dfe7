import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { kafkaDrivers } from '../../src/kafka/index.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'
import { Random } from '../simulation/random.js'
import { temporaryFolder } from '../temporary-folder.js'
import { type Broker, kafkaAvailable } from './broker.mjs'
import { ChaosWorld, startBrokerBehind, withLimit } from './chaos-world.js'
import { eachCommitted } from './java-reader.js'
import { endTransactionApi, KafkaProxy } from './proxy.js'

ensureBuilt()

describe.skipIf(!kafkaAvailable())('a broker behind a network that fails', () => {
  let proxy: KafkaProxy
  let broker: Broker

  beforeAll(async () => {
    proxy = await KafkaProxy.start()
    broker = await startBrokerBehind(proxy)
  })
  afterAll(async () => {
    await broker?.close()
    await proxy?.close()
  })

  test('daemon, broker and connections are killed: each record comes once and in order, with both drivers', async () => {
    const seed = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 1e9)
    const world = new ChaosWorld({
      proxy,
      broker,
      data: temporaryFolder(),
      random: new Random(seed),
      pace: { faults: 3, records: 3_000 },
      oversized: { every: 211, bytes: 30_000 },
      bridges: { exact: {}, other: { driver: 'platformatic', format: 'image' }, refusing: withLimit(25_000) },
      intakes: { back: { topic: 'exact' } },
    })
    try {
      await world.start()
      for (const kind of ['network', 'killBoth', 'split'] as const) await world.fault([kind])
      await world.settle()
      const label = `seed ${seed}`
      expect(proxy.made, label).toBeGreaterThan(0)
      const exact = await world.checkTopic('exact')
      expect(exact, label).toEqual({
        records: exact.records,
        letters: 0,
        lost: 0,
        duplicated: 0,
        disordered: 0,
        wrong: 0,
      })
      expect(await world.checkTopic('other'), label).toEqual(exact)
      expect(await world.checkIntake('back'), label).toEqual(exact)
      expect(await world.checkTopic('refusing'), label).toEqual({ ...exact, letters: await world.oversized() })
      expect(await world.lostAppends(), label).toBe(0)
      expect(exact.records).toBeGreaterThanOrEqual(world.acknowledged)
      expect(world.acknowledged).toBeGreaterThan(200)
    } finally {
      await world.close()
    }
  })

  test.each(kafkaDrivers)('a transaction whose end is lost is ended by the bridge itself (%s)', async (driver) => {
    const daemon = await DaemonProcess.start({ data: temporaryFolder(), env: { MILLRACE_SPLIT_ENABLED: 'false' } })
    const name = `lost-${driver}`
    try {
      const append = () => daemon.v1('POST', 'streams/clicks/records', { records: [{ key: 'k', value: 1 }] })
      await daemon.v1('POST', 'streams', { name: 'clicks' })
      const brokers = [proxy.address]
      await daemon.v1('POST', 'bridges', { name, source: 'clicks', brokers, driver, topic: name })
      await append()
      await stateOf(daemon, 'running', name)
      proxy.decide = ({ api }) => (api === endTransactionApi ? { kind: 'cutBefore' } : undefined)
      await append()
      await stateOf(daemon, 'waiting', name)
      proxy.decide = undefined
      const { statistics } = await stateOf(daemon, 'running', name)
      // Reading up to something behind the open transaction would have ended in silence, until the broker gave it up.
      expect(statistics.lastError?.error.message).not.toMatch(/nothing came/)
      let records = 0
      await eachCommitted(proxy.address, name, () => records++)
      expect(records).toBe(2)
    } finally {
      proxy.decide = undefined
      await daemon.kill()
    }
  })

  test('a daemon that was stopped, and fenced by a copy of it meanwhile, writes nothing when it goes on', async () => {
    const folder = temporaryFolder()
    const first = join(folder, 'first')
    const env = { MILLRACE_SPLIT_ENABLED: 'false' }
    const zombie = await DaemonProcess.start({ data: first, env })
    let copy: DaemonProcess | undefined
    try {
      const append = (daemon: DaemonProcess, from: string, count: number) =>
        daemon.v1('POST', 'streams/clicks/records', {
          records: Array.from({ length: count }, (_, i) => ({ key: `key-${i % 7}`, value: { from } })),
        })
      const brokers = [proxy.address]
      await zombie.v1('POST', 'streams', { name: 'clicks' })
      await zombie.v1('POST', 'bridges', {
        name: 'zombie',
        source: 'clicks',
        brokers,
        topic: 'zombie',
        format: 'image',
      })
      // It is stopped in the midst of its transactions.
      await append(zombie, 'before', 20)
      await stateOf(zombie, 'running')
      const writing = (async () => {
        for (let i = 0; i < 60; i++) await append(zombie, 'before', 20)
      })()
      await sleep(250)
      zombie.child.kill('SIGSTOP')
      const second = join(folder, 'second')
      cpSync(first, second, { recursive: true })
      copy = await DaemonProcess.start({ data: second, env })
      await append(copy, 'copy', 100)
      await stateOf(copy, 'running')
      zombie.child.kill('SIGCONT')
      await writing
      await append(zombie, 'zombie', 100)
      const failed = await stateOf(zombie, 'failed')
      expect(failed.state.error).toMatchObject({
        code: 'KAFKA_REFUSED',
        message: expect.stringContaining('taken over'),
      })
      await append(copy, 'copy', 100)
      await stateOf(copy, 'running')

      const counts = new Map<string, number>()
      const seen = new Set<number>()
      await eachCommitted(proxy.address, 'zombie', ({ sequence = -1, value = '' }) => {
        const { from } = JSON.parse(value) as { from: string }
        counts.set(from, (counts.get(from) ?? 0) + 1)
        expect(seen.has(sequence), `the record ${sequence} of ${from}`).toBe(false)
        seen.add(sequence)
      })
      expect(counts.get('copy')).toBe(200)
      expect(counts.has('zombie')).toBe(false)
    } finally {
      zombie.child.kill('SIGCONT')
      await zombie.kill()
      await copy?.kill()
    }
  })
})

interface View {
  readonly state: { readonly kind: string; readonly error?: { readonly code: string; readonly message: string } }
  readonly statistics: {
    readonly lagRecords: number
    readonly lastError?: { readonly error: { readonly message: string } }
  }
}

/** Waits until a bridge is so; of one that runs, until it has delivered everything. */
async function stateOf(daemon: DaemonProcess, kind: string, name = 'zombie'): Promise<View> {
  for (;;) {
    const view = await daemon.v1<View>('GET', `bridges/${name}`)
    if (view.state.kind === kind && (kind !== 'running' || view.statistics.lagRecords === 0)) return view
    await sleep(50)
  }
}
