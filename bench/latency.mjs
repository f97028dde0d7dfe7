// From a PutItem to its result in the table of a pipeline (table, keyed count, table): at half of what it can take, or at
// a rate that is given.
//   npm run bench -- latency [--seconds 20] [--clients 64] [--keys 1000] [--rate 500]
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { bundleModule } from '../dist/workers/index.js'
import { plainSyncs, printMachine, summary, temporaryFolder } from './measure.mjs'
import { PipelineDaemon } from './pipeline-daemon.mjs'
import { processorTime } from './process.mjs'

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    clients: { type: 'string', default: '64' },
    keys: { type: 'string', default: '1000' },
    rate: { type: 'string' },
  },
})
const seconds = Number(flags.seconds)
const keys = Number(flags.keys)
const folder = temporaryFolder('latency')
await printMachine(folder)
const daemon = await PipelineDaemon.start(join(folder, 'data'))
await daemon.table('source', 'user')
await daemon.table('counts')
const module = join(folder, 'counts.ts')
writeFileSync(
  module,
  `import { pipeline, table } from 'millrace'
export default pipeline('counts').from(table<{ team: string }>('source')).keyBy((change) => String(change.keys.user))
  .count('n').to(table('counts', (n, key) => ({ key, n })))`,
)
await daemon.call('POST', '/v1/pipelines', { bundle: await bundleModule(module) })

/** Writes of each key so far: the count that must show. */
const written = new Map()
let version = 0
const latencies = []
/** Of these, the time until the write was answered. */
const puts = []
async function put(number, isWatched = false) {
  const user = `u${number}`
  const at = performance.now()
  const times = (written.get(user) ?? 0) + 1
  written.set(user, times)
  await daemon.aws('PutItem', { TableName: 'source', Item: { user: { S: user }, v: { N: String(++version) } } })
  if (!isWatched) return
  puts.push(performance.now() - at)
  await visible(user, times)
  latencies.push(performance.now() - at)
}

let n = 0
/** Writes a second: every client writes as fast as it is answered, and the pipeline is through with all of them. */
async function most() {
  const stopAt = performance.now() + seconds * 500
  const began = performance.now()
  await Promise.all(
    Array.from({ length: Number(flags.clients) }, async () => {
      while (performance.now() < stopAt) await put(n++ % keys)
    }),
  )
  await daemon.caughtUp('counts')
  const found = n / ((performance.now() - began) / 1000)
  console.log(`the most: ${Math.round(found)} writes/s with ${flags.clients} clients`)
  return found
}

/** Asks for the result until it is there: what asking itself costs is in the figure. */
async function visible(user, times) {
  for (;;) {
    const { Item } = await daemon.aws('GetItem', { TableName: 'counts', Key: { key: { S: user } } })
    if (Number(Item?.n.N ?? 0) >= times) return
  }
}

// Also where a rate is given: a daemon that was just started compiles what it runs.
const found = await most()
const rate = flags.rate === undefined ? found / 2 : Number(flags.rate)
const { barrier } = await daemon.call('GET', '/v1/pipelines/counts')
const pending = new Set()
const cpu = processorTime(daemon.pid)
const start = performance.now()
let sent = 0
while (performance.now() - start < seconds * 1000) {
  const due = Math.floor(((performance.now() - start) / 1000) * rate)
  for (; sent < due; sent++) {
    // One in 50 is watched, on a key that nothing else is written to.
    const isWatched = sent % 50 === 0
    const number = isWatched ? keys + sent : n++ % keys
    const work = put(number, isWatched).finally(() => pending.delete(work))
    pending.add(work)
  }
  await new Promise((resolve) => setTimeout(resolve, 1))
}
await Promise.all(pending)
const used = processorTime(daemon.pid)
const { committed } = (await daemon.call('GET', '/v1/pipelines/counts')).barrier
const ran = (performance.now() - start) / 1000
const result = summary(latencies)
const answered = summary(puts)
const sync = summary(await plainSyncs(folder))
const bound = 5 + 3 * sync.p99
console.table([
  {
    'writes/s': Math.round(sent / ran),
    watched: latencies.length,
    'answered p50 ms': Number(answered.p50.toFixed(2)),
    'answered p99 ms': Number(answered.p99.toFixed(2)),
    'visible p50 ms': Number(result.p50.toFixed(2)),
    'visible p99 ms': Number(result.p99.toFixed(2)),
    'visible max ms': Number(result.max.toFixed(2)),
    'p99 at most': Number(bound.toFixed(2)),
    'commits/s of the pipeline': Math.round((committed - barrier.committed) / ran),
    'daemon us CPU a write': Math.round((used.all - cpu.all) / sent),
    'daemon cores': Number(((used.all - cpu.all) / 1e6 / ran).toFixed(2)),
  },
])
console.log(`64 KiB write + fdatasync, at the end of the run: p99 ${sync.p99.toFixed(2)} ms`)
await daemon.stop()
