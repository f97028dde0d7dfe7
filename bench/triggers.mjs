// Functions called with the changes of a table, by a daemon of its own: records a second of a backlog in batches of 100, with a
// handler that only counts; then, with nothing else going on, how long after a PutItem was begun its handler is called.
//   npm run bench -- triggers [--records 200000] [--factor 1] [--batch 100] [--writes 1000] [--pause 20]
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { printMachine, summary, temporaryFolder } from './measure.mjs'
import { PipelineDaemon } from './pipeline-daemon.mjs'
import { processorTime } from './process.mjs'

const { values: flags } = parseArgs({
  options: {
    records: { type: 'string', default: '200000' },
    factor: { type: 'string', default: '1' },
    batch: { type: 'string', default: '100' },
    writes: { type: 'string', default: '1000' },
    pause: { type: 'string', default: '20' },
  },
})
const folder = temporaryFolder('triggers')
await printMachine(folder)
const daemon = await PipelineDaemon.start(join(folder, 'data'))
const stream = { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' }

/** A table, and a function of this code that is called with what is written there. */
async function trigger(name, code, options) {
  await daemon.table(name)
  await daemon.aws('UpdateTable', { TableName: name, StreamSpecification: stream })
  const path = join(folder, `${name}.cjs`)
  writeFileSync(path, code)
  const main = fileURLToPath(new URL('../dist/cli/main.cjs', import.meta.url))
  const create = ['functions', 'create', name, '--path', path, '--url', daemon.url]
  await promisify(execFile)(process.execPath, [main, ...create])
  return () =>
    daemon.call('POST', '/v1/mappings', { function: name, table: name, startingPosition: 'TRIM_HORIZON', ...options })
}

async function throughput() {
  const begin = await trigger('counted', 'exports.handler = async (event) => { void event.Records.length }', {
    batchSize: Number(flags.batch),
    parallelizationFactor: Number(flags.factor),
  })
  const records = Number(flags.records)
  let n = 0
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      while (n < records) {
        const requests = Array.from({ length: 25 }, () => {
          const Item = { key: { S: `key-${n++}` }, text: { S: 'x'.repeat(150) }, number: { N: String(n) } }
          return { PutRequest: { Item } }
        })
        await daemon.aws('BatchWriteItem', { RequestItems: { counted: requests } })
      }
    }),
  )
  const cpu = processorTime(daemon.pid).all
  const began = performance.now()
  const { id } = await begin()
  const behind = async () => (await daemon.call('GET', `/v1/groups/${encodeURIComponent(`mapping:${id}`)}`)).lag
  while ((await behind()) > 0) await sleep(20)
  const seconds = (performance.now() - began) / 1000
  return {
    records: n,
    'records/s': Math.round(n / seconds),
    'us CPU a record': Number(((processorTime(daemon.pid).all - cpu) / n).toFixed(1)),
  }
}

async function latency() {
  const file = join(folder, 'ages')
  const code = `const { appendFileSync } = require('node:fs')
exports.handler = async (event) => {
  const now = performance.timeOrigin + performance.now()
  for (const { dynamodb } of event.Records) appendFileSync(${JSON.stringify(file)}, now - Number(dynamodb.NewImage.at.N) + '\\n')
}`
  const begin = await trigger('watched', code, {})
  await begin()
  const writes = Number(flags.writes)
  const warm = 100
  for (let i = 0; i < writes + warm; i++) {
    const at = (performance.timeOrigin + performance.now()).toFixed(3)
    await daemon.aws('PutItem', { TableName: 'watched', Item: { key: { S: `key-${i}` }, at: { N: at } } })
    await sleep(Number(flags.pause))
  }
  await sleep(1000)
  const ages = readFileSync(file, 'utf8').trimEnd().split('\n').map(Number).slice(warm)
  const { p50, p99, max } = summary(ages)
  return { calls: ages.length, 'p50 ms': p50.toFixed(1), 'p99 ms': p99.toFixed(1), 'max ms': max.toFixed(1) }
}

console.table([await throughput()])
console.table([await latency()])
process.exit(0)
