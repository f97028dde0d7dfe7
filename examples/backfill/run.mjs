// A backfill: a pipeline has summed wrongly for weeks. Its corrected version reads everything again as a shadow beside it,
// is checked, and takes its place, while the shop goes on selling.
//   node examples/backfill/run.mjs [--json]
// Starts a daemon on an empty temporary folder, does everything with the command and the AWS SDK, and stops it.
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { CreateTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { DynamoDBDocumentClient, paginateScan } from '@aws-sdk/lib-dynamodb'
import { shopEvents, totalsOf } from './shop-events.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const main = join(root, 'dist', 'cli', 'main.cjs')
const isJson = process.argv.includes('--json')
const print = (...words) => isJson || console.log(...words)
/** How long a pipeline may take for what it has to do: milliseconds, unless the machine is very busy. */
const waitMsMax = 60_000

execFileSync(process.execPath, [join(root, 'scripts', 'build.mjs')], { stdio: ['ignore', 2, 2] })
const data = mkdtempSync(join(tmpdir(), 'millrace-backfill-'))
const daemon = spawn(process.execPath, [main, 'serve', '--data', data, '--port', '0'], {
  stdio: ['ignore', 'pipe', 'ignore'],
})
const ended = new Promise((resolve) => daemon.once('exit', resolve))
try {
  const url = await readyUrl()
  print(`a daemon is ready at ${url}`)
  const millrace = (...args) => {
    const text = execFileSync(process.execPath, [main, ...args, '--url', url, '--json'], { encoding: 'utf8' })
    return JSON.parse(text)
  }
  const file = (name) => fileURLToPath(new URL(name, import.meta.url))
  const dynamodb = new DynamoDBClient({
    endpoint: url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  })
  await dynamodb.send(
    new CreateTableCommand({
      TableName: 'customerTotals',
      AttributeDefinitions: [{ AttributeName: 'customer', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'customer', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
    }),
  )
  millrace('streams', 'create', 'shop-events', '--shards', '2')

  // Weeks of orders, summed by the pipeline as it is.
  const sold = []
  const sell = async (many) => {
    const records = shopEvents(sold.length, many)
    sold.push(...records)
    await post(`${url}/v1/streams/shop-events/records`, { records })
  }
  millrace('pipelines', 'deploy', file('totals.ts'))
  await sell(2000)
  await waitFor(
    'the pipeline to read all orders',
    () => millrace('groups', 'show', 'pipeline:customerTotals').lag === 0,
  )
  const wrong = compared(await totalsIn('customerTotals'), totalsOf(sold))
  print(`${wrong.wrong} of ${wrong.customers} totals are wrong, and ${wrong.strays} items should not be there`)

  // The corrected version reads all of it again, beside the other one: nobody who reads the table sees anything of it.
  millrace('pipelines', 'deploy', file('totals-corrected.ts'), '--shadow', '--from', 'oldest')
  await sell(300)
  await waitFor('the shadow to catch up', () => {
    const { shadow } = millrace('pipelines', 'show', 'customerTotals.shadow')
    return shadow.behind.records === 0 && millrace('groups', 'show', 'pipeline:customerTotals.shadow').lag === 0
  })
  const beside = compared(await totalsIn('customerTotals.shadow'), totalsOf(sold))
  print(
    `in the shadow's table ${beside.wrong} of ${beside.customers} totals are wrong, ${beside.strays} items too many`,
  )
  if (beside.wrong + beside.strays > 0) throw new Error('The corrected version is not right either.')

  // It is right, so it takes the place: both stop at the same order, and the shop goes on selling.
  const selling = sell(300)
  const { revision } = millrace('pipelines', 'swap', 'customerTotals')
  await selling
  await waitFor('the table to be taken over', () => {
    const { state, takeOver } = millrace('pipelines', 'show', 'customerTotals')
    return state === 'running' && takeOver === undefined
  })
  await sell(100)
  await waitFor(
    'the pipeline to read all orders',
    () => millrace('groups', 'show', 'pipeline:customerTotals').lag === 0,
  )
  const right = compared(await totalsIn('customerTotals'), totalsOf(sold))
  print(`swapped: ${right.wrong} of ${right.customers} totals are wrong, ${right.strays} items too many`)
  const { pipelines } = millrace('pipelines', 'list')
  print(`pipelines: ${pipelines.map(({ name }) => name).join(', ')} (module ${revision})`)

  if (isJson)
    console.log(JSON.stringify({ wrong, beside, right, revision, pipelines: pipelines.map(({ name }) => name) }))
  dynamodb.destroy()

  async function totalsIn(TableName) {
    const totals = {}
    const client = DynamoDBDocumentClient.from(dynamodb)
    for await (const { Items } of paginateScan({ client }, { TableName }))
      for (const { customer, cents } of Items) totals[customer] = cents
    return totals
  }
} finally {
  daemon.kill('SIGTERM')
  const code = await ended
  rmSync(data, { recursive: true, force: true })
  print(`the daemon has stopped with exit code ${code}`)
}

function compared(totals, expected) {
  const customers = Object.keys(expected)
  const wrong = customers.filter((customer) => totals[customer] !== expected[customer]).length
  const strays = Object.keys(totals).filter((customer) => !(customer in expected)).length
  return { customers: customers.length, wrong, strays }
}

async function post(address, body) {
  const headers = { 'content-type': 'application/json', 'x-millrace': '1' }
  const response = await fetch(address, { method: 'POST', headers, body: JSON.stringify(body) })
  if (!response.ok) throw new Error(await response.text())
}

async function waitFor(what, isSo) {
  const end = Date.now() + waitMsMax
  while (!isSo()) {
    if (Date.now() > end) throw new Error(`It took too long for ${what}.`)
    await sleep(100)
  }
}

function readyUrl() {
  return new Promise((resolve, reject) => {
    createInterface({ input: daemon.stdout }).on('line', (line) => {
      const ready = /^millrace ready (http:\S+)$/.exec(line)
      if (ready) resolve(ready[1])
    })
    ended.then((code) => reject(new Error(`the daemon ended with ${code} before it was ready`)))
  })
}
