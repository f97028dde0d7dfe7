// Which key should a chunk have? Writes the same chunks over 64 shards twice: keyed (stream, shard, sequence) and
// keyed (segment, stream, shard, sequence) with a segment of 64 MiB, and prints what writing, compaction and a replay
// of one shard cost.   node bench/chunk-key.mjs [GiB, default 8] [FOLDER]
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const rocksdb = createRequire(import.meta.url)('rocksdb')
const gigabytes = Number(process.argv[2] ?? 8)
const folder = process.argv[3] ?? tmpdir()
const shards = 64
const chunkBytes = 16 * 1024
const segmentBytes = 64 * 1024 * 1024
const commits = Math.floor((gigabytes * 2 ** 30) / (shards * chunkBytes))

const promised = (run) =>
  new Promise((resolve, reject) => run((error, value) => (error ? reject(error) : resolve(value))))
const written = () => Number(/write_bytes: (\d+)/.exec(readFileSync('/proc/self/io', 'latin1'))[1])

// Half of each record is random and half repeats, as a change record with field names does.
const bodies = Array.from({ length: 64 }, () => {
  const body = Buffer.alloc(chunkBytes)
  for (let at = 0; at < chunkBytes; at += 200) {
    randomBytes(100).copy(body, at)
    body.write('"field name of a record":"with a repeated value","and":"another",'.repeat(2), at + 100, 100)
  }
  return body
})

function key(bucketed, segment, shard, sequence) {
  const at = bucketed ? 5 : 1
  const buffer = Buffer.alloc(at + 16)
  buffer[0] = 5
  if (bucketed) buffer.writeUInt32BE(segment, 1)
  buffer.writeUInt32BE(1, at)
  buffer.writeUInt32BE(shard, at + 4)
  buffer.writeBigUInt64BE(BigInt(sequence), at + 8)
  return buffer
}

async function measure(bucketed) {
  const place = mkdtempSync(join(folder, 'chunk-key-'))
  const db = rocksdb(place)
  await promised((done) => db.open({ writeBufferSize: 64 << 20, cacheSize: 64 << 20 }, done))
  const times = []
  const before = written()
  const start = performance.now()
  for (let commit = 0, sequence = 1; commit < commits; commit++) {
    const batch = db.batch()
    const segment = Math.floor((commit * shards * chunkBytes) / segmentBytes)
    for (let shard = 0; shard < shards; shard++, sequence += 80) {
      batch.put(key(bucketed, segment, shard, sequence), bodies[(commit + shard) % bodies.length])
    }
    const began = performance.now()
    await promised((done) => batch.write({ sync: true }, done))
    times.push(performance.now() - began)
  }
  const writeSeconds = (performance.now() - start) / 1000
  const writtenBytes = written() - before
  const replayStart = performance.now()
  let chunks = 0
  const segments = bucketed ? Math.ceil((commits * shards * chunkBytes) / segmentBytes) : 1
  for (let segment = 0; segment < segments; segment++) {
    const iterator = db.iterator({
      gte: key(bucketed, segment, 7, 0),
      lt: key(bucketed, segment, 8, 0),
      highWaterMark: 1 << 20,
    })
    while (await promised((done) => iterator.next((error, _k, v) => done(error, v !== undefined)))) chunks++
    await promised((done) => iterator.end(done))
  }
  const replaySeconds = (performance.now() - replayStart) / 1000
  await promised((done) => db.close(done))
  times.sort((a, b) => a - b)
  const total = commits * shards * chunkBytes
  const row = {
    key: bucketed ? 'segment, stream, shard, sequence' : 'stream, shard, sequence',
    'write MB/s': Math.round(total / 1e6 / writeSeconds),
    'commit p50 ms': Number(times[times.length >> 1].toFixed(2)),
    'commit p99 ms': Number(times[Math.floor(times.length * 0.99)].toFixed(2)),
    'commit max ms': Math.round(times[times.length - 1]),
    'bytes written / bytes given': Number((writtenBytes / total).toFixed(2)),
    'replay one shard MB/s': Math.round((chunks * chunkBytes) / 1e6 / replaySeconds),
  }
  rmSync(place, { recursive: true, force: true })
  return row
}

const rows = []
for (const bucketed of [false, true, true, false]) rows.push(await measure(bucketed))
console.table(rows)
