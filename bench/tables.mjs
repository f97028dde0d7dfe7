// Tables: every operation's throughput, latency and processor time, against raw HTTP clients in this process; the daemon and
// any peers in one run, their loads in turn. The daemon syncs every commit.
//   npm run bench -- tables [--seconds 5] [--rounds 3] [--connections 64] [--items 100000] [--partitions 2000]
//     [--records 200000] [--only TEXT] [--bare] [--peer 'NAME=COMMAND']... [--json] [--profile FOLDER]
// --bare adds Node's own HTTP server with constant answers, for PutItem and GetItem: what a request costs before anything is
// done for it.
// A peer's command has {port}, and {data} for a folder of its own, as in
//   --peer 'DynamoDB Local, in memory=java -Djava.library.path=DIR -cp "DIR/*" com.amazonaws.services.dynamodbv2.local.main.ServerRunner -inMemory -port {port}'
//   --peer 'dynalite=node DIR/node_modules/dynalite/cli.js --createTableMs 0 --port {port}'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { call, load } from './load.mjs'
import { median, printMachine, summary, temporaryFolder } from './measure.mjs'
import { processorTime, residentMegabytes } from './process.mjs'
import { definitionOf, fillOf, loadsOf, tables } from './table-loads.mjs'
import { startBare, startDaemon, startPeer } from './table-server.mjs'

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '64' },
    items: { type: 'string', default: '100000' },
    partitions: { type: 'string', default: '2000' },
    records: { type: 'string', default: '200000' },
    only: { type: 'string', default: '' },
    bare: { type: 'boolean', default: false },
    peer: { type: 'string', multiple: true, default: [] },
    json: { type: 'boolean', default: false },
    profile: { type: 'string' },
  },
})
const seconds = Number(flags.seconds)
const sizes = { items: Number(flags.items), partitions: Number(flags.partitions), records: Number(flags.records) }
const loads = Object.entries(loadsOf({ ...sizes, connections: Number(flags.connections) })).filter(([name]) =>
  name.includes(flags.only),
)
const folder = temporaryFolder('tables')
// Results alone go to stdout when they are for a program.
if (flags.json) console.log = console.error
const plainSync = await printMachine(folder)

async function openServers() {
  const profiled = flags.profile ? ['--cpu-prof', `--cpu-prof-dir=${flags.profile}`] : []
  const servers = [{ name: 'millrace', ...(await startDaemon(join(folder, 'millrace'), profiled)) }]
  if (flags.bare) servers.push({ name: 'node:http, constant', ...(await startBare([])) })
  for (const [i, peer] of flags.peer.entries()) {
    const equals = peer.indexOf('=')
    const data = join(folder, `peer-${i}`)
    mkdirSync(data)
    servers.push({ name: peer.slice(0, equals), ...(await startPeer(peer.slice(equals + 1), data)) })
  }
  await new Promise((resolve) => setTimeout(resolve, 2000))
  for (const server of servers) server.idleMegabytes = residentMegabytes(server.pid)
  return servers
}

/** Makes the tables and fills those that the loads read. */
async function prepare({ name, port }) {
  console.error(`${name}: making and filling tables`)
  for (const TableName of Object.keys(tables)) {
    await call(port, 'CreateTable', definitionOf(TableName))
    while ((await call(port, 'DescribeTable', { TableName })).Table.TableStatus !== 'ACTIVE')
      await new Promise((resolve) => setTimeout(resolve, 50))
  }
  const needed = new Set(loads.map(([, { needs }]) => needs))
  for (const table of ['streamed', 'ranged', 'replayed']) {
    if (table !== 'streamed' && !needed.has(table)) continue
    const bodies = fillOf(table, sizes)
    let isOver = false
    let following = bodies.next()
    const body = () => {
      const { value } = following
      const next = bodies.next()
      if (next.done) isOver = true
      else following = next
      return value
    }
    // Several connections: the last bodies may be sent twice.
    await load({ port, connections: 8, seconds: 3600, operation: 'BatchWriteItem', body, took: () => !isOver })
  }
}

