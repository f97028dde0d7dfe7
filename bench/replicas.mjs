// From the answer of a PutItem until the other region shows it, at half of what two regions sustain, or at a rate that is given.
//   npm run bench -- replicas [--seconds 15] [--clients 32] [--bytes 300] [--items 20000] [--rate 1000] [--both]
// --both: both regions are written to, half of the rate each, on keys of their own; the links are plain ones over loopback
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { plainSyncs, printMachine, summary, temporaryFolder } from './measure.mjs'
import { PipelineDaemon } from './pipeline-daemon.mjs'
import { processorTime } from './process.mjs'

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '15' },
    clients: { type: 'string', default: '32' },
    bytes: { type: 'string', default: '300' },
    items: { type: 'string', default: '20000' },
    rate: { type: 'string' },
    both: { type: 'boolean', default: false },
  },
})
const seconds = Number(flags.seconds)
const items = Number(flags.items)
const TableName = 'notes'
const names = ['us-east-1', 'eu-west-1']
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

async function freePort() {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

const folder = temporaryFolder('replicas')
await printMachine(folder)
const ports = [await freePort(), await freePort()]
const regions = []
for (const [i, region] of names.entries()) {
  const config = join(folder, `${region}.yaml`)
  const listen = { enabled: true, port: ports[i] }
  const others = { [names[1 - i]]: { url: `http://127.0.0.1:${ports[1 - i]}` } }
  writeFileSync(config, JSON.stringify({ aws: { region }, regions: others, replication: { listen } }))
  regions.push(await PipelineDaemon.start(join(folder, region), { MILLRACE_CONFIG: config }))
}
const [here, there] = regions

const fill = 'x'.repeat(Math.max(0, Number(flags.bytes) - 60))
const put = (daemon, id, value) =>
  daemon.aws('PutItem', { TableName, Item: { id: { S: id }, value: { S: value }, fill: { S: fill } } })
const valueIn = async (daemon, id) => (await daemon.aws('GetItem', { TableName, Key: { id: { S: id } } })).Item?.value.S
const statusIn = async (daemon) =>
  (await daemon.aws('DescribeTable', { TableName }).catch(() => ({}))).Table?.Replicas?.[0]?.ReplicaStatus

await here.aws('CreateTable', {
  TableName,
  AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
  KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
  BillingMode: 'PAY_PER_REQUEST',
  StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' },
})
await here.aws('UpdateTable', { TableName, ReplicaUpdates: [{ Create: { RegionName: names[1] } }] })
for (const daemon of regions) while ((await statusIn(daemon)) !== 'ACTIVE') await pause(20)

let n = 0
/** Writes a further item; every second one in the other region, where both are written to. */
function write() {
  const number = n++
  const side = flags.both ? number % 2 : 0
  return put(regions[side], `item ${side} ${number % items}`, String(number))
}

let last = 0
/** Until everything that was written is in both: so many items lie behind what there is in every shard. */
async function caughtUp() {
  const round = last++
  await Promise.all(
    regions.flatMap((from, i) =>
      Array.from({ length: 64 }, async (_, j) => {
        const id = `last ${i} ${j}`
        await put(from, id, String(round))
        while ((await valueIn(regions[1 - i], id)) !== String(round)) await pause(5)
      }),
    ),
  )
}

/** Writes a second that are stored and arrive: the other side is through with all of them at the end. */
async function most() {
  const began = performance.now()
  const stopAt = began + seconds * 500
  await Promise.all(
    Array.from({ length: Number(flags.clients) }, async () => {
      while (performance.now() < stopAt) await write()
    }),
  )
  const answered = performance.now()
  await caughtUp()
  const over = performance.now()
  const rate = n / ((over - began) / 1000)
  console.log(
    `the most: ${Math.round(rate)} writes/s with ${flags.clients} clients; the last had arrived ${Math.round(over - answered)} ms after its answer`,
  )
  return rate
}

const rate = flags.rate === undefined ? (await most()) / 2 : Number(flags.rate)
const lags = []
const pending = new Set()
async function watched(number) {
  const [from, to] = flags.both && (number / 50) % 2 === 1 ? [there, here] : [here, there]
  const id = `watched ${number}`
  await put(from, id, 'seen')
  const answered = performance.now()
  // Asked without a pause: what asking itself costs is in the figure.
  while ((await valueIn(to, id)) === undefined);
  lags.push(performance.now() - answered)
}

const cpu = regions.map(({ pid }) => processorTime(pid))
const start = performance.now()
let sent = 0
while (performance.now() - start < seconds * 1000) {
  const due = Math.floor(((performance.now() - start) / 1000) * rate)
  for (; sent < due; sent++) {
    const work = (sent % 50 === 0 ? watched(sent) : write()).finally(() => pending.delete(work))
    pending.add(work)
  }
  await pause(5)
}
await Promise.all(pending)
const ran = (performance.now() - start) / 1000
const used = regions.map(({ pid }, i) => (processorTime(pid).all - cpu[i].all) / 1e6 / ran)
await caughtUp()
const { items: count, different } = await here.call('POST', `/v1/tables/${TableName}/verify`)
const round = (value) => Number(value.toFixed(2))
const lag = summary(lags)
console.table([
  {
    'writes/s': Math.round(sent / ran),
    watched: lags.length,
    'lag p50 ms': round(lag.p50),
    'lag p99 ms': round(lag.p99),
    'lag max ms': round(lag.max),
    [`${names[0]} cores`]: round(used[0]),
    [`${names[1]} cores`]: round(used[1]),
  },
])
console.log('lag: from the answer of the write until GetItem of the other region gives the item')
console.log(`${count} items in both regions, ${different.length} of 256 ranges differ`)
console.log(
  `64 KiB write + fdatasync, at the end of the run: p99 ${summary(await plainSyncs(folder)).p99.toFixed(2)} ms`,
)
for (const daemon of regions) await daemon.stop()
if (different.length > 0) process.exit(1)
