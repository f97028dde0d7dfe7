// PutItem, GetItem, UpdateItem and BatchWriteItem against a daemon, raw HTTP clients on the same cores, synced.
//   npm run bench -- put [--seconds 5] [--connections 64] [--rounds 3] [--only TEXT] [--profile FOLDER]
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { median, printMachine, summary, temporaryFolder } from './measure.mjs'
import { RawClient } from './raw-client.mjs'

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '64' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
    profile: { type: 'string' },
  },
})
const seconds = Number(flags.seconds)
const folder = temporaryFolder('put')
await printMachine(folder)

const main = new URL('../dist/cli/main.cjs', import.meta.url).pathname
const daemon = spawn(
  process.execPath,
  [
    ...(flags.profile ? ['--cpu-prof', `--cpu-prof-dir=${flags.profile}`] : []),
    main,
    'serve',
    '--data',
    join(folder, 'data'),
    '--port',
    '0',
  ],
  { stdio: ['ignore', 'pipe', 'inherit'] },
)
const port = await new Promise((resolve, reject) => {
  createInterface({ input: daemon.stdout }).on('line', (line) => {
    const ready = /ready http:\/\/[^:]+:(\d+)/.exec(line)
    if (ready) resolve(Number(ready[1]))
  })
  daemon.on('exit', (code) => reject(new Error(`the daemon ended with ${code}`)))
})

const aws = (client, operation, body) =>
  client.request(
    'POST',
    '/',
    { 'x-amz-target': `DynamoDB_20120810.${operation}`, 'content-type': 'application/x-amz-json-1.0' },
    Buffer.from(body),
  )

async function createTable(name, stream) {
  const client = new RawClient(port)
  const answer = await aws(
    client,
    'CreateTable',
    JSON.stringify({
      TableName: name,
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
      ...(stream ? { StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' } } : {}),
    }),
  )
  if (answer.status !== 200) throw new Error(String(answer.body))
  client.close()
}

const pad = 'x'.repeat(120)
/** About 190 bytes by DynamoDB's count. */
const item = (id) =>
  `{"id":{"S":"${id}"},"name":{"S":"some name of an item"},"count":{"N":"${id.length}"},"stamp":{"N":"${Date.now()}"},"pad":{"S":"${pad}"}}`
const keys = Array.from({ length: 100_000 }, (_, i) => `item ${i}`)
let next = 0
const key = () => keys[Math.floor(Math.random() * keys.length)]

const workloads = {
  'PutItem, NEW_AND_OLD_IMAGES': {
    connections: Number(flags.connections),
    operation: 'PutItem',
    body: () => `{"TableName":"streamed","Item":${item(key())}}`,
  },
  'PutItem, no stream': {
    connections: Number(flags.connections),
    operation: 'PutItem',
    body: () => `{"TableName":"plain","Item":${item(key())}}`,
  },
  'UpdateItem ADD, one hot key, with stream': {
    connections: Number(flags.connections),
    operation: 'UpdateItem',
    body: () =>
      '{"TableName":"streamed","Key":{"id":{"S":"hot"}},"UpdateExpression":"ADD hits :one","ExpressionAttributeValues":{":one":{"N":"1"}}}',
  },
  'BatchWriteItem 25, no stream': {
    connections: 16,
    operation: 'BatchWriteItem',
    items: 25,
    body: () =>
      `{"RequestItems":{"plain":[${Array.from({ length: 25 }, () => `{"PutRequest":{"Item":${item(`batch ${next++ % 200_000}`)}}}`).join(',')}]}}`,
  },
  GetItem: {
    connections: Number(flags.connections),
    operation: 'GetItem',
    body: () => `{"TableName":"streamed","Key":{"id":{"S":"${key()}"}}}`,
  },
}

await createTable('streamed', true)
await createTable('plain', false)

async function run({ connections, operation, body, items = 1 }) {
  const clients = Array.from({ length: connections }, () => new RawClient(port))
  const times = []
  const began = performance.now()
  const end = began + seconds * 1000
  await Promise.all(
    clients.map(async (client) => {
      while (performance.now() < end) {
        const start = performance.now()
        const answer = await aws(client, operation, body())
        if (answer.status !== 200) throw new Error(String(answer.body))
        times.push(performance.now() - start)
      }
    }),
  )
  const elapsed = (performance.now() - began) / 1000
  for (const client of clients) client.close()
  return { perSecond: (times.length * items) / elapsed, ...summary(times) }
}

const rows = []
for (const [name, workload] of Object.entries(workloads).filter(([name]) => name.includes(flags.only))) {
  await run({ ...workload })
  const results = []
  for (let round = 0; round < Number(flags.rounds); round++) results.push(await run(workload))
  const of = (field) => median(results.map((result) => result[field]))
  rows.push({
    workload: name,
    connections: workload.connections,
    [workload.items ? 'items/s' : 'ops/s']: Math.round(of('perSecond')),
    'p50 ms': Number(of('p50').toFixed(2)),
    'p99 ms': Number(of('p99').toFixed(2)),
  })
}
console.table(rows)
daemon.kill('SIGTERM')
await new Promise((resolve) => daemon.on('exit', resolve))
process.exit(0)
