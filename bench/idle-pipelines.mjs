// What pipelines cost that have nothing to do: processor time and memory of a daemon with so many of them deployed.
//   npm run bench -- idle-pipelines [--pipelines 100] [--seconds 20]
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { bundleModule } from '../dist/workers/index.js'
import { printMachine, temporaryFolder } from './measure.mjs'
import { PipelineDaemon } from './pipeline-daemon.mjs'
import { processorTime, residentMegabytes } from './process.mjs'

const { values: flags } = parseArgs({
  options: { pipelines: { type: 'string', default: '100' }, seconds: { type: 'string', default: '20' } },
})
const count = Number(flags.pipelines)
const folder = temporaryFolder('idle')
await printMachine(folder)
const daemon = await PipelineDaemon.start(join(folder, 'data'))
await daemon.table('source', 'user')
await daemon.table('sums')
for (let i = 0; i < 10; i++) await daemon.call('POST', '/v1/streams', { name: `events-${i}`, shards: 1 })

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000))
async function measured(what) {
  const before = processorTime(daemon.pid)
  const began = performance.now()
  await pause(Number(flags.seconds))
  const after = processorTime(daemon.pid)
  const us = (performance.now() - began) * 1000
  return {
    what,
    '% CPU': Number(((100 * (after.all - before.all)) / us).toFixed(2)),
    '% main thread': Number(((100 * (after.main - before.main)) / us).toFixed(2)),
    'MiB resident': Math.round(residentMegabytes(daemon.pid)),
  }
}

await pause(5)
const rows = [await measured('no pipelines')]
const head = "import { file, pipeline, stream, table, tumbling } from 'millrace'\n"
/** Of several kinds: in place, keyed again, with windows. */
const kinds = [
  (n) =>
    `export default pipeline('p${n}').from(table<{ n: number }>('source')).keyByPartition().sum('n', (c) => c.new?.n ?? 0).to(table('sums', (n, key) => ({ key: '${n} ' + key.user, n })))`,
  (n) =>
    `export default pipeline('p${n}').from(stream<{ user: string }>('events-${n % 10}')).keyBy((r) => r.value.user).count('n').to(table('sums', (n, key) => ({ key: '${n} ' + key, n })))`,
  (n) =>
    `export default pipeline('p${n}').from(stream<{ user: string }>('events-${n % 10}')).eventTime().keyBy((r) => r.value.user).window(tumbling('10s')).count('n').to(table('sums', (w) => ({ key: '${n} ' + w.key, n: w.value })))`,
]
for (let n = 0; n < count; n++) {
  const module = join(folder, `p${n}.ts`)
  writeFileSync(module, head + kinds[n % kinds.length](n))
  await daemon.call('POST', '/v1/pipelines', { bundle: await bundleModule(module) })
}
await pause(5)
rows.push(await measured(`${count} new pipelines`))
// Each has done something, and rests again.
const now = Date.now()
for (let i = 0; i < 10; i++)
  await daemon.call('POST', `/v1/streams/events-${i}/records`, {
    records: Array.from({ length: 100 }, (_, n) => ({ key: `k${n}`, value: { user: `u${n % 20}` }, time: now })),
  })
for (let n = 0; n < 20; n++)
  await daemon.aws('PutItem', { TableName: 'source', Item: { user: { S: `u${n}` }, n: { N: '1' } } })
for (let n = 0; n < count; n++) await daemon.caughtUp(`p${n}`)
await pause(5)
rows.push(await measured(`${count} pipelines after some work`))
console.table(rows)
const [before, ...after] = rows
const cpu = Math.max(...after.map((row) => row['% CPU']))
const mib = Math.max(...after.map((row) => row['MiB resident'] - before['MiB resident']))
console.log(`with ${count} pipelines: ${cpu.toFixed(2)} % CPU in all (at most 2), ${mib} MiB more (at most 256)`)
await daemon.stop()
