// Shards that split by themselves under skewed loads, in the real daemon: time to balance, shards, cold ones, what a commit
// with a split costs, and every record read back and compared.
//   npm run bench -- split [--loads uniform,zipf-1.2] [--target 10000] [--times 10] [--ramp 5] [--seconds 40]
//   npm run bench -- split --storm [--records 1000000] [--splits 100] [--kills 3] [--every 20]
// The storm forces splits and merges while records are written as fast as they go, and kills the process meanwhile.
import { fork } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { configSchema } from '../dist/config/index.js'
import { Daemon } from '../dist/daemon/index.js'
import { compareHash, silentLogger } from '../dist/runtime/index.js'
import { printMachine, summary, temporaryFolder } from './measure.mjs'
import { check } from './split-check.mjs'
import { KeyLoad, loadNames } from './split-load.mjs'

const { values: flags } = parseArgs({
  options: {
    loads: { type: 'string', default: loadNames.join(',') },
    target: { type: 'string', default: '10000' },
    times: { type: 'string', default: '10' },
    ramp: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '40' },
    keys: { type: 'string', default: '100000' },
    bytes: { type: 'string', default: '100' },
    batch: { type: 'string', default: '500' },
    storm: { type: 'boolean', default: false },
    records: { type: 'string', default: '1000000' },
    splits: { type: 'string', default: '100' },
    kills: { type: 'string', default: '0' },
    every: { type: 'string', default: '20' },
  },
})
const [target, times, ramp, seconds, keys, bytes, batchSize] = [
  flags.target,
  flags.times,
  flags.ramp,
  flags.seconds,
  flags.keys,
  flags.bytes,
  flags.batch,
].map(Number)

const inFlightMax = 8
const images = { old: false, new: false }
const folder = temporaryFolder('split')
await printMachine(folder)
let faults = 0
if (flags.storm) await storm()
else await balance()
process.exit(faults === 0 ? 0 : 1)

async function balance() {
  console.log(
    `\n${keys} keys, records of ${bytes} bytes; from one shard to ${times} times its target of ${target} records/s in ${ramp} s, for ${seconds} s`,
  )
  const rows = []
  for (const name of flags.loads.split(',')) {
    if (!loadNames.includes(name)) throw new Error(`There is no load ${name}; there are ${loadNames.join(', ')}.`)
    rows.push(await balanceOne(name))
  }
  console.table(rows)
}

async function balanceOne(name) {
  const config = configSchema.parse({
    dataDir: join(folder, name),
    split: { target: { recordsPerSecond: target, bytesPerSecond: Number.MAX_SAFE_INTEGER } },
  })
  const daemon = await Daemon.open({ config, logger: silentLogger })
  const { log, store, balancer } = daemon.rooms
  const load = new KeyLoad(name, keys)
  const stream = await log.createStream({ name: 'events', kind: 'plain', shards: 1, images })
  const commits = { split: [], other: [] }
  store.commit.observe({
    committed: ({ seconds: took, changesLayout }) => commits[changesLayout ? 'split' : 'other'].push(took * 1000),
  })
  const heard = { split: 0, merge: 0, park: 0 }
  balancer.observe(({ kind }) => heard[kind]++)

  const rateAt = (second) => target * times * Math.min(1, second / ramp)
  const began = performance.now()
  const now = () => (performance.now() - began) / 1000
  let balancedAt
  let written = 0
  let due = 0
  let last = 0
  let inFlight = 0
  // What the machine takes, over the last two seconds: it may be less than what is asked for.
  const marks = []
  let reached = 0
  const watch = setInterval(() => {
    marks.push({ at: now(), written })
    while (marks.length > 1 && marks[1].at < now() - 2) marks.shift()
    const [first] = marks
    if (now() > first.at) reached = ((written - first.written) * batchSize) / (now() - first.at)
    // A moment in which the machine catches up is no load.
    const rate = Math.min(reached, rateAt(now()))
    const open = log.openShards(stream.id).map(({ shard }) => shard)
    const shares = load.sharesOf(open)
    const isBalanced = open.every(({ low, high }, i) => compareHash(low, high) === 0 || shares[i] * rate <= target)
    // Balanced from here on, and not only while the load is still small.
    if (!isBalanced || now() < ramp) balancedAt = undefined
    else balancedAt ??= now()
  }, 250)
  while (now() < seconds) {
    due += rateAt(now()) * (now() - last)
    last = now()
    while (due >= batchSize && inFlight < inFlightMax) {
      due -= batchSize
      inFlight++
      void store.commit
        .submit({ records: [{ stream: stream.id, batch: load.batch(written++, batchSize, bytes) }] })
        .then(() => inFlight--)
    }
    // What the machine cannot take is not caught up later.
    due = Math.min(due, 4 * batchSize)
    await sleep(1)
  }
  clearInterval(watch)
  await store.commit.settled()
  const shards = log.openShards(stream.id).map(({ shard }) => shard)
  const carried = Math.min(times, reached / target)
  const loads = [...load.sharesOf(shards)].map((share) => share * carried)
  const heavy = load.keys.map((_, i) => load.share(i) * carried).filter((each) => each >= 0.5)
  const ideal = heavy.length + Math.ceil((carried - heavy.reduce((sum, each) => sum + each, 0)) / 0.7)
  const checked = await check(daemon.rooms, stream, { acknowledged: new Uint8Array(written).fill(1), batchSize, keys })
  await daemon.close()
  faults += checked.lost + checked.duplicated + checked.reordered
  return {
    load: name,
    'k records/s': Math.round(reached / 1000),
    'balanced after s': balancedAt === undefined ? 'never' : Number(balancedAt.toFixed(1)),
    splits: heard.split,
    shards: shards.length,
    ideal,
    cold: loads.filter((each) => each < 0.1).length,
    parks: heard.park,
    'split commit p99 ms': round(summary(commits.split).p99),
    'other commit p99 ms': round(summary(commits.other).p99),
    records: checked.records,
    lost: checked.lost,
    duplicated: checked.duplicated,
    reordered: checked.reordered,
  }
}

