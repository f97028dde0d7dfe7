// Appends and replay beside Kafka's own producer and consumer on Kafka's own broker, in one run on the same cores: 200-byte
// records, one producer, no compression. The broker syncs nothing by default; with flush.messages=1 it syncs every batch.
//   npm run bench -- kafka [--records 3000000] [--rounds 3]        (needs Java and Maven)
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { fullSpeed, kafkaVersion, startBroker } from '../test/kafka/broker.mjs'
import { BenchDaemon } from './daemon.mjs'
import { inTurn, median, printMachine, temporaryFolder } from './measure.mjs'
import { batchOf } from './records.mjs'

const { values: flags } = parseArgs({
  options: { records: { type: 'string', default: '3000000' }, rounds: { type: 'string', default: '3' } },
})
const records = Number(flags.records)
const folder = temporaryFolder('kafka')
await printMachine(folder)

/** Kafka's performance tools with what they need. */
function tools() {
  const jars = join(homedir(), '.cache', 'millrace-kafka', `tools-${kafkaVersion}`)
  if (!existsSync(jars)) {
    mkdirSync(jars, { recursive: true })
    const pom = join(dirname(fileURLToPath(import.meta.url)), '..', 'test', 'kafka', 'broker', 'pom.xml')
    const args = ['-B', '-q', '-f', pom, '-Pbench', 'dependency:copy-dependencies', `-DoutputDirectory=${jars}`]
    const run = spawnSync('mvn', [...args, `-Dkafka.version=${kafkaVersion}`], { encoding: 'utf8' })
    if (run.status !== 0) throw new Error(`${run.stdout}${run.stderr}`)
  }
  return jars
}
const jars = tools()

function java(name, args) {
  const run = spawnSync('java', ['-Xmx512m', '-cp', `${jars}/*`, `org.apache.kafka.tools.${name}`, ...args], {
    encoding: 'utf8',
  })
  if (run.status !== 0) throw new Error(`${run.stdout}${run.stderr}`)
  return run.stdout
}

let topics = 0
async function produce(broker, flushMessages) {
  const topic = `bench-${topics++}`
  const config = flushMessages ? ['--config', `flush.messages=${flushMessages}`] : []
  java('TopicCommand', [
    '--bootstrap-server',
    broker.address,
    '--create',
    '--topic',
    topic,
    '--partitions',
    '1',
    ...config,
  ])
  const output = java('ProducerPerformance', [
    '--topic',
    topic,
    '--num-records',
    String(records),
    '--record-size',
    '200',
    '--throughput',
    '-1',
    '--producer-props',
    `bootstrap.servers=${broker.address}`,
    'acks=1',
    'batch.size=262144',
    'linger.ms=5',
    'buffer.memory=67108864',
  ])
  const rates = [...output.matchAll(/([\d.]+) records\/sec/g)]
  return { topic, perSecond: Number(rates.at(-1)[1]) }
}

async function consume(broker, topic) {
  const output = java('ConsumerPerformance', [
    '--bootstrap-server',
    broker.address,
    '--topic',
    topic,
    '--num-records',
    String(records),
    '--timeout',
    '60000',
  ])
  const line = output.trimEnd().split('\n').at(-1).split(', ')
  return { perSecond: Number(line.at(-1)) }
}

async function append(connections) {
  const daemon = await BenchDaemon.start(join(folder, `daemon-${topics++}`), { MILLRACE_SPLIT_ENABLED: 'false' })
  await daemon.v1('POST', 'streams', { name: 'bench', shards: 1 })
  const batch = batchOf(1000)
  const began = performance.now()
  let begun = 0
  await daemon.append('bench', batch, connections, () => ++begun > records / 1000)
  const perSecond = records / ((performance.now() - began) / 1000)
  await daemon.stop()
  return { perSecond }
}

const broker = await startBroker({ machine: fullSpeed })
let newest
const results = await inTurn(Number(flags.rounds), {
  'Kafka, no sync': async () => {
    newest = await produce(broker)
    return newest
  },
  'Kafka, consumer': () => consume(broker, newest.topic),
  'Kafka, flush.messages=1': () => produce(broker, 1),
  'Millrace, synced, 8 connections': () => append(8),
  'Millrace, synced, 16 connections': () => append(16),
})
console.table(
  [...results].map(([what, runs]) => ({
    what,
    'records/s': Math.round(median(runs.map(({ perSecond }) => perSecond))),
  })),
)
await broker.close()
process.exit(0)
