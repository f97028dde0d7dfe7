// Appends of 200-byte records, synced, to one shard: the whole commit path in process against the bare npm binding with
// the same bytes and the same sync, at commits of 64 KiB, 256 KiB and 1 MiB; then over HTTP in batches of 1, 100 and 1000.
//   npm run bench -- append [--seconds 3] [--rounds 3] [--no-http]
import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { Counters, Mark, openCommit } from '../dist/commit/index.js'
import { Codec, encodeBatch, ShardedLog } from '../dist/log/index.js'
import { hashKey, systemClock } from '../dist/runtime/index.js'
import { openStorage } from '../dist/storage/index.js'
import { inTurn, median, printMachine, summary, temporaryFolder } from './measure.mjs'
import { RawClient } from './raw-client.mjs'

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '3' },
    'no-http': { type: 'boolean' },
  },
})
const seconds = Number(flags.seconds)
const folder = temporaryFolder('append')
await printMachine(folder)

/** A batch of 200-byte records whose encoded size is about `bytes`; half of a body is random, half repeats. */
function batchOf(count) {
  const records = []
  for (let i = 0; i < count; i++) {
    const key = Buffer.from(`key ${i % 1000}`)
    const body = Buffer.from(
      `${Math.random().toString(36).repeat(8).slice(0, 92)}{"name":"value","repeats":"in every record","of":"the stream"}`.padEnd(
        200 - key.length,
        '.',
      ),
    )
    records.push({ hash: hashKey(key), kind: 0, flags: 0, codec: Codec.raw, time: Date.now(), key, body })
  }
  return encodeBatch(records)
}
const recordBytes = 232

let number = 0
async function storageAt(name) {
  const path = join(folder, `${name}-${number++}`)
  mkdirSync(path)
  const storage = await openStorage({
    path: join(path, 'store'),
    createIfMissing: true,
    writeBufferBytes: 64 << 20,
    blockCacheBytes: 64 << 20,
    nativeCachePath: path,
  })
  return { path, storage }
}

async function measured(write, depth) {
  const times = []
  const end = performance.now() + seconds * 1000
  const began = performance.now()
  const worker = async () => {
    while (performance.now() < end) {
      const start = performance.now()
      await write()
      times.push(performance.now() - start)
    }
  }
  await Promise.all(Array.from({ length: depth }, worker))
  return { perSecond: (times.length * 1000) / (performance.now() - began), ...summary(times) }
}

/** The bare binding: one write in flight, the same value, synced. */
async function bare(commitBytes) {
  const rocksdb = createRequire(import.meta.url)('rocksdb')
  const db = rocksdb(join(folder, `bare-${number++}`))
  const promised = (run) => new Promise((resolve, reject) => run((error) => (error ? reject(error) : resolve())))
  await promised((done) => db.open({ writeBufferSize: 64 << 20, cacheSize: 64 << 20 }, done))
  const value = batchOf(Math.round(commitBytes / recordBytes))
  let sequence = 0
  const result = await measured(() => {
    const key = Buffer.alloc(17, 5)
    key.writeUInt32BE(sequence++, 13)
    const batch = db.batch()
    batch.put(key, value)
    return promised((done) => batch.write({ sync: true }, done))
  }, 1)
  await promised((done) => db.close(done))
  return { ...result, bytes: value.length }
}

