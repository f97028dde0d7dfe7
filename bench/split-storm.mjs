// One life of the storm of `bench split --storm`: writes and forces splits and merges until it has enough, or is killed.
// What it was answered it tells its parent, which knows then what must be there.
import { configSchema } from '../dist/config/index.js'
import { Daemon } from '../dist/daemon/index.js'
import { compareHash, hashAfter, silentLogger } from '../dist/runtime/index.js'
import { KeyLoad } from './split-load.mjs'

const { data, keys, bytes, batchSize, every, first, records, splits } = JSON.parse(process.argv[2])
const openMax = 64
const inFlight = 8

const config = configSchema.parse({ dataDir: data, split: { enabled: false } })
const daemon = await Daemon.open({ config, logger: silentLogger })
const { log, store, balancer } = daemon.rooms
const load = new KeyLoad('zipf-0.99', keys)
const stream =
  log.streamNamed('storm') ??
  (await log.createStream({ name: 'storm', kind: 'plain', shards: 1, images: { old: false, new: false } }))
const say = (message) => new Promise((resolve) => process.send(message, resolve))
let commits = { split: [], other: [] }
store.commit.observe({
  committed: ({ seconds, changesLayout }) => commits[changesLayout ? 'split' : 'other'].push(seconds * 1000),
})

const done = { records: 0, splits: 0, merges: 0 }
const isEnough = () => done.records >= records && done.splits >= splits
let next = first
async function write() {
  while (!isEnough()) {
    const number = next++
    const batch = load.batch(number, batchSize, bytes)
    // Its number is known to the parent before the batch can be in the store.
    await say({ issued: number })
    await store.commit.submit({ records: [{ stream: stream.id, batch }] })
    done.records += batchSize
    await say({ done: number })
  }
}

const random = Math.random
const anyOf = (list) => list[Math.floor(random() * list.length)]

/** Now and then a merge of any two neighbours, else a split: in the middle, at several keys, or around one. */
async function change() {
  const open = log.openShards(stream.id).map(({ shard }) => shard)
  if (open.length > 1 && (open.length >= openMax || random() < 0.4)) {
    const at = 1 + Math.floor(random() * (open.length - 1))
    await balancer.merge(stream, open[at - 1].id, open[at].id)
    done.merges++
    await say({ merges: done.merges })
    return
  }
  const shard = anyOf(open)
  if (compareHash(shard.low, shard.high) === 0) return
  const around = Array.from({ length: 1 + Math.floor(random() * 3) }, () => anyOf(load.keys).hash)
  const cuts = [...around, ...around.map(hashAfter)]
    .filter((cut) => compareHash(cut, shard.low) > 0 && compareHash(cut, shard.high) <= 0)
    .sort(compareHash)
    .filter((cut, i, all) => i === 0 || compareHash(cut, all[i - 1]) !== 0)
  await balancer.split(stream, shard.id, cuts.length === 0 ? undefined : cuts)
  done.splits++
  await say({ splits: done.splits, commits })
  commits = { split: [], other: [] }
}

async function changes() {
  while (!isEnough()) {
    await change()
    await new Promise((resolve) => setTimeout(resolve, every))
  }
}

await Promise.all([...Array.from({ length: inFlight }, write), changes()])
await say({ commits })
await daemon.close()
process.exit(0)
