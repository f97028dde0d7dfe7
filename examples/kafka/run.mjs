// A table that is carried through Kafka into the table of another daemon, exactly once, while everything is killed on the way.
//   node examples/kafka/run.mjs [--json] [--writes 3000]       (needs Java 17 and Maven, which fetches the broker once)
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startBroker } from '../../test/kafka/broker.mjs'
import { randomFrom } from '../daemon.mjs'
import { KilledDaemon } from './killed-daemon.mjs'

const { values: flags } = parseArgs({
  options: { json: { type: 'boolean', default: false }, writes: { type: 'string', default: '3000' } },
})
const writes = Number(flags.writes)
const print = (...words) => flags.json || console.log(...words)
execFileSync(process.execPath, [fileURLToPath(new URL('../../scripts/build.mjs', import.meta.url))], {
  stdio: ['ignore', 2, 2],
})

const folder = mkdtempSync(join(tmpdir(), 'millrace-kafka-example-'))
const broker = await startBroker()
const shop = new KilledDaemon(join(folder, 'shop'))
const office = new KilledDaemon(join(folder, 'office'))
try {
  await Promise.all([shop.start(), office.start()])
  for (const daemon of [shop, office]) await daemon.createTable('orders')
  const brokers = ['--brokers', broker.address]
  shop.millrace(['bridges', 'create', 'orders-out', '--source', 'table:orders', '--topic', 'orders', ...brokers])
  office.millrace(['bridges', 'create', 'orders-in', '--from-topic', 'orders', '--into', 'table:orders', ...brokers])

  const killing = kill()
  await write()
  await killing
  const { items, changes, ...found } = await settled()
  if (flags.json) console.log(JSON.stringify({ writes, ...found }))
  else {
    print(`${writes} writes made ${changes} changes and left ${items} orders; of the office:`)
    const { missing, extra, different, lost, repeated } = found
    print(`${missing} missing, ${extra} too many, ${different} different; ${lost} changes lost, ${repeated} repeated`)
  }
  process.exitCode = isRight(found) ? 0 : 1
} finally {
  await Promise.all([shop.stop(), office.stop()])
  await broker.close()
  rmSync(folder, { recursive: true, force: true })
}

/** Orders come, change and go, those of a clerk one after the other. A write that was not answered is made again: it changes nothing then. */
async function write() {
  const random = randomFrom(7)
  const clerks = Array.from({ length: 8 }, () => [])
  for (let i = 0; i < writes; i++) {
    const number = Math.floor(random() * 400)
    const order = { S: `order-${number}` }
    const item = { order, amount: { N: String(Math.floor(random() * 1000)) }, change: { N: String(i) } }
    clerks[number % clerks.length].push(random() < 0.2 ? { order } : item)
  }
  const enter = async (items) => {
    for (const item of items) {
      if (item.change) await shop.aws('PutItem', { TableName: 'orders', Item: item })
      else await shop.aws('DeleteItem', { TableName: 'orders', Key: item })
    }
  }
  await Promise.all(clerks.map(enter))
}

/** Each of the three is killed with SIGKILL and started again. */
async function kill() {
  for (const [what, restart] of [
    ['the daemon of the shop', () => shop.restart()],
    ['the broker', () => broker.kill().then(() => broker.start())],
    ['the daemon of the office', () => office.restart()],
  ]) {
    await sleep(400)
    await restart()
    print(`killed and started: ${what}`)
  }
}

/** What both daemons have, as soon as it is the same or the time is over. */
async function settled() {
  for (const end = Date.now() + 120_000; ; await sleep(100)) {
    const there = await shop.items('orders')
    const changes = await shop.changes('orders')
    const found = {
      ...compareItems(there, await office.items('orders')),
      ...compareChanges(changes, await office.changes('orders')),
    }
    if (isRight(found) || Date.now() > end)
      return { items: there.size, changes: [...changes.values()].flat().length, ...found }
  }
}

function compareItems(there, here) {
  const both = [...there].filter(([order]) => here.has(order))
  return {
    missing: there.size - both.length,
    extra: here.size - both.length,
    different: both.filter(([order, item]) => here.get(order) !== item).length,
  }
}

/** The same changes of each item, in the same order, once. */
function compareChanges(there, here) {
  let lost = 0
  let repeated = 0
  for (const [order, changes] of there) {
    const came = here.get(order) ?? []
    let at = 0
    for (const change of came) {
      if (change === changes[at]) at++
      else repeated++
    }
    lost += changes.length - at
  }
  return { lost, repeated }
}

function isRight(found) {
  return Object.values(found).every((count) => count === 0)
}