/** The whole path: effect set, sequence numbers, chunk, checksums, ledger, mark, tail cache. Two in flight: one gathers while one syncs. */
async function whole(commitBytes, depth = 2) {
  const { path, storage } = await storageAt('whole')
  const mark = new Mark(join(path, 'mark'))
  const limits = {
    effectSetBytesMax: 16 << 20,
    commitBytesMax: 32 << 20,
    queueBytesMax: 64 << 20,
    rowWaitersMax: 100,
    rowCacheBytesMax: 1 << 20,
  }
  const commit = await openCommit({
    storage,
    mark,
    synced: true,
    clock: systemClock,
    limits,
    onPoisoned: console.error,
    warn: console.error,
  })
  const counters = await Counters.open(storage)
  const log = await ShardedLog.open({
    storage,
    commit,
    counters,
    limits: { chunkBytesMax: 1 << 20, tailCacheBytesMax: 64 << 20, shardsMax: 64, shardsKeptMax: 4096, streamsMax: 10 },
  })
  const stream = await log.createStream({ name: 'bench', kind: 'plain', shards: 1, images: { old: false, new: false } })
  const batch = batchOf(Math.round(commitBytes / recordBytes))
  const result = await measured(() => commit.submit({ records: [{ stream: stream.id, batch }] }), depth)
  await commit.close()
  await storage.close()
  mark.close()
  return { ...result, bytes: batch.length }
}

const rows = []
for (const kib of [64, 256, 1024]) {
  const bytes = kib * 1024
  const results = await inTurn(Number(flags.rounds), {
    bare: () => bare(bytes),
    whole: () => whole(bytes, 1),
    gathering: () => whole(bytes, 2),
  })
  const rate = (name) => median(results.get(name).map((result) => (result.perSecond * result.bytes) / 1e6))
  rows.push({
    commit: `${kib} KiB`,
    'bare binding MB/s': Math.round(rate('bare')),
    'commit path MB/s': Math.round(rate('whole')),
    ratio: Number((rate('whole') / rate('bare')).toFixed(2)),
    'two in flight MB/s': Math.round(rate('gathering')),
    'ratio of it': Number((rate('gathering') / rate('bare')).toFixed(2)),
    'p50 ms': Number(median(results.get('whole').map((result) => result.p50)).toFixed(2)),
    'p99 ms': Number(median(results.get('whole').map((result) => result.p99)).toFixed(2)),
    'k records/s': Math.round((rate('gathering') * 1e3) / recordBytes),
  })
}
console.log('\nin process, one shard, synced')
console.table(rows)

if (!flags['no-http']) {
  const main = new URL('../dist/cli/main.cjs', import.meta.url).pathname
  const daemon = spawn(process.execPath, [main, 'serve', '--data', join(folder, 'daemon'), '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const port = await new Promise((resolve) => {
    createInterface({ input: daemon.stdout }).on('line', (line) => {
      const ready = /ready http:\/\/[^:]+:(\d+)/.exec(line)
      if (ready) resolve(Number(ready[1]))
    })
  })
  const control = new RawClient(port)
  await control.request(
    'POST',
    '/v1/streams',
    { 'content-type': 'application/json', 'x-millrace': '1' },
    Buffer.from(JSON.stringify({ name: 'bench', shards: 1 })),
  )
  control.close()
  const table = []
  for (const [count, connections] of [
    [1, 64],
    [100, 16],
    [1000, 4],
  ]) {
    const batch = batchOf(count)
    const clients = Array.from({ length: connections }, () => new RawClient(port))
    const times = []
    const end = performance.now() + seconds * 1000
    const began = performance.now()
    await Promise.all(
      clients.map(async (client) => {
        while (performance.now() < end) {
          const start = performance.now()
          const answer = await client.request(
            'POST',
            '/v1/streams/bench/records',
            { 'content-type': 'application/octet-stream', 'x-millrace': '1' },
            batch,
          )
          if (answer.status !== 200) throw new Error(`${answer.status} ${answer.body}`)
          times.push(performance.now() - start)
        }
      }),
    )
    const elapsed = (performance.now() - began) / 1000
    for (const client of clients) client.close()
    const { p50, p99 } = summary(times)
    table.push({
      'records a request': count,
      connections,
      'requests/s': Math.round(times.length / elapsed),
      'records/s': Math.round((times.length * count) / elapsed),
      'p50 ms': Number(p50.toFixed(2)),
      'p99 ms': Number(p99.toFixed(2)),
    })
  }
  console.log('\nover loopback HTTP, client and daemon on the same cores, synced')
  console.table(table)
  daemon.kill('SIGTERM')
  await new Promise((resolve) => daemon.on('exit', resolve))
}
process.exit(0)
