// A full Kafka topic into a stream, and into a table, synced and exactly once, beside kafkajs's own consumer that counts the same
// topic, in one run on the same cores: JSON values of 200 bytes, 4 partitions, no compression.
//   npm run bench -- bridge-in [--records 1000000] [--rounds 3] [--table 100000] [--profile]      (needs Java and Maven)
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import kafkajs from 'kafkajs'
import { fullSpeed, startBroker } from '../test/kafka/broker.mjs'
import { BenchDaemon } from './daemon.mjs'
import { inTurn, median, printMachine, temporaryFolder } from './measure.mjs'

const { values: flags } = parseArgs({
  options: {
    records: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '3' },
    table: { type: 'string', default: '100000' },
    profile: { type: 'boolean', default: false },
  },
})
const records = Number(flags.records)
const items = Number(flags.table)
const partitions = 4
const folder = temporaryFolder('bridge-in')
await printMachine(folder)
const broker = await startBroker({ machine: fullSpeed })
const kafka = new kafkajs.Kafka({ brokers: [broker.address], logLevel: kafkajs.logLevel.NOTHING })

async function fill(topic, count) {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: partitions }] })
  await admin.disconnect()
  const producer = kafka.producer({ allowAutoTopicCreation: false })
  await producer.connect()
  for (let n = 0; n < count; ) {
    const messages = []
    for (const end = Math.min(count, n + 2_000); n < end; n++) {
      const value = JSON.stringify({ id: `item-${n}`, n, text: '' })
      const text = 'x'.repeat(200 - value.length)
      messages.push({ key: `item-${n}`, value: `${value.slice(0, -2)}${text}"}`, partition: n % partitions })
    }
    await producer.send({ topic, messages, acks: 1 })
  }
  await producer.disconnect()
}

let runs = 0
async function consume() {
  const consumer = kafka.consumer({ groupId: `bench-${runs++}`, maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topic: 'full', fromBeginning: true })
  let [began, count] = [0, 0]
  await new Promise((resolve, reject) => {
    consumer
      .run({
        autoCommit: false,
        eachBatch: async ({ batch }) => {
          if (count === 0) began = performance.now()
          count += batch.messages.length
          if (count >= records) resolve()
        },
      })
      .catch(reject)
  })
  const perSecond = records / ((performance.now() - began) / 1000)
  await consumer.disconnect()
  return perSecond
}

async function newTable(daemon, request) {
  const headers = { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': 'DynamoDB_20120810.CreateTable' }
  const url = `http://127.0.0.1:${daemon.port}/`
  const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(request) })
  if (!answer.ok) throw new Error(await answer.text())
}

/** From the request that creates the bridge to the last message that is stored. */
async function bridge(topic, into, more, count, prepare) {
  const profile = flags.profile ? ['--cpu-prof', `--cpu-prof-dir=${process.cwd()}`] : []
  const daemon = await BenchDaemon.start(join(folder, `daemon-${runs++}`), { MILLRACE_SPLIT_ENABLED: 'false' }, profile)
  await prepare(daemon)
  const began = performance.now()
  await daemon.v1('POST', 'bridges', { name: 'bench', topic, into, brokers: broker.address, ...more })
  for (;;) {
    const { statistics, state } = await daemon.v1('GET', 'bridges/bench')
    if (state.kind === 'failed') throw new Error(state.error.message)
    if (statistics.records >= count) break
    await sleep(10)
  }
  const perSecond = count / ((performance.now() - began) / 1000)
  await daemon.stop()
  return perSecond
}

await fill('full', records)
await fill('items', items)
const results = await inTurn(Number(flags.rounds), {
  'kafkajs consumer, counting': consume,
  'bridge into a stream': () =>
    bridge('full', 'stream:bench', {}, records, (daemon) => daemon.v1('POST', 'streams', { name: 'bench', shards: 1 })),
  'bridge into a table': () =>
    bridge('items', 'table:bench', { format: 'image', images: 'plain' }, items, (daemon) =>
      newTable(daemon, {
        TableName: 'bench',
        BillingMode: 'PAY_PER_REQUEST',
        AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
        KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      }),
    ),
})
console.table([...results].map(([what, rates]) => ({ what, 'records/s': Math.round(median(rates)) })))
await broker.close()
process.exit(0)
