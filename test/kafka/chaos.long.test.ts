import { expect, test } from 'vitest'
import { ensureBuilt } from '../built.js'
import { Random } from '../simulation/random.js'
import { temporaryFolder } from '../temporary-folder.js'
import { kafkaAvailable } from './broker.mjs'
import { ChaosWorld, startBrokerBehind } from './chaos-world.js'
import { KafkaProxy } from './proxy.js'

ensureBuilt()

const records = Number(process.env.MILLRACE_TEST_CHAOS_RECORDS ?? 1_000_000)
const faults = Number(process.env.MILLRACE_TEST_CHAOS_FAULTS ?? 100)
/** Brokers of both generations. */
const versions = ['4.3.1', '3.9.2']

test.skipIf(!kafkaAvailable()).each(versions)(
  `${faults} faults over ${records} records with a broker %s: nothing lost, repeated or out of order`,
  async (version) => {
    const seed = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 1e9)
    const proxy = await KafkaProxy.start()
    const broker = await startBrokerBehind(proxy, version)
    const world = new ChaosWorld({
      proxy,
      broker,
      data: temporaryFolder(),
      random: new Random(seed),
      keys: 1_000,
      pace: { faults, records },
      batch: 200,
      bridges: { exact: {}, other: { driver: 'platformatic' }, least: { guarantee: 'at-least-once', format: 'image' } },
      intakes: { back: 'exact' },
    })
    try {
      await world.start()
      while (world.faults.length < faults) await world.fault()
      await world.written(records)
      await world.settle()
      const label = `seed ${seed}: ${world.faults.join(' ')}, ${JSON.stringify([...proxy.faults])}`
      const exact = await world.checkTopic('exact')
      console.log(version, label, exact)
      expect(exact, label).toMatchObject({ lost: 0, duplicated: 0, disordered: 0, wrong: 0 })
      expect(exact.records).toBeGreaterThanOrEqual(records)
      expect(await world.checkTopic('other'), label).toEqual(exact)
      expect(await world.checkIntake('back'), label).toEqual(exact)
      const least = await world.checkTopic('least')
      console.log(version, least)
      expect(least, label).toMatchObject({ records: exact.records, lost: 0, disordered: 0, wrong: 0 })
      expect(await world.lostAppends(), label).toBe(0)
    } finally {
      await world.close()
      await broker.close()
      await proxy.close()
    }
  },
)
