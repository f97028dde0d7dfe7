// A stream that is there already, run through pipelines: how many records a second they take, results committed with sync.
//   npm run bench -- pipeline [--records 400000] [--shards 4]
import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { Codec, encodeBatch } from '../dist/log/index.js'
import { hashKey } from '../dist/runtime/index.js'
import { bundleModule } from '../dist/workers/index.js'
import { printMachine, temporaryFolder } from './measure.mjs'
import { RawClient } from './raw-client.mjs'

const { values: flags } = parseArgs({
  options: { records: { type: 'string', default: '400000' }, shards: { type: 'string', default: '4' } },
})
const total = Number(flags.records)
const folder = temporaryFolder('pipeline')
await printMachine(folder)

const main = new URL('../dist/cli/main.cjs', import.meta.url).pathname
const daemon = spawn(process.execPath, [main, 'serve', '--data', join(folder, 'data'), '--port', '0'], {
  stdio: ['ignore', 'pipe', 'ignore'],
})
const port = await new Promise((resolve) => {
  createInterface({ input: daemon.stdout }).on('line', (line) => {
    const ready = /ready http:\/\/[^:]+:(\d+)/.exec(line)
    if (ready) resolve(Number(ready[1]))
  })
})
const client = new RawClient(port)
async function call(method, path, body, type = 'application/json', headers = {}) {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body ?? {}))
  const answer = await client.request(method, path, { 'content-type': type, 'x-millrace': '1', ...headers }, bytes)
  if (answer.status >= 300) throw new Error(`${path}: ${answer.status} ${answer.body}`)
  return JSON.parse(String(answer.body))
}

await call('POST', '/v1/streams', { name: 'events', shards: Number(flags.shards) })
await call(
  'POST',
  '/',
  {
    TableName: 'sums',
    AttributeDefinitions: [{ AttributeName: 'key', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'key', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
  },
  'application/x-amz-json-1.0',
  { 'x-amz-target': 'DynamoDB_20120810.CreateTable' },
)
let expected = 0
const began = performance.now()
for (let n = 0; n < total; ) {
  const records = []
  for (let i = 0; i < 1000 && n < total; i++, n++) {
    const key = Buffer.from(`key ${(n * 7919) % 1000}`)
    const body = Buffer.from(JSON.stringify({ n, price: n % 1000, pad: 'x'.repeat(140) }))
    records.push({ hash: hashKey(key), kind: 0, flags: 0, codec: Codec.json, time: Date.now(), key, body })
    expected += n % 1000
  }
  await call('POST', '/v1/streams/events/records', encodeBatch(records), 'application/octet-stream')
}
console.log(`${total} records of about 200 bytes appended in ${((performance.now() - began) / 1000).toFixed(1)} s\n`)

const head = "import { file, pipeline, stream, table } from 'millrace'\n"
const pipelines = {
  filter: `${head}export default pipeline('filter').from(stream<{ price: number }>('events')).filter((record) => record.value.price === 7).to(file('filter.ndjson', (record) => record.value.price))`,
  'keyed sum': `${head}export default pipeline('keyed-sum').from(stream<{ price: number }>('events')).keyByPartition().sum('price', (record) => record.value.price).to(table('sums', (sum, key) => ({ key: key.key, sum })))`,
}
const rows = []
mkdirSync(join(folder, 'modules'))
for (const [name, source] of Object.entries(pipelines)) {
  const module = join(folder, 'modules', `${name.replace(' ', '-')}.ts`)
  writeFileSync(module, source)
  const bundle = await bundleModule(module)
  const start = performance.now()
  const view = await call('POST', '/v1/pipelines', { bundle, start: 'oldest' })
  for (;;) {
    const { lag } = await call('GET', `/v1/groups/${encodeURIComponent(`pipeline:${view.name}`)}`)
    if (lag === 0) break
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  const seconds = (performance.now() - start) / 1000
  const shown = await call('GET', `/v1/pipelines/${view.name}`)
  rows.push({
    pipeline: name,
    'records/s': Math.round(total / seconds),
    seconds: Number(seconds.toFixed(2)),
    barriers: shown.barrier.committed,
  })
  await call('DELETE', `/v1/pipelines/${view.name}`)
}
console.table(rows)
const { Items } = await call('POST', '/', { TableName: 'sums' }, 'application/x-amz-json-1.0', {
  'x-amz-target': 'DynamoDB_20120810.Scan',
})
const found = Items.reduce((sum, item) => sum + Number(item.sum.N), 0)
console.log(found === expected ? `sums checked: ${found}` : `WRONG: the sums are ${found}, not ${expected}`)
client.close()
daemon.kill('SIGTERM')
await new Promise((resolve) => daemon.on('exit', resolve))
process.exit(found === expected ? 0 : 1)