/** Where a replay of a table's first shard begins. */
async function replayStart(port) {
  const { Streams } = await call(port, 'ListStreams', { TableName: 'replayed' })
  const StreamArn = Streams[0].StreamArn
  const { StreamDescription } = await call(port, 'DescribeStream', { StreamArn })
  const ShardId = StreamDescription.Shards[0].ShardId
  const { ShardIterator } = await call(port, 'GetShardIterator', {
    StreamArn,
    ShardId,
    ShardIteratorType: 'TRIM_HORIZON',
  })
  return ShardIterator
}

const eventName = Buffer.from('"eventName"')
const nextName = Buffer.from('"NextShardIterator":"')

/** Reads a change log from its oldest record on, over and over, until the time is over. */
async function replay(port) {
  const first = await replayStart(port)
  let iterator = first
  let records = 0
  const took = (answer) => {
    let found = 0
    for (let at = answer.indexOf(eventName); at >= 0; at = answer.indexOf(eventName, at + 1)) found++
    records += found
    const at = answer.lastIndexOf(nextName)
    const start = at + nextName.length
    iterator = found === 0 || at < 0 ? first : answer.latin1Slice(start, answer.indexOf(34, start))
    return true
  }
  const body = () => JSON.stringify({ ShardIterator: iterator, Limit: 1000 })
  const run = await load({ port, connections: 1, seconds, operation: 'GetRecords', body, took })
  return { ...run, count: records }
}

async function measure({ port, pid }, { connections, operation, items = 1, body }) {
  const before = processorTime(pid)
  const run =
    operation === 'GetRecords' ? await replay(port) : await load({ port, connections, seconds, operation, body })
  const after = processorTime(pid)
  const requests = run.times.length
  const { p50, p99 } = summary(run.times)
  return {
    perSecond: (run.count ?? requests * items) / run.seconds,
    p50,
    p99,
    processor: (after.all - before.all) / requests,
    mainThread: (after.main - before.main) / requests,
  }
}

/** What the bare server has an answer of the right size for. */
const bareOperations = ['PutItem', 'GetItem']

const servers = await openServers()
for (const server of servers) if (!server.isBare) await prepare(server)
const results = []
for (const [name, each] of loads) {
  const rounds = new Map(servers.map((server) => [server, []]))
  // The first round of each warms up and does not count.
  for (let round = 0; round <= Number(flags.rounds); round++) {
    for (const server of servers) {
      if (server.isBare && !bareOperations.includes(each.operation)) continue
      try {
        const found = await measure(server, each)
        if (round > 0) rounds.get(server).push(found)
      } catch (error) {
        if (round === 0) console.error(`${server.name}, ${name}: ${error.message}`)
        if (server === servers[0]) throw error
      }
    }
  }
  for (const server of servers) {
    const found = rounds.get(server)
    if (found.length === 0) continue
    const of = (field, digits) => Number(median(found.map((result) => result[field])).toFixed(digits))
    results.push({
      server: server.name,
      load: name,
      connections: each.connections,
      unit: each.operation === 'GetRecords' ? 'records/s' : each.items ? 'items/s' : 'operations/s',
      perSecond: of('perSecond', 0),
      p50Ms: of('p50', 2),
      p99Ms: of('p99', 2),
      processorMicroseconds: of('processor', 1),
      mainThreadMicroseconds: of('mainThread', 1),
    })
  }
}
const idle = servers.map(({ name, readySeconds, idleMegabytes }) => ({
  server: name,
  readySeconds: Number(readySeconds.toFixed(2)),
  idleMegabytes: Math.round(idleMegabytes),
}))
for (const server of servers) await server.stop()
if (flags.json) process.stdout.write(`${JSON.stringify({ plainSync, idle, results })}\n`)
else {
  console.log('\nprocessor time: microseconds a request, of all threads and of the main thread')
  console.table(results)
  console.table(idle)
}
process.exit(0)
