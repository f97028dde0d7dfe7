import { expect, test } from 'vitest'
import { ensureBuilt } from '../built.js'
import { Random } from '../simulation/random.js'
import { temporaryFolder } from '../temporary-folder.js'
import { kafkaAvailable } from './broker.mjs'
import { ChaosWorld, startBrokerBehind, withLimit } from './chaos-world.js'
import { KafkaProxy } from './proxy.js'

ensureBuilt()

const records = Number(process.env.MILLRACE_TEST_CHAOS_RECORDS ?? 1_000_000)
const faults = Number(process.env.MILLRACE_TEST_CHAOS_FAULTS ?? 100)
/** Brokers of both generations. */
const versions = (process.env.MILLRACE_TEST_CHAOS_VERSIONS ?? '4.3.1,3.9.2').split(',')
/** Kept however long the run is; small segments, so that a broker that was killed looks through less of them. */
const kept = { 'retention.ms': '-1', 'segment.bytes': String(32 * 1024 * 1024) }
const refused = withLimit(50_000)
/** Holds no record that is oversized. */
const schema = { $id: 'urn:example:small', type: 'object', properties: { filler: { type: 'string', maxLength: 100 } } }
const plain = { guarantee: 'at-least-once', format: 'image' }
const other = { driver: 'platformatic' }
/** Both guarantees with both drivers, and dead letters that come of the broker, and of a schema. */
const bridges: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  exact: {},
  exactOther: other,
  plain,
  plainOther: { ...plain, ...other },
  refused: { ...refused, topicConfig: { ...kept, ...refused.topicConfig } },
  plainRefused: { ...plain, ...other, ...refused, topicConfig: { ...kept, ...refused.topicConfig } },
  mismatched: { ...other, format: 'image', refused: 'dead-letter', schema },
}
const intakes = { back: { topic: 'exact' }, backOther: { topic: 'exactOther', ...other } }

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
      oversized: { every: 1009, bytes: 60_000 },
      bridges: Object.fromEntries(
        Object.entries(bridges).map(([name, options]) => [name, { topicConfig: kept, ...options }]),
      ),
      intakes,
    })
    try {
      await world.start()
      while (world.faults.length < faults) {
        await world.fault()
        console.log(version, world.faults.length, world.faults.at(-1), world.acknowledged)
      }
      await world.written(records)
      await world.settle()
      const label = `seed ${seed}: ${world.faults.join(' ')}, ${JSON.stringify([...proxy.faults])}`
      console.log(version, label)
      const expected = { records: 0, letters: 0, lost: 0, duplicated: 0, disordered: 0, wrong: 0 }
      const letters = await world.oversized()
      for (const [name, options] of Object.entries(bridges)) {
        const found = await world.checkTopic(name)
        console.log(version, name, found)
        expected.records ||= found.records
        // What comes again is all that may be.
        const duplicated = options.guarantee === 'at-least-once' ? found.duplicated : 0
        expect(found, `${name}, ${label}`).toEqual({ ...expected, letters: options.refused ? letters : 0, duplicated })
      }
      for (const name of Object.keys(intakes)) {
        const found = await world.checkIntake(name)
        console.log(version, name, found)
        expect(found, `${name}, ${label}`).toEqual(expected)
      }
      expect(expected.records).toBeGreaterThanOrEqual(records)
      expect(await world.lostAppends(), label).toBe(0)
    } finally {
      await world.close()
      await broker.close()
      await proxy.close()
    }
  },
  3 * 60 * 60_000,
)
