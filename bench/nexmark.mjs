// The Nexmark-like workload: one stream of four shards, keyed by each event's own number, filled with rows; then each query as
// an ordinary pipeline over all of it, in a daemon that was started anew, state and results committed with sync. Counts and
// checksums must be those of the plain queries, and of bench/nexmark/expected.mjs where it has that many events.
//   npm run bench -- nexmark [--events 1000000] [--queries q0,q1] [--rounds 1] [--codec row] [--plain] [--profile FOLDER]
//     [--data FOLDER]
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { connect } from '../dist/index.js'
import { hashKey } from '../dist/runtime/index.js'
import { bundleModule } from '../dist/workers/index.js'
import { BenchDaemon } from './daemon.mjs'
import { median, printMachine, temporaryFolder } from './measure.mjs'
import { endType, eventOf, firstTime } from './nexmark/events.mjs'
import { expected } from './nexmark/expected.mjs'
import { measurePlain } from './nexmark/plain-run.mjs'
import { processorTime } from './process.mjs'
import { RawClient } from './raw-client.mjs'

const { values: flags } = parseArgs({
  options: {
    events: { type: 'string', default: '1000000' },
    queries: { type: 'string', default: 'q0,q1,q2,q3,q4,q5,q7,q8,q11,q12' },
    rounds: { type: 'string', default: '1' },
    /** How the events are stored: row or json. */
    codec: { type: 'string', default: 'row' },
    /** Only the plain queries, without a daemon. */
    plain: { type: 'boolean', default: false },
    /** A folder for CPU profiles of the daemon's threads. */
    profile: { type: 'string' },
    /** A data directory that is kept: filled when it is not there yet, and used again by the next run. */
    data: { type: 'string' },
  },
})
const total = Number(flags.events)
const names = flags.queries.split(',')
const shards = 4
const streamName = 'events'
const tableName = 'totals'
const queriesFile = fileURLToPath(new URL('./nexmark/pipelines.mjs', import.meta.url))

const millions = (recordsPerSecond) => Number((recordsPerSecond / 1e6).toFixed(2))
const folder = temporaryFolder('nexmark')
await printMachine(folder)

/** What the plain queries find; also how fast they are. */
const plain = measurePlain(names, total)
for (const [name, { count, checksum }] of plain) {
  const [wantedCount, wantedChecksum] = expected[total]?.[name] ?? [count, checksum]
  if (count !== wantedCount || checksum !== wantedChecksum)
    fail(`plain ${name}: ${count} results, sum ${checksum}; they should be ${wantedCount}, ${wantedChecksum}`)
}
if (flags.plain) {
  console.table(
    Object.fromEntries(
      [...plain].map(([name, { count, checksum, perSecond }]) => [
        name,
        { results: count, checksum, 'plain Node, M/CPU-s': millions(perSecond) },
      ]),
    ),
  )
  process.exit(0)
}

function fail(message) {
  console.error(`WRONG: ${message}`)
  process.exit(1)
}

/** What is appended as fast as it can be would split the shards, and the end of event time stands in each of the four. */
const env = { MILLRACE_SPLIT_ENABLED: 'false' }
const data = flags.data ?? join(folder, 'data')
if (!flags.data || !existsSync(data)) {
  const filling = await BenchDaemon.start(data, env)
  await createTable(filling)
  await fill(filling)
  await filling.stop()
}
const profiling = flags.profile ? ['--cpu-prof', `--cpu-prof-dir=${flags.profile}`] : []
const daemon = await BenchDaemon.start(data, env, profiling)

const rows = {}
for (const name of names) {
  const runs = []
  for (let round = 0; round < Number(flags.rounds); round++) runs.push(await measure(name))
  const { perSecond } = plain.get(name)
  rows[name] = {
    results: plain.get(name).count,
    'M/s': millions(total / median(runs.map(({ seconds }) => seconds))),
    'M/CPU-s': millions(total / median(runs.map(({ cpuSeconds }) => cpuSeconds))),
    'best round': millions(total / Math.min(...runs.map(({ cpuSeconds }) => cpuSeconds))),
    'of it main thread': Number(
      (median(runs.map(({ mainSeconds, cpuSeconds }) => mainSeconds / cpuSeconds)) || 0).toFixed(2),
    ),
    'plain Node, M/CPU-s': millions(perSecond),
    barriers: runs.at(-1).barriers,
  }
  console.log(name, rows[name])
}
console.table(rows)
console.log(`${total} events as ${flags.codec}: all counts and checksums are right`)
await daemon.stop()