function round(ms) {
  return ms === undefined ? undefined : Number(ms.toFixed(2))
}

async function storm() {
  const [records, splits, kills] = [flags.records, flags.splits, flags.kills].map(Number)
  const data = join(folder, 'storm')
  const acknowledged = []
  const total = { splits: 0, merges: 0, kills: 0, acknowledged: 0, writing: 0 }
  const began = performance.now()
  const child = fileOf('split-storm.mjs')
  const commits = { split: [], other: [] }
  for (;;) {
    const before = { splits: total.splits, merges: total.merges }
    const options = {
      data,
      keys,
      bytes,
      batchSize,
      every: Number(flags.every),
      first: acknowledged.length,
      records: records - total.acknowledged,
      splits: splits - total.splits,
    }
    const process_ = fork(child, [JSON.stringify(options)])
    const killAt = total.kills < kills ? (records * (total.kills + 1)) / (kills + 1) : Number.POSITIVE_INFINITY
    let isKilled = false
    process_.on('message', (message) => {
      if (message.issued !== undefined) while (acknowledged.length <= message.issued) acknowledged.push(0)
      if (message.done !== undefined) {
        acknowledged[message.done] = 1
        total.acknowledged += batchSize
      }
      if (message.splits !== undefined) total.splits = before.splits + message.splits
      if (message.merges !== undefined) total.merges = before.merges + message.merges
      if (message.commits) for (const kind of ['split', 'other']) commits[kind].push(...message.commits[kind])
      if (total.acknowledged >= killAt && !isKilled) {
        isKilled = true
        setTimeout(() => process_.kill('SIGKILL'), Math.random() * 100)
      }
    })
    const code = await new Promise((resolve) => process_.once('exit', (exit) => resolve(exit)))
    if (isKilled && code === null) total.kills++
    else if (code === 0) break
    else throw new Error(`The storm ended with ${code}.`)
  }
  total.writing = (performance.now() - began) / 1000
  const daemon = await Daemon.open({
    config: configSchema.parse({ dataDir: data, split: { enabled: false } }),
    logger: silentLogger,
  })
  const stream = daemon.rooms.log.streamNamed('storm')
  const checking = performance.now()
  const checked = await check(daemon.rooms, stream, { acknowledged: Uint8Array.from(acknowledged), batchSize, keys })
  const sealed = daemon.rooms.log.shards(stream.id).length
  await daemon.close()
  faults += checked.lost + checked.duplicated + checked.reordered
  console.table([
    {
      records: checked.records,
      splits: total.splits,
      merges: total.merges,
      kills: total.kills,
      shards: sealed,
      'written in s': Number(total.writing.toFixed(1)),
      'read in s': Number(((performance.now() - checking) / 1000).toFixed(1)),
      'split commit p99 ms': round(summary(commits.split).p99),
      'other commit p99 ms': round(summary(commits.other).p99),
      'in doubt at a kill': checked.inDoubt,
      lost: checked.lost,
      duplicated: checked.duplicated,
      reordered: checked.reordered,
    },
  ])
}

function fileOf(name) {
  return new URL(name, import.meta.url).pathname
}
