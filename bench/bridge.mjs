// A bridge out of a full stream, exactly once, beside kafkajs alone that sends the same bodies in transactions of the same
// size, in one run and on the same cores; then how long a change takes to be seen, and what a broker that is away costs.
//   npm run bench -- bridge [throughput] [latency] [away]       (needs Java and Maven)
//     [--records 1000000] [--rounds 3] [--partitions 8] [--rate 50000] [--warm 20] [--seconds 30] [--minutes 10]
//     [--only 'a part of a name'] [--driver NAME] [--profile FOLDER]
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fullSpeed, startBroker } from '../test/kafka/broker.mjs'
import { away } from './bridge-away.mjs'
import { latency } from './bridge-latency.mjs'
import { delivered, fill, peer } from './bridge-load.mjs'
import { BenchDaemon } from './daemon.mjs'
import { inTurn, median, printMachine, temporaryFolder } from './measure.mjs'
import { processorTime } from './process.mjs'

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    records: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '3' },
    partitions: { type: 'string', default: '8' },
    rate: { type: 'string', default: '50000' },
    warm: { type: 'string', default: '20' },
    seconds: { type: 'string', default: '30' },
    minutes: { type: 'string', default: '10' },
    profile: { type: 'string' },
    only: { type: 'string' },
    driver: { type: 'string' },
  },
})
const chosenParts = positionals.length > 0 ? positionals : ['throughput', 'latency', 'away']
const records = Number(flags.records)
const partitions = Number(flags.partitions)
const rate = Number(flags.rate)
const folder = temporaryFolder('bridge')
await printMachine(folder)
const broker = await startBroker({ machine: fullSpeed })
console.log(`broker at ${broker.address}, ${partitions} partitions`)
/** A profile of the daemon's processor time goes into that folder. */
const profile = flags.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${flags.profile}`]
const driver = flags.driver === undefined ? {} : { driver: flags.driver }
let daemons = 0
let topics = 0

async function startDaemon(nodeArguments = []) {
  const daemon = await BenchDaemon.start(join(folder, `daemon-${++daemons}`), { MILLRACE_SPLIT_ENABLED: 'false' }, [
    ...profile,
    ...nodeArguments,
  ])
  daemon.processorTime = () => processorTime(daemon.pid).all
  return daemon
}

async function bridge(daemon, options) {
  const name = `bridge-${++topics}`
  const request = { name, source: 'bench', brokers: [broker.address], topic: name, partitions, ...driver, ...options }
  await daemon.v1('POST', 'bridges', request)
  return name
}

const bareName = 'kafkajs, transactions of 20,000'

async function throughput() {
  const daemon = await startDaemon()
  await fill(daemon, 'bench', records)
  const out = (options) => async () => {
    const name = await bridge(daemon, options)
    const result = await delivered(daemon, name, records)
    await daemon.v1('DELETE', `bridges/${name}`)
    return result
  }
  const bare = (perTransaction) => () => {
    const topic = `bare-${++topics}`
    const sizes = { records, partitions, perTransaction, perRequest: 5000 }
    return peer({ role: 'produce', address: broker.address, topic, ...sizes }).result
  }
  const variants = {
    'kafkajs, transactions of 5,000': bare(5_000),
    [bareName]: bare(20_000),
    'bridge, exactly once, as they are': out({ format: 'image' }),
    'bridge, exactly once, envelope': out({ format: 'envelope' }),
    'bridge, at least once, as they are': out({ format: 'image', guarantee: 'at-least-once' }),
  }
  const chosen = Object.entries(variants).filter(([what]) => flags.only === undefined || what.includes(flags.only))
  const results = await inTurn(Number(flags.rounds), Object.fromEntries(chosen))
  const rateOf = (name) => median(results.get(name).map(({ perSecond }) => perSecond))
  const reference = results.has(bareName) ? rateOf(bareName) : Number.NaN
  console.table(
    [...results].map(([what, runs]) => ({
      what,
      'records/s': Math.round(rateOf(what)),
      'of kafkajs': Number((rateOf(what) / reference).toFixed(2)),
      'us CPU a record': Number(median(runs.map(({ microseconds }) => microseconds)).toFixed(2)),
    })),
  )
  await daemon.stop()
}

const parts = {
  throughput,
  latency: () =>
    latency({ broker, startDaemon, bridge, rate, warm: Number(flags.warm), seconds: Number(flags.seconds) }),
  away: () => away({ broker, startDaemon, bridge, rate, minutes: Number(flags.minutes) }),
}
for (const part of chosenParts) await parts[part]()
await broker.close()
process.exit(0)