/** The table that shows the totals of each query. */
function createTable(daemon) {
  return aws(daemon, 'CreateTable', {
    TableName: tableName,
    AttributeDefinitions: [{ AttributeName: 'query', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'query', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
  })
}

/** Appends all events, and behind them to each shard one that ends it. */
async function fill({ port }) {
  const producer = connect({ url: `http://127.0.0.1:${port}`, producer: { codec: flags.codec } })
  await producer.createStream(streamName, { shards })
  const began = performance.now()
  const cpu = process.cpuUsage()
  let appending = []
  for (let n = 0; n < total; ) {
    const records = []
    for (let i = 0; i < 5000 && n < total; i++, n++) {
      const value = eventOf(n)
      records.push({ key: String(n), value, time: value.dateTime })
    }
    appending.push(producer.append(streamName, records))
    if (appending.length < 4) continue
    await Promise.all(appending)
    appending = []
  }
  await Promise.all(appending)
  const { user, system } = process.cpuUsage(cpu)
  const seconds = (performance.now() - began) / 1000
  console.log(
    `${total} events appended in ${seconds.toFixed(1)} s, ${((user + system) / total).toFixed(2)} us of the client's CPU each (their making included)\n`,
  )
  const open = new Set(Array.from({ length: shards }, (_, shard) => shard))
  const dateTime = firstTime + total + 86_400_000
  for (let i = 0; open.size > 0; i++) {
    const key = `end ${i}`
    if (!open.delete(Math.floor((hashKey(Buffer.from(key)).hi / 2 ** 32) * shards))) continue
    await producer.append(streamName, { key, value: { type: endType, dateTime }, time: dateTime })
  }
  await producer.close()
}

async function aws({ port }, operation, body) {
  const headers = { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': `DynamoDB_20120810.${operation}` }
  // One of its own each time: the daemon closes a connection that is idle for as long as a query may take.
  const client = new RawClient(port)
  const answer = await client.request('POST', '/', headers, Buffer.from(JSON.stringify(body)))
  client.close()
  if (answer.status !== 200) throw new Error(`${operation}: ${answer.status} ${answer.body}`)
  return JSON.parse(String(answer.body))
}

/** Deploys a query on the whole stream and waits until it has committed its end. */
async function measure(name) {
  const { count, checksum } = plain.get(name)
  const file = join(folder, `${name}.mjs`)
  const run = { query: name, wanted: count, from: streamName, into: tableName }
  writeFileSync(
    file,
    `import { queries } from ${JSON.stringify(queriesFile)}\nexport default queries.${name}(${JSON.stringify(run)})\n`,
  )
  const bundle = await bundleModule(file)
  await untilIdle()
  const before = processorTime(daemon.pid)
  const began = performance.now()
  await daemon.v1('POST', 'pipelines', { bundle, start: 'oldest' })
  await untilRead(name)
  const seconds = (performance.now() - began) / 1000
  const after = processorTime(daemon.pid)
  const { barrier } = await daemon.v1('GET', `pipelines/${name}`)
  const { Item } = await aws(daemon, 'GetItem', {
    TableName: tableName,
    Key: { query: { S: name } },
    ConsistentRead: true,
  })
  const found = [Number(Item?.count.N), Number(Item?.checksum.N)]
  if (found[0] !== count || found[1] !== checksum)
    fail(`${name}: ${found[0]} results, sum ${found[1]}; they should be ${count}, ${checksum}`)
  await daemon.v1('DELETE', `pipelines/${name}`)
  await aws(daemon, 'DeleteItem', { TableName: tableName, Key: { query: { S: name } } })
  return {
    seconds,
    cpuSeconds: (after.all - before.all) / 1e6,
    mainSeconds: (after.main - before.main) / 1e6,
    barriers: barrier?.committed,
  }
}

/** Its lag is looked at often, which costs next to nothing, its state seldom: what that asks of the store is no part of the query. */
async function untilRead(name) {
  for (let look = 1; ; look++) {
    const { lag } = await daemon.v1('GET', `groups/pipeline:${name}`)
    if (lag === 0) return
    const { state, error } = look % 50 === 0 ? await daemon.v1('GET', `pipelines/${name}`) : {}
    if (state === 'failed') fail(`${name} failed: ${JSON.stringify(error)}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** What was left of the start, the filling, or the query before (compactions, the removal of its state) is no part of the next. */
async function untilIdle() {
  const lookMs = 250
  const restMicroseconds = 10_000
  for (let quiet = 0; quiet < 2; ) {
    const { all } = processorTime(daemon.pid)
    await new Promise((resolve) => setTimeout(resolve, lookMs))
    quiet = processorTime(daemon.pid).all - all < restMicroseconds ? quiet + 1 : 0
  }
}
