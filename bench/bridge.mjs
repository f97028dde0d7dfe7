// A bridge out of a full stream, exactly once, beside kafkajs alone that sends the same bodies in transactions of the same
// size, in one run and on the same cores; then how long a change takes to be seen, and what a broker that is away costs.
//   npm run bench -- bridge [throughput] [latency] [away]       (needs Java and Maven)
//     [--records 1000000] [--rounds 3] [--partitions 8] [--rate 50000] [--warm 20] [--seconds 30] [--minutes 10]
//     [--only 'a part of a name'] [--driver NAME] [--profile FOLDER]
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startBroker } from '../test/kafka/broker.mjs'
import { appendAt, delivered, fill, peer } from './bridge-load.mjs'
import { BenchDaemon } from './daemon.mjs'
import { inTurn, median, printMachine, temporaryFolder } from './measure.mjs'
import { processorTime, residentMegabytes } from './process.mjs'

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
const parts = positionals.length > 0 ? positionals : ['throughput', 'latency', 'away']
const records = Number(flags.records)
const partitions = Number(flags.partitions)
const rate = Number(flags.rate)
const folder = temporaryFolder('bridge')
await printMachine(folder)
const broker = await startBroker()
console.log(`broker at ${broker.address}, ${partitions} partitions`)
/** A profile of the daemon's processor time goes into that folder. */
const profile = flags.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${flags.profile}`]
const driver = flags.driver === undefined ? {} : { driver: flags.driver }
let daemons = 0
let topics = 0

async function startDaemon() {
  const daemon = await BenchDaemon.start(
    join(folder, `daemon-${++daemons}`),
    { MILLRACE_SPLIT_ENABLED: 'false' },
    profile,
  )
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

/**
 * Milliseconds from an append until a read_committed consumer has it, at a rate that leaves room, once the broker, the daemon and the
 * consumer have run so for a while: a broker that was just started compiles for half a minute of two cores.
 */
async function latency() {
  const rows = []
  for (const guarantee of ['exactly-once', 'at-least-once']) {
    const daemon = await startDaemon()
    await daemon.v1('POST', 'streams', { name: 'bench', shards: 1 })
    const name = await bridge(daemon, { guarantee, format: 'image' })
    while ((await daemon.v1('GET', `bridges/${name}`)).state.kind !== 'running') await sleep(50)
    const seconds = Number(flags.seconds)
    const consumer = peer({
      role: 'consume',
      address: broker.address,
      topic: name,
      messages: Math.floor(rate * seconds * 0.99),
      warmMs: Number(flags.warm) * 1000,
      seconds: Number(flags.warm) + seconds * 3,
    })
    await consumer.reading
    const until = performance.now() + (Number(flags.warm) + seconds) * 1000
    await appendAt(daemon, 'bench', rate, () => performance.now() > until)
    const { messages, p50, p99, max } = await consumer.result
    rows.push({
      guarantee,
      'records/s': rate,
      messages,
      p50: Math.round(p50),
      p99: Math.round(p99),
      max: Math.round(max),
    })
    await daemon.stop()
  }
  console.table(rows)
}

/** What the daemon takes while the broker is away under load, and how fast it catches up. */
async function away() {
  const daemon = await startDaemon()
  await daemon.v1('POST', 'streams', { name: 'bench', shards: 1 })
  const name = await bridge(daemon, { format: 'image' })
  let isOver = false
  const load = appendAt(daemon, 'bench', rate, () => isOver)
  const show = () => daemon.v1('GET', `bridges/${name}`)
  await sleep(20_000)
  const start = residentMegabytes(daemon.pid)
  await broker.kill()
  let most = start
  const until = performance.now() + Number(flags.minutes) * 60_000
  while (performance.now() < until) {
    await sleep(1000)
    most = Math.max(most, residentMegabytes(daemon.pid))
  }
  await broker.start()
  const before = (await show()).statistics.records
  while ((await show()).statistics.records === before) await sleep(50)
  const began = performance.now()
  const first = (await show()).statistics
  for (let view = first; view.lagRecords > rate; view = (await show()).statistics) await sleep(100)
  const seconds = (performance.now() - began) / 1000
  const caught = (await show()).statistics.records - first.records
  isOver = true
  await load
  console.table([
    {
      'load, records/s': rate,
      'minutes away': Number(flags.minutes),
      'RSS before, MiB': Math.round(start),
      'most, MiB': Math.round(most),
      'caught up, records/s': Math.round(caught / seconds),
      'times the load': Number((caught / seconds / rate).toFixed(2)),
    },
  ])
  await daemon.stop()
}

const runs = { throughput, latency, away }
for (const part of parts) await runs[part]()
await broker.close()
process.exit(0)
