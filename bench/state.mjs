// State of many keys, about 50 bytes each: does the daemon stay within its memory, and does it find an old key again?
//   npm run bench -- state [--keys 10000000] [--state-mib 64] [--threads 1] [--batch 5000]
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Codec, encodeBatch } from '../dist/log/index.js'
import { hashKey } from '../dist/runtime/index.js'
import { bundleModule } from '../dist/workers/index.js'
import { printMachine, temporaryFolder } from './measure.mjs'
import { PipelineDaemon } from './pipeline-daemon.mjs'
import { processorTime, residentMegabytes } from './process.mjs'

const { values: flags } = parseArgs({
  options: {
    keys: { type: 'string', default: '10000000' },
    'state-mib': { type: 'string', default: '64' },
    threads: { type: 'string', default: '1' },
    batch: { type: 'string', default: '5000' },
  },
})
const keys = Number(flags.keys)
const batch = Number(flags.batch)
const folder = temporaryFolder('state')
await printMachine(folder)
const daemon = await PipelineDaemon.start(join(folder, 'data'), {
  MILLRACE_PIPELINES_STATE_BYTES_MAX: String(Number(flags['state-mib']) * 2 ** 20),
  MILLRACE_WORKERS_THREADS: flags.threads,
})
await daemon.call('POST', '/v1/streams', { name: 'events', shards: 1 })
// The log's own space is not what is measured.
await daemon.call('PATCH', '/v1/streams/events', { retention: { bytes: 256 * 2 ** 20 } }).catch(() => {})

const module = join(folder, 'keys.ts')
writeFileSync(
  module,
  `import { file, pipeline, stream } from 'millrace'
export default pipeline('keys').from(stream<number>('events')).keyBy((record) => record.value)
  .aggregate('state', () => ({ times: 0, text: '' }), (state, record) => ({ times: state.times + 1, text: 'about fifty bytes of state, of ' + record.value }))
  .filter(() => false).to(file('none.ndjson'))`,
)
await daemon.call('POST', '/v1/pipelines', { bundle: await bundleModule(module) })

/** Appends so many keys and waits until the pipeline is not far behind. */
async function write(from, to) {
  for (let at = from; at < to; at += batch) {
    const records = []
    for (let n = at; n < Math.min(to, at + batch); n++) {
      // Spread, so that no key is near the one before it.
      const number = (n * 7919 + 13) % keys
      const key = Buffer.from(String(number))
      records.push({
        hash: hashKey(key),
        kind: 0,
        flags: 0,
        codec: Codec.json,
        time: 1_700_000_000_000,
        key,
        body: Buffer.from(String(number)),
      })
    }
    await daemon.call('POST', '/v1/streams/events/records', encodeBatch(records), 'application/octet-stream')
    if ((at / batch) % 20 === 0) await daemon.caughtUp('keys', 10 * batch)
  }
  await daemon.caughtUp('keys')
}

const rows = []
const before = residentMegabytes(daemon.pid)
console.log(`the daemon before: ${before.toFixed(0)} MiB`)
let largest = 0
const watch = setInterval(() => {
  largest = Math.max(largest, residentMegabytes(daemon.pid))
}, 200)
/** Megabytes that a gauge of the daemon's shows. */
async function gauge(name) {
  const text = String(await daemon.text('/metrics'))
  const found = text.split('\n').find((line) => line.startsWith(`millrace_${name} `))
  return Math.round(Number(found?.split(' ').pop() ?? 0) / 2 ** 20)
}

async function measured(name, from, to) {
  largest = 0
  const began = performance.now()
  const cpu = processorTime(daemon.pid).all
  await write(from, to)
  const seconds = (performance.now() - began) / 1000
  const row = {
    what: name,
    keys: to - from,
    'keys/s': Math.round((to - from) / seconds),
    'us CPU a key': Number(((processorTime(daemon.pid).all - cpu) / (to - from)).toFixed(1)),
    'MiB resident': Math.round(residentMegabytes(daemon.pid)),
    'MiB at most': Math.round(largest),
    'MiB heap of the main thread': await gauge('process_memory_bytes{kind="heap"}'),
    'MiB block cache': await gauge('store_block_cache_bytes'),
    'MiB write buffers': await gauge('store_bytes{kind="memory"}'),
    'MiB tail cache': await gauge('tail_cache_bytes'),
    'MiB on disk': await gauge('store_bytes{kind="files"}'),
  }
  rows.push(row)
  console.log(JSON.stringify(row))
}
const parts = 10
for (let part = 0; part < parts; part++)
  await measured(
    `new keys, part ${part + 1}`,
    Math.floor((part * keys) / parts),
    Math.floor(((part + 1) * keys) / parts),
  )
// Every key has been dropped from memory since: its state comes from the store.
await measured('old keys', 0, Math.floor(keys / parts / 10))
clearInterval(watch)
console.table(rows)
let wrong = 0
for (let i = 0; i < 100; i++) {
  const n = Math.floor((i * keys) / 100)
  const number = (n * 7919 + 13) % keys
  const { steps } = await daemon.call('GET', `/v1/pipelines/keys/state/state/${number}`)
  const times = n < Math.floor(keys / parts / 10) ? 2 : 1
  if (steps[0]?.cells[0]?.value.times !== times) wrong++
}
console.log(wrong === 0 ? 'states checked: 100 of 100' : `WRONG: ${wrong} of 100 states`)
await daemon.stop()
process.exit(wrong === 0 ? 0 : 1)
